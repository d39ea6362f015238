"""The admin view: who is let in, what the figures say, and the page in a browser."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from browser import (
    PALE_TEXT_JS,
    ask,
    chromium,
    find_chromium,
    fits_width,
    free_port,
    serious_faults,
    wait_answers,
    watched,
)
from ui_fakes import FakeAssistant, FakeShop

from crs.bundle import MANIFEST, SCHEMA
from crs.narrator.engine import Load
from crs.versions import Learned, in_use, versions_dir, write_learned
from knowledge.feedback import Rating
from knowledge.shares import Shares
from knowledge.usage import Day, UsageLog
from ui import admin

PASSWORD = "under the third flowerpot"
TODAY = date(2026, 3, 31)


def write_version(path: Path, version: str, made_s: float) -> Path:
    """As much of a bundle as a list of versions reads."""
    path.mkdir(parents=True)
    manifest = {"schema": SCHEMA, "version": version, "parts": {"item_factors.npy": "0" * 64}}
    (path / MANIFEST).write_text(json.dumps(manifest))
    os.utime(path / MANIFEST, (made_s, made_s))
    return path


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A first version and two learned from it, which lie in ``var``."""
    first = write_version(tmp_path / "first", "elm-first", 1_700_000_000)
    folder = versions_dir(first, tmp_path / "var")
    write_version(folder / "oak-second", "oak-second", 1_700_100_000)
    write_version(folder / "yew-third", "yew-third", 1_700_200_000)
    (folder / ".draft.1").mkdir()
    return first


def rating(message_id: str, **given: object) -> Rating:
    return Rating("c1", message_id, user_id="Ada Lovelace", **given)  # type: ignore[arg-type]


RATINGS = [
    rating("m1", task="product_endorsement", thumb=1, stars=5, reason="It knows my trowel"),
    rating("m2", task="product_endorsement", thumb=-1, stars=2),
    rating("m3", task="product_endorsement", stars=5),
    rating("m4", thumb=1),
]


def test_five_wrong_passwords_close_the_door_for_a_minute() -> None:
    now = [0.0]
    guard = admin.Guard(PASSWORD, now=lambda: now[0])
    assert guard.admits(PASSWORD) and not guard.admits("") and not guard.admits(PASSWORD + " ")
    assert not guard.admits("\ud800")  # half a surrogate pair
    assert guard.admits(PASSWORD)  # begins the count anew
    assert not any(guard.admits("wrong") for _ in range(5))
    assert not guard.admits(PASSWORD)
    now[0] = admin.PAUSE_S
    assert guard.admits(PASSWORD)


def test_ratings_by_task_in_figures() -> None:
    by_task = admin.ratings_by_task(RATINGS)
    assert list(by_task) == ["product_endorsement", admin.WHOLE_ANSWER]
    told = by_task["product_endorsement"]
    assert (told.n, told.n_up, told.n_down, told.n_reasons) == (3, 1, 1, 1)
    assert told.stars == {5: 2, 2: 1} and told.mean_stars == 4.0
    assert by_task[admin.WHOLE_ANSWER].mean_stars is None
    html = admin.ratings_html(by_task)
    assert "product endorsement" in html and "1 up, 1 down" in html and "0, 1, 0, 0, 2" in html
    assert "Ada" not in html and "trowel" not in html
    assert "Nobody has rated" in admin.ratings_html({})


def test_versions_newest_first_and_the_one_in_use(first: Path, tmp_path: Path) -> None:
    found = admin.versions(first, tmp_path / "var")
    assert [(each.name, each.is_first, each.is_in_use) for each in found] == [
        ("yew-third", False, False), ("oak-second", False, False), ("elm-first", True, True),
    ]  # fmt: skip
    assert found[-1].made == "2023-11-14"
    learned = Learned(report=("shorter, <b>mostly</b>",))
    write_learned(versions_dir(first, tmp_path / "var"), "oak-second", learned)
    html = admin.versions_html(admin.versions(first, tmp_path / "var"))
    assert html.count("in use") == 1 and html.count("<details>") == 1
    assert "shorter, &lt;b&gt;mostly" in html
    assert [each.name for each in admin.versions(first, tmp_path / "nowhere")] == ["elm-first"]


