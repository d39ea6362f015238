"""Pointers into names: from the narrator's pieces to text whose nouns carry their evidence.

The narrator says "the [3] kettle"; a person reads "the kettle", and "kettle" leads to the third purchase. The
target is named in full at its first mention: "this Brookline Gooseneck Kettle".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.words import STOPWORDS, singular
from knowledge.types import Interaction, Item

if TYPE_CHECKING:
    from crs.narrator.narrate import Piece

TITLE_WORDS = 7
NOUN_REACH = 4  # words after a pointer among which its noun is looked for
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TITLE_END = re.compile(r"\s[-–—|]\s|[,(\[;]|\s/\s")


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of text; where it is a citation, ``item_id`` and ``k`` (1 to n a purchase, 0 the target)."""

    text: str
    item_id: str | None = None
    k: int | None = None


def short_title(item: Item) -> str:
    """The title up to its first comma, dash or bracket, at most seven words."""
    head = _TITLE_END.split(item.title.strip(), maxsplit=1)[0].strip() or item.title.strip()
    return " ".join(head.split()[:TITLE_WORDS])


def render(
    pieces: Iterable[Piece],
    history: Sequence[Interaction],
    target: Item | None,
    items: Mapping[str, Item],
) -> list[Segment]:
    """Pieces to segments; may be called on the pieces so far, while more are coming.

    A citation covers the noun that follows its pointer. A pointer to nothing is dropped.
    """
    text, cites = _flatten(pieces)
    segments: list[Segment] = []
    done, named = 0, False
    for number, (offset, k) in enumerate(cites):
        item = _cited(k, history, target, items)
        if item is None or offset < done:
            continue
        limit = cites[number + 1][0] if number + 1 < len(cites) else len(text)
        start, end = _noun(text, offset, limit, item)
        shown = text[start:end]
        if k == 0 and not named:
            shown, named = _spaced(short_title(item), text, start, end), True
        elif not shown:
            shown = _spaced(item.kind or short_title(item), text, start, end)
        segments += [Segment(text[done:start]), Segment(shown, item.item_id, k)]
        done = end
    segments.append(Segment(text[done:]))
    return [segment for segment in segments if segment.text]


def plain(segments: Iterable[Segment]) -> str:
    """The segments as one string."""
    return "".join(segment.text for segment in segments)


def _flatten(pieces: Iterable[Piece]) -> tuple[str, list[tuple[int, int]]]:
    """All text, and where in it which pointer stands."""
    text, cites = "", []
    for piece in pieces:
        if piece.cite is not None:
            cites.append((len(text), piece.cite))
        at_pointer = bool(cites) and cites[-1][0] == len(text)
        # a pointer takes no room: of the spaces on its two sides one is left
        text += piece.text.lstrip() if at_pointer and text[-1:].isspace() else piece.text
    return text, cites


def _cited(
    k: int, history: Sequence[Interaction], target: Item | None, items: Mapping[str, Item]
) -> Item | None:
    if k == 0:
        return target
    return items.get(history[k - 1].item_id) if 1 <= k <= len(history) else None


def _noun(text: str, offset: int, limit: int, item: Item) -> tuple[int, int]:
    """Where the noun after a pointer begins and ends; an empty span where none follows."""
    words: list[re.Match[str]] = []
    for match in _WORD.finditer(text, offset, limit):
        between = text[words[-1].end() if words else offset : match.start()]
        if between.strip() or len(words) == NOUN_REACH:
            break
        words.append(match)
    if not words:
        return offset, offset
    names = {singular(word.lower()) for word in _WORD.findall(f"{item.kind or ''}")}
    names = names or {singular(word.lower()) for word in _WORD.findall(item.title)}
    hits = [i for i, word in enumerate(words) if singular(word.group().lower()) in names]
    if hits:
        return words[0].start(), words[hits[-1]].end()
    if words[0].group().lower() in STOPWORDS:
        return offset, offset
    return words[0].start(), words[0].end()


def _spaced(name: str, text: str, start: int, end: int) -> str:
    """``name`` with the spaces it needs from its neighbours when it replaces ``text[start:end]``."""
    before = " " if start and not text[start - 1].isspace() and text[start - 1] not in "(\"'“‘-" else ""
    after = " " if end < len(text) and text[end].isalnum() else ""
    return before + name + after
