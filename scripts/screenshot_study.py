"""Pictures of a rating study: ``python scripts/screenshot_study.py URL`` writes docs/images/study-*.png.

URL is where `python -m crs study serve` runs; a rater is added to that study. Needs Chromium and the packages
of requirements-dev.txt.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pictures import in_every_light, open_page, with_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def take(browser: Browser, url: str, size: str, scheme: str, path: Path, code: str) -> str:
    """The first item of the rater with ``code`` ("": a new one), one question answered; returns the code."""
    page = open_page(browser, url, size, scheme)
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

    def take_all(browser: Browser) -> None:
        code = ""
        for size, scheme, path in in_every_light("study-"):
            code = take(browser, url, size, scheme, path, code)
            sys.stdout.write(f"{path}\n")

    return with_chromium(take_all, url, "does a study run there?")


if __name__ == "__main__":
    sys.exit(main())
