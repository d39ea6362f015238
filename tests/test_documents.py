"""The documents speak of the files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"(?<![\w/.])((?:[\w.-]+/)*[\w-]+\.(?:py|toml|js|css|cmake|sh))\b")


@pytest.mark.parametrize("document", ["README.md", "docs/design.md"])
def test_every_file_that_is_named_is_there(document: str) -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for folder in ("agents", "assets", "benchmarks", "crs", "docs", "knowledge", "scripts", "tests", "ui")
        for path in (ROOT / folder).rglob("*.*")
    ]
    files.append("app.py")
    named = set(NAMED.findall((ROOT / document).read_text("utf-8")))
    assert named
    assert [
        name for name in sorted(named) if not any(f"/{file}".endswith(f"/{name}") for file in files)
    ] == []
