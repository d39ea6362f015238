"""`train-narrator`: the narrator and its adapter from scratch on the six tasks, resumable at any moment."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from crs.adapter import AdapterKind
from crs.bundle import Bundle
from crs.content import Encoder, TextEncoder
from crs.fusion import mute
from crs.narrator.tokenizer import NarratorTokenizer
from crs.rows import purchase_rows
from crs.training.batches import by_length, collate
from crs.training.examples import Example, Shelf, item_words, narrative_examples, reading_examples
from crs.training.muon import Muon
from crs.training.reading import reading_report
from crs.training.student import Shape, Student
from knowledge.errors import InputError
from knowledge.types import Signals

CHECKPOINT = "checkpoint.pt"
Drawn = tuple[Shelf, Example, Signals]


@dataclass(frozen=True)
class Settings:
    """How to train. ``n_positions`` counts padded positions, soft rows included."""

    adapter: AdapterKind = "mlp"
    n_positions: int = 8_000_000
    batch_positions: int = 4096
    matrix_lr: float = 0.02
    other_lr: float = 3e-3
    warm_up: float = 0.01
    word_weight: float = 0.3
    prefit_steps: int = 400
    reading_share: float = 0.25
    real_share: float = 0.1
    content_only: float = 0.15
    cf_only: float = 0.15
    seed: int = 0
    checkpoint_s: float = 240.0
    report_s: float = 900.0


def train_narrator(
    bundle_path: Path,
    work_dir: Path,
    *,
    settings: Settings,
    shape: Shape | None = None,
    real_bundle: Path | None = None,
    max_users: int | None = None,
    encoder: TextEncoder | None = None,
    cache_dir: Path = Path(".cache"),
    say: Callable[[str], None] = print,
) -> Path:
    """Train on ``bundle_path``'s train users; returns the narrator folder inside ``work_dir``.

    ``real_bundle``: a bundle of real products without narratives, for reading practice only (content rows,
    CF muted). A run that was stopped goes on from its last checkpoint. ``log.jsonl`` keeps every figure.
    Raises InputError when the bundle has no narratives.
    """
    torch.manual_seed(settings.seed)
    work_dir.mkdir(parents=True, exist_ok=True)
    narrator_dir = work_dir / "narrator"
    narrator_dir.mkdir(exist_ok=True)
    bundle = Bundle.open(bundle_path)
    real = Bundle.open(real_bundle) if real_bundle else None
    shape = shape or Shape()
    tokenizer = _tokenizer(narrator_dir / "tokenizer.json", bundle, real, shape.n_vocab)
    shape = replace(shape, n_vocab=tokenizer.n_vocab)  # a small store may hold fewer tokens than asked for
    users = bundle.splits["train"][:max_users]
    held_out = bundle.splits["valid"][: max(20, (max_users or 10**9) // 10)][:300]
    say(f"content rows of {len(users) + len(held_out)} shoppers")
    encoder = encoder or Encoder()
    shelf = shelf_of(bundle, tokenizer, [*users, *held_out], encoder, cache_dir, say)
    real_shelf = shelf_of(real, tokenizer, real.splits["train"], encoder, cache_dir, say) if real else None

    examples = narrative_examples(bundle.store, tokenizer, frozenset(users))
    if not examples:
        raise InputError(bundle_path, "no narratives to learn from; build it from a store that has some")
    valid = narrative_examples(bundle.store, tokenizer, frozenset(held_out))
    student = Student(shape, tokenizer, settings.adapter)
    optimizers = _optimizers(student, settings)
    state = _resume(work_dir / CHECKPOINT, student, optimizers)
    say(
        f"{sum(p.numel() for p in student.parameters()) / 1e6:.1f}M parameters, {len(examples)} narratives, "
        f"{state['positions']:,} of {settings.n_positions:,} positions done"
    )
    rng = random.Random(settings.seed + state["positions"])

    def record(**figures: object) -> None:
        with (work_dir / "log.jsonl").open("a") as log:
            log.write(json.dumps({"positions": state["positions"], **figures}) + "\n")
        told = (f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in figures.items())
        say(f"{state['positions']:,}: " + " ".join(told))

    if not state["positions"]:
        _prefit(student, shelf, real_shelf, users, settings, record)
    drawn = _draw(examples, shelf, real_shelf, tokenizer, settings, rng, users)
    groups = by_length(drawn, settings.batch_positions, rng)
    last_save = last_report = last_line = time.monotonic()
    seen_since, lm_since, n_since, words_since = 0, 0.0, 0, 0.0
    while state["positions"] < settings.n_positions:
        rate = _rate(state["positions"] / settings.n_positions, settings.warm_up)
        batch = collate(next(groups), bos_id=tokenizer.bos_id, pad_id=tokenizer.pad_id)
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
        state["positions"] += batch.ids.size
        seen_since, n_since = seen_since + batch.ids.size, n_since + 1
        lm_since, words_since = lm_since + float(loss.detach()), words_since + float(word_loss.detach())
        now = time.monotonic()
        if n_since >= 25:
            record(
                loss=lm_since / n_since, words=words_since / n_since,
                rate=rate, per_s=round(seen_since / (now - last_line)),
            )  # fmt: skip
            seen_since, lm_since, n_since, words_since, last_line = 0, 0.0, 0, 0.0, now
        if now - last_report > settings.report_s:
            record(held_out=reading_report(student, shelf, valid, tokenizer, limit=160))
            last_report = last_line = time.monotonic()
        if now - last_save > settings.checkpoint_s:
            _save(work_dir / CHECKPOINT, student, optimizers, state)
            last_save = time.monotonic()
    _save(work_dir / CHECKPOINT, student, optimizers, state)
    student.save(narrator_dir)
    report = reading_report(student, shelf, valid, tokenizer, limit=600)
    record(held_out=report)
    training = {
        "settings": asdict(settings),
        "shape": asdict(shape),
        "n_users": len(users),
        "held_out": report,
    }
    (narrator_dir / "training.json").write_text(json.dumps(training, indent=2) + "\n")
    return narrator_dir


def export_checkpoint(work_dir: Path, shape: Shape | None = None, adapter: AdapterKind = "mlp") -> Path:
    """Write the last checkpoint of an unfinished run as a narrator folder."""
    narrator_dir = work_dir / "narrator"
    tokenizer = NarratorTokenizer.load(narrator_dir / "tokenizer.json")
    student = Student(shape or Shape(n_vocab=tokenizer.n_vocab), tokenizer, adapter)
    state = torch.load(work_dir / CHECKPOINT, weights_only=True)
    student.load_state_dict(state["student"])
    student.save(narrator_dir)
    return narrator_dir


def shelf_of(
    bundle: Bundle,
    tokenizer: NarratorTokenizer,
    users: list[str],
    encoder: TextEncoder,
    cache_dir: Path,
    say: Callable[[str], None],
) -> Shelf:
    """The bundle's store with all rows that training needs; those of ``users`` are kept in ``cache_dir``."""
    last = [0.0]

    def progress(done: int, total: int) -> None:
        if time.monotonic() - last[0] > 15:
            last[0] = time.monotonic()
            say(f"content rows {done}/{total}")

    rows = purchase_rows(bundle.store, encoder, cache_dir / "rows", progress, users=users)
    items = list(bundle.store.items.values())
    return Shelf(
        bundle.store,
        rows,
        bundle.item_content,
        (bundle.item_factors / bundle.norm).astype(np.float32),
        [item_words(tokenizer, item) for item in items],
    )


