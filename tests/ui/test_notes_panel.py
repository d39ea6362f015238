"""Notes, consent, "Forget me" and logging in, in a real browser over a small shop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import (
    PALE_TEXT_JS,
    READY,
    ask,
    chromium,
    find_chromium,
    fits_width,
    free_port,
    pick,
    wait_answers,
    watched,
)
from ui_fakes import FakeAssistant, FakeShop

from knowledge.shares import Shares

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="no Chromium here; apt-get install chromium"),
]
EVIL = '<img src=x onerror=alert(1)>" autofocus onfocus="alert(2)'


class Served:
    """A fake shop behind a page; where ``people`` may log in, only they."""

    def __init__(self, folder: Path, people: dict[str, str] | None = None) -> None:
        from ui.page import build_page
        from ui.theme import STYLE_PATH, build_theme

        self.shop = FakeShop()
        self.assistant = FakeAssistant(self.shop, pause_s=0.004)
        self.assistant.agreed = False
        shares: Any = Shares(folder / "shared.sqlite")
        self.page = build_page(self.shop, self.assistant, shares, login=people is not None)  # type: ignore[arg-type]
        port = free_port()
        self.page.launch(
            server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True, ssr_mode=False,
            theme=build_theme(), css_paths=STYLE_PATH, footer_links=[], run_history=False,
            auth=(lambda name, password: people.get(name) == password) if people else None,
        )  # fmt: skip
        self.url = f"http://127.0.0.1:{port}/"

    def notes(self) -> list[str]:
        """The texts of everybody's notes."""
        return [row[0] for row in self.assistant.people.notebook._all("SELECT text FROM notes")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("served"))
    yield served
    served.page.close()


def test_notes_are_added_changed_deleted_and_all_forgotten(served: Served, browser: Browser) -> None:
    with watched(browser, served.url) as seen:
        page = seen.page
        pick(page, "s1")
        new = page.get_by_role("textbox", name="New note")
        new.fill(EVIL)
        new.press("Enter")
        page.wait_for_selector("#rc-mind .rc-note-list input")
        assert served.notes() == [EVIL]
        note = page.get_by_role("textbox", name="Note", exact=True)
        assert note.input_value() == EVIL
        note.fill("I'm left-handed")
        page.get_by_role("button", name="Save the note").click()
        page.wait_for_selector("""#rc-mind input[value="I'm left-handed"]""")
        page.reload()
        page.wait_for_selector("""#rc-mind input[value="I'm left-handed"]""")
        page.fill("#rc-picker input", "")
        pick(page, "s2")  # another shopper is another person
        page.wait_for_selector("#rc-mind >> text=Nothing yet.")
        page.fill("#rc-picker input", "")
        pick(page, "s1")
        page.get_by_role("button", name="Delete the note").click()
        page.wait_for_selector("#rc-mind >> text=Nothing yet.")
        assert served.notes() == []

        new.fill("I hate wool")
        new.press("Enter")
        page.wait_for_selector("#rc-mind .rc-note-list input")
        ask(page, "garden")
        wait_answers(page, 1)
        page.get_by_role("button", name="Forget me", exact=True).click()
        page.get_by_role("button", name="No, keep it").click()
        assert served.notes() == ["I hate wool"]
        page.get_by_role("button", name="Forget me", exact=True).click()
        page.get_by_role("button", name="Yes, forget me").click()
        page.wait_for_selector("#rc-mind >> text=Nothing yet.")
        page.wait_for_function("!document.querySelector('.rc-answer')")
        assert served.notes() == [] and page.locator("text=I deleted 2 conversations and 1 note").count() == 1
        ask(page, "garden")
        wait_answers(page, 1)
        seen.assert_clean()


def test_the_first_rating_asks_and_a_no_keeps_nothing(served: Served, browser: Browser) -> None:
    phone: Any = {"width": 375, "height": 812}
    with watched(browser, served.url, viewport=phone, reduced_motion="reduce") as seen:
        page = seen.page
        ask(page, "garden")
        wait_answers(page, 1)
        n_rows = len(served.shop.feedback.rows)
        page.click('.rc-star[data-stars="4"]')
        page.wait_for_selector("text=May I keep your ratings")
        assert fits_width(page) and page.evaluate(PALE_TEXT_JS) == []
        page.get_by_role("button", name="No, keep nothing").click()
        page.wait_for_selector("text=Nothing was kept.")
        page.click('.rc-star[data-stars="2"]')
        page.get_by_role("button", name="Keep my ratings after all").click()
        page.wait_for_selector("text=Saved, thank you.")
        assert [row.stars for row in served.shop.feedback.rows[n_rows:]] == [2]
        seen.assert_clean()


def test_who_logs_in_sees_their_own_and_nothing_else(tmp_path: Path, browser: Browser) -> None:
    served = Served(tmp_path, people={"s1": "password-1", "zoe": "password-2"})
    seen = []
    for name, password in (("s1", "password-1"), ("zoe", "password-2")):
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(served.url)
        page.get_by_label("username").fill(name)
        page.get_by_label("password").fill(password)
        page.get_by_role("button", name="Login").click()
        page.wait_for_selector(READY)
        assert page.locator("#rc-picker input").count() == 0 and page.locator("#rc-new").count() == 0
        ask(page, f"hello from {name}")
        wait_answers(page, 1)
        seen.append((page.inner_text("#rc-side"), page.inner_text("#rc-chat")))
        context.close()
    (mine, said), (theirs, other) = seen
    assert "Waxed Apron" in mine and "Waxed Apron" not in theirs
    assert "hello from s1" in said and "hello from s1" not in other
    notebook = served.assistant.people.notebook
    assert len(notebook.conversations("s1")) == len(notebook.conversations("zoe")) == 1
    served.page.close()
