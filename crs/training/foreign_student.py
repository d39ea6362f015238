"""An adapter while it learns to speak to a foreign language model, whose own weights stand still."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from crs.adapter import ADAPTER, AdapterKind, build_adapter, save_adapter
from crs.narrator.foreign import ForeignTokenizer
from crs.narrator.lora import LORA
from crs.training.batches import Batch
from crs.training.low_rank import LowRank
from crs.training.student import N_HIDDEN, read_in_turn, word_loss
from knowledge.types import MAX_HISTORY, TARGET_POINTER

N_SAMPLED = 4096  # token embeddings whose loudness is measured


class ForeignStudent(nn.Module):
    """Adapter and places (51, hidden; the target's first), and a LoRA where ``lora_rank`` is not 0.

    Nothing else is trained. Else as `Student`.
    """

    def __init__(
        self, llm: Any, tokenizer: ForeignTokenizer, adapter: AdapterKind = "mlp", lora_rank: int = 0
    ) -> None:
        super().__init__()
        # In a tuple, the language model is no part of what is trained, saved and put into training mode.
        self._frozen = (llm.eval().requires_grad_(False),)
        self._head = torch.from_numpy(tokenizer.head).long()
        self._adapter_kind = adapter
        n_vocab, hidden = self.embedding.shape
        self.adapter = build_adapter(adapter, hidden, N_HIDDEN)
        with torch.no_grad():
            loudness = self._embed(torch.arange(0, n_vocab, -(-n_vocab // N_SAMPLED))).pow(2).mean().sqrt()
            self.adapter.get_parameter("output_scale").fill_(loudness)
            # A place begins as the number that is spoken for it, as loud as what stands there.
            names = [TARGET_POINTER.strip("[]"), *map(str, range(1, MAX_HISTORY + 1))]
            spoken = [self._embed(torch.tensor(tokenizer.encode(name))).mean(dim=0) for name in names]
            places = functional.layer_norm(torch.stack(spoken).float(), (hidden,)) * loudness
        self.pointer_rows = nn.Parameter(places)
        self.low_rank = LowRank(llm, lora_rank) if lora_rank else None
        self.to(self.embedding.device)

    @property
    def embedding(self) -> torch.Tensor:
        """Token embeddings of the language model (n_vocab, hidden)."""
        weight: torch.Tensor = self._frozen[0].get_input_embeddings().weight
        return weight

    def read(self, rows: torch.Tensor) -> torch.Tensor:
        """Adapter output (n, hidden) for ``rows`` (n, 512), each read by itself."""
        soft: torch.Tensor = self.adapter(rows[:, None].to(self.pointer_rows.device))[:, 0]
        return soft

    def token_losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-entropy of each reply token (n_loss,), the greedy token (n_loss,), the word loss ()."""
        device, n_positions = self.pointer_rows.device, batch.ids.shape[1]
        places = torch.from_numpy(batch.row_places).to(device)
        rows = torch.from_numpy(batch.rows).to(device)
        soft = read_in_turn(self.adapter, rows, places // n_positions, places % n_positions - 1)
        placed = soft + self.pointer_rows[torch.from_numpy(batch.row_positions).to(device)]
        tokens = self._embed(torch.from_numpy(batch.ids))
        flat = tokens.flatten(0, 1).index_copy(0, places, placed.to(tokens.dtype))
        # The batch begins with the last token of the head; the others go before it.
        before = self._embed(self._head[:-1]).expand(len(tokens), -1, -1)
        first = int((batch.loss_places % n_positions).min())
        logits = self._frozen[0](
            inputs_embeds=torch.cat([before, flat.view_as(tokens)], dim=1),
            use_cache=False,
            logits_to_keep=n_positions - first,  # of what comes before any reply nothing is asked
        ).logits
        examples, places_in_it = np.divmod(batch.loss_places, n_positions)
        predicting = logits[torch.from_numpy(examples), torch.from_numpy(places_in_it - first)].float().cpu()
        losses = functional.cross_entropy(predicting, torch.from_numpy(batch.loss_ids), reduction="none")
        return losses, predicting.argmax(1), self.word_loss(soft, batch.words).cpu()

    def word_loss(self, soft: torch.Tensor, words: list[np.ndarray]) -> torch.Tensor:
        """See `word_loss`: a row of ``soft`` (n, d) is to point where its item's words lie."""
        unit = soft / self.adapter.get_parameter("output_scale")
        return word_loss(unit, words, self.embedding.float())

    def save(self, folder: Path) -> None:
        """Write adapter.safetensors, and lora.gguf where there is a LoRA."""
        config = {"kind": self._adapter_kind, "n_hidden": N_HIDDEN}
        save_adapter(folder / ADAPTER, self.adapter, self.pointer_rows, config)
        if self.low_rank is not None:
            self.low_rank.write(folder / LORA)

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        # Not a look-up in the table: some models scale what they look up.
        embedded: torch.Tensor = self._frozen[0].get_input_embeddings()(ids.to(self.embedding.device))
        return embedded
