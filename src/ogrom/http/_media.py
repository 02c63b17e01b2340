"""Media types that values can be written in and read from: JSON, MessagePack, CSV, forms."""

import csv
import io
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct

from ogrom.http._negotiate import MediaType

Encode = Callable[[object], bytes | str]
"""Writes a value. A `str` is encoded in the charset negotiated, and labelled with it."""

Decode = Callable[[bytes], Any]
"""Reads content into the type it was made for. Raises msgspec's `DecodeError` and, for what is
well formed and not of that type, its `ValidationError`."""


class Written:
    """A value that is answered again and again, by itself or within others: its JSON is written once.

        kept[each.id] = Written(each)
        ...
        return {"items": [kept[each.id] for each in found]}

    In JSON it costs no more than to be copied. MessagePack and CSV take the value; an `encode` of your own
    is given this, and takes its `value`.

    Args:
        value: what can be written in JSON. It must not change any more.
    """

    __slots__ = ("json", "value")

    def __init__(self, value: object) -> None:
        self.value: Final = value
        self.json: Final = msgspec.Raw(msgspec.json.encode(value))
        """The value in JSON."""


def _in_json(value: object) -> object:
    return value.json if isinstance(value, Written) else _unknown(value)


def _as_it_is(value: object) -> object:
    return value.value if isinstance(value, Written) else _unknown(value)


def _unknown(value: object) -> object:
    raise TypeError(f"Encoding objects of type {type(value).__name__} is unsupported")


class Media(Struct, frozen=True):
    """A media type, with how to write a value in it and how to read one from it.

    `decoder` makes a `Decode` for a type, once, when the service starts. A media type without
    `encode` is not offered for answers; one without `decoder` is not taken for content.
    """

    type: MediaType
    encode: Encode | None = None
    decoder: Callable[[Any], Decode] | None = None


def _json_decoder(kind: Any) -> Decode:
    return msgspec.json.Decoder(kind).decode


def _msgpack_decoder(kind: Any) -> Decode:
    return msgspec.msgpack.Decoder(kind).decode


def _form_decoder(kind: Any) -> Decode:
    """Reads a form: fields are text, and are converted to what the type wants (as in a query)."""

    def decode(content: bytes) -> Any:
        try:
            pairs = parse_qsl(
                content.decode("ascii"),
                keep_blank_values=True,
                strict_parsing=bool(content),
                errors="strict",
                max_num_fields=1000,
            )
        except ValueError as error:
            raise msgspec.DecodeError(f"This is not a form: {error}") from None
        return msgspec.convert(dict(pairs), kind, strict=False)

    return decode


def _write_csv(value: object) -> str:
    """Writes a list as RFC 4180 has it: a line of names, then a line an item.

    The list is the value itself, or what the value keeps as `items`. The names are those of all
    items, in the order in which they come up. What is neither text, number nor None is JSON.
    """
    plain: Any = msgspec.to_builtins(value, enc_hook=_as_it_is)
    whole = cast("dict[str, Any]", plain) if isinstance(plain, dict) else {"items": plain}
    listed: Any = whole.get("items", whole)
    items: list[Any] = list(cast("list[Any]", listed)) if isinstance(listed, list) else [listed]  # type: ignore[redundant-cast]
    rows = [_row(item) for item in items]
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _row(item: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", item) if isinstance(item, dict) else {"value": item}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


JSON: Final = Media(
    MediaType("application", "json"),
    msgspec.json.Encoder(enc_hook=_in_json).encode,
    _json_decoder,
)
"""RFC 8259."""

MERGE_PATCH: Final = Media(MediaType("application", "merge-patch+json"), None, _json_decoder)
"""RFC 7396: what a `PATCH` may send."""

MSGPACK: Final = Media(
    MediaType("application", "msgpack"),
    msgspec.msgpack.Encoder(enc_hook=_as_it_is).encode,
    _msgpack_decoder,
)
"""The MessagePack specification; the media type is registered with IANA."""

CSV: Final = Media(MediaType("text", "csv"), _write_csv, None)
"""RFC 4180, for lists."""

FORM: Final = Media(MediaType("application", "x-www-form-urlencoded"), None, _form_decoder)
"""What HTML's forms send."""
