"""What people do in the shop, pipelined over a few connections as fast as it is answered.

    python tests/support/shopping.py PORT REQUESTS

After each hundredth of the requests it says how many were answered, and at the end which statuses there
were. Of 100 requests 60 are products, 25 products that the client knows already (304), 13 searches and
2 comments.
"""

import json
import random
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator

API = "/v1/de-DE"
BATCH = 50
WORDS = ("rot", "kleid", "hose", "blau", "seide", "jacke", "lang", "sommer", "leinen", "weiss")
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._heard = bytearray()

    def ask(self, requests: list[bytes]) -> list[tuple[int, bytes, bytes]]:
        """Status, head and content of the answer to each."""
        self._socket.sendall(b"".join(requests))
        return [self._answer() for _ in requests]

    def close(self) -> None:
        """End it."""
        self._socket.close()

    def _answer(self) -> tuple[int, bytes, bytes]:
        while (end := self._heard.find(b"\r\n\r\n")) < 0:
            self._hear()
        head = bytes(self._heard[: end + 2])
        status = int(head[9:12])
        found = _LENGTH.search(head)
        length = int(found[1]) if found and status != 304 else 0
        whole = end + 4 + length
        while len(self._heard) < whole:
            self._hear()
        content = bytes(self._heard[end + 4 : whole])
        del self._heard[:whole]
        return status, head, content

    def _hear(self) -> None:
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError(
                f"The server ended the connection after {bytes(self._heard[:200])!r}."
            )
        self._heard += data


def _request(line: str, *fields: str, content: bytes = b"") -> bytes:
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: shop.example", *fields, "", ""])
    return head.encode() + content


def products(client: Client) -> dict[str, str]:
    """Some products' ids, and their entity tags."""
    (answer,) = client.ask([_request(f"GET {API}/products?per_page=50")])
    ids = [each["id"] for each in json.loads(answer[2])["items"]]
    answers = client.ask([_request(f"GET {API}/products/{each}") for each in ids])
    tags = (re.search(rb"\r\nETag: ([^\r]+)\r\n", head) for _, head, _ in answers)
    return {one: tag[1].decode() for one, tag in zip(ids, tags, strict=True) if tag}


def requests(known: dict[str, str], chance: random.Random) -> Iterator[bytes]:
    """Without end."""
    ids = list(known)
    while True:
        one, what = chance.choice(ids), chance.random()
        if what < 0.6:
            yield _request(f"GET {API}/products/{one}")
        elif what < 0.85:
            yield _request(f"GET {API}/products/{one}", f"If-None-Match: {known[one]}")
        elif what < 0.98:
            q = "+".join(chance.sample(WORDS, k=2))
            page = chance.randint(1, 3)
            yield _request(f"GET {API}/products?q={q}&page={page}")
        else:
            content = json.dumps({"text": "nice " * chance.randint(1, 20)}).encode()
            yield _request(
                f"POST {API}/products/{one}/comments", "Authorization: Bearer demo-anna",
                "Content-Type: application/json", f"Content-Length: {len(content)}", content=content,
            )  # fmt: skip


def shopping(port: int, count: int, *, connections: int = 4) -> Iterator[tuple[int, Counter[int]]]:
    """Send so many requests; after each hundredth how many were answered, and the statuses so far."""
    clients = [Client(port) for _ in range(connections)]
    statuses: Counter[int] = Counter()
    try:
        stream = requests(products(clients[0]), random.Random(1))
        done = step = 0
        while done < count:
            client = clients[done // BATCH % connections]
            batch = [next(stream) for _ in range(min(BATCH, count - done))]
            statuses.update(status for status, _, _ in client.ask(batch))
            done += len(batch)
            if done * 100 // count > step:
                step = done * 100 // count
                yield done, statuses
    finally:
        for client in clients:
            client.close()


if __name__ == "__main__":
    for answered, found in shopping(int(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps({"answered": answered, "statuses": found}), flush=True)
