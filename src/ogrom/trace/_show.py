"""Content for people: uncompressed, indented, cut to what a screen can hold, and without secrets."""

import gzip
import io
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import brotli  # type: ignore[import-untyped]
import msgspec
import zstandard

from ogrom.trace._redact import MASK, Redactor

_UNPACKED: Final = 4 << 20
"""No more than that, in bytes, is looked at once unpacked."""


def shown(
    content: bytes,
    fields: Mapping[str, str],
    redactor: Redactor,
    most: int,
    *,
    pretty: bool = True,
) -> tuple[str, str]:
    """A content as text, and what there is to say of it.

    Args:
        content: as it was sent.
        fields: the header fields with it, by lower-case name.
        redactor: what must not be shown.
        most: how many characters at the most.
        pretty: whether JSON is indented.
    """
    if not content:
        return "", "no content"
    notes = [f"{len(content):,} bytes"]
    coding = fields.get("content-encoding", "")
    plain = content
    if coding:
        try:
            plain = _unpacked(content, coding)
            notes.append(f"{coding}, {len(plain):,} unpacked")
        except Exception:  # noqa: BLE001 - each coding has errors of its own
            return "", f"{notes[0]}, which are not {coding}"
    kind = fields.get("content-type", "")
    try:
        if "msgpack" in kind:
            value = msgspec.to_builtins(msgspec.msgpack.decode(plain), str_keys=True)
            notes.append("MessagePack, shown as JSON")
            text = _json(value, redactor, pretty=True)
        else:
            text = _json(msgspec.json.decode(plain), redactor, pretty=pretty)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, TypeError):
        text = plain[: 4 * most].decode("utf-8", "replace")
        if "\0" in text or text.count("\ufffd") > 8:
            return "", f"{notes[0]} that are no text"
        if "form-urlencoded" in kind:
            text = redactor.target("", text).removeprefix("?")
    if len(text) > most:
        notes.append(f"cut after {most:,} characters")
    return text[:most], ", ".join(notes)


def _unpacked(content: bytes, coding: str) -> bytes:
    if coding == "br":
        return cast("bytes", brotli.decompress(content))  # pyright: ignore[reportUnknownMemberType]
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompress(content, max_output_size=_UNPACKED)
    if coding in {"gzip", "x-gzip"}:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            return file.read(_UNPACKED)
    return zlib.decompressobj().decompress(content, _UNPACKED)


def _json(value: Any, redactor: Redactor, *, pretty: bool) -> str:
    masked = _masked(value, redactor)
    indent = 2 if pretty else None
    return json.dumps(masked, ensure_ascii=False, indent=indent, default=str)


def _masked(value: Any, redactor: Redactor) -> Any:
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value)
        return {
            key: MASK
            if redactor.is_secret(key) and isinstance(each, str | int)
            else _masked(each, redactor)
            for key, each in pairs.items()
        }
    if isinstance(value, list):
        return [_masked(each, redactor) for each in cast("Sequence[Any]", value)]
    return value
