"""Examples of about one length, side by side, as the tensors that a training step takes."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crs.fusion import mute
from crs.training.examples import Example, Shelf
from knowledge.types import Signals

POOL = 48  # batches drawn together and sorted by length, so that little is padding


@dataclass(frozen=True)
class Batch:
    """B examples, padded to T positions: ``[bos][soft rows][prompt][reply]``."""

    ids: NDArray[np.int64]  # (B, T), pad where a soft row goes
    rows: NDArray[np.float32]  # (n_rows, 512) of all examples, one after another
    row_positions: NDArray[np.int64]  # (n_rows,) 1..50, 0 for a target
    row_places: NDArray[np.int64]  # (n_rows,) flat index into (B * T)
    loss_places: NDArray[np.int64]  # (n_loss,) flat index of the position that predicts
    loss_ids: NDArray[np.int64]  # (n_loss,) what it should predict
    loss_owner: NDArray[np.int64]  # (n_loss,) which example
    words: list[NDArray[np.int64]]  # per row, the tokens it should tell of
    tasks: list[str]


def collate(examples: Sequence[tuple[Shelf, Example, Signals]], *, bos_id: int, pad_id: int) -> Batch:
    """Lay ``examples`` out; each is muted to the signals given with it."""
    length = max(len(example) for _, example, _ in examples)
    ids = np.full((len(examples), length), pad_id, dtype=np.int64)
    rows, positions, places, words = [], [], [], []
    loss_places, loss_ids, loss_owner = [], [], []
    for b, (shelf, example, signals) in enumerate(examples):
        n_soft, n_prompt, n_reply = example.n_soft, len(example.prompt), len(example.reply)
        first = 1 + n_soft
        ids[b, 0] = bos_id
        ids[b, first : first + n_prompt] = example.prompt
        ids[b, first + n_prompt : first + n_prompt + n_reply] = example.reply
        rows.append(mute(shelf.rows(example), signals))
        positions += [*range(1, example.n_history + 1), *([0] if example.target_row >= 0 else [])]
        places.append(b * length + np.arange(1, first))
        loss_places.append(b * length + first + n_prompt - 1 + np.arange(n_reply))
        loss_ids.append(example.reply)
        loss_owner.append(np.full(n_reply, b))
        words += shelf.row_words(example)
    return Batch(
        ids,
        np.concatenate(rows),
        np.asarray(positions, dtype=np.int64),
        np.concatenate(places),
        np.concatenate(loss_places),
        np.concatenate(loss_ids).astype(np.int64),
        np.concatenate(loss_owner),
        words,
        [example.task for _, example, _ in examples],
    )


def by_length(
    source: Iterator[tuple[Shelf, Example, Signals]], n_positions: int, rng: random.Random
) -> Iterator[list[tuple[Shelf, Example, Signals]]]:
    """Groups of at most ``n_positions`` padded positions, of like lengths, in random order; endless."""
    while True:
        pool = []
        size = 0
        while size < POOL * n_positions:
            pool.append(next(source))
            size += len(pool[-1][1])
        pool.sort(key=lambda entry: len(entry[1]))
        groups: list[list[tuple[Shelf, Example, Signals]]] = [[]]
        for entry in pool:
            if (len(groups[-1]) + 1) * len(entry[1]) > n_positions and groups[-1]:
                groups.append([])
            groups[-1].append(entry)
        rng.shuffle(groups)
        yield from groups
