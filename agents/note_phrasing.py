"""The assistant's sentences about notes and what is kept of a person; notes are quoted, never retold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from agents.people import Kept
from agents.render import short_title
from agents.wish_phrasing import listed
from knowledge.notes import Note
from knowledge.types import Interaction, Item

FORGET_ME_CHIPS = ("Yes, forget me", "No, keep it")
N_QUOTED = 8


def noted(notes: Sequence[Note]) -> str:
    """What was noted from a message that says nothing else."""
    effect = (
        "I will leave such things out."
        if all(note.kind == "dislike" for note in notes)
        else "I will bear it in mind."
    )
    undo = "You can change your notes at any time, or say \u201cforget that\u201d."
    return f"Noted: {_quoted(notes)}. {effect} {undo}"


def heeded(notes: Sequence[Note]) -> str:
    """Which notes changed what is shown; empty where none did."""
    return f"I kept to what you told me: {_quoted(notes)}." if notes else ""


def in_the_way(notes: Sequence[Note]) -> str:
    """Which notes keep out what would fit; empty where none does."""
    if not notes:
        return ""
    told = f"Something would fit but for what you told me: {_quoted(notes)}."
    return f"{told} Take that back if it no longer holds."


def forgot(note: Note | None) -> str:
    if note is None:
        return "I have nothing like that noted, so there is nothing to forget."
    return f"Forgotten: {_quoted([note])}."


def confirm_forgetting(kept: Kept) -> str:
    """The question before everything is deleted."""
    return (
        f"This deletes {_amounts(kept)} of yours, at once and for good. What you bought stays, for it is in "
        "the shop's own books. Shall I forget you?"
    )


def forgotten_all(kept: Kept) -> str:
    """What was deleted."""
    return (
        f"Done. I deleted {_amounts(kept)} of yours, and nothing you wrote is left here. "
        "Your purchases are as they were."
    )


def kept_all() -> str:
    return "Good, nothing was deleted."


def known(
    history: Sequence[Interaction],
    items: Mapping[str, Item],
    notes: Sequence[Note],
    kept: Kept,
    stated: Collection[str] = (),
) -> str:
    """Everything known of a person in plain words; ``stated``: products that stand for what they told of."""
    bought = [items[each.item_id] for each in history if each.item_id in items]
    purchases = [item for item in bought if item.item_id not in stated]
    stand_ins = [item for item in bought if item.item_id in stated]
    return " ".join(filter(None, (_purchases(purchases), _stand_ins(stand_ins), _told(notes), _rated(kept))))


def _purchases(bought: Sequence[Item]) -> str:
    if not bought:
        return "I know no purchases of yours."
    departments = Counter(item.department for item in bought if item.department).most_common(2)
    is_most = 2 * sum(number for _, number in departments) > len(bought) > 2
    mostly = f", most of them in {' and '.join(name for name, _ in departments)}" if is_most else ""
    latest = f"; the latest is the {short_title(bought[-1])}"
    return f"I know {_count(len(bought), 'purchase')} of yours{mostly}{latest}."


def _stand_ins(stated: Sequence[Item]) -> str:
    if not stated:
        return ""
    names = listed([f"the {short_title(item)}" for item in stated[-N_QUOTED:]])
    return f"For what you told me you have or like I go by {names}."


def _told(notes: Sequence[Note]) -> str:
    if not notes:
        return "You told me nothing of yourself yet that I noted."
    return f"You told me: {_quoted(notes)}."


def _rated(kept: Kept) -> str:
    if not kept.n_ratings:
        return "No rating of yours is kept."
    stars = "" if kept.mean_stars is None else f", with {kept.mean_stars:.1f} stars on average"
    return f"You rated {_count(kept.n_ratings, 'answer')}{stars}."


def _amounts(kept: Kept) -> str:
    counts = (kept.n_conversations, "conversation"), (kept.n_notes, "note"), (kept.n_ratings, "rating")
    return listed([_count(number, noun) for number, noun in counts if number]) or "nothing"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _quoted(notes: Sequence[Note]) -> str:
    said = [f"\u201c{note.text}\u201d" for note in notes[-N_QUOTED:]]
    more = f" and {len(notes) - N_QUOTED} more" if len(notes) > N_QUOTED else ""
    return ", ".join(said) + more
