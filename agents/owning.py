"""Whether a message speaks of what the person bought here, or only says "my"."""

from __future__ import annotations

import re

from agents.lexicon import Lexicon
from agents.read_critique import QUESTION
from agents.references import names_place

_MY_BUT_NO_PRODUCT = r"(?! (?:shopping |virtual )?(?:basket|cart|bag|list|order|money|budget|taste|liking)\b)"
_BOUGHT = re.compile(
    r"\bi (?:already )?(?:bought|own|owned|got|have|ordered|purchased|had)\b(?! (?:to|a question|been|no|"
    r"it\b|(?:an? |bad |severe )*(?:allerg\w+|asthma|sensitiv\w+|kids?|children)))|"
    r"\bmy (?:\w+ ){0,2}(?:purchases?|orders?)\b"
)
OWNED = re.compile(rf"\bmy{_MY_BUT_NO_PRODUCT}\b|{_BOUGHT.pattern}")
_MY = re.compile(r"\b(?:my|mine|our) (?:\w+ ){0,2}$")
# "The stove i bought from you": a purchase, where nothing asks for the reason.
_BOUGHT_HERE = re.compile(
    r"\b(?:i|we|ive|weve) (?:\w+ )?(?:bought|ordered|purchased|got|have|own)\b(?! to\b).{0,16}\b(?:from|"
    r"off|here|with|at) ?(?:of )?(?:you|here|this (?:shop|store)|the (?:shop|store)|\w+ store)?\b|"
    r"\b(?:i|we|ive|weve) (?:\w+ )?(?:bought|ordered|purchased)\b"
)
_REASON = re.compile(
    r"\b(?:why|reasons?|remind|what made|possess\w*|how come|thinking|motivat\w+|purpose|"
    r"what.{0,24} for$|point of)\b"
)


def is_owned(text: str, lexicon: Lexicon, *, in_sight: bool) -> bool:
    """Whether a text points at a purchase. Beside cards, "my dishwasher" was not bought here."""
    if not in_sight:
        return OWNED.search(text) is not None
    if names_place(text) and not _BOUGHT.search(text):
        return False
    return _BOUGHT.search(text) is not None or any(
        _MY.search(text[: hit.start]) for hit in lexicon.find(text) if hit.field != "department"
    )


def asks_of_purchase(text: str, lexicon: Lexicon) -> bool:
    """Whether a question is about something bought here, and not about why it was bought."""
    said = [hit for hit in lexicon.find(text) if hit.field == "kind"]
    owned = _BOUGHT_HERE.search(text) or any(_MY.search(text[: hit.start]) for hit in said)
    return bool(said and owned and QUESTION.search(text)) and _REASON.search(text) is None
