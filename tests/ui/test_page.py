"""The page in a real browser over a small shop: every control does what it says."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import (
    BOX,
    PALE_TEXT_JS,
    ask,
    chromium,
    find_chromium,
    fits_width,
    forget_growth,
    free_port,
    growth,
    pick,
    serious_faults,
    wait_answers,
    wait_live,
    watched,
)
from ui_fakes import FakeAssistant, FakeShop

from agents.events import Event, Said
from agents.render import Segment
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.sampling import Constraints
from knowledge.shares import Shares
from knowledge.types import Item
from tests.crs.narrator_folders import CONTEXT_LENGTH, GREEDY, soft_prompt, write_narrator
from tests.waiting import wait_until
from ui.cards import ZERO_WIDTH

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; apt-get install chromium"),
]


class Served:
    """A fake shop behind a page that is being served."""

    def __init__(self, folder: Path) -> None:
        from ui.page import build_page
        from ui.shared import serve_shared
        from ui.theme import STYLE_PATH, build_theme

        self.shop = FakeShop()
        self.assistant = FakeAssistant(self.shop, pause_s=0.004)
        self.shares = Shares(folder / "shared.sqlite")
        self.page = build_page(self.shop, self.assistant, self.shares)  # type: ignore[arg-type]
        port = free_port()
        app, *_ = self.page.launch(
            server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True, ssr_mode=False,
            theme=build_theme(), css_paths=STYLE_PATH, footer_links=[], run_history=False,
        )  # fmt: skip
        serve_shared(app, self.assistant, self.shop, self.shares)  # type: ignore[arg-type]
        self.url = f"http://127.0.0.1:{port}/"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.page.close()
    served.shares.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(autouse=True)
def calm(served: Served) -> Iterator[None]:
    yield
    served.assistant.pause_s = 0.004
    served.shop.feedback.broken = False


def test_pick_ask_watch_open_rate_reload(served: Served, browser: Browser) -> None:
    served.assistant.pause_s = 0.1
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        assert "Waxed Apron" in page.inner_text("#rc-purchases")
        ask(page, "Something for the garden")
        wait_live(page)
        wait_answers(page, 1)
        lengths = growth(page)
        assert len(set(lengths)) > 2 and lengths == sorted(lengths)  # it grew before our eyes

        mark = page.locator(".rc-cite").first
        mark.focus()
        page.keyboard.press("Enter")
        panel = page.locator(".rc-panel:popover-open")
        assert "Went through clay all spring" in panel.inner_text()
        assert "8 January 2021" in panel.inner_text()
        page.keyboard.press("Escape")
        assert page.locator(".rc-panel:popover-open").count() == 0
        page.locator(".rc-cited").first.click()  # the words open it too
        assert "Went through clay" in panel.inner_text()
        page.keyboard.press("Escape")

        n_rows = len(served.shop.feedback.rows)
        page.click('.rc-star[data-stars="4"]')
        page.wait_for_selector("text=Saved, thank you.")
        assert served.shop.feedback.rows[n_rows].stars == 4
        page.fill(".rc-reason input", "It knows my trowel")
        page.click(".rc-reason button")
        page.wait_for_function("document.querySelector('.rc-reason input').getAttribute('value')")
        assert served.shop.feedback.rows[-1].reason == "It knows my trowel"

        page.reload()
        wait_answers(page, 1)
        assert "Something for the garden" in page.inner_text("#rc-chat")
        assert page.locator('.rc-star[aria-pressed="true"]').get_attribute("data-stars") == "4"
        assert "Waxed Apron" in page.inner_text("#rc-purchases")
        assert page.input_value("#rc-picker input").startswith("s1")
        seen.assert_clean()


def test_thumbs_are_logged_and_kept(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        ask(page, "garden")
        wait_answers(page, 1)
        n_rows = len(served.shop.feedback.rows)
        page.get_by_role("button", name="Like", exact=True).click()
        page.wait_for_selector("text=Saved, thank you.")
        assert [row.thumb for row in served.shop.feedback.rows[n_rows:]] == [1]
        page.get_by_role("button", name="Liked", exact=True).click()
        page.wait_for_function("!document.querySelector('.rc-reason')")
        assert served.shop.feedback.rows[-1].thumb == 0
        seen.assert_clean()


def test_a_rating_that_fails_says_so(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        ask(seen.page, "garden")
        wait_answers(seen.page, 1)
        served.shop.feedback.broken = True
        seen.page.click('.rc-star[data-stars="2"]')
        seen.page.wait_for_selector("text=Not saved: feedback.sqlite")
        assert "Saved, thank you." not in seen.page.inner_text("#rc-chat")


def test_stop_ends_the_answer(served: Served, browser: Browser) -> None:
    served.assistant.pause_s = 1.0  # still under way when the button is pressed, on a busy machine too
    with watched(browser, served.url) as seen:
        ask(seen.page, "garden")
        wait_live(seen.page)
        seen.page.get_by_role("button", name="Stop", exact=True).click()
        wait_answers(seen.page, 1)
        text = seen.page.inner_text(".rc-answer")
        assert "Stopped." in text and "already own" not in text
        seen.assert_clean()


def test_what_is_typed_meanwhile_stays(served: Served, browser: Browser) -> None:
    served.assistant.pause_s = 0.1
    with watched(browser, served.url) as seen:
        ask(seen.page, "garden")
        wait_live(seen.page)
        seen.page.fill(BOX, "and then")
        wait_answers(seen.page, 1)
        assert seen.page.input_value(BOX) == "and then"


def test_another_shopper_leaves_the_answer_behind(served: Served, browser: Browser) -> None:
    served.assistant.pause_s = 0.5
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        ask(page, "garden")
        wait_live(page)
        page.click("#rc-new")
        page.wait_for_selector("text=What are you after?")
        served.assistant.pause_s = 0.004
        page.wait_for_timeout(1_500)  # the old answer ends now and must not come back
        assert page.locator(".rc-answer").count() == 0
        ask(page, "anew")
        wait_answers(page, 1)
        seen.assert_clean()


def test_leaving_the_page_ends_the_answer(served: Served, browser: Browser) -> None:
    served.assistant.pause_s = 0.5
    with watched(browser, served.url) as seen:
        ask(seen.page, "leave me")
        wait_live(seen.page)
    for _ in range(100):
        if "leave me" in served.assistant.abandoned or any(
            message.answer is not None and message.answer.stopped
            for kept in served.assistant.kept.values()
            if kept and kept[0].text == "leave me"
            for message in kept
        ):
            return
        time.sleep(0.1)
    pytest.fail("the reply went on after its page was closed")


def test_leaving_the_page_frees_the_narrator(
    served: Served, browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All the way from the closed page to the room in llama.cpp's cache."""
    import llama_cpp

    folder = write_narrator(tmp_path)
    export_gguf(folder, folder / "narrator.gguf", "f32")
    model = LlamaCppModel(folder / "narrator.gguf", n_ctx=CONTEXT_LENGTH)
    decode = llama_cpp.llama_decode
    n_decoded = 0

    def slowly(context: object, batch: object) -> int:
        nonlocal n_decoded
        n_decoded += 1
        time.sleep(0.1)  # a minute for a whole context
        return int(decode(context, batch))

    def endless(conversation_id: str, message: str, stop: threading.Event) -> Iterator[Event]:
        never = Constraints(frozenset({model.eos_id}))
        sampling = replace(GREEDY, max_tokens=CONTEXT_LENGTH)
        told = model.generate(soft_prompt(1), sampling, constraints=never, stop=stop)
        for n, _ in enumerate(told, start=1):
            yield Said(None, (Segment("word " * n),))  # type: ignore[arg-type]

    monkeypatch.setattr(llama_cpp, "llama_decode", slowly)
    monkeypatch.setattr(served.assistant, "_turn", endless)
    monkeypatch.setattr(FakeShop, "load", property(lambda shop: model.load))
    with watched(browser, served.url) as seen:
        ask(seen.page, "talk on and on")
        wait_live(seen.page)
        seen.page.wait_for_selector("text=The narrator is telling 1 of at most 8 at once.")
    wait_until(lambda: model.load.n_live == 0)
    assert n_decoded < CONTEXT_LENGTH - 100  # it did not just come to its end
    model.close()


