"""The training loop and what it keeps on disk, for our own narrator and for a foreign model's adapter."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from crs.adapter import AdapterKind
from crs.fusion import mute
from crs.narrator.prompt import PromptTokenizer
from crs.training.batches import by_length, collate
from crs.training.examples import Example
from crs.training.foreign_student import ForeignStudent
from crs.training.material import Material, draw, signals_by
from crs.training.reading import reading_report
from crs.training.student import Student
from knowledge.errors import ModelError

CHECKPOINT = "checkpoint.pt"
Learner = Student | ForeignStudent


@dataclass(frozen=True)
class Settings:
    """How to train. ``n_positions`` counts padded positions, soft rows included."""

    adapter: AdapterKind = "mlp"
    n_positions: int = 8_000_000
    batch_positions: int = 2048
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    warm_up: float = 0.01
    word_weight: float = 0.3
    prefit_steps: int = 400
    reading_share: float = 0.2  # of what is told of the bundle's own shoppers
    real_share: float = 0.12
    retold_share: float = 0.25
    content_only: float = 0.12
    cf_only: float = 0.15
    blind_target: float = 0.15  # both signals, but of the target only its CF
    seed: int = 0
    checkpoint_s: float = 120.0
    report_s: float = 900.0


class Run:
    """A run in its folder: how many positions it has done, its log and its checkpoint."""

    def __init__(self, work_dir: Path, say: Callable[[str], None]) -> None:
        self.positions = 0
        self._work_dir = work_dir
        self._say = say

    def record(self, **figures: object) -> None:
        """Add a line to ``log.jsonl`` and say it."""
        with (self._work_dir / "log.jsonl").open("a") as log:
            log.write(json.dumps({"positions": self.positions, **figures}) + "\n")
        told = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in figures.items())
        self._say(f"{self.positions:,}: " + " ".join(told))

    def resume(self, student: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        """Take up the last checkpoint, if there is one. Raises ModelError when it is another student's."""
        path = self._work_dir / CHECKPOINT
        if not path.exists():
            return
        try:
            state = torch.load(path, weights_only=True)
            student.load_state_dict(state["student"])
            for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        except (RuntimeError, LookupError, ValueError) as exc:
            problem = str(exc).partition("\n")[0]
            raise ModelError(f"{path}: from another kind of run ({problem}); choose another folder") from exc
        self.positions = int(state["positions"])

    def save(self, student: nn.Module, optimizers: list[torch.optim.Optimizer]) -> None:
        """Beside, then renamed: a run killed while it writes keeps the checkpoint before."""
        path = self._work_dir / CHECKPOINT
        state = {
            "student": student.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "positions": self.positions,
        }
        torch.save(state, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)


def fit(
    student: Learner,
    tokenizer: PromptTokenizer,
    optimizers: list[torch.optim.Optimizer],
    material: Material,
    settings: Settings,
    run: Run,
) -> dict[str, float]:
    """Train from where ``run`` is to the end of its positions; the reading report of the held-out shoppers.

    The rate given to each optimizer is its full one; it rises and falls as `learning_rate` says.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("full_lr", group["lr"])
    rng = random.Random(settings.seed + run.positions)
    groups = by_length(draw(material, tokenizer, settings, rng), settings.batch_positions, rng)
    last_save = last_report = last_line = time.monotonic()
    seen_since, lm_since, n_since, words_since = 0, 0.0, 0, 0.0
    while run.positions < settings.n_positions:
        rate = learning_rate(run.positions / settings.n_positions, settings.warm_up)
        batch = collate(next(groups), bos_id=int(tokenizer.head[-1]), pad_id=tokenizer.pad_id)
        with autocast():
            losses, _, word_loss = student.token_losses(batch)
        loss = losses.mean()
        (loss + settings.word_weight * word_loss).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["full_lr"] * rate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        run.positions += batch.ids.size
        seen_since, n_since = seen_since + batch.ids.size, n_since + 1
        lm_since, words_since = lm_since + float(loss.detach()), words_since + float(word_loss.detach())
        now = time.monotonic()
        if n_since >= 25:
            run.record(
                loss=lm_since / n_since, words=words_since / n_since,
                rate=rate, per_s=round(seen_since / (now - last_line)),
            )  # fmt: skip
            seen_since, lm_since, n_since, words_since, last_line = 0, 0.0, 0, 0.0, now
        if now - last_report > settings.report_s:
            run.record(held_out=reading_report(student, material.shelf, material.valid, tokenizer, limit=160))
            last_report = last_line = time.monotonic()
        if now - last_save > settings.checkpoint_s:
            run.save(student, optimizers)
            last_save = time.monotonic()
    run.save(student, optimizers)
    report = reading_report(student, material.shelf, material.valid, tokenizer, limit=600)
    run.record(held_out=report)
    return report


def prefit(
    student: Learner, params: Sequence[torch.Tensor], material: Material, settings: Settings, run: Run
) -> None:
    """Fit ``params`` so that each row alone tells its item's words, before any speech: 24 people a step."""
    sources = [material.shelf.of(material.users), *([material.real_shelf] if material.real_shelf else [])]
    rng = np.random.default_rng(settings.seed)
    optimizer = torch.optim.AdamW(params, lr=3e-3, betas=(0.9, 0.97), weight_decay=0.0)
    nothing = np.zeros(0, dtype=np.int32)
    scale = student.adapter.get_parameter("output_scale")
    for step in range(settings.prefit_steps):
        source = sources[0] if step % 3 else sources[-1]
        people = list(source.histories)
        rows, words = [], []
        for person in rng.choice(len(people), 24):
            n_history = len(source.histories[people[person]])
            example = Example(people[person], n_history, -1, "", prompt=nothing, reply=nothing)
            seen = "content" if source is material.real_shelf else signals_by(rng.random(), settings)
            rows.append(mute(source.rows(example), seen))
            words += source.row_words(example)
        soft = student.read(torch.from_numpy(np.concatenate(rows)))
        loss = student.word_loss(soft, words)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 40) * (1 - step / settings.prefit_steps) ** 0.5
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        student.zero_grad(set_to_none=True)
        if step % 100 == 99:
            run.record(prefit_step=step + 1, words=float(loss.detach()), scale=float(scale.detach()))


def autocast() -> torch.autocast:
    """bfloat16 where the processor computes in it; where it is only emulated, float32 is faster."""
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=native)


def learning_rate(progress: float, warm_up: float) -> float:
    """Linear warm-up, then a cosine from 1 to 0.02."""
    if progress < warm_up:
        return max(0.01, progress / warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))
