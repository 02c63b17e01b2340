"""What is recorded, what is not shown, who may look; in process, behind ASGI and behind our own server."""

import asyncio
import json

import pytest
from support.traced import notes

from ogrom.http import Request, Resource, Service, Stream
from ogrom.serve import App, asgi
from ogrom.sources import sql
from ogrom.trace import Redactor, Ring, Tracer

SECRET = "hunter2-hunter2"


def request(target="/notes/1", method="GET", content=b"", **fields):
    path, _, query = target.partition("?")
    headers = {
        "host": "127.0.0.1:1",
        **{key.replace("_", "-"): each for key, each in fields.items()},
    }
    return Request(method=method, path=path, query=query, headers=headers, content=content, id="i1")


async def newest(tracer):
    kept = next(iter(tracer.ring))
    return json.loads(kept.written)


async def test_all_of_a_request_is_told():
    """Time, route, resource, each step with its why, and the response with its content."""
    tracer = Tracer(notes())
    response = await tracer.respond(request(traceparent=f"00-{'a' * 32}-{'b' * 16}-01"))
    trace = await newest(tracer)
    assert 200 == response.status == trace["summary"]["status"]
    assert ("note", "/notes/{id}", [["id", "'1'"]]) == (
        trace["resource"], trace["pattern"], trace["parameters"],
    )  # fmt: skip
    assert "handle_ok" == trace["summary"]["end"] == trace["steps"][-1]["name"]
    step = next(each for each in trace["steps"] if each["name"] == "exists")
    assert ("own", True) == (step["source"]["by"], step["answer"])
    assert ["entity"] == [each["to"] for each in step["added"]]
    assert "milk" in step["added"][0]["value"]
    assert step["microseconds"] >= 0
    assert all(each["says"] and each["why"] for each in trace["steps"])
    assert '"text": "milk"' in trace["response"]["content"]
    assert ["ETag", '"r1"'] in trace["response"]["fields"]
    assert trace["curl"].startswith("curl -i http://127.0.0.1:1/notes/1")
    assert trace["summary"]["milliseconds"] > 0


async def test_a_traced_request_is_answered_as_any_other():
    """Status, fields and content are the service's."""
    service = notes()
    tracer = Tracer(notes())
    for asked in (
        request(), request("/nothing"), request("/broken"), request(if_none_match='"r1"'),
        request(method="BREW"), request("/notes/%zz"), request(method="PUT", content=b"{}"),
    ):  # fmt: skip
        one, other = await service.respond(asked), await tracer.respond(asked)
        assert (one.status, tuple(one.headers), one.content) == (
            other.status, tuple(other.headers), other.content,
        )  # fmt: skip


async def test_what_an_action_did_and_took_is_told():
    """The action is a step, with its outcome; what was sent can be sent again."""
    tracer = Tracer(notes())
    content = b'{"text": "bread"}'
    fields = {
        "authorization": f"Bearer {SECRET}",
        "if_match": '"r1"',
        "content_type": "application/json",
    }
    asked = request(method="PUT", content=content, content_length=str(len(content)), **fields)
    assert 200 == (await tracer.respond(asked)).status
    trace = await newest(tracer)
    step = next(each for each in trace["steps"] if each["name"] == "put")
    assert "it returned Updated" == step["why"]
    assert "outcome" in [each["to"] for each in step["added"]]
    assert "put" == step["source"]["places"][0]["name"]
    assert "-X PUT" in trace["curl"]
    assert '"authorization: $AUTHORIZATION"' in trace["curl"]


async def test_a_fault_and_a_refusal_are_recorded():
    """With the exception and its traceback; a path without a route tells which came nearest."""
    tracer = Tracer(notes())
    await tracer.respond(request("/broken", cookie=f"sid={SECRET}"))
    trace = await newest(tracer)
    assert trace["summary"]["error"]
    assert ("ValueError", False) == (trace["error"]["kind"], trace["error"]["expected"])
    assert (
        "raise ValueError" in trace["error"]["traceback"]
        or "in fail" in trace["error"]["traceback"]
    )
    assert SECRET not in json.dumps(trace)
    await tracer.respond(request("/notes/1/x"))
    trace = await newest(tracer)
    assert 404 == trace["summary"]["status"]
    assert {
        "pattern": "/notes/{id}",
        "name": "note",
        "fits": False,
        "says": "it ends before 'x'",
    } == trace["tried"][0]


async def test_a_request_that_is_cut_off_is_recorded():
    """One that took too long, or whose client left: up to where it was."""

    async def wait(_):
        await asyncio.sleep(600)

    tracer = Tracer(Service({"/slow": Resource(name="slow", exists=wait)}))
    task = asyncio.create_task(tracer.respond(request("/slow")))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    trace = await newest(tracer)
    assert (0, "", True) == tuple(trace["summary"][key] for key in ("status", "end", "error"))
    assert "CancelledError" == trace["error"]["kind"]
    assert "processable" == trace["steps"][-1]["name"]  # the last that was answered


