"""What an action says that it has done; the graph reads it and answers accordingly."""

from collections.abc import AsyncIterable, Iterable, Mapping

from msgspec import Struct


class Created(Struct, frozen=True):
    """A new resource: 201, with its `Location`.

    Args:
        entity: what was made; answered with `handle_created`. None: no content.
        at: the new resource's path or URL, as `ctx.path_for` gives it. None: the request's own
            URL was created (RFC 9110, section 15.3.2), as `PUT` does it.
        etag: the new resource's entity tag, where it is known (a revision).
    """

    entity: object = None
    at: str | None = None
    etag: str | None = None


class Updated(Struct, frozen=True):
    """It is done, and this is how the resource looks now: 200, answered with `handle_ok`.

    After `PATCH` the entity's tag goes along. After `PUT` none does: RFC 9110, section 9.3.4 has
    it only where the content was stored as it came, unchanged.
    """

    entity: object


class NoContent(Struct, frozen=True):
    """It is done, and there is nothing more to say: 204."""


class Accepted(Struct, frozen=True):
    """It will be done: 202.

    Args:
        entity: a status report, answered with `handle_accepted`.
        at: where the progress can be watched, sent as `Location`.
    """

    entity: object = None
    at: str | None = None


class SeeOther(Struct, frozen=True):
    """It is done, and the answer is elsewhere: 303, with its `Location`."""

    at: str


Outcome = Created | Updated | NoContent | Accepted | SeeOther
"""What an action returns."""


class Answer(Struct, frozen=True):
    """What a handler may return in place of the bare value, to add header fields to it."""

    value: object
    headers: Mapping[str, str] = {}


Pieces = AsyncIterable[bytes] | Iterable[bytes]
"""Content that is made while it is sent."""


class Stream(Struct, frozen=True):
    """What a handler may return in place of a value: content that is made while it is sent.

        return Stream(rows(), "application/jsonl")

    The next piece is asked for once the client has taken the last; a client that leaves ends it, by
    `aclose` of an asynchronous generator (`close` of another). It is not compressed. Where it fails
    before its first piece the answer is a 500; later, the connection is cut, for nobody can take
    back what was sent.

    Args:
        pieces: the content. What takes long to make, make asynchronously: an iterator that does not
            wait holds up everybody else.
        media_type: what it is; "" for the type that was negotiated.
        length: how many bytes there are, where that is known; sent as `Content-Length`.
    """

    pieces: Pieces
    media_type: str = ""
    length: int | None = None


def aged(value: object, *, age: float, fresh: float, public: bool = True) -> Answer:
    """A value that was kept, with how old it is (RFC 9111, sections 5.1 and 5.2.2).

    Args:
        value: what is answered.
        age: how many seconds ago it was got from where it is kept.
        fresh: for how many seconds from then on it may be used without asking again. Where it is
            older than that, caches downstream see that it is stale.
        public: whether caches that several people share may keep it.
    """
    who = "public" if public else "private"
    fields = {"Age": str(int(age)), "Cache-Control": f"{who}, max-age={int(fresh)}"}
    return Answer(value, fields)
