"""Where soft tokens lie among the language model's words, and how much of them is CF and content.

The numbers behind REGEN's section 6 and appendices D and E (figures 5 to 8); `figures.py` draws them.

The paper's adapter is one matrix, so a soft token *is* its CF part plus its content part. Ours bends and
ends in a LayerNorm, and two things must be told apart:

* **Heard alone** (figures 5 and 8): the adapter's output with the other signal muted, as in training. These
  are rows that the language model can be given, so it makes sense to ask where they lie. Their length says
  nothing: LayerNorm gives every output the same.
* **Parts** (figures 6 and 7): what each signal adds, averaged over the two orders in which they can be added
  (Shapley's value of two players). With f(a, b) the adapter's output for CF a and content b,
  ``cf = (f(a, b) - f(0, b) + f(a, 0) - f(0, 0)) / 2``, content likewise, and the two add up to
  ``f(a, b) - f(0, 0)``. For a linear adapter they are the paper's projected CF and content.

The same share in the adapter's first layer, where the paper's formula holds as it stands, is given beside it.
Soft tokens are taken without the embedding of their place (the pointer), which is the same for all items, and
each item as a history of its own, by its text without a review.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crs.adapter import ADAPTER, SoftTokens
from crs.bundle import Bundle, without_held_out
from crs.evaluation.geometry import (
    Map,
    Rows,
    Separation,
    Spread,
    nearest,
    neighbour_overlap,
    separation,
    tsne,
    unit,
)
from crs.fusion import fuse, mute
from crs.narrator.narrator_folder import weights_dir
from knowledge.errors import BundleError, ModelError
from knowledge.types import Signals

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[str, int, int], None]

MAX_ITEMS = 10_000  # for shares; a sample beyond
N_DRAWN_ITEMS, N_DRAWN_TOKENS = 500, 1000  # t-SNE of these takes about a minute on one core
N_BINS = 40  # of a share between 0 and 1
SOFT, CF, CONTENT, TOKENS = "soft", "cf", "content", "tokens"
_BATCH = 2048


@dataclass(frozen=True)
class Shares:
    """CF's share of the norm, ``|cf| / (|cf| + |content|)`` an item; content's is the rest.

    ``cf_in_first_layer``: the same of what the halves of the first layer's matrix bring in. ``cf_counts``:
    items by share, in ``N_BINS`` equal bins from 0 to 1.
    """

    cf: Spread
    content: Spread
    cf_in_first_layer: Spread
    cf_counts: list[int]


@dataclass(frozen=True)
class Bucket:
    """Items that were bought about as often; ``factor_norm`` is 1 for the mean item.

    ``cf_share`` is of the items whose share was measured, None without any.
    """

    purchases: str
    n_items: int
    factor_norm: Spread | None
    cf_share: Spread | None


@dataclass(frozen=True)
class ItemCounts:
    """How often items were bought, less what is held out: as CF saw it.

    ``rank_correlation``: Spearman's, of the count with the norm of the factor and with CF's share; None where
    one of the two is the same for all.
    """

    purchases: Spread
    buckets: list[Bucket]
    rank_correlation: dict[str, float | None]


@dataclass(frozen=True)
class Analysis:
    """All that the figures show. ``shares`` is None where the narrator reads one signal only.

    ``norms``: length of a row by kind, and of the pointers that are added to them. ``item_neighbours``: share
    of an item's 10 nearest items that two kinds of rows agree on.
    """

    signals: Signals
    notes: list[str]
    n_items: int
    n_tokens: int
    item_ids: list[str]
    token_ids: list[int]
    together: Map  # figure 5
    shares: Shares | None  # figure 6
    item_counts: ItemCounts  # figure 7
    apart: dict[str, Map]  # figure 8
    norms: dict[str, Spread]
    separation: dict[str, Separation]
    token_nearest_token: Spread
    item_neighbours: dict[str, float]


@dataclass(frozen=True)
class Heard:
    """The adapter's outputs, float32 (n, llm_dim), for both signals, either alone, and none."""

    both: Rows
    cf: Rows
    content: Rows
    neither: Rows

    @classmethod
    def of(cls, module: nn.Module, rows: Rows) -> Heard:
        """For fused ``rows`` (n, 512), each as a history of one purchase."""
        return cls(
            _adapted(module, rows),
            _adapted(module, mute(rows, "cf")),
            _adapted(module, mute(rows, "content")),
            _adapted(module, np.zeros_like(rows)),
        )

    def parts(self) -> tuple[Rows, Rows]:
        """What CF and content add, float32 (n, llm_dim) each; together ``both - neither``."""
        half = np.float32(0.5)
        cf = half * (self.both - self.content + self.cf - self.neither)
        content = half * (self.both - self.cf + self.content - self.neither)
        return cf, content


