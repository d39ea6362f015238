"""Is a reason that only co-purchases can tell the likeliest one?

In the demo store some purchases come from a hidden circle that no item text and no review speaks of. A model
that hears CF finds the reference with the true circle's name likelier than the same text with another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crs.evaluation.narratives.benchmark import Reference
from knowledge.demo.words import CircleWords, load_words

if TYPE_CHECKING:
    from crs.narrator.tokenizer import NarratorTokenizer
    from crs.training.examples import Example, Shelf
    from crs.training.student import Student

CAUSES = frozenset({"circle", "system"})
_BATCH = 16


def with_hidden_reason(references: Sequence[Reference]) -> list[Reference]:
    """Those on a target whose text names the circle that it was bought for."""
    return [
        reference
        for reference in references
        if reference.narrative.cause in CAUSES and reference.narrative.target_id and alternatives(reference)
    ]


def alternatives(reference: Reference) -> list[str]:
    """The text itself, then one text for each other circle; none where its circle cannot be put otherwise."""
    text = reference.narrative.text
    true = circle_in(text)
    if true is None:
        return []
    others = [_renamed(text, true, circle) for circle in load_words().circles if circle != true]
    return [] if any(true.word in other for other in others) else [text, *others]


def circle_in(text: str) -> CircleWords | None:
    """The only circle that ``text`` names."""
    named = [circle for circle in load_words().circles if circle.word in text]
    return named[0] if len(named) == 1 else None


def true_reason_first(
    student: Student,
    tokenizer: NarratorTokenizer,
    shelf: Shelf,
    examples: Sequence[Example],
    replies: Sequence[Sequence[list[int]]],
) -> list[bool]:
    """For each example whether the first of its ``replies`` (token ids) is the likeliest of them."""
    from dataclasses import replace

    import torch

    from crs.training.batches import collate

    student.eval()
    firsts = []
    for example, told in zip(examples, replies, strict=True):
        losses: list[float] = []
        for start in range(0, len(told), _BATCH):
            part = [
                replace(example, reply=np.asarray([*ids, tokenizer.eos_id], dtype=np.int32))
                for ids in told[start : start + _BATCH]
            ]
            batch = collate(
                [(shelf, each, "fused") for each in part], bos_id=tokenizer.bos_id, pad_id=tokenizer.pad_id
            )
            with torch.inference_mode():
                token_losses, _, _ = student.token_losses(batch)
            weights = token_losses.numpy()
            losses += np.bincount(batch.loss_owner, weights=weights, minlength=len(part)).tolist()
        firsts.append(losses[0] < min(losses[1:]))
    student.train()
    return firsts


def _renamed(text: str, true: CircleWords, other: CircleWords) -> str:
    """``text`` with what speaks of one circle put in the words of the other."""
    for ours, theirs in ((true.to, other.to), (true.list_name, other.list_name), (true.group, other.group)):
        text = text.replace(ours, theirs).replace(_capital(ours), _capital(theirs))
    return text


def _capital(phrase: str) -> str:
    return phrase[:1].upper() + phrase[1:]
