"""Pictures of the running app for the README: ``python scripts/screenshot.py URL`` writes docs/images/*.png.

The chat in two sizes and both lights, the taste map, a shared conversation, and the admin page where its
password is in the environment (RACONTEUR_ADMIN_PASSWORD). Needs Chromium and the packages of
requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES_DIR = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZES = {"wide": (1280, 900), "phone": (375, 812)}
QUESTION = "Something for the garden, under $40"
ANSWERED = "() => document.querySelector('.rc-rating') && !document.querySelector('.rc-live')"
TIMEOUT_MS = 60_000


def take(browser: Browser, url: str, size: str, scheme: str, path: Path, shopper: str) -> None:
    """One conversation with ``shopper`` (words of their label), as it looks once the answer is whole."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    page.wait_for_selector("#rc-message textarea:not([disabled])")
    page.click("#rc-picker input")
    page.keyboard.type(shopper)
    page.wait_for_selector("#rc-picker [role=option]")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rc-tile")
    page.fill("#rc-message textarea", QUESTION)
    page.press("#rc-message textarea", "Enter")
    page.wait_for_function(ANSWERED)
    page.wait_for_timeout(800)  # the scroll to the end is animated
    page.evaluate("document.querySelector('.rc-cards').scrollIntoView({block: 'center'})")
    page.wait_for_timeout(400)
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
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{url.rstrip('/')}/admin")
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
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("no Chromium found; apt-get install chromium\n")
        return 1
    from playwright.sync_api import Error, sync_playwright

    IMAGES_DIR.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            for size in SIZES:
                for scheme in ("light", "dark"):
                    path = IMAGES_DIR / f"{size}-{scheme}.png"
                    take(browser, arguments.url, size, scheme, path, arguments.shopper)
                    sys.stdout.write(f"{path}\n")
            if password := os.environ.get("RACONTEUR_ADMIN_PASSWORD"):
                take_admin(browser, arguments.url, password, IMAGES_DIR / "admin.png")
        except Error as error:
            sys.stderr.write(f"{arguments.url}: {error.message.splitlines()[0]}; is the app running there?\n")
            return 1
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
