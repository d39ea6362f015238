"""Pictures of a rating study: ``python scripts/screenshot_study.py URL`` writes docs/images/study-*.png.

URL is where `python -m crs study serve` runs; a rater is added to that study. Needs Chromium and the packages
of requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES_DIR = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZES = {"wide": (1280, 900), "phone": (375, 812)}
TIMEOUT_MS = 60_000


def take(browser: Browser, url: str, size: str, scheme: str, path: Path, code: str) -> str:
    """The first item of the rater with ``code`` ("": a new one), one question answered; returns the code."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(url)
    page.fill(".st-start input[name=code]", code)
    page.check(".st-start input[name=consent]")
    page.press(".st-start input[name=consent]", "Enter")
    page.wait_for_selector(".st-screen[data-trial]")
    page.keyboard.press("6")
    page.wait_for_timeout(300)
    page.screenshot(path=path)
    shown = page.inner_text(".st-mine b")
    page.close()
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:7861")
    url = parser.parse_args().url
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.stderr.write("no Chromium found; apt-get install chromium\n")
        return 1
    from playwright.sync_api import Error, sync_playwright

    IMAGES_DIR.mkdir(parents=True, exist_ok=True)
    code = ""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        try:
            for size in SIZES:
                for scheme in ("light", "dark"):
                    path = IMAGES_DIR / f"study-{size}-{scheme}.png"
                    code = take(browser, url, size, scheme, path, code)
                    sys.stdout.write(f"{path}\n")
        except Error as error:
            sys.stderr.write(f"{url}: {error.message.splitlines()[0]}; does a study run there?\n")
            return 1
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