def analyze(bundle: Bundle, *, seed: int = 0, progress: Progress | None = None) -> Analysis:
    """Measure the bundle's narrator; the same bundle and seed give the same numbers.

    Raises BundleError when there is no narrator or its parts do not fit, ModelError when one cannot be read.
    """
    if not bundle.has_narrator:
        raise BundleError(
            f"{bundle.path}: no narrator in it; run `python -m crs train-narrator {bundle.path}`"
        )
    adapter = bundle.narrator_dir / ADAPTER
    soft_tokens = SoftTokens.load(adapter)
    rng = np.random.default_rng(seed)
    measured = _sample(rng, len(bundle.store.item_ids), MAX_ITEMS)
    drawn = _sample(rng, len(measured), N_DRAWN_ITEMS)
    token_ids, tokens, n_tokens = token_rows(bundle.narrator_dir, N_DRAWN_TOKENS, rng)
    if tokens.shape[1] != soft_tokens.llm_dim:
        raise BundleError(
            f"{adapter} makes soft tokens of {soft_tokens.llm_dim} dimensions, the language model reads "
            f"{tokens.shape[1]}: parts of two narrators are mixed; train it again"
        )
    fused = fuse(bundle.item_factors[measured], bundle.item_content[measured], bundle.norm)
    rows = mute(fused, bundle.narrator_signals)
    heard = Heard.of(soft_tokens.module, rows)
    kinds = {SOFT: heard.both}
    cf_share, shares, notes = None, None, []
    if bundle.narrator_signals == "fused":
        kinds |= {CF: heard.cf, CONTENT: heard.content}
        cf_share = share_of_first(*heard.parts())
        shares = _shares(cf_share, first_layer_share(soft_tokens.module, rows))
    else:
        notes = [
            f"The narrator reads {bundle.narrator_signals} only here, the other signal is muted: "
            "there are no parts to compare, and figure 6 is not drawn."
        ]
    # Directions only: soft tokens are many times as long as words, which would hide all else.
    groups = {**{kind: unit(found[drawn]) for kind, found in kinds.items()}, TOKENS: unit(tokens)}
    together, apart = _maps(groups, seed, progress)
    return Analysis(
        signals=bundle.narrator_signals,
        notes=notes,
        n_items=len(measured),
        n_tokens=n_tokens,
        item_ids=[bundle.store.item_ids[i] for i in measured[drawn]],
        token_ids=token_ids.tolist(),
        together=together,
        shares=shares,
        item_counts=_item_counts(bundle, measured, cf_share),
        apart=apart,
        norms={
            kind: Spread.of(np.linalg.norm(found, axis=1))
            for kind, found in {**kinds, TOKENS: tokens, "pointers": soft_tokens.pointer_rows}.items()
        },
        separation={kind: separation(groups[kind], groups[TOKENS]) for kind in kinds},
        token_nearest_token=Spread.of(1 - nearest(groups[TOKENS], 1)[0][:, 0]),
        item_neighbours=neighbour_overlap({kind: groups[kind] for kind in kinds}),
    )


