"""What the browser tests share: a Chromium, a page under watch, and a few acts a person does."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BOX = "#rc-message textarea"
READY = f"{BOX}:not([disabled])"
WAIT_MS = 60_000  # a slow machine shall not fail a test

# Every visible text that is paler than WCAG AA asks for, as "ratio: text"
PALE_TEXT_JS = """() => {
  const rgb = (css) => { const m = css.match(/[\\d.]+/g).map(Number);
    return m.length < 4 ? [...m.slice(0, 3), 1] : m; };
  const over = (top, under) => top.slice(0, 3).map((c, i) => c * top[3] + under[i] * (1 - top[3]));
  const light = (c) => {
    const f = c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
  const back = (el) => { if (!el) return [255, 255, 255]; const c = rgb(getComputedStyle(el).backgroundColor);
    return c[3] === 1 ? c.slice(0, 3) : over(c, back(el.parentElement)); };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), pale = [];
  while (walker.nextNode()) {
    const node = walker.currentNode, el = node.parentElement, text = node.textContent.trim();
    if (!/[\\p{L}\\p{N}]/u.test(text)) continue;
    if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (el.closest('[disabled], .sr-only, script, style')) continue;
    const style = getComputedStyle(el), bg = back(el), fg = over(rgb(style.color), bg);
    const [a, b] = [light(fg), light(bg)], ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    const size = parseFloat(style.fontSize), big = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (ratio < (big ? 3 : 4.5)) pale.push(ratio.toFixed(2) + ': ' + text.slice(0, 60));
  }
  return pale;
}"""


@dataclass
class Watched:
    """A page with everything it asked for and complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    dialogs: list[str] = field(default_factory=list)

    def assert_clean(self) -> None:
        assert not self.complaints, self.complaints
        assert not self.dialogs, self.dialogs
        assert self.hosts == {"127.0.0.1"}, self.hosts


def find_chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


# Keeps the length of the answer being written at every change of the page, however seldom a test looks.
GROWTH_JS = """
window.rcGrowth = [];
new MutationObserver(() => {
    const live = document.querySelector('.rc-live');
    if (live) window.rcGrowth.push(live.textContent.length);
}).observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
"""


@contextmanager
def watched(browser: Browser, url: str, *, ready: str = READY, **context_options: Any) -> Iterator[Watched]:
    """Open ``url`` in a fresh profile and wait until ``ready`` is there: by default the box to talk into."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context_options})
    page = context.new_page()
    page.add_init_script(GROWTH_JS)
    seen = Watched(page)
    page.on("console", lambda m: seen.complaints.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("request", lambda request: seen.hosts.add(urlsplit(request.url).hostname or "127.0.0.1"))

    def dismiss(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.set_default_timeout(WAIT_MS)
    page.goto(url)
    page.wait_for_selector(ready)
    try:
        yield seen
    finally:
        context.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def pick(page: Page, words: str) -> None:
    """Pick the first shopper whose label fits ``words``."""
    page.click("#rc-picker input")
    page.keyboard.type(words)
    page.wait_for_selector("#rc-picker [role=option]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#rc-purchases .rc-tile")


def forget_growth(page: Page) -> None:
    page.evaluate("window.rcGrowth = []")


def wait_live(page: Page) -> None:
    """Wait until an answer has begun to be written since `ask` or `forget_growth`."""
    page.wait_for_function("window.rcGrowth.length > 0")


def growth(page: Page) -> list[int]:
    """The lengths that the answer being written had, in order."""
    lengths: list[int] = page.evaluate("window.rcGrowth")
    return lengths


def ask(page: Page, text: str) -> None:
    forget_growth(page)
    page.fill(BOX, text)
    page.press(BOX, "Enter")


def wait_answers(page: Page, n: int) -> None:
    """Wait until ``n`` answers are whole; where they never are, say what the page shows instead."""
    from playwright.sync_api import TimeoutError as TookTooLong

    try:
        page.wait_for_function(
            f"document.querySelectorAll('.rc-answer').length === {n} && !document.querySelector('.rc-live')"
            " && document.querySelector('#rc-message .submit-button')"
        )
    except TookTooLong as exc:
        shown = page.evaluate(
            "[...document.querySelectorAll('.rc-answer, .rc-live, #rc-message button, .toast-body')]"
            ".map(each => `${each.className}: ${each.innerText}`)"
        )
        exc.add_note("\n".join(shown))
        raise


def fits_width(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def serious_faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical on the page as it stands: rule and element."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
