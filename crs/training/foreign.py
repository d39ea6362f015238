"""`train-narrator --llm`: the adapter, and a LoRA if wished, through a foreign model that stands still."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from crs.bundle import Bundle
from crs.content import Encoder, TextEncoder
from crs.narrator.foreign import TOKENIZER, ForeignModel, ForeignTokenizer, local_folder
from crs.narrator.hf_model import configured_ends
from crs.narrator.lora import LORA, check_arch
from crs.narrator.vocabulary import HfVocabulary
from crs.training.foreign_student import ForeignStudent
from crs.training.loop import Run, Settings, fit, prefit
from crs.training.material import gather
from knowledge.errors import ModelError

# A foreign model is larger than ours and gives the adapter less to learn than a whole narrator has.
FOREIGN_SETTINGS = Settings(n_positions=2_000_000, batch_positions=1024, other_lr=1e-3)
LORA_LR = 2e-4  # trained weights bear less than new ones


def train_foreign_adapter(
    bundle_path: Path,
    work_dir: Path,
    llm: str,
    *,
    settings: Settings = FOREIGN_SETTINGS,
    gguf: Path | None = None,
    lora_rank: int = 0,
    real_bundle: Path | None = None,
    max_users: int | None = None,
    encoder: TextEncoder | None = None,
    cache_dir: Path = Path(".cache"),
    say: Callable[[str], None] = print,
) -> Path:
    """Train an adapter for ``llm`` on the bundle's train users; returns the narrator folder in ``work_dir``.

    ``llm``: a folder in Hugging Face's layout or a repository downloaded before; ``gguf``: the same model for
    llama.cpp. Both are used where they lie; the narrator's folder only names them. ``lora_rank``: of a LoRA
    of its attention that is trained too; 0 for none. Resumable, and logged, as `train_narrator` is. Raises
    ModelError when a model cannot be opened or the two do not fit.
    """
    torch.manual_seed(settings.seed)
    folder = local_folder(llm)
    model = _open_frozen(folder)
    hidden = int(model.get_input_embeddings().weight.shape[1])
    if lora_rank:
        check_arch(model.config)
    if gguf:
        _check_gguf(gguf, folder, hidden)
    vocabulary = HfVocabulary.load(folder, configured_ends(model))
    tokenizer = ForeignTokenizer(vocabulary)
    narrator_dir = work_dir / "narrator"
    narrator_dir.mkdir(parents=True, exist_ok=True)
    bundle = Bundle.open(bundle_path)
    real = Bundle.open(real_bundle) if real_bundle else None
    material = gather(
        bundle, real, tokenizer, encoder or Encoder(), max_users=max_users, cache_dir=cache_dir, say=say
    )
    student = ForeignStudent(model, tokenizer, settings.adapter, lora_rank)
    groups = [{"params": [student.pointer_rows, *student.adapter.parameters()], "lr": settings.other_lr}]
    if student.low_rank is not None:
        groups.append({"params": list(student.low_rank.parameters()), "lr": LORA_LR})
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, betas=(0.9, 0.97), weight_decay=0.0)
    ]
    run = Run(work_dir, say)
    run.resume(student, optimizers)
    n_parameters = sum(parameter.numel() for parameter in student.parameters())
    say(
        f"{n_parameters / 1e6:.1f}M parameters in front of {llm} (width {hidden}), "
        f"{len(material.examples)} narratives, {run.positions:,} of {settings.n_positions:,} positions done"
    )
    if not run.positions:
        prefit(student, list(student.adapter.parameters()), material, settings, run)
    report = fit(student, tokenizer, optimizers, material, settings, run)
    student.save(narrator_dir)
    vocabulary.save(narrator_dir / TOKENIZER)
    lies_at = str(folder.resolve()) if Path(llm).is_dir() else llm
    served = str(gguf.resolve()) if gguf else None
    ForeignModel(lies_at, hidden, vocabulary.end_ids, served, LORA if lora_rank else None).write(narrator_dir)
    training = {
        "settings": asdict(settings),
        "llm": llm,
        "lora_rank": lora_rank,
        "n_users": len(material.users),
        "held_out": report,
    }
    (narrator_dir / "training.json").write_text(json.dumps(training, indent=2) + "\n")
    return narrator_dir


def _open_frozen(folder: Path) -> Any:
    """The language model: on a GPU in bfloat16 if there is one, else on the processor in float32."""
    from transformers import AutoModelForCausalLM

    on_gpu = torch.cuda.is_available()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16 if on_gpu else torch.float32, local_files_only=True
        )
    except Exception as exc:  # transformers raises whatever the broken part raised
        problem = (str(exc) or repr(exc)).splitlines()[0]
        raise ModelError(f"{folder}: no language model that transformers can open ({problem})") from exc
    return model.to("cuda" if on_gpu else "cpu")


def _check_gguf(gguf: Path, folder: Path, hidden: int) -> None:
    from crs.narrator.engine import LlamaCppModel

    served = LlamaCppModel(gguf, n_seqs=1)
    served.close()
    if served.embedding_dim != hidden:
        raise ModelError(
            f"{gguf} reads {served.embedding_dim} dimensions, {folder} {hidden}; give the same model's GGUF"
        )
