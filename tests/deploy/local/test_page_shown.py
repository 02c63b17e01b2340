"""The page in a real browser, over a real target under load."""

import os
from pathlib import Path

import pytest
from support.browser import looking
from support.deployer import deployed, deployer
from support.load import Load
from support.server import free_port
from support.up import release, running

pytestmark = pytest.mark.slow

NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def shown(tmp_path):
    """A target with a page, and where that is."""
    port = free_port()
    with running(tmp_path / "targets" / "production", free_port(), page=port) as up:
        yield up, f"http://127.0.0.1:{port}/"


async def test_a_deploy_is_seen_as_it_happens(shown):
    """Environments, shares, charts, steps and history fill in without the page being loaded again."""
    up, url = shown
    assert 0 == deployed(up.folder, "deploy", "aaaaaaa")[0]
    with Load(up.port, ["GET /work", "POST /work {}"]):
        async with looking(url) as page:
            card = page.locator("article.blue")
            await card.get_by_text("aaaaaaa").wait_for()
            await card.get_by_text("100 %").wait_for()
            process = deployer(up.folder, "deploy", "bbbbbbb", "good", "0", "5")
            try:
                running_step = page.locator("#steps li.running", has_text="watch 50")
                await running_step.wait_for(timeout=60_000)
                await page.locator("article.green").get_by_text("50 %").wait_for()
            except BaseException:
                process.kill()
                process.communicate()
                raise
            if where := os.environ.get("OGROM_SCREENSHOT"):
                await page.wait_for_timeout(800)
                await page.screenshot(path=Path(where), full_page=True)
            await page.locator("#steps li", has_text="bbbbbbb: live").wait_for(timeout=60_000)
            assert "M" in await page.locator("#rate path.blue").get_attribute("d")
            assert await page.locator("#rate circle.blue").count()  # told apart without colours
            assert await page.locator("#rate rect.green").count()
            await page.locator("#rate").focus()
            await page.keyboard.press("ArrowLeft")
            before = await page.locator("#hover").text_content()
            await page.keyboard.press("PageUp")
            assert before != await page.locator("#hover").text_content()
            await page.locator("#history tr", has_text="bbbbbbb").wait_for()
            assert [] == page.complaints
            process.communicate(timeout=60)


async def test_rolling_back_asks_first(shown):
    """The button does nothing before it is confirmed; then the command runs."""
    up, url = shown
    assert 0 == deployed(up.folder, "deploy", "aaaaaaa")[0]
    async with looking(url) as page:
        button = page.locator("#rollback")
        await page.locator("article.blue").get_by_text("aaaaaaa").wait_for()
        assert await button.is_disabled()  # nothing to go back to
        assert 0 == deployed(up.folder, "deploy", "bbbbbbb")[0]
        await page.locator("#rollback:enabled").wait_for()
        await button.click()
        await page.get_by_text("All traffic goes from bbbbbbb back to aaaaaaa").wait_for()
        await page.locator("#no").click()
        assert "bbbbbbb" == (await up.target.observe()).live.release.commit
        await button.click()
        await page.locator("#yes").click()
        await page.locator("#said", has_text="Nothing can roll back here").wait_for()
        # this target was started without a command for it: the answer is the server's own
        assert [each for each in page.complaints if "501" not in each] == []


async def test_what_a_release_says_is_shown_as_text(shown):
    """A name or a detail with markup in it is not markup."""
    up, url = shown
    await up.live("blue", release(NASTY), 1)
    async with looking(url, width=400) as page:
        await page.locator("article.blue code", has_text=NASTY[:7]).wait_for()
        assert 0 == await page.locator("article img").count()
        wide = await page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400  # nothing sticks out on a small screen
        assert [] == page.complaints


async def test_a_lost_connection_is_said_and_heals(shown):
    """`ogrom up` is killed and started again: the page notices both."""
    up, url = shown
    await up.live("blue", release("aaaaaaa"), 1)
    async with looking(url) as page:
        await page.locator("#link", has_text="live").wait_for()
        up.kill()
        await page.locator("#link.lost").wait_for()
        up.start()
        await page.locator("#link:not(.lost)", has_text="live").wait_for(timeout=60_000)
