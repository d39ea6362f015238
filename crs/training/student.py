"""The narrator while it learns: a Llama-shaped body, its adapter, and the two losses."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from crs.adapter import ADAPTER, AdapterKind, SoftTokens, build_adapter, save_adapter
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.batches import Batch
from knowledge.errors import ModelError
from knowledge.types import MAX_HISTORY

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

ALIKE = 0.05  # standard deviation of the weights that look for positions alike; it suits a width of 256
QUIET = 0.05  # standard deviation of logits over that of a hidden unit, where speech starts
APART = 0.3  # noise of marks that start out as the target's pointer, over what they share with it
N_HIDDEN = 512  # the adapter's width


@dataclass(frozen=True)
class Shape:
    """The body's shape; ``head_dim`` 64 because llama.cpp runs it nearly three times faster than 40."""

    hidden: int = 256
    n_layers: int = 8
    n_heads: int = 4
    n_kv_heads: int = 2
    ff: int = 768
    n_vocab: int = 8192
    context: int = 1024


def llama_config(shape: Shape) -> Any:
    """A transformers LlamaConfig of ``shape``, with tied embeddings."""
    from transformers import LlamaConfig

    return LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.n_layers,
        num_attention_heads=shape.n_heads,
        num_key_value_heads=shape.n_kv_heads,
        head_dim=64,
        intermediate_size=shape.ff,
        vocab_size=shape.n_vocab,
        max_position_embeddings=shape.context,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
    )


