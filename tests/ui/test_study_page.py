"""The rating page in a real browser: a whole study by keyboard, and what keeps it open to everybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import PALE_TEXT_JS, chromium, find_chromium, fits_width, free_port, serious_faults, watched

from crs.studies.study import Study
from knowledge.errors import FeedbackError
from knowledge.store import Store
from tests.crs.studies.tiny_study import make_study, scores

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; apt-get install chromium"),
]

TRIAL = ".st-screen[data-trial]"
Serve = Callable[..., tuple[Study, str]]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def serve(small_store: Store, tmp_path: Path) -> Iterator[Serve]:
    """Serves a tiny study; closed afterwards."""
    from ui.study_page import launch_study

    opened: list[Any] = []

    def launched(**options: Any) -> tuple[Study, str]:
        study, port = make_study(tmp_path / str(len(opened)), small_store, **options), free_port()
        opened.extend((study, launch_study(study, "127.0.0.1", port)))
        return study, f"http://127.0.0.1:{port}/"

    yield launched
    for each in reversed(opened):
        each.close()


def begin(page: Page) -> None:
    """As with a keyboard: to the box, tick it, Enter."""
    page.focus("input[name=consent]")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_selector(TRIAL)


def shown(page: Page) -> str:
    return str(page.get_attribute(TRIAL, "data-trial"))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def wait_next(page: Page, key: str) -> None:
    """Press the key and wait for another screen."""
    before = page.get_attribute(".st-screen", "data-key")
    page.keyboard.press(key)
    page.wait_for_function(f"document.querySelector('.st-screen').dataset.key !== '{before}'")


def test_a_whole_study_by_keyboard(serve: Serve, browser: Browser) -> None:
    study, url = serve(n_shoppers=1, n_checks=1, task="purchase_reason")
    with watched(browser, url, ready=".st-start", reduced_motion="reduce") as seen:
        page = seen.page
        assert "tiny <study>" in page.inner_text("h1") and serious_faults(page) == []
        page.focus("input[name=code]")
        page.keyboard.press("Enter")  # without consent
        page.wait_for_selector("text=Tick the box first")
        begin(page)
        code = page.inner_text(".st-mine b").replace(" ", "")
        assert serious_faults(page) == []
        assert "fused" not in page.inner_text("body")
        first = shown(page)

        press(page, "7", "2", "Enter")  # veracity, grounding; the rest is open
        page.wait_for_selector("text=Still open: Clarity")
        press(page, "5", "1", "6")
        press(page, "ArrowUp", "ArrowRight")  # from confidence back to personalization, one more
        assert page.locator("input[name=personalization]:checked").get_attribute("value") == "7"
        press(page, "ArrowDown", "4")
        wait_next(page, "Enter")
        (kept,) = study.ratings.answers()
        assert kept.trial_id == first and kept.answer.confidence == 4 and kept.answer.seconds > 0
        assert kept.answer.scores == {
            "veracity": 7, "grounding": 2, "clarity": 5, "foresight": 1, "personalization": 7,
        }  # fmt: skip

        wait_next(page, "u")  # taken back, and as it was
        assert shown(page) == first and list(study.ratings.answers()) == []
        assert page.locator("input:checked").count() == 6
        wait_next(page, "Enter")

        second = shown(page)
        assert page.locator("input:checked").count() == 0  # nothing of the answer before
        page.reload()  # the browser knows the rater
        page.wait_for_selector(TRIAL)
        assert shown(page) == second
        page.locator(".rc-cite").first.click()
        press(page, *"333333")  # with the evidence open
        wait_next(page, "Enter")
        assert page.locator("input:checked, :popover-open").count() == 0
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Still open: Veracity")
        press(page, *"444444")
        wait_next(page, "Enter")
        page.wait_for_selector("text=You judged all 3 items")
        assert serious_faults(page) == []
        assert len(list(study.ratings.answers())) == 3
        seen.assert_clean()
    with watched(browser, url, ready=".st-start") as elsewhere:  # the code works in another browser
        elsewhere.page.fill("input[name=code]", code.lower())
        elsewhere.page.focus("input[name=consent]")
        press(elsewhere.page, "Space", "Enter")
        elsewhere.page.wait_for_selector("text=You judged all 3 items")
        elsewhere.assert_clean()


def test_two_texts_are_compared_blind(serve: Serve, browser: Browser) -> None:
    study, url = serve(mode="compare", n_shoppers=2, n_checks=0)
    with watched(browser, url, ready=".st-start", reduced_motion="reduce") as seen:
        page = seen.page
        begin(page)
        expected = {}
        for key, side in (("a", 0), ("b", 1)):
            expected[shown(page)] = page.locator(".st-text .rc-prose").nth(2 * side).inner_text()
            press(page, key, "6")
            wait_next(page, "Enter")
        page.wait_for_selector("text=You judged all 2 items")
        for each in study.ratings.answers():
            told = study.trials[each.trial_id].narratives[each.answer.choice == "second"]
            assert told.text[-7:] == expected[each.trial_id].strip()[-7:]  # "says f." or "says c."
        seen.assert_clean()


def test_it_is_read_on_a_phone_in_both_lights(serve: Serve, browser: Browser) -> None:
    _, url = serve(mode="compare", n_checks=0)
    phone: Any = {"viewport": {"width": 375, "height": 812}, "reduced_motion": "reduce", "has_touch": True}
    for scheme in ("light", "dark"):
        with watched(browser, url, ready=".st-start", color_scheme=scheme, **phone) as seen:
            page = seen.page
            assert page.evaluate(PALE_TEXT_JS) == [] and fits_width(page)
            begin(page)
            page.click(".st-history summary")
            page.tap(".st-sides label >> nth=2")
            assert page.evaluate(PALE_TEXT_JS) == [] and fits_width(page)
            page.locator(".rc-cite").first.click()
            page.wait_for_selector(".rc-panel:popover-open")
            assert page.evaluate(PALE_TEXT_JS) == [] and serious_faults(page) == []
            seen.assert_clean()


def test_an_answer_that_cannot_be_kept_says_so_and_stays(
    serve: Serve, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, url = serve(n_shoppers=1, n_checks=0)

    def broken(*args: object, **options: object) -> None:
        raise FeedbackError("ratings.sqlite: could not be written (disk full); free or replace the file")

    with watched(browser, url, ready=".st-start") as seen:
        page = seen.page
        begin(page)
        with monkeypatch.context() as patch:
            patch.setattr(study.ratings, "record", broken)
            press(page, *"55555", "Enter")
            page.wait_for_selector("text=disk full")
            assert page.locator("input:checked").count() == 5
        wait_next(page, "Enter")
        assert len(list(study.ratings.answers())) == 1
        seen.assert_clean()


def test_what_shoppers_and_sellers_wrote_stays_text(small_store: Store, tmp_path: Path) -> None:
    from dataclasses import replace

    from ui.study_cards import trial_screen, welcome

    study = make_study(tmp_path, small_store, n_shoppers=1, n_checks=0, task="purchase_reason")
    evil = "<script>alert(1)</script>"
    for trial_id, trial in study.trials.items():
        history = tuple(replace(each, review=evil, review_title=evil) for each in trial.history)
        told = tuple(replace(each, text=f"{each.text} {evil}") for each in trial.narratives)
        study.trials[trial_id] = replace(trial, history=history, narratives=told, later=history[0])
    for item_id, item in study.items.items():
        study.items[item_id] = replace(item, title=evil, description=evil, brand=evil, features=(evil,))
    code = study.join()
    html = trial_screen(study, study.sitting(code)) + welcome(study)
    assert "<script" not in html and "&lt;script&gt;" in html and "tiny &lt;study&gt;" in html
    at = study.sitting(code)
    assert at.trial is not None
    study.answer(code, at.trial.trial_id, scores(study, at.trial.trial_id, 5))
    assert "2 of 2" in trial_screen(study, study.sitting(code))
    study.close()
