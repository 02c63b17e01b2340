"""A real shared cache in front of a service: Debian's Varnish, with tools/varnish.vcl.

    python tools/varnish.py --origin 127.0.0.1:8080 [--listen 127.0.0.1:8000]   # until Ctrl-C

Varnish is found, or unpacked beside the project (tools/debian.py). It compiles its configuration with
gcc, which is installed where it is missing and we may.
"""

import argparse
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import debian

CONFIG = Path(__file__).resolve().parent / "varnish.vcl"
PATIENCE = (
    60  # seconds for it to compile its configuration and to start; a busy machine takes several
)


class CannotStart(Exception):
    """It did not start; the message is what it said."""


def find() -> Path:
    """The program.

    Raises:
        debian.Missing: it, or the compiler that it needs, cannot be had.
    """
    if shutil.which("gcc") is None:
        debian.install("gcc", "libc6-dev")
    if shutil.which("gcc") is None:
        raise debian.Missing(
            "Varnish compiles its configuration: sudo apt-get install gcc libc6-dev"
        )
    return debian.find("varnishd", "varnish")


class Varnish:
    """One cache, in this process' care.

    Args:
        origin: where what it caches comes from, as (host, port).
        listen: where it listens; port 0 takes a free one.
    """

    def __init__(self, origin: tuple[str, int], listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.origin = origin
        self.host = listen[0]
        self.port = listen[1] or _free_port()
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Varnish":
        """Start it, and wait until it listens.

        Raises:
            debian.Missing: it cannot be had.
            CannotStart: it did not start.
        """
        program = find()
        self._folder = folder = Path(tempfile.mkdtemp(prefix="ogrom-varnish-"))
        host, port = self.origin
        config = CONFIG.read_text(encoding="utf-8")
        config = config.replace('"127.0.0.1"', f'"{host}"').replace('"8080"', f'"{port}"')
        (folder / "varnish.vcl").write_text(config, encoding="utf-8")
        parameters = ["http_gzip_support=off", "thread_pools=1", "thread_pool_min=20"]
        beside = program.parent.glob("usr/lib/*/varnish/vmods")  # where it was unpacked
        parameters += [f"vmod_path={each}" for each in beside]
        command = [str(program), "-F", "-j", "none", "-n", str(folder / "work"), "-s", "malloc,64m"]
        command += ["-a", f"{self.host}:{self.port}", "-f", str(folder / "varnish.vcl")]
        command += [part for each in parameters for part in ("-p", each)]
        log = folder / "varnish.log"
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1):
                return self
            time.sleep(0.05)
        said = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        self.stop()
        raise CannotStart(f"varnishd did not start:\n{said}")

    def wait(self) -> None:
        """Return when it has ended."""
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End it, and remove what it had."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=PATIENCE)
            self._process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main(arguments: list[str]) -> int:
    """Run it until it is told to stop; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--origin", type=_address, required=True)
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 0))
    asked = parser.parse_args(arguments)
    cache = Varnish(asked.origin, asked.listen)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        cache.start()
        where = f"http://{cache.host}:{cache.port} in front of {':'.join(map(str, cache.origin))}"
        print(where, flush=True)
        cache.wait()
    except debian.Missing as error:
        print(error, file=sys.stderr)
        return debian.MISSING
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        cache.stop()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
