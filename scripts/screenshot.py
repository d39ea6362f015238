"""Pictures of the running app for the README: ``python scripts/screenshot.py URL`` writes docs/images/*.png.

The chat in two sizes and both lights, the taste map, a shared conversation, and the admin page where its
password is in the environment (RACONTEUR_ADMIN_PASSWORD). Needs Chromium and the packages of
requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pictures import IMAGES_DIR, in_every_light, open_page, with_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser

QUESTION = "Something for the garden, under $40"
ANSWERED = "() => document.querySelector('.rc-rating') && !document.querySelector('.rc-live')"


def take(browser: Browser, url: str, size: str, scheme: str, path: Path, shopper: str) -> None:
    """One conversation with ``shopper`` (words of their label), as it looks once the answer is whole."""
    page = open_page(browser, url, size, scheme)
    page.wait_for_selector("#rc-message textarea:not([disabled])")
    page.click("#rc-picker input")
    page.keyboard.type(shopper)
    page.wait_for_selector("#rc-picker [role=option]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rc-tile")
    page.fill("#rc-message textarea", QUESTION)
    page.press("#rc-message textarea", "Enter")
    page.wait_for_function(ANSWERED)
    page.wait_for_timeout(800)  # the view settles
    page.screenshot(path=path)
    if size == "wide" and scheme == "light":
        page.click("#rc-see-map")
        page.wait_for_selector(".rc-map:popover-open")
        page.locator(".rc-own").first.focus()
        page.screenshot(path=IMAGES_DIR / "taste-map.png")
        page.keyboard.press("Escape")
        page.click("#rc-share")
        page.wait_for_selector("#rc-share-panel:popover-open")
        page.goto(page.input_value(".rc-link"))
        page.screenshot(path=IMAGES_DIR / "shared.png")
    page.close()


def take_admin(browser: Browser, url: str, password: str, path: Path) -> None:
    """The admin page behind its door."""
    page = open_page(browser, f"{url.rstrip('/')}/admin")
    page.fill("#rc-admin-door input", password)
    page.keyboard.press("Enter")
    page.wait_for_selector(".rc-admin-part")
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    page.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:7860")
    parser.add_argument(
        "--shopper", default="mostly Garden", help="words of the shopper's label in the picker"
    )
    arguments = parser.parse_args()

    def take_all(browser: Browser) -> None:
        for size, scheme, path in in_every_light():
            take(browser, arguments.url, size, scheme, path, arguments.shopper)
            sys.stdout.write(f"{path}\n")
        if password := os.environ.get("RACONTEUR_ADMIN_PASSWORD"):
            take_admin(browser, arguments.url, password, IMAGES_DIR / "admin.png")

    return with_chromium(take_all, arguments.url, "is the app running there?")


if __name__ == "__main__":
    sys.exit(main())