def autocast() -> torch.autocast:
    """bfloat16 where the processor computes in it; where it is only emulated, float32 is faster."""
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=native)


def _tokenizer(path: Path, bundle: Bundle, real: Bundle | None, n_vocab: int) -> NarratorTokenizer:
    if path.exists():
        return NarratorTokenizer.load(path)

    def texts() -> Iterator[str]:
        for i, narrative in enumerate(bundle.store.narratives()):
            if i % 2 == 0:
                yield narrative.text
        for store in (bundle.store, *([real.store] if real else [])):
            for item in store.items.values():
                yield " ".join((item.title, item.brand or "", *item.attributes.values(), *item.features))

    tokenizer = NarratorTokenizer.train(texts(), n_vocab)
    tokenizer.save(path)
    return tokenizer


def _draw(
    examples: list[Example],
    shelf: Shelf,
    real_shelf: Shelf | None,
    tokenizer: NarratorTokenizer,
    settings: Settings,
    rng: random.Random,
    users: list[str],
) -> Iterator[Drawn]:
    """Narratives in a fresh order each pass, reading practice in between, signals muted at random."""
    reading = reading_examples(shelf.store, tokenizer, users, rng)
    if real_shelf:
        real_reading = reading_examples(real_shelf.store, tokenizer, list(real_shelf.purchase_content), rng)
    order: list[Example] = []
    while True:
        if real_shelf and rng.random() < settings.real_share:
            yield real_shelf, next(real_reading), "content"
            continue
        if rng.random() < settings.reading_share:
            example = next(reading)
        else:
            if not order:
                order = rng.sample(examples, len(examples))
            example = order.pop()
        lot = rng.random()
        signals: Signals = "fused"
        if lot < settings.content_only:
            signals = "content"
        elif lot < settings.content_only + settings.cf_only:
            signals = "cf"
        yield shelf, example, signals


