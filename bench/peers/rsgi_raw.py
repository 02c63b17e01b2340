"""RSGI with nothing in between: what a framework on granian cannot go below."""

import msgspec
from _data import PRODUCTS, found, revision

encode = msgspec.json.encode


class Draft(msgspec.Struct):
    """A comment to be written."""

    text: str
    stars: int


decode = msgspec.json.Decoder(Draft).decode
JSON = ("content-type", "application/json")


async def app(scope, protocol):
    """The four things that are measured, by hand."""
    path = scope.path
    if scope.method == "POST":
        content = await protocol()
        try:
            draft = decode(content)
        except msgspec.DecodeError:
            protocol.response_bytes(422, [JSON], b'{"detail":"not valid"}')
            return
        body = encode({"id": 1, "text": draft.text, "stars": draft.stars})
        protocol.response_bytes(201, [JSON, ("location", "/comments/1")], body)
    elif path == "/products":
        items = found(scope.query_string)
        protocol.response_bytes(200, [JSON], encode({"items": items, "total": len(items)}))
    elif (product := PRODUCTS.get(path.removeprefix("/products/"))) is not None:
        tag = f'"{revision(str(product["id"]))}"'
        if scope.headers.get("if-none-match") == tag:
            protocol.response_empty(304, [("etag", tag)])
        else:
            protocol.response_bytes(200, [JSON, ("etag", tag)], encode(product))
    else:
        protocol.response_bytes(404, [JSON], b'{"detail":"not found"}')
