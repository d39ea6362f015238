"""Three or four apt things to say next; each is a message that the assistant understands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agents.plan import Facet, Plan
from agents.render import short_title
from agents.wish_phrasing import relaxing_chips
from knowledge.types import Interaction, Item

N_CHIPS = 4


def chips_for(
    plan: Plan,
    target: Item | None,
    history: Sequence[Interaction],
    bought: Sequence[Interaction],
    items: Mapping[str, Item],
    candidates: Sequence[Item],
    in_the_way: Sequence[tuple[Facet, ...]],
) -> tuple[str, ...]:
    """Replies that lead on from an answer of this plan; ``bought``: what was not only told of."""
    if candidates:
        return tuple(short_title(item) for item in candidates)
    if in_the_way:
        return (*relaxing_chips(in_the_way), "Recommend something for me")[:N_CHIPS]
    if not history and plan.intent not in ("recommend", "critique", "pitch", "pick_item"):
        return _for_newcomers(items)
    if plan.intent in ("recommend", "critique", "introduce") and target is not None:
        return ("Why this one?", "Something cheaper", "A different brand", "Show me more")
    if plan.intent in ("why_this", "pitch", "pick_item", "ask") and target is not None:
        like_it = f"Show me something like the {short_title(target)}"
        return (like_it, "Something cheaper", "Recommend something for me")
    if plan.intent == "why_bought" and target is not None:
        like_mine = f"Show me something like my {short_title(target)}"
        return (like_mine, "Tell me about myself", "Recommend something for me")
    if plan.intent == "about_me":
        return _other_summaries(plan)
    if plan.intent == "compare" and plan.compared:
        return ("Pitch me the first one", "Why the first one?", "Show me more", "Recommend something for me")
    return (*_about_the_last(bought, items), "Recommend something for me", "Tell me about myself")


def _other_summaries(plan: Plan) -> tuple[str, ...]:
    says = {
        "brief": "Tell me about myself",
        "long": "Describe me in detail",
        "five_words": "Describe me in five words",
    }
    return (*(text for style, text in says.items() if style != plan.style), "Recommend something for me")


def _for_newcomers(items: Mapping[str, Item]) -> tuple[str, ...]:
    kinds = list(dict.fromkeys(item.kind.lower() for item in items.values() if item.kind))
    spread = kinds[:: max(1, len(kinds) // 2)][:2]  # from different corners of the store
    return (*(f"I love my {kind}" for kind in spread), "Recommend something for me", "What can you do?")


def _about_the_last(history: Sequence[Interaction], items: Mapping[str, Item]) -> tuple[str, ...]:
    bought = [items[interaction.item_id] for interaction in history if interaction.item_id in items]
    return (f"Why did I buy the {short_title(bought[-1])}?",) if bought else ()
