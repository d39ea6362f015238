"""Does augmented text make a better recommender: the same one on each input, over several splits.

A split deals the pairs at random into training, validation and test. All inputs of a split see the same
pairs, candidates and seed, so they are compared split by split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crs.content import TextEncoder
from crs.llmrec.catalogue import Catalogue
from crs.llmrec.inputs import item_parts
from crs.llmrec.kept import fingerprint, kept_json
from crs.llmrec.report import summary
from crs.llmrec.splits import Progress, Split, deal, neighbours_of
from crs.llmrec.through import Outcome, Through
from knowledge.errors import InputError

Written = Mapping[str, Mapping[int | None, Sequence[str]]]  # part, then split (None: of all), then item


def run_experiment(
    catalogue: Catalogue,
    inputs: Sequence[str],
    through: Through,
    encoder: TextEncoder,
    cache: Path,
    *,
    n_splits: int = 5,
    written: Written | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Figures of every input, by ranking, and the gains over the first one.

    ``written``: texts by a language model, as further parts. Outcomes are kept in ``cache``: a run that
    was stopped goes on. Raises InputError for a part that there is no text of.
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in inputs}
    n_done, n_runs = 0, n_splits * len(inputs)
    for number in range(n_splits):
        split = deal(catalogue, number)
        parts = item_parts(catalogue, neighbours_of(catalogue, split, cache, progress))
        for part, by_split in (written or {}).items():
            if (texts := by_split.get(None, by_split.get(number))) is None:
                raise InputError("--texts", f"no '{part}' for split {number}; run `llmrec augment --split`")
            parts[part] = texts
        for name in inputs:
            runs[name].append(_run(catalogue, split, name, parts, through, encoder, cache))
            n_done += 1
            if progress:
                progress(f"{through.name}s", n_done, n_runs)
    return summary(runs)


def _run(
    catalogue: Catalogue,
    split: Split,
    name: str,
    parts: Mapping[str, Sequence[str]],
    through: Through,
    encoder: TextEncoder,
    cache: Path,
) -> Outcome:
    texts = [parts.get(part) for part in name.split("+")]
    key = fingerprint(catalogue.fingerprint, split.number, asdict(through.plan), texts)
    path = cache / f"{through.name}-{name}-{split.number}-{key}.json"
    outcome: Outcome = kept_json(path, lambda: through.outcome(split, name, parts, encoder))
    return outcome
