"""Word lists and pattern alternatives from ``language.toml``, read once."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _language() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "language.toml").read_text("utf-8"))


def word_set(name: str) -> frozenset[str]:
    """A word list of the ``[words]`` table."""
    return frozenset(_language()["words"][name].split())


def any_of(name: str, table: str = "patterns") -> str:
    """A regular expression for any of a list's alternatives, between word boundaries."""
    return rf"\b(?:{'|'.join(_language()[table][name])})\b"


def patterns(table: str) -> list[tuple[str, re.Pattern[str]]]:
    """Every list of a table as a compiled pattern, in the file's order."""
    return [(name, re.compile(any_of(name, table))) for name in _language()[table]]


def replacements(table: str) -> list[tuple[re.Pattern[str], str]]:
    """A table of patterns and what stands for them, in the file's order."""
    return [(re.compile(pattern), text) for pattern, text in _language()[table].items()]


def synonyms() -> dict[str, list[str]]:
    """The store's name of a product -> what people call it as well."""
    return dict(_language()["synonyms"])


def pictures() -> dict[str, str]:
    """A picture -> the noun that it stands for."""
    return dict(_language()["pictures"])


def topics(table: str) -> list[tuple[str, re.Pattern[str]]]:
    """A table of single patterns, each with its name, in the file's order; compiled once by ``re``."""
    return [(name, re.compile(rf"\b(?:{pattern})\b")) for name, pattern in _language()[table].items()]
