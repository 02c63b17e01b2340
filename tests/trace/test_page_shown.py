"""The page of traces in a real browser, over a real `ogrom dev`."""

import asyncio
import os
import socket
from pathlib import Path

import pytest
from support.browser import looking
from support.traced import developing

pytestmark = pytest.mark.slow

SECRET = "hunter2-hunter2"


@pytest.fixture
def notes(tmp_path):
    """A running `ogrom dev`."""
    with developing(tmp_path / "app") as running:
        assert 200 == running.get("/notes/1", authorization=f"Bearer {SECRET}")[0]
        yield running


def item(page, text):
    return page.locator("#requests a", has_text=text).first


async def test_requests_are_listed_as_they_come(notes):
    """Without the page being loaded again; filtered by path, method and status; failed ones too."""
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/notes/1").wait_for()
        notes.get("/broken", cookie=f"sid={SECRET}")
        notes.get("/nothing")
        await item(page, "/nothing").wait_for()
        await item(page, "⚠ raised").wait_for()
        await page.locator("#status").select_option("5xx")
        await page.locator("#requests li").nth(1).wait_for(state="detached")
        assert "/broken" in await page.locator("#requests").inner_text()
        await page.locator("#status").select_option("")
        await page.locator("#path").fill("noth")
        await item(page, "404").wait_for()
        assert 1 == await page.locator("#requests li").count()
        assert [] == page.complaints


async def test_what_was_raised_is_shown(notes):
    """The exception, with the line of the code; the cookie that is in its message is not."""
    notes.get("/broken", cookie=f"sid={SECRET}")
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/broken").click()
        await page.locator("#traceback", has_text="raise ValueError").wait_for()
        shown = await page.locator("#trace").inner_text()
        assert "ValueError: it is broken: " in shown
        assert "notes.py" in shown
        assert SECRET not in shown
        await page.locator("#graph .edge.taken").first.wait_for(state="attached")


async def test_the_graph_shows_the_way_and_says_why(notes):
    """The resource's own graph; a click says why; own and default are told apart by shape and word."""
    notes.get("/notes/1", if_none_match='"r0", "r1"')
    async with looking(f"{notes.url}/-/trace", width=1500, height=960) as page:
        await item(page, "304").click()
        node = page.locator("#graph .node[data-name=etag_matches_for_if_none_match]")
        await node.wait_for()
        assert "on" in (await node.get_attribute("class")).split()
        own = page.locator("#graph .node[data-name=exists]")
        assert "own" in (await own.get_attribute("class")).split()
        assert "the resource's own" in await own.get_attribute("aria-label")
        assert await own.locator(".ring").is_visible()
        assert not await node.locator(".ring").is_visible()
        assert 0 == await page.locator("#graph .node[data-name=method_delete]").count()
        taken = page.locator(
            '#graph .edge.taken[data-edge="etag_matches_for_if_none_match handle_not_modified"]'
        )
        assert 1 == await taken.count()
        await node.click()
        why = page.locator("#why")
        await why.get_by_text("each of the list is compared weakly").wait_for()
        text = await why.inner_text()
        assert '"r0"' in text
        assert "the same" in text
        assert "RFC 9110, section 13.1.2" in text
        assert "notes.py" in text  # where the revision comes from
        await page.locator("#coverage").check()
        await page.locator("#graph text.small", has_text="2×").first.wait_for()
        if where := os.environ.get("OGROM_SCREENSHOT"):
            await page.locator("#coverage").uncheck()
            await page.wait_for_timeout(300)
            await page.screenshot(path=Path(where))
        await page.locator("#all").check()
        await page.locator("#steps li[data-name=service_available]").wait_for()
        assert [] == page.complaints


async def test_a_request_is_sent_again_changed(notes):
    """With another field: the new trace beside the old one, and where they part. What was masked is
    sent as it was."""
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/notes/1").click()
        fields = page.locator("#replay-fields")
        await fields.wait_for()
        assert "authorization: •••" in (await fields.input_value()).lower()
        await fields.fill(f'{await fields.input_value()}\nIf-None-Match: "r1"')
        await page.locator("#replay button").click()
        await page.locator("#compare").wait_for()
        differing = await page.locator("#compare tr.differs").all_inner_texts()
        assert any(
            "if_none_match_exists no" in each and "if_none_match_exists yes" in each
            for each in differing
        )
        assert "304" in await page.locator("#trace h2").inner_text()
        again = await page.locator("#trace").get_attribute("data-id")
        raw = notes.get(f"/-/trace/{again}")[2].decode()
        assert "anna" in raw  # the credential reached the function that asks for it
        assert SECRET not in raw
        assert [] == page.complaints


async def test_the_request_that_would_reach_412_is_found_and_sent(notes):
    """It is made up, shown, sent, and comes there."""
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/notes/1").click()
        await page.locator("#end").select_option("handle_precondition_failed")
        await page.locator("#reaching button", has_text="Find").click()
        await page.locator("#reach-request", has_text="if-match").wait_for()
        await page.locator("#reach-send").click()
        await page.locator("#meant", has_text="✓ It came to handle_precondition_failed").wait_for()
        assert "412" in await page.locator("#trace h2").inner_text()
        await page.locator("#end").select_option("handle_not_found")
        await page.locator("#reaching button", has_text="Find").click()
        await page.locator("#reach", has_text="would have to return None").wait_for()
        assert "find (notes.py:" in await page.locator("#reach").inner_text()
        assert [] == page.complaints


