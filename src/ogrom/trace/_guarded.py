"""What stands in front of a service in production: traces the requests that carry a secret, and no other."""

import asyncio
import hmac
import logging
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any, Final

from msgspec import structs

from ogrom.http import Request, Response, Service, problem_response
from ogrom.trace._answers import PREFIX, answer
from ogrom.trace._record import record
from ogrom.trace._redact import Redactor
from ogrom.trace._ring import Ring
from ogrom.trace._shelf import Shelf
from ogrom.trace._trace import Kept

FIELD: Final = "ogrom-trace"
"""The request's field with the secret, and the response's with the trace's path."""

_log = logging.getLogger("ogrom.trace")


class Guarded:
    """Traces the requests that carry a secret, and shows a trace to who carries it. Every other request
    goes to the service as if this were not there.

    Args:
        service: answers.
        secret: what `Ogrom-Trace` must be.
        folder: where traces are kept, so that any process that shares it shows them. Else they are in
            the memory of this one.
        names: what else the names of secrets have in them.

    Raises:
        ValueError: the secret is too short to be one.
    """

    def __init__(
        self,
        service: Service,
        secret: str,
        *,
        folder: Path | None = None,
        names: Iterable[str] = (),
    ) -> None:
        if len(secret) < 16:
            raise ValueError(
                "The secret that switches traces on has fewer than 16 characters. Make one:"
                ' python3 -c "import secrets; print(secrets.token_urlsafe())"'
            )
        self.service: Final = service
        self._secret: Final = secret.encode()
        self._redactor: Final = Redactor(names)
        self._ring: Final = Ring(count=50, size=8 << 20)
        self._shelf: Final = Shelf(folder) if folder is not None else None

    def respond(self, request: Request) -> Coroutine[Any, Any, Response]:
        """The response to a request."""
        given = request.headers.get(FIELD)
        if given is None or not hmac.compare_digest(given.encode("utf-8", "replace"), self._secret):
            return self.service.respond(request)
        return self._traced(request)

    async def _traced(self, request: Request) -> Response:
        kept: list[Kept] = []
        headers = {name: value for name, value in request.headers.items() if name != FIELD}
        id_ = request.path.removeprefix(f"{PREFIX}/")
        if id_ != request.path and request.method == "GET":
            found = await self._found(id_)
            if found is None:
                return problem_response(404, "There is no such trace here, or no longer.")
            return answer(200, "application/json", found)
        asked = structs.replace(request, headers=headers)
        response = await record(self.service, asked, self._redactor, kept.append, self._ring.number)
        await self._keep(kept[0])
        where = (FIELD.title(), f"{PREFIX}/{kept[0].summary.id}")
        return structs.replace(response, headers=(*response.headers, where))

    async def _found(self, id: str) -> bytes | None:
        kept = self._ring.get(id)
        if kept is not None or self._shelf is None:
            return None if kept is None else kept.written
        return await asyncio.to_thread(self._shelf.get, id)

    async def _keep(self, kept: Kept) -> None:
        """On disk; where that fails, or there is to be none, in memory."""
        if self._shelf is not None:
            try:
                await asyncio.to_thread(self._shelf.put, kept.summary.id, kept.written)
            except OSError as error:
                _log.warning("a trace is kept in memory alone: %s", error)
            else:
                return
        self._ring.put(kept)
