"""What the tools that start servers on this machine share: ports of loopback, and whose a process id is."""

import socket
from pathlib import Path


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(before: int = 0) -> int:
    """The port that a server had before, if it is free; else another."""
    if before and is_free(before):
        return before
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(pid: int) -> list[str]:
    """The words by which a process was started; none where it has ended, be it waited for or not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
