"""The model card that lies beside the weights, written from what the training measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """# The embedded narrator

A Llama-shaped language model and its adapter ({millions:.1f} million parameters together; hidden {hidden},
{n_layers} layers, {n_heads} heads of 64, {n_kv_heads} key-value heads, vocabulary {n_vocab}; the adapter
is an MLP), trained from scratch by `python -m crs train-narrator`. It reads a shopper's history as soft
tokens, one a purchase, and tells one of six narratives of it; products are named by pointer tokens only, and
what the target's listing says, what was counted and what was loved or bought last is said by slot and mark
tokens that the app fills in.

## Trained on
* {n_narratives:,} reference narratives of {n_users:,} shoppers of the demo store: fictional, written by this
  project's own generator from its own word lists (`python -m crs demo`). Shoppers for validation and testing
  were kept apart.
* Reading practice (name or describe a purchase){real}.{retold}

Nothing else: no pretrained weights, no review or narrative of a real person. {positions:,} positions in all.

A title (`user_profile`) is made of the words of the titles it was trained on and no others
(`title_words.txt`).

## Measured on held-out shoppers, by the training run itself
{table}

`loss` in nats a token; `swap_gap` is the loss with another shopper's soft tokens less that; `noun` is the
share of nouns after a pointer that are foreseen. `python -m crs evaluate reading` measures generated text.

## Meant for, and not
The demo store and stores like it. It knows the demo's world and its turns of phrase; on real products it
reads content only. What it says of needs, persons and uses there is a guess by likeness. It is no general
language model and must not be used as a source of facts.

Licence: Apache-2.0.
"""

_SHAPE = ("hidden", "n_layers", "n_heads", "n_kv_heads", "n_vocab")


def model_card(training: Mapping[str, Any]) -> str:
    """The card as Markdown; ``training`` is what ``training.json`` holds."""
    rows = (f"| {name} | {value} |" for name, value in training["held_out"].items())
    table = "\n".join(["| figure | value |", "|---|---|", *rows])
    real = " on the demo store"
    if training["real"]:
        real += f", and on titles and listings of {training['real']}"
    retold = ""
    if training.get("n_retold"):
        retold = (
            f"\n* {training['n_retold']:,} narratives over those products, written by the same generator "
            "around their nouns,\n  brands and listings. The items listed as `held_out_items` in "
            f"`training.json` ({len(training['held_out_items'])}),\n"
            "  all that some shoppers bought, were kept out of everything."
        )
    return _CARD.format(
        retold=retold,
        millions=training["n_parameters"] / 1e6,
        positions=training["n_positions"],
        table=table,
        real=real,
        **{name: training[name] for name in ("n_users", "n_narratives")},
        **{
            name: training["shape"][name]
            for name in ("hidden", "n_layers", "n_heads", "n_kv_heads", "n_vocab")
        },
    )
