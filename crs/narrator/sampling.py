"""Choosing the next token from a row of logits: the same arithmetic for every language model."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from knowledge.errors import ModelError

PENALTY_WINDOW = 64  # generated tokens that the repetition penalty looks back on
_LIGHT = 1e-3  # of the heaviest: a nucleus seldom needs lighter ones, and sorting few makes a pick cheap


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. ``temperature`` 0 is greedy; the same seed gives the same tokens.

    ``repeat_penalty`` 1 is off; ids in ``penalty_exempt`` (pointers, say) may be repeated freely.
    Raises ModelError when a value is out of range.
    """

    temperature: float = 0.8
    top_p: float = 0.95
    repeat_penalty: float = 1.1
    seed: int = 0
    max_tokens: int = 256
    penalty_exempt: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        in_range = {
            "temperature": (self.temperature >= 0, "0 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "repeat_penalty": (self.repeat_penalty > 0, "above 0"),
            "seed": (self.seed >= 0, "0 or more"),
            "max_tokens": (self.max_tokens >= 1, "1 or more"),
        }
        for name, (fits, rule) in in_range.items():
            if not fits:
                raise ModelError(f"sampling: {name} is {getattr(self, name)}, it must be {rule}")


@dataclass(frozen=True, slots=True)
class Constraints:
    """What may not be drawn, whatever its score.

    ``banned`` ids never come. Right after a key of ``after`` only its ids come, after a key of ``phrases``
    one of its sequences of ids, which may be empty, and none of ``joins`` after that: they would make its
    last word another.
    Those of ``once`` come at most once before an id of ``stops``. After a key of ``bars`` its ids come no
    more. Those of ``in_turn`` come again only when each of them has come; ``come``: those that have.
    Right after a key of ``in_time`` comes only what stands in ``order`` before (-1), or behind (1), all of it
    that has come since the last id of ``stops``. After a key of ``within`` and up to an id of ``stops`` come
    only its ids of ``order``, as long as there is one that did not. Nothing begins, here or after an id of
    ``stops`` with any of ``openings``, and a text only with one of ``begins``, where there are some.
    """

    banned: frozenset[int] = frozenset()
    after: Mapping[int, frozenset[int]] = field(default_factory=dict)
    phrases: Mapping[int, frozenset[tuple[int, ...]]] = field(default_factory=dict)
    joins: frozenset[int] = frozenset()
    once: frozenset[int] = frozenset()
    stops: frozenset[int] = frozenset()
    bars: Mapping[int, frozenset[int]] = field(default_factory=dict)
    in_turn: frozenset[int] = frozenset()
    come: frozenset[int] = frozenset()
    order: tuple[int, ...] = ()
    in_time: Mapping[int, int] = field(default_factory=dict)
    within: Mapping[int, frozenset[int]] = field(default_factory=dict)
    openings: frozenset[tuple[int, int]] = frozenset()
    begins: frozenset[int] = frozenset()

    def going_on(self, said: Collection[int]) -> Constraints:
        """The constraints of a text that goes on from a sentence's end, after ``said``."""
        return replace(
            self,
            banned=self.banned.union(*(self.bars.get(token, frozenset()) for token in said)),
            come=self.come | self.in_turn.intersection(said),
            begins=frozenset() if said else self.begins,
        )


class Steering:
    """Constraints on their way through one text, token by token."""

    def __init__(self, constraints: Constraints) -> None:
        self._constraints = constraints
        self._said: set[int] = set()  # of `once`, since the last stop
        self._spent: set[int] = set()  # by `bars`
        self._come: set[int] = set(constraints.come)  # of `in_turn`
        self._last: int | None = None
        self._place = {token: place for place, token in enumerate(constraints.order)}
        self._places: list[int] = []  # in `order`, since the last stop
        self._within: frozenset[int] = frozenset()  # what may come of `order` up to the next stop
        self._first: int | None = None  # the only one since the last stop
        self._n_since_stop = 0
        self._phrases: frozenset[tuple[int, ...]] = frozenset()  # what is left of those that may be meant
        self._is_phrased = False  # one of them has just been said

    def take(self, token: int) -> None:
        """Note that ``token`` was drawn."""
        self._last = token
        going_on = frozenset(phrase[1:] for phrase in self._phrases if phrase[0] == token)
        going_on = going_on or self._constraints.phrases.get(token, frozenset())
        self._is_phrased = () in going_on
        self._phrases = going_on - {()}
        self._spent |= self._constraints.bars.get(token, frozenset())
        if token in self._constraints.in_turn:
            self._come.add(token)
        if token in self._place:
            self._places.append(self._place[token])
        self._within = self._constraints.within.get(token, self._within)
        self._n_since_stop += 1
        self._first = token if self._n_since_stop == 1 else None
        if token in self._constraints.stops:
            self._said.clear()
            self._places.clear()
            self._within = frozenset()
            self._first, self._n_since_stop = None, 0
        elif token in self._constraints.once:
            self._said.add(token)

    @property
    def only(self) -> frozenset[int] | None:
        """The ids that may come next, where only some may."""
        if self._phrases and not self._is_phrased:
            return frozenset(phrase[0] for phrase in self._phrases)
        if self._last is None:
            return self._constraints.begins or None
        if (side := self._constraints.in_time.get(self._last)) is not None:
            return self._on_side(side)
        allowed = self._constraints.after.get(self._last, frozenset())
        allowed = allowed - self._spent or allowed
        return (allowed - self._held_back or allowed - self._said or allowed) if allowed else None

    @property
    def barred(self) -> set[int]:
        """Ids that may not come next, besides those that are banned for good."""
        held_back = self._held_back
        in_time = self._constraints.in_time.items()
        spent = self._spent | {mark for mark, side in in_time if not self._on_side(side)}
        spent |= {second for first, second in self._constraints.openings if first == self._first}
        if self._is_phrased:  # but where it is the beginning of a longer one: "mug", "mugs"
            spent = spent | self._constraints.joins - {phrase[0] for phrase in self._phrases}
        if not held_back:
            return spent
        marks = {key for key, allowed in self._constraints.after.items() if allowed <= held_back}
        return spent | held_back | marks

    def _on_side(self, side: int) -> frozenset[int]:
        """What stands in the order before (-1), or behind (1), all that has come of it."""
        if not self._places:
            return frozenset()
        order = self._constraints.order
        on_side = order[: min(self._places)] if side < 0 else order[max(self._places) + 1 :]
        return frozenset(on_side) - self._constraints.banned

    @property
    def _held_back(self) -> set[int]:
        """Ids that were said already and wait for a stop, or for the others' turn, or do not belong here."""
        held_back = self._said | self._come if self._constraints.in_turn - self._come else self._said
        left = self._within - self._said
        return (held_back | self._place.keys()) - left if left else held_back


class Sampler:
    """Draws the tokens of one request: holds its random generator and its repetition window."""

    def __init__(self, sampling: Sampling, constraints: Constraints | None = None) -> None:
        constraints = constraints or Constraints()
        self._sampling = sampling
        self._banned = np.fromiter(constraints.banned, dtype=np.intp)
        self._steering = Steering(constraints)
        self._recent: deque[int] = deque(maxlen=PENALTY_WINDOW)
        self._random = np.random.default_rng(sampling.seed)

    def pick(self, logits: np.ndarray) -> int:
        """The next token id from ``logits``, float32 (n_vocab,), left as they are.

        Raises ModelError when a logit is not a number or when every token is banned.
        """
        scores = logits.astype(np.float64)
        if not np.isfinite(scores).all():
            raise ModelError("the model's logits are not finite; its weights or the soft rows are far off")
        self._penalise_repeats(scores)
        self._constrain(scores)
        token = int(scores.argmax())
        if scores[token] == -np.inf:
            raise ModelError("every token is banned; allow at least one")
        if self._sampling.temperature > 0:
            token = self._draw(scores / self._sampling.temperature)
        if token not in self._sampling.penalty_exempt:
            self._recent.append(token)
        self._steering.take(token)
        return token

    def _constrain(self, scores: np.ndarray) -> None:
        if (only := self._steering.only) is not None:
            allowed = np.fromiter(only, dtype=np.intp)
            kept = scores[allowed]
            scores[:] = -np.inf
            scores[allowed] = kept
        elif barred := self._steering.barred:
            scores[np.fromiter(barred, dtype=np.intp)] = -np.inf
        scores[self._banned] = -np.inf

    def _penalise_repeats(self, scores: np.ndarray) -> None:
        """Scale recent tokens down in place (CTRL, Keskar et al. 2019, section 4.1, sign-aware)."""
        if self._sampling.repeat_penalty == 1 or not self._recent:
            return
        recent = np.fromiter(set(self._recent), dtype=np.intp)
        penalty = self._sampling.repeat_penalty
        scores[recent] = np.where(scores[recent] > 0, scores[recent] / penalty, scores[recent] * penalty)

    def _draw(self, scores: np.ndarray) -> int:
        """One draw from the nucleus: the fewest likeliest tokens that hold ``top_p`` of the mass."""
        weights = np.exp(scores - scores.max())
        wanted = self._sampling.top_p * weights.sum()
        candidates = _likeliest(weights, wanted)
        cumulative = weights[candidates].cumsum()
        nucleus = min(int(np.searchsorted(cumulative, wanted)) + 1, len(candidates))
        point = self._random.random() * cumulative[nucleus - 1]
        drawn = min(int(np.searchsorted(cumulative[:nucleus], point, "right")), nucleus - 1)
        return int(candidates[drawn])


def _likeliest(weights: np.ndarray, wanted: float) -> np.ndarray:
    """Ids of non-zero weight, heaviest first, enough to hold ``wanted``; sorts no more than it must.

    The heaviest weighs 1, as in a softmax whose maximum was taken out.
    """
    top = np.flatnonzero(weights > _LIGHT)
    if weights[top].sum() < wanted:
        top = np.flatnonzero(weights)  # a banned token weighs nothing
    return top[np.lexsort((top, -weights[top]))]
