"""ASGI with nothing in between: what a framework on uvicorn cannot go below."""

import msgspec
import uvicorn
from _data import PRODUCTS, found, port, revision

encode = msgspec.json.encode


class Draft(msgspec.Struct):
    """A comment to be written."""

    text: str
    stars: int


decode = msgspec.json.Decoder(Draft).decode
JSON = (b"content-type", b"application/json")


async def app(scope, receive, send):
    """The four things that are measured, by hand."""
    if scope["type"] != "http":
        return
    path = scope["path"]
    status, headers, body = 404, [JSON], b'{"detail":"not found"}'
    if scope["method"] == "POST":
        content = b""
        while True:
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            draft = decode(content)
        except msgspec.DecodeError:
            status, body = 422, b'{"detail":"not valid"}'
        else:
            status = 201
            body = encode({"id": 1, "text": draft.text, "stars": draft.stars})
            headers = [JSON, (b"location", b"/comments/1")]
    elif path == "/products":
        items = found(scope["query_string"].decode())
        status, body = 200, encode({"items": items, "total": len(items)})
    elif (product := PRODUCTS.get(path.removeprefix("/products/"))) is not None:
        tag = f'"{revision(str(product["id"]))}"'.encode()
        headers = [JSON, (b"etag", tag)]
        sent = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
        status, body = (304, b"") if sent == tag else (200, encode(product))
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    uvicorn.run(
        app, port=port(), log_level="error", access_log=False, loop="uvloop", http="httptools"
    )
