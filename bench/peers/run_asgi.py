"""Runs one of the peers on uvicorn or granian: run_asgi.py PORT MODULE SERVER."""

import importlib
import sys

from _data import port


def main() -> None:
    """One worker, no access log, the fastest loop and parser that the server has."""
    module, server = sys.argv[2:4]
    if server == "uvicorn":
        import uvicorn

        app = importlib.import_module(module).app
        uvicorn.run(
            app, port=port(), log_level="error", access_log=False, loop="uvloop", http="httptools"
        )
        return
    from granian import Granian
    from granian.constants import Interfaces, Loops

    interface = Interfaces.RSGI if module == "rsgi_raw" else Interfaces.ASGI
    Granian(
        f"{module}:app",
        address="127.0.0.1",
        port=port(),
        interface=interface,
        workers=1,
        loop=Loops.uvloop,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
