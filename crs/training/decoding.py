"""Many samples at once from a student in training, for measuring it; the engine serves people one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from crs.narrator.sampling import Constraints, Steering
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.batches import collate
from crs.training.examples import Example, Shelf
from crs.training.student import Student

if TYPE_CHECKING:
    from transformers.cache_utils import DynamicCache

ROWS = 256  # sequences in a batch
CANDIDATES = 64  # tokens that a draw looks at; a nucleus seldom holds more
COMPACT_BELOW = 0.75  # finished sequences leave the batch once fewer than this share go on


@dataclass(frozen=True)
class Asked:
    """An example whose reply is to be sampled within ``constraints``; ``max_tokens`` end it."""

    example: Example
    constraints: Constraints
    max_tokens: int


@torch.inference_mode()
def sample(
    student: Student,
    tokenizer: NarratorTokenizer,
    shelf: Shelf,
    asked: Sequence[Asked],
    *,
    n_samples: int,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[list[list[int]]]:
    """``n_samples`` replies for each of ``asked``, as token ids without the end token.

    Temperature 0 is greedy. The same seed and order give the same tokens. ``progress(done, total)`` counts
    examples.
    """
    student.eval()
    generator = torch.Generator().manual_seed(seed)
    said: list[list[list[int]]] = [[] for _ in asked]
    order = sorted(range(len(asked)), key=lambda i: (asked[i].max_tokens, len(asked[i].example.prompt)))
    step = max(1, ROWS // n_samples)
    for start in range(0, len(order), step):
        part = order[start : start + step]
        replies = _sample_batch(
            student, tokenizer, shelf, [asked[i] for i in part], n_samples, temperature, top_p, generator
        )
        for place, i in enumerate(part):
            said[i] = replies[place * n_samples : (place + 1) * n_samples]
        if progress:
            progress(start + len(part), len(order))
    student.train()
    return said


def _sample_batch(
    student: Student,
    tokenizer: NarratorTokenizer,
    shelf: Shelf,
    asked: Sequence[Asked],
    n_samples: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
) -> list[list[int]]:
    """Replies of all samples, those of one example side by side."""
    from transformers.cache_utils import DynamicCache

    inputs, mask = _prompts(student, tokenizer, shelf, [each.example for each in asked])
    cache = DynamicCache()
    hidden = _forward(student, inputs, mask, cache)
    cache.batch_repeat_interleave(n_samples)
    hidden, mask = (each.repeat_interleave(n_samples, dim=0) for each in (hidden, mask))
    forbidden = torch.zeros(len(asked), student.embedding.shape[0], dtype=torch.bool)
    for row, each in enumerate(asked):
        forbidden[row, sorted(each.constraints.banned)] = True
    forbidden = forbidden.repeat_interleave(n_samples, dim=0)
    replies: list[list[int]] = [[] for _ in range(len(hidden))]
    steering = [Steering(each.constraints) for each in asked for _ in range(n_samples)]
    owner = torch.arange(len(hidden))  # which reply a row of the batch goes on with
    going = torch.ones(len(hidden), dtype=torch.bool)
    limit = max(each.max_tokens for each in asked)
    for place in range(limit):
        logits = (hidden @ student.embedding.T).float()
        for row, reply in enumerate(owner.tolist()):
            _steer(logits[row], steering[reply])
        logits = logits.masked_fill(forbidden, -torch.inf)
        tokens = _draw(logits, temperature, top_p, generator)
        going &= tokens != tokenizer.eos_id
        for reply, token in zip(owner[going].tolist(), tokens[going].tolist(), strict=True):
            replies[reply].append(token)
            steering[reply].take(token)
        if not going.any() or place + 1 == limit:
            break
        if float(going.float().mean()) < COMPACT_BELOW:
            rows = going.nonzero()[:, 0]
            cache.batch_select_indices(rows)
            owner, going, tokens = owner[rows], going[rows], tokens[rows]
            mask, forbidden = mask[rows], forbidden[rows]
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        hidden = _forward(student, student.llm.model.embed_tokens(tokens)[:, None], mask, cache)
    return replies


def _steer(logits: torch.Tensor, steering: Steering) -> None:
    """Bar from one row of ``logits`` (n_vocab,), in place, what may not come next."""
    if (only := steering.only) is not None:
        allowed = sorted(only)
        kept = logits[allowed]
        logits.fill_(-torch.inf)
        logits[allowed] = kept
    elif barred := steering.barred:
        logits[sorted(barred)] = -torch.inf


def _prompts(
    student: Student, tokenizer: NarratorTokenizer, shelf: Shelf, examples: Sequence[Example]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Embedded prompts (B, T, hidden), padded at the left, and which positions are real (B, T)."""
    nothing = np.zeros(0, dtype=np.int32)
    rows = []
    for example in examples:
        asked = Example(
            example.user_id, example.n_history, example.target_row, example.task,
            prompt=example.prompt, reply=nothing, blind=example.blind,
        )  # fmt: skip
        batch = collate([(shelf, asked, "fused")], bos_id=tokenizer.bos_id, pad_id=tokenizer.pad_id)
        inputs = student.llm.model.embed_tokens(torch.from_numpy(batch.ids))[0]
        places = torch.from_numpy(batch.row_places)
        if len(places):
            turns = (torch.zeros_like(places), torch.arange(len(places)))
            _, placed = student.soft_rows(
                torch.from_numpy(batch.rows), torch.from_numpy(batch.row_positions), turns
            )
            inputs = inputs.index_copy(0, places, placed)
        rows.append(inputs)
    length = max(len(row) for row in rows)
    inputs = torch.zeros(len(rows), length, rows[0].shape[1])
    mask = torch.zeros(len(rows), length, dtype=torch.long)
    for place, row in enumerate(rows):
        inputs[place, length - len(row) :] = row
        mask[place, length - len(row) :] = 1
    return inputs, mask


def _forward(student: Student, inputs: torch.Tensor, mask: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
    """Hidden states after the last position, (B, hidden); ``inputs`` go into ``cache``."""
    positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -inputs.shape[1] :]
    out = student.llm.model(
        inputs_embeds=inputs, attention_mask=mask, position_ids=positions,
        past_key_values=cache, use_cache=True,
    )  # fmt: skip
    last: torch.Tensor = out.last_hidden_state[:, -1]
    return last


def _draw(logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator) -> torch.Tensor:
    """One token a row, (B,), from the nucleus of ``logits`` (B, n_vocab)."""
    if temperature == 0:
        return logits.argmax(dim=1)
    likeliest, ids = logits.topk(min(CANDIDATES, logits.shape[1]), dim=1)
    weights = torch.softmax(likeliest / temperature, dim=1)
    before = weights.cumsum(1) - weights
    weights = weights.masked_fill(before >= top_p, 0.0)
    drawn = torch.multinomial(weights, 1, generator=generator)
    return ids.gather(1, drawn)[:, 0]
