"""Does the narrator read its soft tokens? A falling loss does not show it; these figures do."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from crs.narrator.prompt import PromptTokenizer
from crs.training.batches import collate
from crs.training.examples import Example, Shelf
from crs.training.foreign_student import ForeignStudent
from crs.training.student import Student

BATCH = 16


def reading_report(
    student: Student | ForeignStudent,
    shelf: Shelf,
    examples: list[Example],
    tokenizer: PromptTokenizer,
    limit: int,
) -> dict[str, float]:
    """Held-out loss in nats a token, the swap gap, and how often the noun after a pointer is right.

    ``swap_gap``: the loss with another shopper's soft tokens less the loss with one's own; zero means that
    nothing is read. ``noun``: share of tokens right after a ``[k]`` that are predicted (greedy, given the
    reference so far). ``loss_<task>``, ``gap_<task>``: the same by task.
    """
    student.eval()
    # At random: narratives stand in the order of their tasks, and every n-th may be of the same.
    chosen = sorted(random.Random(0).sample(examples, min(limit, len(examples))), key=len)
    others = _donors(chosen)
    own: dict[str, list[float]] = defaultdict(list)
    swapped: dict[str, list[float]] = defaultdict(list)
    n_nouns = n_right = 0
    with torch.inference_mode():
        for start in range(0, len(chosen), BATCH):
            part, donors = chosen[start : start + BATCH], others[start : start + BATCH]
            batch = collate(
                [(shelf, e, "fused") for e in part], bos_id=int(tokenizer.head[-1]), pad_id=tokenizer.pad_id
            )
            losses, greedy, _ = student.token_losses(batch)
            for task, loss in zip(np.asarray(batch.tasks)[batch.loss_owner], losses.tolist(), strict=True):
                own[str(task)].append(loss)
            after = np.flatnonzero(np.isin(batch.loss_ids[:-1], list(tokenizer.pointer_ends))) + 1
            n_nouns += len(after)
            n_right += int((greedy.numpy()[after] == batch.loss_ids[after]).sum())
            rows = [_lent(shelf, e, donor) for e, donor in zip(part, donors, strict=True)]
            losses, _, _ = student.token_losses(replace(batch, rows=np.concatenate(rows)))
            for task, loss in zip(np.asarray(batch.tasks)[batch.loss_owner], losses.tolist(), strict=True):
                swapped[str(task)].append(loss)
    student.train()
    all_own = [loss for losses in own.values() for loss in losses]
    all_swapped = [loss for losses in swapped.values() for loss in losses]
    report = {
        "loss": float(np.mean(all_own)),
        "swap_gap": float(np.mean(all_swapped) - np.mean(all_own)),
        "noun": n_right / max(1, n_nouns),
        "n": float(len(chosen)),
    }
    for task in sorted(own):
        report[f"loss_{task}"] = float(np.mean(own[task]))
        report[f"gap_{task}"] = float(np.mean(swapped[task]) - np.mean(own[task]))
    return {name: round(value, 4) for name, value in report.items()}


def _donors(examples: list[Example]) -> list[Example]:
    """For each example one of another user with as many purchases or a few more, or the most there are."""
    by_size = sorted(examples, key=lambda e: e.n_history)
    donors = []
    for i, example in enumerate(examples):
        strangers = [e for e in by_size if e.user_id != example.user_id] or [example]
        fitting = [e for e in strangers if e.n_history >= example.n_history] or strangers[-1:]
        donors.append(fitting[i % min(len(fitting), 25)])
    return donors


def _lent(shelf: Shelf, example: Example, donor: Example) -> NDArray[np.float32]:
    """The example's rows with the purchases of ``donor`` in place of its own; the target's row stays."""
    rows = shelf.rows(example)
    n_lent = min(example.n_history, donor.n_history)
    rows[:n_lent] = shelf.rows(donor)[:n_lent]
    return rows
