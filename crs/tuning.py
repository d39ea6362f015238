"""A narrator in torch: how likely it finds texts, and what of it can be tuned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.adapter import ADAPTER, SoftTokens, save_adapter
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import ForeignModel, is_foreign
from crs.narrator.lora import merge_lora
from crs.narrator.narrator_folder import open_tokenizer, weights_dir
from crs.narrator.prompt import question
from knowledge.errors import ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 8  # texts read side by side
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True)
class Lesson:
    """A text to be told with ``evidence``; ``rows`` float32 (n_soft, 512), the target's last, if any."""

    rows: np.ndarray
    evidence: Evidence
    text: str


@dataclass(frozen=True)
class Replies:
    """What a narrator foresees at each of the ``n`` tokens of B texts, one text after another.

    ``logits`` float32 (n, n_vocab); ``ids`` (n,), the tokens that stand there; ``owner`` (n,), whose.
    """

    logits: torch.Tensor
    ids: torch.Tensor
    owner: torch.Tensor

    def token_losses(self) -> torch.Tensor:
        """Cross-entropy of each token in nats, (n,)."""
        import torch

        return torch.nn.functional.cross_entropy(self.logits, self.ids, reduction="none")

    def log_probs(self) -> torch.Tensor:
        """Log-probability of each text, (B,), in nats."""
        losses = self.token_losses()
        return -losses.new_zeros(int(self.owner.max()) + 1).index_add(0, self.owner, losses)


class TunableNarrator:
    """The narrator of a folder. `parts` can be tuned: the adapter and, of a narrator of ours, its layers.

    A foreign language model stands still, and so do our embeddings, which soft tokens are read by.
    """

    def __init__(self, narrator_dir: Path) -> None:
        from torch import nn
        from transformers import AutoModelForCausalLM

        self._dir = narrator_dir
        self._tokenizer = open_tokenizer(narrator_dir)
        soft_tokens = SoftTokens.load(narrator_dir / ADAPTER)
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
        self._adapter.eval().requires_grad_(False)
        self.parts: nn.ModuleDict = nn.ModuleDict({"adapter": self._adapter})
        if not is_foreign(narrator_dir):
            self.parts["layers"] = self._model.model.layers

    def loss(self, lessons: Sequence[Lesson]) -> float:
        """Mean cross-entropy of the texts' tokens in nats, every token alike; 0.0 without lessons."""
        import torch

        losses = [replies.token_losses() for replies in self._read_all(lessons)]
        return float(torch.cat(losses).mean()) if losses else 0.0

    def log_probs(self, lessons: Sequence[Lesson]) -> np.ndarray:
        """Log-probability of each text given what it is told with, float32 (n_lessons,), in nats."""
        found = [replies.log_probs().numpy() for replies in self._read_all(lessons)]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def read(self, lessons: Sequence[Lesson]) -> Replies:
        """What is foreseen at every token of the texts and at their ends; gradients reach `parts`."""
        import torch

        embed = self._model.get_input_embeddings()
        inputs, replies, starts = [], [], []
        for lesson in lessons:
            asked = question(self._tokenizer, lesson.evidence)
            reply = torch.tensor(self._tokenizer.reply(lesson.text, lesson.evidence))
            inputs.append(
                torch.cat(
                    [
                        embed(torch.from_numpy(self._tokenizer.head).long()),
                        self._soft_rows(lesson),
                        embed(torch.from_numpy(asked).long()),
                        embed(reply[:-1]),
                    ]
                )
            )
            replies.append(reply)
            starts.append(len(inputs[-1]) - len(reply))
        # Padding at the end is behind whatever is read of a row, so it needs no mask.
        padded = torch.nn.utils.rnn.pad_sequence(inputs, batch_first=True)
        first, length = min(starts), padded.shape[1]
        logits = self._model(inputs_embeds=padded, use_cache=False, logits_to_keep=length - first).logits
        predicting = [
            logits[row, start - first : start - first + len(reply)].float()
            for row, (start, reply) in enumerate(zip(starts, replies, strict=True))
        ]
        owner = torch.repeat_interleave(torch.arange(len(replies)), torch.tensor([len(r) for r in replies]))
        return Replies(torch.cat(predicting), torch.cat(replies), owner)

    def save(self, folder: Path) -> None:
        """Write the narrator as it is now."""
        import torch
        from safetensors import safe_open

        shutil.copytree(self._dir, folder)
        path = folder / ADAPTER
        with safe_open(str(path), framework="pt") as file:
            config = json.loads(file.metadata()["config"])
        save_adapter(path, self._adapter, torch.from_numpy(self._pointer_rows), config)
        if "layers" in self.parts:
            _replace_weights(folder / _WEIGHTS, self._model)

    def _read_all(self, lessons: Sequence[Lesson]) -> Iterator[Replies]:
        import torch

        for start in range(0, len(lessons), BATCH):
            with torch.inference_mode():
                yield self.read(lessons[start : start + BATCH])

    def _soft_rows(self, lesson: Lesson) -> torch.Tensor:
        import torch

        evidence = lesson.evidence
        places = [*range(1, len(evidence.items) + 1), *([0] if evidence.target is not None else [])]
        soft: torch.Tensor = self._adapter(torch.from_numpy(lesson.rows)[None])[0]
        return soft + torch.from_numpy(self._pointer_rows[places])


def _replace_weights(path: Path, model: nn.Module) -> None:
    """The tensors of the file as ``model`` has them now, of the same names and types."""
    from safetensors.torch import load_file, save_file

    now = model.state_dict()
    kept = {name: now[name].to(tensor.dtype).contiguous() for name, tensor in load_file(path).items()}
    save_file(kept, str(path), metadata={"format": "pt"})
