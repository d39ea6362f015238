"""The model card that lies beside the weights, written from what the training measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """# The embedded narrator

A Llama-shaped language model of {millions:.1f} million parameters (hidden {hidden}, {n_layers} layers, {n_heads} heads of 64,
{n_kv_heads} key-value heads, vocabulary {n_vocab}) and its adapter (an MLP from 512 to {hidden}), trained together from scratch by
`python -m crs train-narrator`. It reads a shopper's history as soft tokens, one a purchase, and tells one of six
narratives of it; products are named by pointer tokens only.

## Trained on
* {n_narratives:,} reference narratives of {n_users:,} shoppers of the demo store: fictional, written by this project's own
  generator from its own word lists (`python -m crs demo`). Shoppers for validation and testing were kept apart.
* Reading practice (name or describe a purchase){real}.

Nothing else: no pretrained weights, no text of real people. {positions:,} positions, float32, on two processor cores.

## Measured on held-out shoppers, by the training run itself
{table}

`loss` in nats a token; `swap_gap` is the loss with another shopper's soft tokens less that; `noun` is the share of nouns
after a pointer that are foreseen. `python -m crs evaluate reading` measures generated text.

## Meant for, and not
The demo store and stores like it. It knows the demo's world and its turns of phrase; on real products it reads content
only, and its sentences there are often wrong. It is no general language model and must not be used as a source of facts.

Licence: Apache-2.0.
"""


def model_card(training: Mapping[str, Any], *, n_parameters: int, n_narratives: int) -> str:
    """The card as Markdown; ``training`` is what ``training.json`` holds."""
    shape, held_out = training["shape"], training["held_out"]
    table = "\n".join(["| figure | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in held_out.items())])
    real = " on the demo store"
    if training["real"]:
        real += f" and on the item texts of {training['real']}, licence Apache-2.0; the weights hold no sentence of it"
    return _CARD.format(
        millions=n_parameters / 1e6,
        n_narratives=n_narratives,
        n_users=training["n_users"],
        positions=training["settings"]["n_positions"],
        table=table,
        real=real,
        **{name: shape[name] for name in ("hidden", "n_layers", "n_heads", "n_kv_heads", "n_vocab")},
    )
