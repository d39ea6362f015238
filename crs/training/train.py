"""`train-narrator`: the narrator and its adapter from scratch on the six tasks, resumable at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from crs.bundle import Bundle
from crs.content import Encoder, TextEncoder
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.markup import Markup
from crs.narrator.quotes import quotable
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.card import model_card
from crs.training.loop import Run, Settings, fit, prefit
from crs.training.material import gather, items_held_out
from crs.training.muon import Muon
from crs.training.student import Shape, Student
from knowledge.errors import ModelError

GENTLY = 0.3  # of the full rates, for what goes on from trained weights
RATES = ("matrix_lr", "other_lr")


def train_narrator(
    bundle_path: Path,
    work_dir: Path,
    *,
    settings: Settings,
    shape: Shape | None = None,
    real_bundle: Path | None = None,
    real_source: str = "",
    max_users: int | None = None,
    start: Path | None = None,
    encoder: TextEncoder | None = None,
    cache_dir: Path = Path(".cache"),
    say: Callable[[str], None] = print,
) -> Path:
    """Train on ``bundle_path``'s train users; returns the narrator folder inside ``work_dir``.

    ``real_bundle``: a bundle of real products without narratives, for reading practice only (content rows, CF
    muted); ``real_source`` says in the card what it is and its licence. ``max_users``: only that many train
    users. ``start``: a narrator's folder; its shape and weights are gone on with, at gentler rates. A run
    that was stopped goes on from its last checkpoint; ``log.jsonl`` keeps every figure.
    Raises InputError when the bundle has no narratives.
    """
    torch.manual_seed(settings.seed)
    work_dir.mkdir(parents=True, exist_ok=True)
    narrator_dir = work_dir / "narrator"
    narrator_dir.mkdir(exist_ok=True)
    bundle = Bundle.open(bundle_path)
    real = Bundle.open(real_bundle) if real_bundle else None
    shape = shape or Shape()
    trained = read_training(start) if start else {}
    if start:
        shape = Shape(**trained["shape"])
        settings = replace(settings, **{name: GENTLY * getattr(settings, name) for name in RATES})
        if not (narrator_dir / "tokenizer.json").exists():
            NarratorTokenizer.widened(start / "tokenizer.json").save(narrator_dir / "tokenizer.json")
    tokenizer = _tokenizer(narrator_dir / "tokenizer.json", bundle, real, shape.n_vocab)
    shape = replace(shape, n_vocab=tokenizer.n_vocab)  # a small store may hold fewer tokens than asked for
    material = gather(
        bundle, real, tokenizer, encoder or Encoder(), max_users=max_users, cache_dir=cache_dir, say=say
    )
    student = Student(shape, tokenizer, settings.adapter)
    optimizers = optimizers_of(student, settings)
    run = Run(work_dir, say)
    run.resume(student, optimizers)
    say(
        f"{sum(p.numel() for p in student.parameters()) / 1e6:.1f}M parameters, "
        f"{len(material.examples)} narratives, {run.positions:,} of {settings.n_positions:,} positions done"
    )
    if start and not run.positions:
        student.take_up(start, tokenizer.mark_ids)
    elif not run.positions:
        prefit(student, [*student.adapter.parameters(), student.embedding], material, settings, run)
        student.balance()
    report = fit(student, tokenizer, optimizers, material, settings, run)
    student.save(narrator_dir)
    told = (*material.examples, *material.retold)
    titles = (each.reply.tolist() for each in told if each.task == "user_profile")
    tokenizer.with_titles(titles).save(narrator_dir / "tokenizer.json")
    training = {
        "settings": asdict(settings) | {"n_positions": run.positions},
        "n_positions": run.positions + trained.get("n_positions", 0),
        "shape": asdict(shape),
        "n_parameters": sum(p.numel() for p in student.parameters()),
        "n_users": len(material.users),
        "n_narratives": len(material.examples),
        "n_retold": len(material.retold),
        "held_out_items": material.held_out_items,
        "real": real_source or (real.name if real else ""),
        "held_out": report,
    }
    (narrator_dir / "training.json").write_text(json.dumps(training, indent=2) + "\n")
    (narrator_dir / "README.md").write_text(model_card(training), encoding="utf-8")
    return narrator_dir


def read_training(narrator_dir: Path) -> dict[str, Any]:
    """What ``training.json`` beside a narrator holds; ModelError where it cannot be read."""
    try:
        training: dict[str, Any] = json.loads((narrator_dir / "training.json").read_text(encoding="utf-8"))
        training.setdefault("n_positions", training["settings"]["n_positions"])
        return training
    except (OSError, ValueError, LookupError, TypeError) as exc:
        raise ModelError(f"{narrator_dir}: no narrator of ours ({exc}); train one from scratch") from exc


def _tokenizer(path: Path, bundle: Bundle, real: Bundle | None, n_vocab: int) -> NarratorTokenizer:
    if path.exists():
        return NarratorTokenizer.load(path)

    def texts() -> Iterator[str]:
        users, words = frozenset(bundle.splits["train"]), StoreWords.of(bundle.store.items.values())
        for narrative in bundle.store.narratives():
            if narrative.user_id in users:
                target = bundle.store.items[narrative.target_id] if narrative.target_id else None
                history = bundle.store.history(narrative.user_id)[: narrative.n_history]
                evidence = Evidence.of(history, bundle.store.items, narrative.task, target, words)
                yield Markup(evidence).write(narrative.text)
        left_out = items_held_out(real) if real else frozenset[str]()
        for store in (bundle.store, *([real.store] if real else [])):
            for item in store.items.values():
                if item.item_id not in left_out:
                    yield " ".join((item.title, *item.attributes.values(), *quotable(item).values()))

    tokenizer = NarratorTokenizer.train(texts(), n_vocab)
    tokenizer.save(path)
    return tokenizer


def optimizers_of(student: Student, settings: Settings) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the body, AdamW for all the rest."""
    matrices = [p for n, p in student.llm.model.layers.named_parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    others = [p for p in student.parameters() if id(p) not in chosen]
    return [
        Muon(matrices, lr=settings.matrix_lr),
        torch.optim.AdamW(others, lr=settings.other_lr, betas=(0.9, 0.97), weight_decay=0.0),
    ]
