"""Training texts of the nearest cases: the baseline without a language model, and help in choosing a text."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crs.evaluation.narratives.benchmark import Benchmark, Reference
from crs.evaluation.narratives.consensus import agreement, consensus
from crs.evaluation.narratives.rows import Content, summaries
from knowledge.types import Signals

CF_WEIGHTS = (0.0, 0.3, 0.6, 1.0)  # of CF beside content
N_FITTED_ON = 100  # texts


@dataclass(frozen=True)
class Cases:
    """What a case may be told by: content rows, and the factors (n_items, 128) of a fold."""

    benchmark: Benchmark
    content: Content
    factors: NDArray[np.float32]
    cf_weight: float = 0.6  # beside content; see `fitted`

    def fitted(self, known: Sequence[Reference], k: int) -> Cases:
        """The same with the weight of CF by which people of ``known`` are told best by others of ``known``.

        Told by the consensus of their ``k`` nearest, best by n-grams; of equally good weights the smallest.
        """
        people = sorted({reference.user_id for reference in known})
        tried = frozenset(random.Random(0).sample(people, max(1, len(people) // 5)))
        asked = [reference for reference in known if reference.user_id in tried][:N_FITTED_ON]
        others = [reference for reference in known if reference.user_id not in tried]

        def worth(cases: Cases) -> float:
            near = cases.nearest_texts(asked, others, "fused", k)
            pairs = zip(near, asked, strict=True)
            return sum(agreement(consensus(texts), own.narrative.text) for texts, own in pairs)

        return max((replace(self, cf_weight=weight) for weight in CF_WEIGHTS), key=worth)

    def nearest_texts(
        self, asked: Sequence[Reference], known: Sequence[Reference], signals: Signals, k: int
    ) -> list[list[str]]:
        """For each of ``asked`` the texts of the ``k`` references among ``known`` nearest by ``signals``.

        Only those of its task, nearest first; fewer where no more are known. Nearness: the cosine of the
        targets' rows plus that of the histories' mean rows.
        """
        texts: list[list[str]] = [[] for _ in asked]
        for task in dict.fromkeys(reference.task for reference in asked):
            rows = [i for i, reference in enumerate(asked) if reference.task == task]
            candidates = [reference for reference in known if reference.task == task]
            if not candidates or not k:
                continue
            ours = self._keys([asked[i] for i in rows], signals)
            nearness = ours @ self._keys(candidates, signals).T  # (n_rows, n_candidates)
            for row, order in zip(rows, np.argsort(-nearness, axis=1, kind="stable"), strict=True):
                texts[row] = [candidates[i].narrative.text for i in order[:k]]
        return texts

    def _keys(self, references: Sequence[Reference], signals: Signals) -> NDArray[np.float32]:
        """(n, d): of each signal the unit row of the target (zero without one) and of the history."""
        parts = []
        if signals != "cf":
            purchases = self.content.purchases
            histories = [purchases[r.user_id][: r.narrative.n_history].astype(np.float32) for r in references]
            parts += [self._targets(references, self.content.items), summaries(histories)]
        if signals != "content":
            weight = self.cf_weight if signals == "fused" else 1.0
            histories = [self.factors[self._bought(reference)] for reference in references]
            parts += [weight * self._targets(references, self.factors), weight * summaries(histories)]
        return np.concatenate(parts, axis=1)

    def _targets(self, references: Sequence[Reference], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        index = self.benchmark.store.item_index
        targets = [r.narrative.target_id for r in references]
        return summaries([rows[[index[target]] if target else []] for target in targets])

    def _bought(self, reference: Reference) -> list[int]:
        history = self.content.histories[reference.user_id][: reference.narrative.n_history]
        return [self.benchmark.store.item_index[purchase.item_id] for purchase in history]
