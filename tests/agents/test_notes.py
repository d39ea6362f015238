"""What is noted from a message, what is not, and what a message wants done with the notes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from agents.notes import asked_of_notes, find_notes, is_no, is_yes, written_note
from knowledge.notes import MAX_NOTE, Note

TOLD = [
    ("I'm left-handed", "fact", "left-handed", True),
    ("im left handed btw", "fact", "left handed btw", True),
    ("it's for my daughter", "fact", "my daughter", True),
    ("This is a gift for our neighbour", "fact", "our neighbour", True),
    ("I hate plastic", "dislike", "plastic", True),
    ("I never wear red", "dislike", "red", True),
    ("we don\u2019t eat meat", "dislike", "meat", True),
    ("i cant stand loud gadgets", "dislike", "loud gadgets", True),
    ("I'm allergic to wool, got any scarves?", "dislike", "wool", False),
    ("Please remember that I prefer steel", "like", "steel", True),
    ("note that my kitchen is tiny", "fact", "my kitchen is tiny", True),
    ("please remember: no leather for us", "dislike", "leather", True),
    ("My favourite colour is green", "like", "green", False),
    ("I love gardening", "like", "gardening", False),
    ("I'm a teacher", "fact", "a teacher", False),
    ("I'm vegan. Show me a scarf", "fact", "vegan", False),
    ("Hi! My son hates wool.", "fact", "my son hates wool", True),
    ("red isn't my thing", "dislike", "red", True),
]


@pytest.mark.parametrize(("message", "kind", "words", "only"), TOLD, ids=[row[0] for row in TOLD])
def test_what_people_say_of_themselves_is_noted(message: str, kind: str, words: str, only: bool) -> None:
    noticed = find_notes(message, "c", 4)
    (note,) = noticed.notes
    assert (note.kind, note.words, noticed.only) == (kind, words, only)
    assert (note.conversation_id, note.position) == ("c", 4)
    assert note.text.lower() in message.lower()  # their own words


@pytest.mark.parametrize(
    "message",
    [
        "",
        "recommend me a pen",
        "I don't want red",
        "nothing in red please",
        "I'd like a kettle",
        "I like it",
        "I don't like the second one",
        "I love the red one",
        "do I hate plastic?",
        "I'm not sure",
        "I'm new here",
        "I'm looking for a tent",
        "I need a gift for my mother",
        "what do you know about me",
        "forget the budget",
        "I have a question",
        "why did I buy the tent?",
        "I hate these",
        "I like to see more",
        "remember what I bought?",
        "x" * 5_000,
    ],
)
def test_wishes_questions_and_talk_are_no_notes(message: str) -> None:
    assert find_notes(message).notes == ()


def test_several_things_in_one_message() -> None:
    noticed = find_notes("I own a tent and I like gardening, but I hate pens. We live in a flat")
    assert [(note.kind, note.text) for note in noticed.notes] == [
        ("like", "I like gardening"), ("dislike", "I hate pens"), ("fact", "We live in a flat"),
    ]  # fmt: skip
    assert not noticed.only


NOTES = [
    Note("dislike", "I hate plastic", "plastic", note_id=1),
    Note("fact", "I'm left-handed", "left-handed", note_id=2),
    Note("fact", "It's for my daughter", "my daughter", note_id=3),
]


@pytest.mark.parametrize(
    ("message", "asked", "note_id"),
    [
        ("forget that", "forget", 3),
        ("Sorry, forget that.", "forget", 3),
        ("delete that note", "forget", 3),
        ("forget that I'm left handed", "forget", 2),
        ("forget what I said about plastic", "forget", 1),
        ("I don't hate plastic anymore", "forget", 1),
        ("it's not for my daughter after all", "forget", 3),
        ("Forget me", "forget_me", None),
        ("please delete all my data", "forget_me", None),
        ("forget everything you know about me!", "forget_me", None),
        ("erase everything", "forget_me", None),
        ("what do you know about me?", "about_me", None),
        ("show me my notes", "about_me", None),
        ("forget about the budget", "", None),
        ("forget it", "", None),
        ("don't forget me", "", None),
        ("cancel my last order", "", None),
        ("remove the blue ones", "", None),
        ("tell me about myself", "", None),
    ],
)
def test_what_is_asked_of_the_notes(message: str, asked: str, note_id: int | None) -> None:
    found, note = asked_of_notes(message, NOTES)
    assert (found, note.note_id if note else None) == (asked, note_id)


def test_nothing_noted_is_nothing_to_forget() -> None:
    assert asked_of_notes("forget that", []) == ("forget", None)
    assert asked_of_notes("forget the rain", NOTES) == ("", None)


def test_yes_and_no() -> None:
    for yes in ("yes", "Yes, forget me", "ok do it", "sure!", "yes please"):
        assert is_yes(yes) and not is_no(yes), yes
    for no in ("no", "nah", "No, keep it", "never mind"):
        assert is_no(no) and not is_yes(no), no
    assert not is_yes("yes but show me pens first") and not is_yes("recommend me a pen")


def test_a_note_written_by_hand_is_read_like_one_that_was_said() -> None:
    assert written_note("  ") is None
    free = written_note("steel  handles only")
    assert free is not None and (free.kind, free.text) == ("fact", "steel handles only")
    said = written_note("I hate wool")
    assert said is not None and (said.kind, said.words) == ("dislike", "wool")
    long = written_note("a" * 1_000)
    assert long is not None and len(long.text) == MAX_NOTE


def test_messages_with_another_intent_keep_it() -> None:
    rows = tomllib.loads((Path(__file__).parent / "utterances.toml").read_text("utf-8"))
    taken = [
        (intent, row["text"])
        for intent, of_intent in rows.items()
        for row in of_intent
        if find_notes(row["text"]).only or asked_of_notes(row["text"], [])[0] not in ("", intent)
    ]
    assert taken == []
