"""Where a server listens: a TCP address, a Unix socket, or a socket that it was handed."""

import contextlib
import os
import socket
import stat
from pathlib import Path


class ListenError(OSError):
    """The place cannot be listened on; the message says what to do."""


def listen(where: str) -> socket.socket:
    """A socket that listens, not blocking.

    Args:
        where: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/shop.sock` or `fd:3`. Port 0 takes a free
            one. A Unix socket that nobody listens on any more is replaced.

    Raises:
        ListenError: it cannot be listened on; the message says what to do.
    """
    if where.startswith("unix:"):
        return _unix(Path(where.removeprefix("unix:")))
    if where.startswith("fd:"):
        return _inherited(where)
    host, colon, port = where.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port[:6]) > 65535:
        raise ListenError(
            f"{where!r} is no place to listen. Write 127.0.0.1:8080, [::1]:8080, unix:/path or fd:3."
        )
    return _tcp(host, int(port))


def _tcp(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(
            error.errno,
            f"{host}:{port} cannot be listened on ({error.strerror}). Stop what has it, or choose"
            " another port; 0 takes a free one.",
        ) from None
    return _ready(listener)


def _unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_abandoned(path):
            path.unlink()
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)  # "AF_UNIX path too long" has no errno
        raise ListenError(
            error.errno or 0,
            f"unix:{path} cannot be listened on ({reason}). Stop what has it, or choose another path"
            " of at most 100 characters in a folder that is there.",
        ) from None
    return _ready(listener)


def _is_abandoned(path: Path) -> bool:
    """Whether it is a socket that a dead process left behind."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                return True
    return False


def _inherited(where: str) -> socket.socket:
    number = where.removeprefix("fd:")
    try:
        listener = socket.socket(fileno=os.dup(int(number)))
    except (OSError, ValueError) as error:
        raise ListenError(
            f"{where!r} is no socket that was handed to this process ({error})."
        ) from None
    return _ready(listener)


def _ready(listener: socket.socket) -> socket.socket:
    listener.listen(2048)
    listener.setblocking(False)
    return listener