def share_of_first(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``|first| / (|first| + |second|)`` row by row, (n,); one half where both are zero."""
    a, b = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    silent = a + b == 0
    return np.asarray(np.where(silent, 0.5, a / np.where(silent, 1.0, a + b)))


def first_layer_share(module: nn.Module, rows: Rows) -> np.ndarray:
    """CF's share of what enters the adapter (n,): the norms of ``W_cf e`` and ``W_content c``, REGEN 6.2."""
    import torch

    layer: Any = module.enter
    scale: Any = module.input_scale
    with torch.inference_mode():
        cf, content = (
            ((torch.from_numpy(half) * scale) @ layer.weight.T).numpy()
            for half in (mute(rows, "cf"), mute(rows, "content"))
        )
    return share_of_first(cf, content)


def token_rows(narrator_dir: Path, n: int, rng: np.random.Generator) -> tuple[np.ndarray, Rows, int]:
    """Ids (m,) and embeddings float32 (m, llm_dim) of m <= ``n`` tokens, and how many tokens there are.

    Through the model's own embedding layer, which in some architectures scales what it holds. A foreign
    model is read from its own folder. Raises ModelError when it cannot be.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # progress is ours to tell
    folder = weights_dir(narrator_dir)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", local_files_only=True)
    except Exception as exc:  # transformers raises whatever the broken part raised
        problem = (str(exc) or repr(exc)).splitlines()[0]
        raise ModelError(f"{folder}: no language model that transformers can open ({problem})") from exc
    embed = model.get_input_embeddings()
    n_tokens = int(embed.weight.shape[0])
    ids = _sample(rng, n_tokens, n)
    with torch.inference_mode():
        return ids, embed(torch.from_numpy(ids)).float().numpy(), n_tokens


def count_buckets(counts: Sequence[int] | np.ndarray) -> list[tuple[int, int]]:
    """Buckets (first, last) of the series 1, 2, 5, 10, 20, 50 ... from the least count to the most."""
    least, most = int(np.min(counts)), int(np.max(counts))
    edges = [0, 1]
    while edges[-1] <= most:
        edges.append(edges[-1] * 5 // 2 if str(edges[-1])[0] == "2" else edges[-1] * 2)
    buckets = [(first, after - 1) for first, after in pairwise(edges)]
    return [(first, last) for first, last in buckets if last >= least and first <= most]


def _maps(groups: dict[str, Rows], seed: int, progress: Progress | None) -> tuple[Map, dict[str, Map]]:
    """All kinds in one picture, and each kind of item rows alone with the tokens."""
    kinds = [kind for kind in groups if kind != TOKENS]
    wanted = [groups, *({kind: groups[kind], TOKENS: groups[TOKENS]} for kind in kinds)]
    if progress:
        progress("t-SNE", 0, len(wanted))
    maps = []
    for picture in wanted:
        maps.append(tsne(picture, seed))
        if progress:
            progress("t-SNE", len(maps), len(wanted))
    return maps[0], dict(zip(kinds, maps[1:], strict=True))


def _shares(cf: np.ndarray, in_first_layer: np.ndarray) -> Shares:
    binned, _ = np.histogram(cf, bins=N_BINS, range=(0.0, 1.0))
    return Shares(Spread.of(cf), Spread.of(1 - cf), Spread.of(in_first_layer), binned.tolist())


def _item_counts(bundle: Bundle, measured: np.ndarray, cf_share: np.ndarray | None) -> ItemCounts:
    """``cf_share`` (len(measured),) is that of the items at ``measured``."""
    counts = np.asarray(without_held_out(bundle.store).sum(axis=0)).ravel().astype(int)
    norms = np.linalg.norm(bundle.item_factors, axis=1) / bundle.norm
    buckets = []
    for first, last in count_buckets(counts):
        inside = (counts >= first) & (counts <= last)
        share = cf_share[inside[measured]] if cf_share is not None else np.empty(0)
        buckets.append(
            Bucket(
                f"{first}" if first == last else f"{first}-{last}",
                int(inside.sum()),
                Spread.of(norms[inside]) if inside.any() else None,
                Spread.of(share) if len(share) else None,
            )
        )
    correlation = {"factor_norm": _rank_correlation(counts, norms)}
    if cf_share is not None:
        correlation["cf_share"] = _rank_correlation(counts[measured], cf_share)
    return ItemCounts(Spread.of(counts), buckets, correlation)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    from scipy.stats import spearmanr

    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return round(float(spearmanr(a, b).statistic), 5)


def _adapted(module: nn.Module, rows: Rows) -> Rows:
    import torch

    histories = torch.from_numpy(rows)[:, None]  # (n, 1, 512): a history an item
    with torch.inference_mode():
        return np.concatenate([module(batch)[:, 0].numpy() for batch in torch.split(histories, _BATCH)])


def _sample(rng: np.random.Generator, n: int, at_most: int) -> np.ndarray:
    """Sorted places (m,) int64 of at most ``at_most`` of ``n`` things."""
    return np.sort(rng.choice(n, min(n, at_most), replace=False)).astype(np.int64)
