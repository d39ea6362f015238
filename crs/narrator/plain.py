"""What is said when nothing that the narrator drew would hold: little, plain, and true by construction."""

from __future__ import annotations

from collections import Counter

from crs.narrator.evidence import REASONS, Evidence
from knowledge.demo.grammar import number_word
from knowledge.money import dollars
from knowledge.nouns import noun_of
from knowledge.types import MAX_HISTORY, TARGET_POINTER, pointer


def plain_statement(evidence: Evidence) -> str:
    """One true sentence for the task, from the listing of the target or the list of purchases."""
    target, n = evidence.target, len(evidence.items)
    if target is not None:
        named = f"the {TARGET_POINTER} {noun_of(target)}"
        if evidence.task in REASONS:
            return f"The customer chose {named}."
        maker = f" by {target.brand}" if target.brand else ""
        price = f" for {dollars(target.price)}" if target.price is not None else ""
        return f"Have a look at {named}{maker}{price}."
    if evidence.task == "user_profile":
        departments = Counter(item.department for item in evidence.items if item.department)
        return f"{departments.most_common(1)[0][0]} Shopper" if departments else "Shopper"
    if n == 0:
        return "The customer has bought nothing yet."
    latest = f"the {pointer(n)} {noun_of(evidence.items[-1])}"
    if n == 1:
        return f"The customer has bought {latest}."
    if n == MAX_HISTORY:  # of a longer history no more is known than its end
        return f"The customer bought {latest} most recently."
    return f"The customer has made {number_word(n)} purchases, {latest} most recently."
