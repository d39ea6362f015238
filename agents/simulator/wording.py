"""Acts in people's words: what a shopper means, said in their style, slips included."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

from agents.simulator.goal import Need
from agents.simulator.persona import Style
from agents.words import WORD

Act = Literal["open", "ask", "tell", "cheaper", "other_brand", "more_like", "not_color", "more"]
_PLACES = ("first", "second", "third", "fourth", "fifth")
_VOWEL = re.compile(r"[aeio]|u[^aeiou][^aeiou]")  # "an umbrella", but "a ukulele"
_SLIPS_FROM = 6  # letters: nobody misspells short words on purpose


@cache
def phrases() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Templates by act and style."""
    return tomllib.loads(Path(__file__).with_name("wording.toml").read_text("utf-8"))


def say(
    rng: random.Random,
    act: Act,
    style: Style,
    *,
    needs: Mapping[Need, str] | None = None,
    place: int = 0,
    value: str = "",
) -> str:
    """One message. ``needs``: facets to tell with their values; ``place`` of a card, from 0."""
    template = rng.choice(phrases()[act]["plain" if style == "sloppy" else style])
    text = template.format(wish=wish(rng, needs or {}), place=_PLACES[place], value=value)
    text = text[:1].upper() + text[1:] if style in ("plain", "chatty") else text
    return _slip(rng, text) if style == "sloppy" else text


def wish(rng: random.Random, needs: Mapping[Need, str]) -> str:
    """What is wished for as a noun phrase: "a tent in blue under $50"."""
    kind = needs.get("kind")
    parts = [with_article(kind) if kind else "something"]
    if color := needs.get("color"):
        parts.append(f"in {color}")
    if brand := needs.get("brand"):
        parts.append(f"{rng.choice(('from', 'by'))} {_capitals(brand)}")
    if department := needs.get("department"):
        parts.append(rng.choice(("from the {} department", "for {}")).format(department))
    if budget := needs.get("budget"):
        parts.append(f"{rng.choice(('under', 'up to', 'below'))} ${budget}")
    return " ".join(parts)


def with_article(kind: str) -> str:
    """A product's noun as one asks for it; what comes in pairs or as a mass has no article."""
    if kind.endswith("s") and not kind.endswith("ss"):
        return f"some {kind}"
    return f"{'an' if _VOWEL.match(kind) else 'a'} {kind}"


def _capitals(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split())


def _slip(rng: random.Random, text: str) -> str:
    """Small letters, no full stop, and two neighbouring letters of a longer word swapped."""
    text = text.lower().rstrip(".")
    long = [match for match in WORD.finditer(text) if len(match.group()) >= _SLIPS_FROM]
    if not long:
        return text
    at = rng.choice(long)
    swapped = rng.randrange(at.start() + 1, at.end() - 1)
    return text[:swapped] + text[swapped + 1] + text[swapped] + text[swapped + 2 :]
