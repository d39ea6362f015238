"""Preferences into a narrator: which of two texts people liked better, and which they liked or did not.

Pairs are learned by DPO (Rafailov et al. 2023, arXiv 2305.18290), single thumbs by KTO (Ethayarajh et al.
2024, arXiv 2402.01306). Both compare the narrator with the version that it starts from; a leash keeps it near
that version on narratives that nobody rated.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.nn import functional

from crs.training.loop import Run
from crs.tuning import Lesson, TunableNarrator

SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


@dataclass(frozen=True)
class TuningSettings:
    """``beta``: how dear it is to part from the version in use; ``leash``: weight of the KL to it.

    ``slack``: how much more, as a share, references that were not rehearsed may cost in the end
    (`step_back`).
    """

    beta: float = 0.1
    leash: float = 20.0
    learning_rate: float = 5e-4
    batch: int = 8  # preferences a step
    n_rehearsed: int = 4  # narratives a step that the leash is measured on
    epochs: float = 5.0
    max_steps: int = 150
    slack: float = 0.012
    seed: int = 0
    checkpoint_every: int = 10  # steps

    def n_steps(self, n_preferences: int) -> int:
        """So many steps see each preference ``epochs`` times, but no more than ``max_steps``."""
        return min(self.max_steps, max(1, round(self.epochs * n_preferences / self.batch)))


@dataclass(frozen=True)
class Judged:
    """A preference to learn: a pair when both texts are there, else one that was liked or was not."""

    liked: Lesson | None
    disliked: Lesson | None


def dpo_losses(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """-log sigmoid(beta * (chosen - rejected)) of pairs, (n,): DPO, equation 7.

    ``chosen`` and ``rejected``, (n,): log-probability by the narrator less that by the version in use.
    """
    return -functional.logsigmoid(beta * (chosen - rejected))


def kto_losses(
    ratios: torch.Tensor, is_liked: torch.Tensor, apart: torch.Tensor, beta: float, weights: torch.Tensor
) -> torch.Tensor:
    """weight * (1 - sigmoid(+-beta * (ratio - apart))) of single texts, (n,): KTO, equation 8.

    ``ratios`` as in `dpo_losses`; ``is_liked`` bool (n,); ``apart`` (): the estimated KL of the narrator from
    the version in use, no gradient; ``weights`` (n,): lambda_D of a liked text, lambda_U of another.
    """
    sign = torch.where(is_liked, 1.0, -1.0)
    return weights * (1 - torch.sigmoid(sign * beta * (ratios - apart)))


def kl_to(reference: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Mean over positions of KL(reference || narrator) in nats, (); both logits (n, n_vocab)."""
    log_probs = functional.log_softmax(logits, dim=-1)
    return functional.kl_div(
        log_probs, functional.log_softmax(reference, dim=-1), reduction="batchmean", log_target=True
    )


