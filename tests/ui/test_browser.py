"""The whole product, as a person meets it: the real app, the real narrator, a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import (
    PALE_TEXT_JS,
    ask,
    chromium,
    find_chromium,
    fits_width,
    growth,
    pick,
    wait_answers,
    wait_live,
    watched,
)
from real_app import running_app

from crs.bundle import default_path
from knowledge.feedback import FeedbackLog

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; apt-get install chromium"),
    pytest.mark.skipif(
        not (default_path() / "manifest.json").exists(), reason=f"no bundle at {default_path()}"
    ),
]


@pytest.fixture(scope="module")
def var(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("app") / "var"


@pytest.fixture(scope="module")
def url(var: Path) -> Iterator[str]:
    with running_app(var, slowed=True) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_a_visit_from_opening_to_reloading(url: str, var: Path, browser: Browser) -> None:
    with watched(browser, url) as seen:
        page = seen.page
        pick(page, "purchases")
        ask(page, "Recommend something for me")
        wait_live(page)
        wait_answers(page, 1)
        lengths = growth(page)
        assert len(set(lengths)) > 1 and lengths == sorted(lengths)
        assert page.locator(".rc-card").count() >= 1

        ask(page, "Tell me about myself")
        wait_answers(page, 2)
        page.locator(".rc-cite").last.click()
        panel = page.locator(".rc-panel:popover-open")
        assert "Bought on" in panel.inner_text() and "stars" in panel.inner_html()
        page.keyboard.press("Escape")

        page.locator('.rc-star[data-stars="5"]').last.click()
        page.get_by_role("button", name="Yes, keep them").click()  # asked once
        page.wait_for_selector("text=Saved, thank you.")
        with FeedbackLog(var / "feedback.sqlite") as log:
            rows = list(log.ratings())
        assert [(row.stars, row.task is not None, bool(row.history_ids)) for row in rows] == [(5, True, True)]

        said = page.inner_text("#rc-chat .message-wrap")
        page.reload()
        wait_answers(page, 2)
        again = page.inner_text("#rc-chat .message-wrap")
        assert again.replace("Saved, thank you.", "").split() == said.replace("Saved, thank you.", "").split()
        seen.assert_clean()


def test_someone_new_says_what_they_own(url: str, browser: Browser) -> None:
    with watched(browser, url) as seen:
        page = seen.page
        page.click("#rc-new")
        ask(page, "I own a kettle and a teapot")
        wait_answers(page, 1)
        page.wait_for_selector("text=What you told me")
        ask(page, "Recommend something under $40")
        wait_answers(page, 2)
        prices = page.locator(".rc-answer").last.locator(".rc-card-price").all_inner_texts()
        assert prices and all(float(price.strip("$")) <= 40 for price in prices)
        seen.assert_clean()


# A short answer may be whole before a test can press the button: the page itself presses it when it is there.
PRESS_STOP_JS = """() => new MutationObserver((_, watching) => {
    const stop = [...document.querySelectorAll('button')].find(button => button.innerText === 'Stop');
    if (stop) { watching.disconnect(); stop.click(); }
}).observe(document, {subtree: true, childList: true, attributes: true})"""


def test_stop_ends_a_long_answer(url: str, browser: Browser) -> None:
    with watched(browser, url) as seen:
        page = seen.page
        pick(page, "purchases")
        page.evaluate(PRESS_STOP_JS)
        ask(page, "Tell me everything about myself, at length")
        page.wait_for_selector("text=Stopped.")
        wait_answers(page, 1)
        seen.assert_clean()


def files_with(word: bytes, folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and word in path.read_bytes()}


def test_who_is_forgotten_leaves_nothing_behind(url: str, var: Path, browser: Browser) -> None:
    with watched(browser, url) as seen:
        page = seen.page
        page.click("#rc-new")
        ask(page, "I hate quokkafern leather")
        wait_answers(page, 1)
        page.wait_for_selector('#rc-mind input[value="I hate quokkafern leather"]')
        ask(page, "I own a quokkafern kettle")
        wait_answers(page, 2)
        page.locator('.rc-star[data-stars="4"]').last.click()
        page.get_by_role("button", name="Yes, keep them").click()
        page.wait_for_selector("text=Saved, thank you.")
        page.locator(".rc-reason input").fill("quokkafern again")
        page.locator(".rc-reason button").click()
        page.wait_for_function("document.querySelector('.rc-reason input').getAttribute('value')")
        found = files_with(b"quokkafern", var)
        assert any(name.startswith("conversations") for name in found) and "app.log" not in found

        ask(page, "forget me")
        wait_answers(page, 3)
        page.get_by_role("button", name="Yes, forget me").last.click()
        # the page's first conversation, in which nothing was said, may be one of two
        page.wait_for_selector("text=/I deleted (1 conversation|2 conversations), 1 note and 1 rating/")
        page.wait_for_selector("#rc-mind >> text=Nothing yet.")
        assert files_with(b"quokkafern", var) == set()
        assert "quokkafern" not in page.inner_text("#rc-chat")
        wait_answers(page, 1)
        ask(page, "Recommend something for me")
        wait_answers(page, 2)
        seen.assert_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_reads_it_in_both_lights(url: str, browser: Browser, scheme: str) -> None:
    with watched(browser, url, viewport={"width": 375, "height": 812}, color_scheme=scheme) as seen:
        page = seen.page
        pick(page, "purchases")
        ask(page, "Something for the garden, please")
        wait_answers(page, 1)
        assert fits_width(page)
        assert page.evaluate(PALE_TEXT_JS) == []
        seen.assert_clean()
