"""What texts are measured through: LLM-Rec's own tower, or the ranker that shoppers are served by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

import numpy as np

from crs.cf import fit_wals
from crs.content import TextEncoder
from crs.fusion import fuse, mean_norm
from crs.llmrec.inputs import Parts, content_rows, joined_texts, one_width
from crs.llmrec.metrics import best_allowed, ranking_metrics, top_items
from crs.llmrec.splits import RANKINGS, Split
from crs.llmrec.tower import TowerPlan, train_tower
from crs.ranking.baselines import watched
from crs.ranking.blend import CHUNK, candidates_of, fit_blend
from crs.ranking.data import Queries, Rows, owned_matrix
from crs.ranking.sequential import SequentialConfig, train_scorer
from crs.ranking.signals import Signal, fit_signals, text_signals, text_words
from knowledge.types import Item

Outcome = dict[str, Any]  # epochs, NDCG@10 on the validation part, metrics on the test part by ranking


class Through(Protocol):
    """A recommender that is trained and tested on an input of a split; ``notes`` go into its record."""

    @property
    def name(self) -> str: ...

    @property
    def notes(self) -> Mapping[str, str]: ...

    @property
    def plan(self) -> TowerPlan | RankerPlan: ...

    def outcome(self, split: Split, name: str, parts: Parts, encoder: TextEncoder) -> Outcome: ...


@dataclass(frozen=True)
class ThroughTower:
    """LLM-Rec's recommender (tower.py)."""

    plan: TowerPlan

    name = "tower"
    notes: ClassVar = {
        "negatives": "every unseen item, weighted",
        "of the paper": "towers, loss, optimizer, metrics, number of splits; the rest is chosen here",
    }

    @classmethod
    def of(cls, epochs: int | None) -> ThroughTower:
        """With the standing plan, but for so many epochs."""
        return cls(TowerPlan() if epochs is None else TowerPlan(n_epochs=epochs))

    def outcome(self, split: Split, name: str, parts: Parts, encoder: TextEncoder) -> Outcome:
        """The figures of input ``name``; what was trained or validated on is not recommended."""
        rows = content_rows(name, parts, encoder)
        tower = train_tower(rows, split.train, split.valid, self.plan, seed=split.number)
        known = split.train + split.valid
        vectors = tower.user_vectors, tower.item_vectors
        tops = (
            top_items(*vectors, hidden=known),
            top_items(*vectors, hidden=known, candidates=split.candidates),
        )
        return {"epochs": tower.epochs, "valid": tower.valid_ndcg, **_measured(tops, split)}


@dataclass(frozen=True, slots=True)
class RankerPlan:
    """How the ranker is fitted. All inputs have rows of one width (`one_width`)."""

    transformer: SequentialConfig = SequentialConfig(max_epochs=2)
    n_asked: int = 1000  # validation pairs, a user each, that the blend is learned on


class ThroughRanker:
    """The ranker of `crs.ranking`: signals of training pairs and of texts, blended on validation pairs.

    Only what reads the texts is fitted anew for another input: four signals, the transformer and the blend.
    """

    name = "ranker"
    notes: ClassVar = {
        "fitted": "signals on training pairs, their blend on validation pairs, one a user",
        "rows": "every input brought to 384 columns, its words beside them",
    }

    def __init__(self, plan: RankerPlan) -> None:
        self.plan = plan
        self._fitted: tuple[Split, list[Rows], list[Signal], np.ndarray] | None = None

    @classmethod
    def of(cls, epochs: int | None) -> ThroughRanker:
        """With the standing plan, but for at most so many epochs of the transformer."""
        plan = RankerPlan()
        return cls(
            plan
            if epochs is None
            else replace(plan, transformer=replace(plan.transformer, max_epochs=epochs))
        )

    def outcome(self, split: Split, name: str, parts: Parts, encoder: TextEncoder) -> Outcome:
        """The figures of input ``name``; what was trained or validated on is not recommended."""
        content = one_width(content_rows(name, parts, encoder))
        texts = joined_texts(name, parts)
        histories, behaviour, factors = self._behaviour(split, texts, content)
        asked = watched(_asked(split, histories), self.plan.n_asked)
        rows = fuse(factors, content, mean_norm(factors))
        transformer = train_scorer(histories, rows, self.plan.transformer, watched=asked, ordered=False)
        signals = [
            *behaviour,
            *text_signals(content, text_words(texts), 1.0, 1.0),
            Signal("sequence", "sequence", transformer),
        ]
        blend = fit_blend(signals, candidates_of(signals, asked))
        valid, *tested = _tops(
            split, lambda users: blend.scores(signals, [histories[user] for user in users])
        )
        return {
            "epochs": transformer.epochs,
            "valid": ranking_metrics(valid, split.valid)["ndcg@10"],
            **_measured(tested, split),
        }

    def _behaviour(
        self, split: Split, texts: Sequence[str], content: np.ndarray
    ) -> tuple[list[Rows], list[Signal], np.ndarray]:
        """Training items by user, the signals that read no text, and WALS factors (n_items, 128)."""
        if self._fitted is None or self._fitted[0] is not split:
            # Some signals look at fifty items of a history: of a set without order, a fair sample.
            random = np.random.default_rng(split.number)
            rows = np.split(split.train.indices.astype(np.int64), split.train.indptr[1:-1])
            histories = [random.permutation(own) for own in rows]
            items = [Item(str(row), text) for row, text in enumerate(texts)]
            factors = fit_wals(owned_matrix(histories, len(items)))
            fitted = fit_signals(histories, items, content, ordered=False, factors=factors)
            behaviour = [signal for signal in fitted if signal.family != "content"]
            self._fitted = split, histories, behaviour, factors
        return self._fitted[1:]


def _asked(split: Split, histories: Sequence[Rows]) -> Queries:
    """One validation pair of every user who has some, drawn at random."""
    random = np.random.default_rng(split.number)
    users = np.flatnonzero(np.diff(split.valid.indptr))
    targets = [random.choice(split.valid[user].indices) for user in users]
    return Queries(users, [histories[int(user)] for user in users], np.array(targets, dtype=np.int64))


def _tops(split: Split, scores: Callable[[range], np.ndarray]) -> list[np.ndarray]:
    """Ten items of every user (n_users, 10): of all that training lacks, then those of both `RANKINGS`."""
    known = (split.train + split.valid).tocsr()
    found: list[list[np.ndarray]] = [[], [], []]
    n_users = split.train.shape[0]
    for start in range(0, n_users, CHUNK):
        users = range(start, min(start + CHUNK, n_users))
        own, of = scores(users), slice(users.start, users.stop)
        for tops, hidden, candidates in zip(
            found, (split.train, known, known), (None, None, split.candidates), strict=True
        ):
            among = None if candidates is None else candidates[of]
            tops.append(best_allowed(own, hidden[of], among))
    return [np.concatenate(tops) for tops in found]


def _measured(tops: Sequence[np.ndarray], split: Split) -> dict[str, dict[str, float]]:
    return {ranking: ranking_metrics(top, split.test) for ranking, top in zip(RANKINGS, tops, strict=True)}