def tune(
    narrator: TunableNarrator,
    in_use: TunableNarrator,
    preferences: Sequence[Judged],
    rehearsal: Sequence[Lesson],
    settings: TuningSettings,
    work_dir: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Teach ``narrator``, which starts out as ``in_use``, the preferences; ``rehearsal`` is for the leash.

    A run that was stopped goes on from its last checkpoint in ``work_dir``.
    """
    torch.manual_seed(settings.seed)
    work_dir.mkdir(parents=True, exist_ok=True)
    parameters = [p.requires_grad_() for p in narrator.parts.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0)
    run = Run(work_dir, say=lambda _: None)
    run.resume(narrator.parts, [optimizer])
    likings = _Likings(preferences, in_use)
    n_steps = settings.n_steps(len(preferences))
    while run.positions < n_steps:
        step = run.positions
        loss = likings.loss(narrator, _batch(len(preferences), step, settings), settings)
        loss.backward()  # type: ignore[no-untyped-call]
        if rehearsal:
            rehearsed = random.Random(f"{settings.seed}:{step}").choices(rehearsal, k=settings.n_rehearsed)
            leash = _leash(narrator, in_use, rehearsed)
            (settings.leash * leash).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * min(1.0, (step + 1) / 10) * (1 - step / n_steps)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.positions += 1
        if run.positions % settings.checkpoint_every == 0:
            run.save(narrator.parts, [optimizer])
        if progress:
            progress(run.positions, n_steps)
    narrator.parts.requires_grad_(False)


def step_back(
    narrator: TunableNarrator, in_use: TunableNarrator, lessons: Sequence[Lesson], slack: float
) -> float:
    """Take ``narrator`` back towards ``in_use`` until ``lessons`` cost at most ``slack`` (a share) more.

    Returns how much of the way is left, one of `SHARES`; the last is kept whatever it costs. Weights between
    two narrators (Wortsman et al. 2022, arXiv 2109.01903): on a short way rewards shrink with the share, so
    their order stays, and what the way costs shrinks with its square.
    """
    limit = in_use.loss(lessons) * (1 + slack)
    start, end = ({k: v.clone() for k, v in each.parts.state_dict().items()} for each in (in_use, narrator))
    share = 1.0
    for share in SHARES:
        narrator.parts.load_state_dict({name: start[name].lerp(end[name], share) for name in start})
        if narrator.loss(lessons) <= limit:
            break
    return share


class _Likings:
    """Preferences with what the version in use makes of their texts."""

    def __init__(self, preferences: Sequence[Judged], in_use: TunableNarrator) -> None:
        self._in_use = in_use
        self._preferences = preferences
        sides = [(i, side) for i, each in enumerate(preferences) for side in (each.liked, each.disliked)]
        told = [(i, lesson) for i, lesson in sides if lesson is not None]
        known = in_use.log_probs([lesson for _, lesson in told])
        self._known: dict[int, list[float]] = {}
        for (i, _), log_prob in zip(told, known.tolist(), strict=True):
            self._known.setdefault(i, []).append(log_prob)
        n_liked = sum(each.disliked is None for each in preferences)
        n_disliked = sum(each.liked is None for each in preferences)
        # KTO, section 4.2: lambda_D * n_D and lambda_U * n_U should be about the same.
        self._weight_liked = min(1.0, n_disliked / n_liked) if n_liked and n_disliked else 1.0
        self._weight_disliked = min(1.0, n_liked / n_disliked) if n_liked and n_disliked else 1.0

    def loss(
        self, narrator: TunableNarrator, chosen: Sequence[int], settings: TuningSettings
    ) -> torch.Tensor:
        """Mean loss, a scalar, of the preferences with the places ``chosen``."""
        batch = [(i, self._preferences[i]) for i in chosen]
        pairs = [(i, each) for i, each in batch if each.liked and each.disliked]
        singles = [(i, each) for i, each in batch if not (each.liked and each.disliked)]
        losses = []
        if pairs:
            texts = [side for _, each in pairs for side in (each.liked, each.disliked) if side]
            ratios = self._ratios(narrator, texts, [i for i, _ in pairs])
            losses.append(dpo_losses(ratios[0::2], ratios[1::2], settings.beta))
        if singles:
            texts = [side for _, each in singles if (side := each.liked or each.disliked)]
            ratios = self._ratios(narrator, texts, [i for i, _ in singles])
            is_liked = torch.tensor([each.liked is not None for _, each in singles])
            weights = torch.where(is_liked, self._weight_liked, self._weight_disliked)
            apart = self._apart(narrator, texts)
            losses.append(kto_losses(ratios, is_liked, apart, settings.beta, weights))
        return torch.cat(losses).mean()

    def _ratios(
        self, narrator: TunableNarrator, texts: Sequence[Lesson], owners: Sequence[int]
    ) -> torch.Tensor:
        known = torch.tensor([log_prob for i in owners for log_prob in self._known[i]])
        return narrator.read(texts).log_probs() - known

    def _apart(self, narrator: TunableNarrator, texts: Sequence[Lesson]) -> torch.Tensor:
        """KTO's z0: the mean log ratio of texts told for another, at least 0."""
        swapped = [replace(lesson, text=texts[(i + 1) % len(texts)].text) for i, lesson in enumerate(texts)]
        ratios = narrator.log_probs(swapped) - self._in_use.log_probs(swapped)
        return torch.tensor(float(ratios.mean())).clamp(min=0.0)


def _leash(narrator: TunableNarrator, in_use: TunableNarrator, rehearsed: Sequence[Lesson]) -> torch.Tensor:
    return kl_to(in_use.read(rehearsed).logits, narrator.read(rehearsed).logits)


def _batch(n: int, step: int, settings: TuningSettings) -> list[int]:
    """Which preferences step ``step`` sees: all in a new order, again and again."""
    first = step * settings.batch
    chosen = []
    for place in range(first, first + min(settings.batch, n)):
        order = list(range(n))
        random.Random(f"{settings.seed}:{place // n}").shuffle(order)
        chosen.append(order[place % n])
    return chosen
