"""A narrator in torch whose language model stands still: its loss on texts, and tuning of its adapter."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.adapter import SoftTokens, save_adapter
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import ForeignModel, is_foreign
from crs.narrator.lora import merge_lora
from crs.narrator.narrator_folder import open_tokenizer, weights_dir
from crs.narrator.prompt import question
from knowledge.errors import ModelError

if TYPE_CHECKING:
    import torch

LEARNING_RATE = 1e-4
BATCH = 8


@dataclass(frozen=True)
class Lesson:
    """A text to be told with ``evidence``; ``rows`` float32 (n_soft, 512), the target's last, if any."""

    rows: np.ndarray
    evidence: Evidence
    text: str


class TunableNarrator:
    """The narrator of a folder; `tune` changes only the adapter."""

    def __init__(self, narrator_dir: Path) -> None:
        from transformers import AutoModelForCausalLM

        self._dir = narrator_dir
        self._tokenizer = open_tokenizer(narrator_dir)
        soft_tokens = SoftTokens.load(narrator_dir / "adapter.safetensors")
        self._adapter, self._pointer_rows = soft_tokens.module, soft_tokens.pointer_rows
        try:
            model = AutoModelForCausalLM.from_pretrained(weights_dir(narrator_dir), local_files_only=True)
        except (OSError, ValueError) as exc:
            raise ModelError(
                f"{narrator_dir}: the narrator cannot be loaded ({exc}); build it again"
            ) from exc
        self._model = model.float()  # type: ignore[no-untyped-call]
        if is_foreign(narrator_dir) and (lora := ForeignModel.read(narrator_dir).lora_path(narrator_dir)):
            merge_lora(self._model, lora)
        self._model.eval().requires_grad_(False)

    def loss(self, lessons: Sequence[Lesson]) -> float:
        """Mean cross-entropy of the texts' tokens in nats, every token alike; 0.0 without lessons."""
        import torch

        with torch.inference_mode():
            losses = [self._token_losses(lesson) for lesson in lessons]
        return float(torch.cat(losses).mean()) if losses else 0.0

    def tune(
        self,
        lessons: Sequence[Lesson],
        rehearsal: Sequence[Lesson],
        *,
        n_steps: int,
        seed: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Teach the adapter ``lessons``; half of each batch is ``rehearsal``, lest the rest be forgotten."""
        import torch

        rng = random.Random(seed)
        optimizer = torch.optim.AdamW(self._adapter.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        self._adapter.train()
        for step in range(n_steps):
            half = BATCH // 2
            batch = rng.choices(lessons, k=half) + (rng.choices(rehearsal, k=half) if rehearsal else [])
            for lesson in batch:
                loss = self._token_losses(lesson).mean() / len(batch)
                loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._adapter.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if progress:
                progress(step + 1, n_steps)
        self._adapter.eval()

    def save(self, folder: Path) -> None:
        """Write the narrator with the adapter as it is now."""
        import torch
        from safetensors import safe_open

        shutil.copytree(self._dir, folder)
        path = folder / "adapter.safetensors"
        with safe_open(str(path), framework="pt") as file:
            config = json.loads(file.metadata()["config"])
        save_adapter(path, self._adapter, torch.from_numpy(self._pointer_rows), config)

    def _token_losses(self, lesson: Lesson) -> torch.Tensor:
        """Cross-entropy of each token of the text and of its end, (n,)."""
        import torch

        evidence = lesson.evidence
        places = [*range(1, len(evidence.items) + 1), *([0] if evidence.target is not None else [])]
        soft = self._adapter(torch.from_numpy(lesson.rows)[None])[0]
        soft = soft + torch.from_numpy(self._pointer_rows[places])
        asked = question(self._tokenizer, evidence)
        reply = torch.tensor(self._tokenizer.reply(lesson.text, evidence))
        embed = self._model.get_input_embeddings()
        inputs = torch.cat(
            [
                embed(torch.from_numpy(self._tokenizer.head).long()),
                soft,
                embed(torch.from_numpy(asked).long()),
                embed(reply[:-1]),
            ]
        )
        logits = self._model(inputs_embeds=inputs[None], use_cache=False).logits[0, -len(reply) :]
        return torch.nn.functional.cross_entropy(logits.float(), reply, reduction="none")
