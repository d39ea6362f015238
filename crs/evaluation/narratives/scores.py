"""How near generated texts come to their references, and how sure a difference between two systems is.

BLEU is the corpus score of sacreBLEU, ROUGE-Lsum the mean F1 of rouge_score with stemming and one sentence a
line, similarity the mean cosine of sentence embeddings (REGEN, section 5.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crs.content import TextEncoder

METRICS = ("bleu", "rougeLsum", "similarity")
N_RESAMPLES = 2000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True)
class Scored:
    """One system's texts, scored one by one.

    ``matches`` int (n, 10): lengths of text and reference in tokens, then correct and all n-grams for n from
    1 to 4; their sums give the corpus BLEU. ``rouge`` and ``similarity`` float (n,), 0 to 1.
    """

    matches: NDArray[np.int64]
    rouge: NDArray[np.float64]
    similarity: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rouge)

    def at(self, rows: Sequence[int]) -> Scored:
        """The same system's scores on some of its texts."""
        chosen = np.asarray(rows, dtype=np.intp)
        return Scored(self.matches[chosen], self.rouge[chosen], self.similarity[chosen])

    def figures(self) -> dict[str, float]:
        """BLEU and ROUGE-Lsum of the corpus (0 to 100), similarity (-1 to 1) and the number of texts."""
        return {
            "bleu": corpus_bleu(self.matches.sum(axis=0)),
            "rougeLsum": 100 * float(self.rouge.mean()),
            "similarity": float(self.similarity.mean()),
            "n": float(len(self)),
        }


def score(texts: Sequence[str], references: Sequence[str], encoder: TextEncoder) -> Scored:
    """Score ``texts`` against ``references``, one reference a text."""
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu import BLEU

    # The option does not matter for the counts, but without it every sentence is warned about.
    bleu = BLEU(effective_order=True)
    rouge = RougeScorer(["rougeLsum"], use_stemmer=True)
    matches, overlaps = [], []
    for text, reference in zip(texts, references, strict=True):
        counted = bleu.sentence_score(text, [reference])
        matches.append([counted.sys_len, counted.ref_len, *counted.counts, *counted.totals])
        overlaps.append(rouge.score(_line_by_line(reference), _line_by_line(text))["rougeLsum"].fmeasure)
    cosines = (encoder.encode(texts) * encoder.encode(references)).sum(axis=1)
    return Scored(
        np.asarray(matches, dtype=np.int64).reshape(-1, 10),
        np.asarray(overlaps, dtype=np.float64),
        cosines.astype(np.float64),
    )


def corpus_bleu(matches: NDArray[np.int64]) -> float:
    """sacreBLEU's corpus score, 0 to 100, from summed ``matches`` (10,)."""
    from sacrebleu import BLEU

    text_length, reference_length, *counts = matches.tolist()
    # As the default of sacreBLEU: exponential smoothing of orders without a match.
    found = BLEU.compute_bleu(counts[:4], counts[4:], text_length, reference_length, smooth_method="exp")
    return float(found.score)


def differences(
    system: Scored, other: Scored, people: Sequence[str], *, n_resamples: int = N_RESAMPLES, seed: int = 0
) -> dict[str, dict[str, float]]:
    """For each metric ``system`` less ``other`` on the same texts, with a 95 % interval.

    Paired bootstrap (Koehn 2004): people, with all their texts, are drawn with replacement, for texts of one
    person are not independent. ``people``: whose text each is, (n,).
    """
    _, owner = np.unique(np.asarray(people), return_inverse=True)
    n_people = int(owner.max()) + 1
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n_people, np.full(n_people, 1 / n_people), size=n_resamples)
    # The first row stands for the texts as they are.
    weights = np.concatenate([np.ones((1, n_people), dtype=weights.dtype), weights])
    gains = _resampled(system, owner, weights) - _resampled(other, owner, weights)
    return {
        metric: {
            "difference": float(gain[0]),
            "low": float(np.quantile(gain[1:], 0.025)),
            "high": float(np.quantile(gain[1:], 0.975)),
        }
        for metric, gain in zip(METRICS, gains.T, strict=True)
    }


def _resampled(scored: Scored, owner: NDArray[np.intp], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """The three figures, (n_weights, 3), when person p counts ``weights[:, p]`` times."""
    n_people = weights.shape[1]
    counts = np.bincount(owner, minlength=n_people)
    matches = np.zeros((n_people, 10), dtype=np.int64)
    np.add.at(matches, owner, scored.matches)
    n_texts = weights @ counts
    means = [
        weights @ np.bincount(owner, weights=values, minlength=n_people) / n_texts
        for values in (100 * scored.rouge, scored.similarity)
    ]
    bleus = [corpus_bleu(summed) for summed in weights @ matches]
    return np.stack([np.asarray(bleus), *means], axis=1)


def scorer_config() -> dict[str, str]:
    """What the figures were computed with, to be printed beside them."""
    from importlib.metadata import version

    from sacrebleu import BLEU

    bleu = BLEU()
    bleu.corpus_score(["a"], [["a"]])  # the signature counts the references of the last score
    return {
        "bleu": f"sacreBLEU corpus {bleu.get_signature()}",
        "rougeLsum": f"rouge_score {version('rouge-score')}, F1, stemmer, one sentence a line, mean x 100",
        "similarity": "cosine of all-MiniLM-L6-v2 sentence embeddings, mean",
        "intervals": f"95 %, paired bootstrap over people, {N_RESAMPLES} resamples",
    }


def _line_by_line(text: str) -> str:
    return _SENTENCE_END.sub("\n", text.strip())
