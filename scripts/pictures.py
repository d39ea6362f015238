"""What the scripts that take pictures of a running page share: Chromium, sizes, lights, where pictures go."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES_DIR = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZES = {"wide": (1280, 900), "phone": (375, 812)}  # CSS pixels
TIMEOUT_MS = 180_000


def in_every_light(prefix: str = "") -> Iterator[tuple[str, str, Path]]:
    """Each size and color scheme, and the file of its picture."""
    for size in SIZES:
        for scheme in ("light", "dark"):
            yield size, scheme, IMAGES_DIR / f"{prefix}{size}-{scheme}.png"


def open_page(browser: Browser, url: str, size: str = "wide", scheme: str = "light") -> Page:
    """``url`` in a window of that size."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    return page


def with_chromium(take: Callable[[Browser], None], url: str, question: str) -> int:
    """Have ``take`` take its pictures; returns the exit code. ``question``: what to ask when it cannot."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("no Chromium found; apt-get install chromium\n")
        return 1
    from playwright.sync_api import Error, sync_playwright

    IMAGES_DIR.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            take(browser)
        except Error as error:
            sys.stderr.write(f"{url}: {error.message.splitlines()[0]}; {question}\n")
            return 1
        finally:
            browser.close()
    return 0
