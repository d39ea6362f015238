"""What people say of themselves for good ("I'm left-handed", "I hate plastic"), and what they say of that.

A message is read clause by clause; a clause that states a like, a dislike or a fact is a `Note` in the
person's own words. Wishes ("nothing red today"), questions and words on something in sight ("I like the
second one") are none.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from agents.words import STOPWORDS, singular, words
from knowledge.notes import MAX_NOTE, Note, NoteKind

# What a message says of the notes themselves.
Asked = Literal["", "forget_me", "forget", "about_me"]

_CURLY = str.maketrans("'\u2018\u02bc`\u00b4", "\u2019" * 5)
_CLAUSE_END = re.compile(
    r"[.!?;\n]+(?=\s|$)|(?:,?\s+(?:and|but|so|because|also|plus|though)\s+|,\s*)(?=(?:i|we|my|our|it|its|this|can|"
    r"could|please|show|recommend|find|suggest|give|need|want|got|what|which|any|have you|do|also|cannot|"
    r"never|can\u2019?t)\b)|\s-\s"
)
_KINDS: tuple[tuple[str, NoteKind], ...] = (
    ("dislike", "dislike"), ("fact", "fact"), ("like", "like"), ("background", "fact"),
)  # fmt: skip
_DECIDING = frozenset({"dislike", "fact"})  # a message of these alone is a note and nothing else
_SMALL_TALK = re.compile(
    r"\W*(?:hi|hey|hello|hiya|thanks?|thank you|please|ok|okay|well|so|btw|by the way|oh|yes|no|sorry|fyi|"
    r"just so you know|for the record|remember (?:that|this)|\s|\W)*"
)


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a message tells of the person; ``only``: and it says nothing else."""

    notes: tuple[Note, ...] = ()
    only: bool = False


def find_notes(message: str, conversation_id: str = "", position: int = 0) -> Noticed:
    """The notes in a message, in order; where it was said is kept with each."""
    notes: list[Note] = []
    only = True
    for clause in _clauses(message):
        found = _read(clause)
        if found is None:
            only = only and _SMALL_TALK.fullmatch(_plain(clause)) is not None
            continue
        pattern, kind, what = found
        only = only and pattern in _DECIDING
        notes.append(Note(kind, _sentence(clause), what, conversation_id, position))
    return Noticed(tuple(notes), only and bool(notes))


def written_note(text: str) -> Note | None:
    """A note that the person wrote by hand: any text is a fact, unless it reads as more; None where empty."""
    text = " ".join(text.split())[:MAX_NOTE]
    if not text:
        return None
    found = _read(text)
    return Note(found[1], text, found[2]) if found else Note("fact", text, text)


def asked_of_notes(message: str, notes: Sequence[Note]) -> tuple[Asked, Note | None]:
    """What a message wants done with the notes, and with which of them (None: all, or none fits)."""
    text = _plain(message)
    talk = _patterns()["talk"]
    if any(p.search(text) for p in talk["forget_me"]) and not talk["keep_me"].search(text):
        return "forget_me", None
    if talk["forget_last"].fullmatch(text):
        return "forget", notes[-1] if notes else None
    for pattern in (talk["forget_what"], *talk["no_longer"]):
        match = pattern.fullmatch(text.rstrip(".! "))
        meant = match and _meant(match["what"], notes)
        if meant:
            return "forget", meant
    return ("about_me" if talk["about_me"].search(text) else ""), None


def is_yes(message: str) -> bool:
    """Whether a message agrees to what was asked just before."""
    return _patterns()["talk"]["yes"].fullmatch(_plain(message)) is not None


def is_no(message: str) -> bool:
    """Whether a message declines it."""
    return _patterns()["talk"]["no"].fullmatch(_plain(message)) is not None


def content_words(text: str) -> tuple[str, ...]:
    """The words of a text that say something, each in the singular."""
    return tuple(dict.fromkeys(singular(word) for word in words(text) if word not in STOPWORDS))


def _meant(what: str, notes: Sequence[Note]) -> Note | None:
    """The note that shares most with ``what``; of equals the latest; None where none shares half of it."""
    said = set(content_words(what))
    best: tuple[float, Note] | None = None
    for note in notes:
        share = len(said & set(content_words(note.text))) / max(1, len(said))
        if share >= 0.5 and (best is None or share >= best[0]):
            best = share, note
    return best[1] if best else None


def _clauses(message: str) -> list[str]:
    ends = [match.span() for match in _CLAUSE_END.finditer(_lower(message))]
    starts = [0, *(end for _, end in ends)]
    stops = [*ends, (len(message), len(message))]
    # a question's mark stays with it: "do I like plastic?" tells nothing
    return [
        part
        for start, (stop, end) in zip(starts, stops, strict=True)
        if (part := message[start:stop] + ("?" if "?" in message[stop:end] else "")).strip()
    ]


def _read(clause: str) -> tuple[str, NoteKind, str] | None:
    """Which pattern a clause fits, the kind of note and what it is about; None for no statement."""
    text = _plain(clause)
    if text.endswith("?") or len(text) > 2 * MAX_NOTE:
        return None
    patterns = _patterns()
    _, text = _without_lead(text)
    explicit = patterns["explicit"].fullmatch(text)
    if explicit:
        inner = _read(explicit["what"])
        return ("fact", *inner[1:]) if inner else ("fact", "fact", explicit["what"])
    for name, kind in _KINDS:
        for pattern in patterns[name]:
            match = pattern.fullmatch(text)
            if match and not patterns["refused"].fullmatch(match["what"].strip()):
                return name, kind, match["what"].strip()
    return None


def _sentence(clause: str) -> str:
    """The clause as a sentence of its own: without what led to it, its first letter large."""
    text = " ".join(clause.split()).strip(" ,.!-")
    start, said = _without_lead(_lower(text))
    explicit = _patterns()["explicit"].fullmatch(said)
    text = text[start + (explicit.start("what") if explicit else 0) :][:MAX_NOTE]
    return text[:1].upper() + text[1:]


def _without_lead(text: str) -> tuple[int, str]:
    """Where what is said begins behind "and", "by the way" and the like, and what it is."""
    start = _patterns()["lead"].match(text).end()
    return start, text[start:]


def _plain(text: str) -> str:
    return " ".join(_lower(text).split()).strip(" ,.!")


def _lower(text: str) -> str:
    """Lower case and one apostrophe, letter by letter, so that places in it are places in the text."""
    text = text.translate(_CURLY)
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


@cache
def _patterns() -> dict[str, Any]:
    """The patterns of ``notes.toml``, compiled; where a list is told there is a list here."""
    table = tomllib.loads((Path(__file__).parent / "notes.toml").read_text("utf-8"))
    lists = {name: value.replace("\n", "") for name, value in table["lists"].items()}

    def compiled(pattern: str) -> re.Pattern[str]:
        for name, value in lists.items():
            pattern = pattern.replace(f"<{name}>", value)
        return re.compile(pattern)

    found: dict[str, Any] = {name: [compiled(p) for p in table[name]["patterns"]] for name, _ in _KINDS}
    found["lead"] = compiled(table["lead"]["in"].replace("\n", ""))
    found["explicit"] = compiled(table["lead"]["explicit"].replace("\n", ""))
    found["refused"] = compiled(table["refused"]["what"])
    found["talk"] = {
        name: [compiled(p) for p in value] if isinstance(value, list) else compiled(value)
        for name, value in table["talk"].items()
    }
    return found