class Student(nn.Module):
    """Language model and adapter together; ``token_losses`` of a batch is all that training asks of it."""

    pointer_ids: torch.Tensor  # (51,), the target's first
    reason_ids: torch.Tensor  # marks behind which it says why the target was bought

    def __init__(self, shape: Shape, tokenizer: NarratorTokenizer, adapter: AdapterKind = "mlp") -> None:
        from transformers import LlamaForCausalLM

        super().__init__()
        config = llama_config(shape)
        config.bos_token_id, config.eos_token_id, config.pad_token_id = (
            tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id,
        )  # fmt: skip
        self.llm = LlamaForCausalLM(config)
        look_for_alike(self.llm)
        self._adapter_kind = adapter
        self.adapter = build_adapter(adapter, shape.hidden, N_HIDDEN)
        pointers = [tokenizer.pointer_id(position) for position in range(MAX_HISTORY + 1)]
        self.register_buffer("pointer_ids", torch.tensor(pointers), persistent=False)
        self.register_buffer("reason_ids", torch.tensor(tokenizer.reason_ids), persistent=False)

    @property
    def embedding(self) -> torch.Tensor:
        """Token embeddings (n_vocab, hidden), also the output head."""
        weight: torch.Tensor = self.llm.model.embed_tokens.weight
        return weight

    def read(self, rows: torch.Tensor) -> torch.Tensor:
        """Adapter output (n, hidden) for ``rows`` (n, 512), each read by itself."""
        soft: torch.Tensor = self.adapter(rows[:, None])[:, 0]
        return soft

    def balance(self) -> None:
        """After the pre-fit, which leaves soft rows and embeddings loud: pointers as loud, logits quiet.

        A place is found by its pointer's embedding, so that is drawn anew, as loud as a soft token. The head
        is tied: logits of loud embeddings would be sure of themselves before anything is learned.
        """
        with torch.no_grad():
            scale = self.adapter.get_parameter("output_scale")
            self.llm.model.norm.weight.fill_(QUIET / float(self.embedding.std()))
            pointers = torch.randn(len(self.pointer_ids), self.embedding.shape[1])
            self.embedding[self.pointer_ids] = pointers * scale
            # Why the target was bought is read where the target is.
            noise = torch.randn(len(self.reason_ids), self.embedding.shape[1])
            self.embedding[self.reason_ids] = (pointers[0] + APART * noise) * scale

    def soft_rows(
        self,
        rows: torch.Tensor,
        positions: torch.Tensor,
        places: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Adapter output (n, hidden) for ``rows`` (n, 512), without and with the place's pointer added.

        ``places``: of each row, its example and its turn in it, both (n,); a causal adapter lets a row see
        those before it in its example. Without ``places`` every row stands alone.
        """
        if places is None or self._adapter_kind == "mlp":
            soft = self.read(rows)
        else:
            soft = read_in_turn(self.adapter, rows, *places)
        return soft, soft + self.embedding[self.pointer_ids[positions]]

    def token_losses(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cross-entropy of each reply token (n_loss,), the greedy token (n_loss,), the word loss ()."""
        ids, row_places = torch.from_numpy(batch.ids), torch.from_numpy(batch.row_places)
        length = ids.shape[1]
        soft, placed = self.soft_rows(
            torch.from_numpy(batch.rows),
            torch.from_numpy(batch.row_positions),
            (row_places // length, row_places % length - 1),
        )
        inputs = self.llm.model.embed_tokens(ids)
        flat = inputs.reshape(-1, inputs.shape[-1]).index_copy(0, row_places, placed)
        hidden = self.llm.model(inputs_embeds=flat.view_as(inputs), use_cache=False).last_hidden_state
        predicting = hidden.reshape(-1, hidden.shape[-1])[torch.from_numpy(batch.loss_places)]
        logits = (predicting @ self.embedding.T).float()
        losses = functional.cross_entropy(logits, torch.from_numpy(batch.loss_ids), reduction="none")
        return losses, logits.argmax(1), self.word_loss(soft, batch.words)

    def word_loss(self, soft: torch.Tensor, words: list[np.ndarray]) -> torch.Tensor:
        """See `word_loss`, of ``soft`` (n, d) through the tied head: a scalar."""
        return word_loss(soft, words, self.embedding)

    def take_up(self, folder: Path, mark_ids: Collection[int]) -> None:
        """Go on from the weights in a narrator's ``folder``; tokens that are new to it start out much like
        the mean of the marks that it knows.

        Raises ModelError when they cannot be read or are of another shape.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            state = load_file(str(folder / "model.safetensors"))
            known = state["model.embed_tokens.weight"].float()
            marks = known[[i for i in mark_ids if i < len(known)]]
            n_new = len(self.embedding) - len(known)
            new = marks.mean(dim=0) + APART * marks.std(dim=0) * torch.randn(n_new, known.shape[1])
            rows = torch.cat([known, new])
            self.llm.load_state_dict({**state, "model.embed_tokens.weight": rows, "lm_head.weight": rows})
            self.adapter.load_state_dict(SoftTokens.load(folder / ADAPTER).module.state_dict())
        except (OSError, LookupError, RuntimeError, SafetensorError) as exc:
            problem = str(exc).partition("\n")[0]
            raise ModelError(f"{folder}: cannot go on from it ({problem}); train from scratch") from exc

    def save(self, folder: Path) -> None:
        """Write config.json, model.safetensors (f16, tied head left out) and adapter.safetensors."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        config = self.llm.config.to_dict() | {"dtype": "float16", "architectures": ["LlamaForCausalLM"]}
        (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        state = {
            name: tensor.detach().to(torch.float16).contiguous()
            for name, tensor in self.llm.state_dict().items()
            if name != "lm_head.weight"
        }
        save_file(state, str(folder / "model.safetensors"), metadata={"format": "pt"})
        pointer_rows = self.embedding[self.pointer_ids]
        adapter = {"kind": self._adapter_kind, "n_hidden": N_HIDDEN}
        save_adapter(folder / ADAPTER, self.adapter, pointer_rows, adapter)


def look_for_alike(llm: LlamaForCausalLM) -> None:
    """Let one head of each key start out by finding positions like its own and passing on what is there.

    So a pointer in a reply finds the soft row that bears its embedding, which is otherwise learned late, by
    chance. Queries equal keys, outputs undo values (Trockman and Kolter 2023, Mimetic Initialization of
    Self-Attention Layers, there with noise).
    """
    with torch.no_grad():
        for layer in llm.model.layers:
            attention = layer.self_attn
            query, key, value, output = (getattr(attention, f"{name}_proj").weight for name in "qkvo")
            width = attention.head_dim
            key.normal_(0, ALIKE)
            value.normal_(0, ALIKE)
            for k in range(len(key) // width):
                of_key = slice(k * width, (k + 1) * width)
                first = k * attention.num_key_value_groups  # of the heads that share the key
                head = slice(first * width, (first + 1) * width)
                query[head] = key[of_key]
                output[:, head] = value[of_key].T


def read_in_turn(
    adapter: nn.Module, rows: torch.Tensor, owner: torch.Tensor, turn: torch.Tensor
) -> torch.Tensor:
    """Adapter output (n, hidden) for ``rows`` (n, 512): each is the ``turn``-th row of example ``owner``."""
    side_by_side = rows.new_zeros(int(owner.max()) + 1, int(turn.max()) + 1, rows.shape[1])
    side_by_side[owner, turn] = rows
    soft: torch.Tensor = adapter(side_by_side)[owner, turn]
    return soft


def word_loss(soft: torch.Tensor, words: list[np.ndarray], embedding: torch.Tensor) -> torch.Tensor:
    """Each soft row (n, hidden) predicts its item's words among ``embedding`` (n_vocab, hidden).

    The mean bag-of-words loss, in nats. Without it a narrator learns to speak before it learns to read, and
    never reads.
    """
    log_probs = functional.log_softmax((soft @ embedding.T).float(), dim=-1)
    counts = torch.tensor([max(1, len(w)) for w in words])
    owner = torch.repeat_interleave(torch.arange(len(words)), torch.tensor([len(w) for w in words]))
    tokens = torch.from_numpy(np.concatenate(words) if words else np.zeros(0, np.int64))
    return -(log_probs[owner, tokens] / counts[owner]).sum() / max(1, len(words))
