"""What a turn does about notes: finds them in the message, answers what is asked of them, keeps them."""

from __future__ import annotations

from dataclasses import replace

from agents import note_phrasing
from agents.notes import asked_of_notes, find_notes, is_no
from agents.people import People
from agents.plan import Plan, Stated
from agents.state import Conversation, Turn
from agents.understand import Understanding
from knowledge.notes import Note


def plan_on_notes(
    conversation: Conversation, turn: Turn, people: People, understanding: Understanding
) -> Plan | None:
    """The plan of a message that speaks of notes or says nothing but them; others are noted from too."""
    turn.notes = people.notebook.notes(conversation["owner"])
    question = conversation["question"]
    if question is not None and question["intent"] == "forget_me" and is_no(turn.message):
        return Plan("forget_me")
    # said again with another seed, "forget that" must not take the note before as well
    asked, turn.forgotten = asked_of_notes(turn.message, [] if turn.attempt else turn.notes)
    if asked in ("forget_me", "about_me"):
        turn.asks = asked == "forget_me"
        turn.kept = people.kept(conversation["owner"])
    if asked == "about_me":  # in few words or many?
        turn.noted = list(find_notes(turn.message, *_place(conversation)).notes)
        return replace(understanding.plan(turn.message), intent="about_me")
    if asked:
        return Plan(asked)
    noticed = find_notes(turn.message, *_place(conversation))
    turn.noted = list(noticed.notes)
    if not noticed.only:
        return None
    wished = understanding.wishes(turn.message)
    # whoever names a price is buying
    is_wish = wished.price or wished.constraints.max_price or wished.constraints.min_price
    return None if is_wish else Plan("notes")


def note_dislike(stated: Stated, named: str, conversation: Conversation, turn: Turn) -> None:
    """Note what an introduction dislikes (``named`` so), unless its sentence was noted already."""
    if not any(note.kind == "dislike" and stated.words in note.text.lower() for note in turn.noted):
        text = f"I dislike {named}"
        turn.noted.append(Note("dislike", text, stated.words, *_place(conversation)))


def write_notes(conversation: Conversation, turn: Turn, people: People) -> None:
    """Put on disk what this turn notes and forgets."""
    for note in turn.noted:
        people.notebook.add(conversation["owner"], note)
    if turn.forgotten is not None:
        people.notebook.remove(conversation["owner"], turn.forgotten.note_id)


def say_on_notes(turn: Turn) -> str:
    """The answer to a plan that is all about notes."""
    if turn.plan.intent == "notes":
        return note_phrasing.noted(turn.noted)
    if turn.plan.intent == "forget":
        return note_phrasing.forgot(turn.forgotten)
    if turn.asks and turn.kept is not None:
        return note_phrasing.confirm_forgetting(turn.kept)
    return note_phrasing.kept_all()


def _place(conversation: Conversation) -> tuple[str, int]:
    return conversation["conversation_id"], len(conversation["messages"])