async def test_no_secret_is_written_down():
    """Not in a field, a query, a content, an entity, a principal, an exception or the list."""
    tracer = Tracer(notes(), names=["loyalty"])
    content = b'{"text": "bread", "api_key": "hunter2-hunter2"}'
    for asked in (
        request(f"/notes/1?access_token={SECRET}", authorization=f"Bearer {SECRET}"),
        request("/broken", cookie=f"sid={SECRET}; x=y"),
        request(method="PUT", content=content, authorization="Basic x", content_type="application/json"),
        request(loyalty=SECRET, x_loyalty_card=SECRET),
    ):  # fmt: skip
        await tracer.respond(asked)
    listed = await tracer.respond(request("/-/trace/list"))
    everything = b"".join(kept.written for kept in tracer.ring) + listed.content
    assert SECRET.encode() not in everything
    assert b"sesame-open" not in everything
    assert "•••".encode() in everything


async def test_only_what_is_secret_of_a_cookie_is_masked():
    """Not its name, nor when it expires; a password in Basic is."""
    redactor = Redactor()
    fields = [
        ("Set-Cookie", "sid=0123456789; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        ("Cookie", "a=bcdefgh; theme=dark"),
        ("Authorization", "Basic YW5uYTpzZXNhbWUtb3Blbg=="),
    ]
    found = redactor.values(fields, "", [])
    assert {"0123456789", "bcdefgh", "sesame-open"} <= found
    assert not any("Oct" in each or "theme" in each or each == "Basic" for each in found)


async def test_the_sources_that_a_request_asked_are_told(tmp_path):
    """What each was asked without its values, when, for how long; and what went wrong."""
    async with sql.connect(tmp_path / "notes.db") as db:

        async def exists(_):
            await db.one(int, "SELECT :number", number=4711)
            await db.one(int, "SELECT number FROM nowhere")

        tracer = Tracer(Service({"/u": Resource(name="u", exists=exists)}))
        assert 500 == (await tracer.respond(request("/u"))).status
    trace = await newest(tracer)
    good, bad = trace["calls"]
    assert ("sqlite", "SELECT", "SELECT :number", "") == (
        good["source"], good["name"], good["says"], good["error"],
    )  # fmt: skip
    assert str(tmp_path / "notes.db") == good["where"]
    assert 0 < good["at"] < bad["at"] <= trace["summary"]["milliseconds"]
    assert good["milliseconds"] >= 0
    assert ("SELECT nowhere", "Misuse", "1") == (bad["name"], bad["error"], bad["status"])
    assert "4711" not in json.dumps(trace["calls"])


async def test_what_was_changed_is_looked_at_again():
    """After a PUT the tag seen before is nobody's: the present one is got, and 304 reached with it."""
    tracer = Tracer(notes())
    await tracer.respond(request())
    first = next(iter(tracer.ring)).summary.id
    content = b'{"text": "bread"}'
    fields = {"authorization": "Bearer x", "if_match": '"r1"', "content_type": "application/json"}
    asked = request(method="PUT", content=content, content_length=str(len(content)), **fields)
    assert 200 == (await tracer.respond(asked)).status
    found = await tracer.respond(request(f"/-/trace/{first}/reach?end=handle_not_modified"))
    assert ["if-none-match", '"r2"'] in json.loads(found.content)["request"]["headers"]


async def test_what_is_made_while_it_is_sent_is_left_to_the_server():
    """It is not taken from the answer; sent again from the page, it is closed, for nobody takes it."""
    opened = []

    class Pieces:
        def __init__(self):
            self.is_closed = False
            opened.append(self)

        def __iter__(self):
            return self

        def __next__(self):
            raise AssertionError("nobody asked for it")

        def close(self):
            self.is_closed = True

    counts = Resource(name="counts", handle_ok=lambda ctx, _: Stream(Pieces(), "text/plain"))
    tracer = Tracer(Service({"/counts": counts}))
    response = await tracer.respond(request("/counts"))
    assert response.pieces is opened[0]
    assert "made while it is sent" in (await newest(tracer))["response"]["note"]
    wanted = {"like": next(iter(tracer.ring)).summary.id, "method": "GET", "target": "/counts"}
    fields = {"content-type": "application/json", "ogrom-token": tracer._token}
    asked = Request(
        method="POST", path="/-/trace/send", content=json.dumps(wanted).encode(), id="i",
        headers={"host": "127.0.0.1:1", **fields},
    )  # fmt: skip
    assert 201 == (await tracer.respond(asked)).status
    assert [False, True] == [each.is_closed for each in opened]


async def told(news, many):
    """So many events of a trace: their ids, and the targets; with what came before them."""
    ids, targets, kinds = [], [], []
    async with asyncio.timeout(30):
        while len(ids) < many:
            for event in (await anext(news)).decode().split("\n\n"):
                said = dict(
                    line.split(": ", 1) for line in event.split("\n") if line[:1] not in ("", ":")
                )
                kinds.append(said.get("event", ""))
                if "id" in said:
                    ids.append(said["id"])
                    targets.append(json.loads(said["data"])["target"])
    return ids, targets, kinds


async def test_traces_are_told_as_they_come_and_none_is_missed():
    """Who says which came last gets what came since, of the same list; of another list, all of it."""
    tracer = Tracer(notes())
    await tracer.respond(request("/a"))
    response = await tracer.respond(request("/-/trace/events"))
    assert "text/event-stream" == dict(response.headers)["Content-Type"]
    ids, targets, kinds = await told(response.pieces, 1)
    assert (["/a"], "anew") == (targets, kinds[0])
    waiting = asyncio.create_task(told(response.pieces, 1))
    await asyncio.sleep(0)
    await tracer.respond(request("/b"))
    assert ["/b"] == (await waiting)[1]
    await response.pieces.aclose()
    await tracer.respond(request("/c"))

    async def again(last, many, by=tracer):
        response = await by.respond(request("/-/trace/events", last_event_id=last))
        found = await told(response.pieces, many)
        await response.pieces.aclose()
        return found[1], "anew" in found[2]

    assert (["/b", "/c"], False) == await again(ids[0], 2)
    for other in ("", "nonsense", f"{'0' * 8}.2", ids[0].replace(".1", ".x")):
        assert (["/a", "/b", "/c"], True) == await again(other, 3)
    follower = Tracer(notes())
    follower.ring.load(tracer.ring.dump())
    assert (["/b", "/c"], False) == await again(ids[0], 2, follower)


async def test_traces_are_numbered_in_the_order_in_which_they_end():
    """So that what was slow is no older than what was told before it."""
    gate = asyncio.Event()

    async def slow(_):
        await gate.wait()

    async def fast(_):
        return {}

    tracer = Tracer(
        Service(
            {"/slow": Resource(name="s", exists=slow), "/fast": Resource(name="f", exists=fast)}
        )
    )
    first = asyncio.create_task(tracer.respond(request("/slow")))
    await asyncio.sleep(0)
    await tracer.respond(request("/fast"))
    gate.set()
    await first
    assert [(2, "/slow"), (1, "/fast")] == [
        (each.summary.number, each.summary.target) for each in tracer.ring
    ]


async def test_a_server_that_stops_ends_the_telling():
    """Else a page that is open would hold it up; what is wrong with the code is told before."""
    tracer = Tracer(notes())
    response = await tracer.respond(request("/-/trace/events"))
    await anext(response.pieces)
    tracer.feed.broken = "It cannot be loaded."
    tracer.drains()
    assert b'event: broken\ndata: "It cannot be loaded."\n\n' == await anext(response.pieces)
    with pytest.raises(StopAsyncIteration):
        await anext(response.pieces)


async def test_what_cannot_be_sent_again_is_said():
    """Nobody is there; or who is there does not trace it."""
    heard = []

    async def answer(reader, writer):
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        writer.close()

    async def sent(tracer):
        await tracer.respond(request("/notes/1"))
        like = next(iter(tracer.ring)).summary.id
        content = json.dumps({"like": like, "method": "GET", "target": "/notes/1"}).encode()
        fields = {"content_type": "application/json", "ogrom_token": tracer._token}
        asked = request("/-/trace/send", "POST", content, **fields)
        response = await tracer.respond(asked)
        return response.status, json.loads(response.content)["detail"]

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tracer = Tracer(notes(), own=f"127.0.0.1:{port}")
    status, detail = await sent(tracer)
    assert (502, True) == (status, "503 Service Unavailable" in detail)
    assert heard[0].startswith(b"GET /notes/1 HTTP/1.1\r\nogrom-replay: ")
    assert b"\r\nhost: 127.0.0.1:1\r\n" in heard[0]
    server.close()
    await server.wait_closed()
    assert 502 == (await sent(tracer))[0]


def test_the_ring_is_bounded():
    """By how many there are, and by how many bytes; the newest stay."""

    async def fill(ring, count, content=b""):
        tracer = Tracer(notes(), ring=ring)
        for _ in range(count):
            await tracer.respond(request(method="PUT", content=content))
        return [kept.summary.number for kept in ring]

    assert [9, 8, 7] == asyncio.run(fill(Ring(count=3), 9))
    numbers = asyncio.run(fill(Ring(count=100, size=200_000), 8, b"x" * 60_000))
    assert 8 == numbers[0]
    assert len(numbers) < 4


def test_a_ring_is_handed_over():
    """To the process that follows; what is no ring is refused."""

    async def told():
        tracer = Tracer(notes())
        await tracer.respond(request(authorization=f"Bearer {SECRET}"))
        follower = Ring()
        follower.load(tracer.ring.dump())
        return list(tracer.ring), list(follower), follower.numbered

    before, after, numbered = asyncio.run(told())
    assert before == after
    assert 1 == numbered


def test_values_are_shown_in_short_and_masked():
    """Long ones are cut; what goes by a secret's name is not shown, however deep."""
    redactor = Redactor()
    assert "{'user': {'password': •••, 'name': 'anna'}}" == redactor.show(
        {"user": {"password": "x", "name": "anna"}}
    )
    assert len(redactor.show(["long" * 100] * 100)) < 500

    class Bad:
        def __repr__(self):
            raise ValueError

    assert "<Bad, whose repr raises ValueError>" == redactor.show(Bad())


@pytest.mark.parametrize(
    ("fields", "method", "says"),
    [
        ({"host": "evil.example"}, "GET", "evil.example is not this machine."),
        ({"host": "evil.example:8080"}, "POST", "evil.example:8080 is not this machine."),
        ({"sec-fetch-site": "cross-site"}, "GET", "It comes from another site."),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"}, "GET", "another site"),
        (
            {"origin": "https://evil.example", "content-type": "application/json"},
            "POST",
            "another site",
        ),
        ({"content-type": "text/plain"}, "POST", "It is not application/json."),
        ({"content-type": "application/json"}, "POST", "Ogrom-Token is not that of the page"),
        ({"host": "192.168.1.2:80"}, "GET", "192.168.1.2:80 is not this machine."),
    ],
)
async def test_strangers_are_refused(fields, method, says):
    """Other hosts (DNS rebinding), pages of other sites, and whoever lacks the page's token."""
    tracer = Tracer(notes())
    await tracer.respond(request())
    asked = Request(
        method=method, path="/-/trace/send" if method == "POST" else "/-/trace/list",
        headers={"host": "127.0.0.1:1", **fields}, content=b"{}", id="i",
    )  # fmt: skip
    response = await tracer.respond(asked)
    assert 403 == response.status
    assert says in response.content.decode()
    assert b"/notes/1" not in response.content


async def test_exposed_is_for_addresses_alone():
    """A machine's address is let in where that was said; a name that somebody's server answers never."""
    tracer = Tracer(notes(), exposed=True)
    for host, status in (("192.168.1.2:80", 200), ("[::1]:80", 200), ("evil.example", 403)):
        asked = Request(method="GET", path="/-/trace/list", headers={"host": host}, id="i")
        assert status == (await tracer.respond(asked)).status


async def test_the_page_and_its_data_are_for_nobody_else():
    """No other site may read or frame them, nothing keeps them, and scripts are ours alone."""
    tracer = Tracer(notes())
    await tracer.respond(request(origin="https://evil.example"))
    id_ = next(iter(tracer.ring)).summary.id
    for path, accept, kind in (
        ("/-/trace", "text/html", "text/html; charset=utf-8"),
        ("/-/trace", "application/json", "application/json"),
        (f"/-/trace/{id_}", "text/html", "text/html; charset=utf-8"),
        (f"/-/trace/{id_}", "application/json", "application/json"),
        (f"/-/trace/{id_}/graph", "*/*", "application/json"),
        ("/-/trace/files/list.js", "*/*", "text/javascript; charset=utf-8"),
    ):
        response = await tracer.respond(request(path, accept=accept))
        fields = dict(response.headers)
        assert (200, kind) == (response.status, fields["Content-Type"])
        assert "default-src 'none'" in fields["Content-Security-Policy"]
        assert "same-origin" == fields["Cross-Origin-Resource-Policy"]
        assert "no-store" == fields["Cache-Control"]
        assert not [name for name in fields if name.startswith("Access-Control")]
    for path in ("/-/trace/nothing", "/-/trace/files/..%2F_tracer.py", "/-/trace/files/x.js"):
        assert 404 == (await tracer.respond(request(path, accept="*/*"))).status
    assert len(tracer.ring) == 1  # to look is not traced
    assert len(id_) >= 16


async def test_behind_asgi_too():
    """To a server it is a service: whichever server that is."""
    tracer = Tracer(notes())
    application = asgi(lambda: App(service=tracer))
    application._app = App(service=tracer)
    sent = []

    async def receive():
        return {"type": "http.request", "body": b""}

    async def send(message):
        sent.append(message)

    for path in ("/notes/1", "/-/trace"):
        scope = {
            "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")], "http_version": "1.1",
        }  # fmt: skip
        await application(scope, receive, send)
    assert [200, 200] == [each["status"] for each in sent if "status" in each]
    assert "/notes/1" in sent[-1]["body"].decode()