def test_retry_edit_chips_and_starting_over(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        page.get_by_role("button", name=re.compile("Recommend something for me")).click()
        wait_answers(page, 1)
        page.get_by_role("button", name="Something cheaper").click()
        wait_answers(page, 2)
        forget_growth(page)
        page.get_by_role("button", name="Retry").click()
        wait_live(page)
        wait_answers(page, 2)
        page.get_by_role("button", name="Edit").first.click()
        page.fill("#rc-chat textarea", "Only blue things")
        page.get_by_role("button", name="Submit").click()
        wait_answers(page, 1)
        chat = page.inner_text("#rc-chat")
        assert "Only blue things" in chat and "Recommend something for me" not in chat
        page.click("#rc-over")
        page.wait_for_selector("text=What are you after?")
        assert page.locator(".rc-answer").count() == 0
        assert "Waxed Apron" in page.inner_text("#rc-purchases")  # still the same shopper
        page.click("#rc-new")
        page.wait_for_selector("text=No purchases yet")
        assert page.input_value("#rc-picker input") == ""
        seen.assert_clean()


def test_a_shared_conversation_is_read_but_not_written(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        page.click("#rc-share")
        page.wait_for_selector("text=There is nothing to share yet")
        ask(page, "Something for <b>the garden</b>")
        wait_answers(page, 1)
        page.click("#rc-share")
        page.wait_for_selector("#rc-share-panel:popover-open")
        link = page.input_value(".rc-link")
        assert link.startswith(served.url + "shared/")

        reader = page.context.new_page()
        reader.goto(link)
        assert "Something for <b>the garden</b>" in reader.inner_text("main")
        reader.locator(".rc-cite").first.click()
        assert "Went through clay all spring" in reader.inner_text(".rc-panel:popover-open")
        assert reader.locator("textarea, .rc-star, form").count() == 0
        reader.set_viewport_size({"width": 375, "height": 812})
        assert fits_width(reader)

        page.click(".rc-unshare")
        page.wait_for_selector("text=The link leads nowhere from now on")
        answer = reader.goto(link)
        assert answer is not None and answer.status == 404
        assert "leads to no conversation" in reader.inner_text("main")
        seen.complaints = [said for said in seen.complaints if "404" not in said]
        seen.assert_clean()


def test_the_taste_map_names_what_is_pointed_at(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        page.focus("#rc-see-map")
        page.keyboard.press("Enter")
        page.wait_for_selector(".rc-map:popover-open")
        assert page.locator(".rc-dot").count() == len(served.shop.items)
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert "Your purchase 1: Tarnlow Enamel Camp Kettle" in page.inner_text(".rc-map-name")
        page.locator(".rc-dot").last.hover()
        assert "Bramblecote Twine Dispenser" in page.inner_text(".rc-map-name")
        page.keyboard.press("Escape")
        assert page.locator(".rc-map:popover-open").count() == 0
        seen.assert_clean()


def test_an_audit_finds_no_serious_fault(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        assert serious_faults(page) == []
        pick(page, "s1")
        ask(page, "Something for the garden")
        wait_answers(page, 1)
        assert serious_faults(page) == []
        page.click("#rc-see-map")
        page.wait_for_selector(".rc-map:popover-open")
        assert serious_faults(page) == []


def test_an_unknown_shopper_is_named_and_nothing_changes(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s2")
        page.fill("#rc-picker input", "<img src=x onerror=alert(1)>")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=no shopper")
        page.wait_for_function("document.querySelector('#rc-picker input').value.startsWith('s2')")
        assert "Camp Kettle" in page.inner_text("#rc-purchases")
        seen.assert_clean()


EVIL = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> ![i](http://evil.example/a.png)"
    " ${alert(3)} {{constructor}}"
)


def test_planted_markup_stays_text(served: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    import ui_fakes

    monkeypatch.setitem(served.shop.items, "i7", Item("i7", EVIL, EVIL, EVIL, 1.0, EVIL, EVIL))
    monkeypatch.setattr(ui_fakes, "WORDS", (EVIL, "trowel", EVIL))
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        ask(page, EVIL)
        wait_answers(page, 1)
        shown = page.inner_text("#rc-chat").replace(ZERO_WIDTH, "")
        assert shown.count("<script>alert(1)</script>") >= 4  # asked, said, title, brand
        assert page.locator("#rc-chat img").count() == 0
        forget_growth(page)
        page.get_by_role("button", name="Edit").click()
        page.get_by_role("button", name="Submit").click()
        wait_live(page)
        wait_answers(page, 1)
        assert any(kept and kept[0].text == EVIL for kept in served.assistant.kept.values())
        seen.assert_clean()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_and_fits_a_phone(served: Served, browser: Browser, scheme: Any) -> None:
    phone: Any = {"width": 375, "height": 812}
    still = {"reduced_motion": "reduce"}  # colours in transition are no colours to judge
    with watched(browser, served.url, viewport=phone, color_scheme=scheme, has_touch=True, **still) as seen:
        page = seen.page
        assert page.evaluate(PALE_TEXT_JS) == []
        assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
        pick(page, "s1")
        ask(page, "A long wish for the garden that wraps over several lines on a phone")
        wait_answers(page, 1)
        page.click('.rc-star[data-stars="5"]')
        page.wait_for_selector(".rc-reason")
        assert fits_width(page)
        page.locator(".rc-cite").first.click()
        page.wait_for_selector(".rc-panel:popover-open")
        assert page.evaluate(PALE_TEXT_JS) == []
        assert fits_width(page)


def test_the_theme_can_be_asked_for_by_address(served: Served, browser: Browser) -> None:
    with watched(browser, served.url + "?__theme=dark", color_scheme="light") as seen:
        assert seen.page.evaluate("document.body.classList.contains('dark')")
        assert seen.page.evaluate(PALE_TEXT_JS) == []


def test_every_control_has_a_name_and_shows_its_focus(served: Served, browser: Browser) -> None:
    with watched(browser, served.url, reduced_motion="reduce") as seen:
        page = seen.page
        pick(page, "s1")
        ask(page, "garden")
        wait_answers(page, 1)
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('button, input, textarea')]
              .filter((e) => e.checkVisibility() && !(e.innerText || '').trim() && !e.ariaLabel && !e.title
                && !(e.labels && e.labels.length)).map((e) => e.outerHTML.slice(0, 120))"""
        )
        assert nameless == []
        page.focus(BOX)
        for _ in range(8):
            page.keyboard.press("Shift+Tab")
            outline = page.evaluate(
                "(() => { const s = getComputedStyle(document.activeElement);"
                " return document.activeElement === document.body || s.outlineStyle !== 'none'; })()"
            )
            assert outline
        moves = "getComputedStyle(document.querySelector('.rc-star')).transitionDuration"
        assert page.evaluate(moves) == "0s"
