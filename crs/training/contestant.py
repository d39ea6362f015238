"""One of several students that are trained alike and see different signals (REGEN, section 5.3)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.examples import Example, Shelf
from crs.training.loop import CHECKPOINT, Run, Settings, fit, prefit
from crs.training.material import Material
from crs.training.student import Shape, Student
from crs.training.train import optimizers_of
from knowledge.types import Signals

WEIGHTS = "student.pt"


def train_contestant(
    work_dir: Path,
    tokenizer: NarratorTokenizer,
    shelf: Shelf,
    readers: Sequence[str],
    examples: list[Example],
    valid: list[Example],
    *,
    signals: Signals,
    shape: Shape,
    settings: Settings,
    say: Callable[[str], None],
) -> Student:
    """Train on ``examples`` of ``shelf``, whose rows are muted to ``signals`` already; resumable.

    ``readers``: people whose purchases are practised on. ``valid``: examples that the log reports on. A
    finished student is loaded from ``work_dir``, an unfinished one goes on from its checkpoint there.
    """
    shape = replace(shape, n_vocab=tokenizer.n_vocab)
    torch.manual_seed(settings.seed)
    student = Student(shape, tokenizer, settings.adapter)
    weights = work_dir / WEIGHTS
    if weights.exists():
        student.load_state_dict(torch.load(weights, weights_only=True))
        return student
    work_dir.mkdir(parents=True, exist_ok=True)
    material = Material(
        users=list(readers), shelf=shelf, real_shelf=None, examples=examples, retold=[], valid=valid,
        held_out_items=[],
    )  # fmt: skip
    optimizers = optimizers_of(student, settings)
    run = Run(work_dir, say)
    run.resume(student, optimizers)
    if not run.positions:
        prefit(student, [*student.adapter.parameters(), student.embedding], material, settings, run)
        student.balance()
    fit(student, tokenizer, optimizers, material, _share_of(settings, signals), run)
    beside = weights.with_suffix(".new")
    torch.save(student.state_dict(), beside)
    os.replace(beside, weights)
    (work_dir / CHECKPOINT).unlink(missing_ok=True)
    return student


def _share_of(settings: Settings, signals: Signals) -> Settings:
    """A model of one signal is never shown an example without it: there is nothing to drop."""
    if signals == "fused":
        return settings
    return replace(settings, content_only=0.0, cf_only=0.0, blind_target=0.0)
