"""The baseline without a language model: the training text of the nearest case, word for word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crs.evaluation.narratives.benchmark import Benchmark, Reference
from crs.evaluation.narratives.rows import Content, summaries


def nearest_texts(
    benchmark: Benchmark, content: Content, asked: Sequence[Reference], known: Sequence[Reference]
) -> list[str]:
    """For each of ``asked`` the text of the ``known`` reference of its task that is nearest by content.

    Nearness: the cosine of the targets' content plus that of the histories' mean content. Empty where no
    reference of the task is known.
    """
    texts = [""] * len(asked)
    if not asked or not known:
        return texts
    keys_asked, keys_known = (_keys(benchmark, content, references) for references in (asked, known))
    for task in dict.fromkeys(reference.task for reference in asked):
        rows = [i for i, reference in enumerate(asked) if reference.task == task]
        candidates = [i for i, reference in enumerate(known) if reference.task == task]
        if candidates:
            nearness = keys_asked[rows] @ keys_known[candidates].T
            for row, best in zip(rows, nearness.argmax(axis=1), strict=True):
                texts[row] = known[candidates[best]].narrative.text
    return texts


def _keys(benchmark: Benchmark, content: Content, references: Sequence[Reference]) -> NDArray[np.float32]:
    """(n, 768): unit content of the target (zero without one), then of the history."""
    index = benchmark.store.item_index
    targets = [r.narrative.target_id for r in references]
    of_target = np.stack([content.items[index[t]] if t else np.zeros_like(content.items[0]) for t in targets])
    histories = [content.purchases[r.user_id][: r.narrative.n_history].astype(np.float32) for r in references]
    return np.concatenate([of_target, summaries(histories)], axis=1)
