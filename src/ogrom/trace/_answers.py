"""How traces are answered with, on the page and without one."""

from typing import Final

import msgspec

from ogrom.http import Pieces, Response
from ogrom.loopback import POLICY

PREFIX: Final = "/-/trace"


def json(status: int, value: object) -> Response:
    """A value as JSON."""
    return answer(status, "application/json", msgspec.json.encode(value))


def answer(status: int, kind: str, content: bytes, pieces: Pieces | None = None) -> Response:
    """An answer that nobody keeps, nobody frames, and no other site reads."""
    length = () if pieces is not None else (("Content-Length", str(len(content))),)
    fields = (
        ("Content-Type", kind),
        *length,
        ("Cache-Control", "no-store"),
        ("Vary", "Accept"),
        ("Content-Security-Policy", POLICY),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
    )
    return Response(status=status, headers=fields, content=content, pieces=pieces)