def test_usage_and_queue_in_figures() -> None:
    days = [Day("2026-01-01", 4, 2), Day("2026-03-30", 1_200, 7), Day("2026-03-31", 3, 3)]
    html = admin.usage_html(days, 9, TODAY)
    assert "<dd>1,207</dd><dt>turns in all" in html and "<dd>3</dd><dt>people today" in html
    assert "2026-03-30: 1,200 turns, 7 people" in html and "2026-01-01" not in html  # long ago
    assert "<dd>0</dd><dt>turns today" in admin.usage_html([], 0, TODAY)
    queue = admin.queue_html(Load(n_rooms=8, n_live=2, n_waiting=3, n_parked=1, parked_bytes=2**20))
    assert "2 of 8" in queue and "1.0 MB" in queue
    assert "no line of its own" in admin.queue_html(None)


@pytest.fixture
def url(first: Path, tmp_path: Path) -> Iterator[str]:
    """The chat with the admin page behind it."""
    from ui.admin_page import add_admin_page
    from ui.page import build_page
    from ui.theme import STYLE_PATH, build_theme

    shop = FakeShop()
    shop.feedback.rows += RATINGS
    shop.usage = usage = UsageLog(tmp_path / "usage.sqlite")  # type: ignore[assignment]
    for number in range(5):
        usage.count(f"Ada Lovelace {number % 2}")
    shares = Shares(tmp_path / "shared.sqlite")
    page = build_page(shop, FakeAssistant(shop), shares)  # type: ignore[arg-type]
    add_admin_page(page, shop, first, tmp_path / "var", PASSWORD)  # type: ignore[arg-type]
    port = free_port()
    page.launch(
        server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True, ssr_mode=False,
        theme=build_theme(), css_paths=STYLE_PATH, footer_links=[], run_history=False,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port}/"
    page.close()
    shares.close()
    usage.close()


def test_nothing_is_told_or_done_without_the_password(url: str, first: Path, tmp_path: Path) -> None:
    """Whoever calls the page's functions past the page says in vain that they are in."""
    import httpx

    told = ""
    with httpx.Client(base_url=url, timeout=120.0) as client:  # a slow machine is no fault
        pages = client.get("config").json()["dependencies"]
        private = [each for each in pages if each["api_visibility"] == "private"]
        for number, each in enumerate(private):
            asked = {"fn_index": each["id"], "data": [True, None][: len(each["inputs"])]}
            session = {"session_hash": f"stranger{number}"}
            client.post("gradio_api/queue/join", json=asked | session).raise_for_status()
            with client.stream("GET", "gradio_api/queue/data", params=session) as answer:
                told += "".join(answer.iter_lines())
    assert len(private) >= 5 and "process_completed" in told
    assert "rc-admin-part" not in told and "oak-second" not in told
    assert in_use(first, tmp_path / "var") == first


@pytest.mark.browser
@pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; apt-get install chromium")
def test_behind_the_counter_in_a_browser(url: str, first: Path, tmp_path: Path) -> None:
    with chromium() as browser:
        with watched(browser, url) as seen:  # the chat before it is as it was
            ask(seen.page, "Something for the garden")
            wait_answers(seen.page, 1)
            assert "Admin" not in seen.page.inner_text("body")
            seen.assert_clean()
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url + "admin")
        page.fill("#rc-admin-password input", "a guess")
        page.press("#rc-admin-password input", "Enter")
        page.wait_for_selector("text=That is not the password")
        assert page.locator(".rc-admin-part").count() == 0
        page.fill("#rc-admin-password input", PASSWORD)
        page.press("#rc-admin-password input", "Enter")
        page.wait_for_selector("#rc-admin-usage .rc-admin-part")
        assert page.locator(".rc-admin-part h2").all_inner_texts() == [
            "Queue", "Usage", "Ratings", "Versions",
        ]  # fmt: skip
        assert page.inner_text("#rc-admin-usage .rc-figures div:first-child dd") == "6"  # one is the chat's
        assert "Ada" not in page.content() and "trowel" not in page.content()

        page.click("#rc-admin-version label:has-text('oak-second')")
        page.click("#rc-admin-promote")
        page.wait_for_selector("tr:has-text('oak-second'):has-text('in use')")
        assert in_use(first, tmp_path / "var").name == "oak-second"
        page.click("#rc-admin-back")
        page.wait_for_selector("tr:has-text('elm-first'):has-text('in use')")
        assert in_use(first, tmp_path / "var") == first
        page.click("#rc-admin-back")
        page.wait_for_selector("[role=alert]:has-text('nothing is before it')")

        assert serious_faults(page) == [] and page.evaluate(PALE_TEXT_JS) == []
        page.set_viewport_size({"width": 375, "height": 812})
        assert fits_width(page)
        page.emulate_media(color_scheme="dark")
        page.goto(url + "admin?__theme=dark")
        page.wait_for_selector("#rc-admin-password input")
        assert serious_faults(page) == [] and page.evaluate(PALE_TEXT_JS) == []