def _prefit(
    student: Student,
    shelf: Shelf,
    real_shelf: Shelf | None,
    users: list[str],
    settings: Settings,
    record: Callable[..., None],
) -> None:
    """Fit adapter and embeddings so that each row alone tells its item's words, before any speech."""
    rng = np.random.default_rng(settings.seed)
    params = [*student.adapter.parameters(), student.embedding]
    optimizer = torch.optim.AdamW(params, lr=3e-3, betas=(0.9, 0.97), weight_decay=0.0)
    sources = [(shelf, users)] + ([(real_shelf, list(real_shelf.purchase_content))] if real_shelf else [])
    nothing = np.zeros(0, dtype=np.int32)
    scale = student.adapter.get_parameter("output_scale")
    for step in range(settings.prefit_steps):
        source, people = sources[0] if step % 3 or len(sources) == 1 else sources[1]
        rows, words = [], []
        for person in rng.choice(len(people), 24):
            n_history = len(source.store.history(people[person]))
            example = Example(people[person], n_history, -1, "", prompt=nothing, reply=nothing)
            rows.append(mute(source.rows(example), "content" if source is real_shelf else "fused"))
            words += source.row_words(example)
        soft = student.adapter(torch.from_numpy(np.concatenate(rows))[:, None])[:, 0]
        loss = student.word_loss(soft, words)
        loss.backward()  # type: ignore[no-untyped-call]
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 40) * (1 - step / settings.prefit_steps) ** 0.5
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        student.zero_grad(set_to_none=True)
        if step % 100 == 99:
            record(prefit_step=step + 1, words=float(loss.detach()), scale=float(scale.detach()))
    with torch.no_grad():
        # A place must be as loud as what stands there, or attention cannot find it.
        pointers = torch.randn(len(student.pointer_ids), student.embedding.shape[1])
        student.embedding[student.pointer_ids] = pointers * scale


def _optimizers(student: Student, settings: Settings) -> list[torch.optim.Optimizer]:
    matrices = [p for n, p in student.llm.model.layers.named_parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in student.parameters() if id(p) not in chosen]
    optimizers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=settings.matrix_lr),
        torch.optim.AdamW(others, lr=settings.other_lr, betas=(0.9, 0.97), weight_decay=0.0),
    ]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["full_lr"] = group["lr"]
    return optimizers


def _rate(progress: float, warm_up: float) -> float:
    """Linear warm-up, then a cosine from 1 to 0.02."""
    if progress < warm_up:
        return max(0.01, progress / warm_up)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up)))


def _resume(path: Path, student: Student, optimizers: list[torch.optim.Optimizer]) -> dict[str, int]:
    if not path.exists():
        return {"positions": 0}
    state = torch.load(path, weights_only=True)
    student.load_state_dict(state["student"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    return {"positions": int(state["positions"])}


def _save(
    path: Path, student: Student, optimizers: list[torch.optim.Optimizer], state: dict[str, int]
) -> None:
    """Beside, then renamed: a run killed while it writes keeps the checkpoint before."""
    beside = path.with_suffix(".new")
    torch.save(
        {"student": student.state_dict(), "optimizers": [o.state_dict() for o in optimizers], **state}, beside
    )
    os.replace(beside, path)