async def test_no_secret_is_in_the_page(notes):
    """Not what was sent in Authorization, Cookie or a query; nor what an entity keeps as a token."""
    notes.get(f"/notes/1?token={SECRET}", cookie=f"sid={SECRET}")
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "token=•••").click()
        await page.locator("#curl", has_text="$COOKIE").wait_for()
        for box in await page.locator("#steps summary").all():
            if await box.is_visible():
                await box.click()
        html = await page.content()
        assert "sesame-open" not in html
        assert SECRET not in html
        assert "milk" in html


async def test_the_keyboard_is_enough(notes):
    """Arrows move in the list and in the graph, Enter opens and says why."""
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/notes/1").wait_for()
        await page.locator("#requests a").first.focus()
        await page.keyboard.press("Enter")
        await page.locator("#graph .node.on").first.focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await page.locator("#why b").first.wait_for()
        focused = await page.evaluate("document.activeElement.dataset.name")
        assert focused == await page.locator("#why b").first.inner_text()


async def test_a_narrow_screen_and_a_name_with_markup(notes):
    """Nothing sticks out; what comes from outside is text."""
    notes.get("/notes/%3Cimg%20src=x%20onerror=alert(1)%3E")
    async with looking(f"{notes.url}/-/trace", width=420) as page:
        await item(page, "404").click()
        await page.locator("#steps").wait_for()
        assert 0 == await page.locator("main img").count()
        assert 420 >= await page.evaluate("document.documentElement.scrollWidth")
        assert [] == page.complaints


ASKING = """
from contextlib import asynccontextmanager

from ogrom.http import Resource, Service
from ogrom.serve import App
from ogrom.sources import sql


@asynccontextmanager
async def service():
    async with sql.connect("notes.db") as db:
        async def find(ctx):
            await db.one(int, "SELECT :number", number=4711)
            return await db.one(int, "SELECT id FROM nowhere")

        yield App(service=Service({"/asking": Resource(name="asking", exists=find)}))
"""


async def test_the_sources_that_were_asked_are_shown(tmp_path):
    """Each with what it was asked, how long it took and what it came to; without the values."""
    with developing(tmp_path / "app", ASKING) as running:
        assert 500 == running.get("/asking")[0]
        async with looking(f"{running.url}/-/trace") as page:
            await item(page, "/asking").click()
            rows = page.locator("#calls tbody tr")
            await rows.nth(1).wait_for()
            one, other = await rows.all_inner_texts()
            assert one.startswith("sqlite notes.db\tSELECT\tSELECT :number\t✓\t")
            assert "SELECT nowhere\tSELECT id FROM nowhere\tMisuse\t" in other
            assert "4711" not in one
            assert [] == page.complaints


async def test_a_head_that_the_server_refuses_is_listed_with_the_reason(notes):
    """Nobody was asked, so there are no steps but one; what was sent of it is shown, and no secret."""
    with socket.create_connection(("127.0.0.1", notes.port), timeout=30) as sent:
        sent.sendall(
            b"GET /notes/1?token=sesame-1 HTTP/1.1\r\nHost: a\r\nHost: b\r\n"
            b"Authorization: Bearer sesame-2\r\nsesame-3\r\n\r\n"
        )
        assert sent.recv(100).startswith(b"HTTP/1.1 400 ")
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "400").click()
        await page.locator("#steps li[data-name=head]").wait_for()
        shown = await page.locator("#trace").inner_text()
        assert "RFC 9112" in shown
        assert "a line that is no field, of 8 characters" in shown
        assert "sesame" not in shown
        assert [] == page.complaints
    raw = notes.get(f"/-/trace/{notes.traces()['traces'][0]['id']}")[2].decode()
    assert "sesame" not in raw


async def test_what_is_sent_again_goes_through_the_servers_parser(notes):
    """A target that is too long for it is refused by it, and the refusal stands beside the first."""
    async with looking(f"{notes.url}/-/trace") as page:
        await item(page, "/notes/1").click()
        target = page.locator("#replay-target")
        await target.wait_for()
        await target.fill(f"/notes/1?long={'x' * 9000}")
        await page.locator("#replay button").click()
        await page.locator("#compare").wait_for()
        assert "414" in await page.locator("#trace h2").inner_text()
        await page.locator("#steps li[data-name=head]").wait_for()
        assert [] == page.complaints


async def test_nothing_is_missed_while_the_page_is_cut_off(notes):
    """It is told as it happens, and asks for no list; what came while the code was changed is there after it."""
    asked = []
    async with looking(f"{notes.url}/-/trace") as page:
        page.on("request", lambda request: asked.append(request.url))
        await item(page, "/notes/1").wait_for()
        file = notes.folder / "notes.py"
        before = notes.log.read_text().count("reloaded in")
        file.write_text(file.read_text().replace('"milk"', '"bread"'))
        number = 0
        while notes.log.read_text().count("reloaded in") == before:  # while one follows the other
            notes.get(f"/during/{number}")
            number += 1
            await asyncio.sleep(0.05)  # no more than are kept
        notes.get("/after")
        await item(page, "/after").wait_for()
        shown = await page.locator("#requests .target").all_inner_texts()
        assert [f"/during/{each}" for each in reversed(range(number))] == [
            each for each in shown if each.startswith("/during/")
        ]
        assert "/notes/1" == shown[-1]
        assert "live" == await page.locator("#link").inner_text()
    assert asked
    assert all(url.endswith("/-/trace/events") for url in asked)
