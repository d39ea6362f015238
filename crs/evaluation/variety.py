"""How varied texts are, and how much of them is new: distinct-n, self-BLEU, loops, sentences seen before.

Pointers differ between two texts that say the same, so words are counted with every pointer made the same.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from crs.narrator.sentence import POINTER, sentences

N_COMPARED = 100  # texts that self-BLEU compares with each other: the cost grows with the square
LOOP_WORDS, LOOP_TIMES = 4, 3
POINTER_MARK = "[]"
_WORD = re.compile(r"\[\]|[\w$]+(?:[-'’.]\w+)*")


def pointers_alike(text: str) -> str:
    """``text`` with every pointer as the same mark, so that "[3]" for "[5]" does not hide a copy."""
    return POINTER.sub(POINTER_MARK, text)


def unique(texts: Sequence[str]) -> float:
    """Different texts over texts."""
    return len(set(texts)) / len(texts)


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams over all n-grams of the texts (distinct-n: Li et al. 2016, section 5.2)."""
    grams = [gram for text in texts for gram in _grams(_words(pointers_alike(text)), n)]
    return len(set(grams)) / max(1, len(grams))


def self_bleu(texts: Sequence[str], *, seed: int = 0) -> float:
    """Mean BLEU (0 to 100) of each of up to `N_COMPARED` texts against the others: the more, the more alike.

    Zhu et al. 2018 (Texygen), section 2.3; BLEU-4 by sacreBLEU with its own smoothing. Comparable only
    between as many texts. 0.0 for fewer than two.
    """
    from sacrebleu import BLEU

    sample = [pointers_alike(text) for text in texts]
    if len(sample) > N_COMPARED:
        sample = random.Random(seed).sample(sample, N_COMPARED)
    if len(sample) < 2:
        return 0.0
    bleu = BLEU(effective_order=True)
    scores = [
        bleu.sentence_score(text, [*sample[:place], *sample[place + 1 :]]).score
        for place, text in enumerate(sample)
    ]
    return float(sum(scores) / len(scores))


def loops(texts: Sequence[str]) -> int:
    """Texts in which the same four words come three times, pointers not counted: they are not shown."""
    return sum(_is_loop(POINTER.sub(" ", text)) for text in texts)


def seen(texts: Sequence[str], known: Collection[str]) -> float:
    """Share of the texts' sentences that are among the sentences ``known``."""
    said = [sentence for text in texts for sentence in sentences(text.strip())]
    return sum(sentence in known for sentence in said) / max(1, len(said))


def n_words(text: str) -> int:
    """Words of ``text``, pointers not counted."""
    return len(_words(POINTER.sub(" ", text)))


def _is_loop(text: str) -> bool:
    counts = Counter(_grams(_words(text), LOOP_WORDS))
    return any(count >= LOOP_TIMES for count in counts.values())


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(n)), strict=False)
