"""Writes docs/samples.md: 36 narratives, six of each task, as generated, with the purchases beside them.

python -m benchmarks.samples [--bundle BUNDLE] [--unlisted BUNDLE] [--seed SEED] [--out FILE]

Shoppers are of the test split, drawn by the seed; nothing is chosen by hand or edited. Of an ``--unlisted``
store, whose listings are not ours to publish, products are shown by id and noun, and what a text quotes
from a listing as the slot that the narrator said.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agents.render import render
from crs.bundle import Bundle
from crs.content import Encoder, TextEncoder
from crs.evaluation.occasions import Occasion, held_out_items, occasions
from crs.narrator.gate import POINTER, position_of
from crs.narrator.narrate import Piece
from crs.narrator.quotes import NOUN, hide
from crs.storyteller import Storyteller
from crs.versions import default_data_dir
from knowledge.nouns import noun_of
from knowledge.types import Interaction, Item

PER_TASK = 6
OUT = Path("docs/samples.md")
HEAD = """# Samples

Written by `python -m benchmarks.samples`: {per_task} narratives of each task on shoppers of the test split,
drawn by seed {seed}, as the narrator told them; none was left out, chosen or edited. A product is shown as
its **noun** with the number of the purchase; [target] is the product that the task is about.
"""
UNLISTED = """The listings of this store are not ours to publish: its products are shown by noun and
id, and where the narrator quotes a listing stands the slot it said, such as [brand] or [feature1]; people see
the listing's words there."""


def main() -> None:
    """Tell and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.samples", description="Writes docs/samples.md."
    )
    parser.add_argument("--bundle", type=Path, help="the embedded one by default")
    parser.add_argument("--unlisted", type=Path, help="a second one, whose listings must not be published")
    parser.add_argument("--seed", type=int, default=36)
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    encoder, cache_dir = Encoder(), default_data_dir() / "cache"
    parts = [HEAD.format(per_task=PER_TASK, seed=asked.seed)]
    parts += samples(Bundle.open(asked.bundle), encoder, asked.seed, cache_dir)
    if asked.unlisted:
        parts += samples(Bundle.open(asked.unlisted), encoder, asked.seed, cache_dir, listed=False)
    asked.out.write_text("\n".join(parts), encoding="utf-8")


def samples(
    bundle: Bundle, encoder: TextEncoder, seed: int, cache_dir: Path, *, listed: bool = True
) -> list[str]:
    """The section of one bundle in Markdown: its heading, then each task and its narratives."""
    users, held_out = bundle.splits["test"], held_out_items(bundle)
    drawn = occasions(bundle, users, PER_TASK, seed=seed, only_items=held_out)
    parts = [f"## Store {bundle.name}\n", f"Bundle version {bundle.version}.\n"]
    if held_out is not None:
        parts.append("No item of these shoppers was in the narrator's training.\n")
    if not listed:
        parts.append(UNLISTED + "\n")
    storyteller = Storyteller.open(bundle, encoder, cache_dir)
    try:
        for task, told in drawn.items():
            parts.append(f"### {task}\n")
            parts += [_sample(bundle, storyteller, occasion, listed=listed) for occasion in told]
    finally:
        storyteller.close()
    return parts


def _sample(bundle: Bundle, storyteller: Storyteller, occasion: Occasion, *, listed: bool) -> str:
    history, target = occasion.history(bundle.store), occasion.target(bundle.store)
    stream = storyteller.tell(history, occasion.task, target, seed=occasion.seed)
    for _ in stream:
        pass
    text = stream.result.text
    items: Mapping[str, Item] = bundle.store.items
    if not listed:
        text = with_slots(text, target)
        items = {item.item_id: _unnamed(item) for item in items.values()}
        target = _unnamed(target) if target else None
    lines = [
        f"Shopper {occasion.user_id}, seed {occasion.seed}",
        "",
        f"> {readable(text, history, target, items)}",
        "",
    ]
    lines += [
        f"{k}. {_entry(items[bought.item_id], bought, listed)}" for k, bought in enumerate(history, start=1)
    ]
    if target is not None:
        lines += ["", f"[target]: {_entry(target, None, listed)}"]
    return "\n".join([*lines, ""])


def readable(
    text: str, history: Sequence[Interaction], target: Item | None, items: Mapping[str, Item]
) -> str:
    """``text`` in Markdown with every pointer behind its noun: "the [3] kettle" as "the **kettle** [3]"."""
    pieces = [
        Piece("", position_of(part)) if POINTER.fullmatch(part) else Piece(part)
        for part in POINTER.split(text)
    ]
    return "".join(
        segment.text if segment.k is None else _cited(segment.text, segment.k)
        for segment in render(pieces, history, target, items)
    )


def _cited(noun: str, k: int) -> str:
    bare = noun.strip()
    return noun.replace(bare, f"**{bare}** [{k or 'target'}]")  # with the spaces around it


def with_slots(text: str, target: Item | None) -> str:
    """``text`` with the slots in place of what it quotes from the target's listing; its noun stays."""
    if target is None:
        return text
    return re.sub(re.escape(NOUN), noun_of(target), hide(text, target))


def _unnamed(item: Item) -> Item:
    noun = noun_of(item)
    return replace(item, title=noun, kind=noun)


def _entry(item: Item, bought: Interaction | None, listed: bool) -> str:
    """One line of a list of purchases."""
    if not listed:
        return f"{noun_of(item)} ({item.item_id})"
    price = "" if item.price is None else f", ${item.price:.2f}"
    stars = "" if bought is None or bought.rating is None else f", {bought.rating:.0f} of 5 stars"
    facts = ", ".join(item.attributes.values())
    return f"{item.title}{f' ({facts})' if facts else ''}{price}{stars}"


if __name__ == "__main__":
    main()
