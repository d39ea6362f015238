"""Does a bundle's narrator hear CF where content speaks as well? Asked of reasons that only CF can tell.

Some purchases of the demo store are for a hidden circle, which no listing and no review names. The narrator
is asked which circle it finds likeliest in a reference, then once more with the CF of a product of another
circle lent to the target, whose content stays: who hears CF follows it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from crs.bundle import Bundle
from crs.cf import N_FACTORS
from crs.evaluation.narratives.benchmark import Reference
from crs.evaluation.narratives.hidden_reason import alternatives, circle_in, with_hidden_reason
from crs.fusion import mute
from crs.measures import reference_lessons
from crs.rows import FusedRows
from crs.tuning import Lesson, TunableNarrator
from knowledge.demo.words import load_words
from knowledge.types import MAX_HISTORY

Progress = Callable[[str, int, int], None]


def reasons_heard(
    bundle: Bundle, rows: FusedRows, users: Sequence[str], n: int, progress: Progress | None = None
) -> dict[str, float]:
    """Shares of ``n`` hidden reasons of ``users``; empty where the bundle's narratives tell of none.

    ``both``: the true circle is the likeliest of ``among``; ``cf_alone``: without any content and listing;
    ``follows_lent_cf``: with another circle's CF that circle is.
    """
    chosen = frozenset(users)
    told = [
        Reference(each)
        for each in bundle.store.narratives()
        if each.user_id in chosen and each.n_history <= MAX_HISTORY
    ]
    hidden = with_hidden_reason(told)
    hidden = random.Random(0).sample(hidden, min(n, len(hidden)))
    circles = [circle_in(reference.narrative.text) for reference in hidden]
    if len(set(circles)) < 2:
        return {}
    lessons = reference_lessons([reference.narrative for reference in hidden], bundle, rows)
    narrator = TunableNarrator(bundle.narrator_dir)
    found = {"both": 0, "cf_alone": 0, "follows_lent_cf": 0}
    for i, (reference, lesson, true) in enumerate(zip(hidden, lessons, circles, strict=True)):
        own, *others = alternatives(reference)
        # The true one last: of equals the first is taken.
        texts, names = [*others, own], [*(each for each in load_words().circles if each != true), true]
        donor = next(k for k in (*range(i + 1, len(hidden)), *range(i)) if circles[k] != true)
        lent = lesson.rows.copy()
        lent[-1, :N_FACTORS] = lessons[donor].rows[-1, :N_FACTORS]
        alone = replace(lesson, rows=mute(lesson.rows, "cf"), evidence=lesson.evidence.unlisted())
        found["both"] += names[_likeliest(narrator, lesson, lesson.rows, texts)] == true
        found["cf_alone"] += names[_likeliest(narrator, alone, alone.rows, texts)] == true
        found["follows_lent_cf"] += names[_likeliest(narrator, lesson, lent, texts)] == circles[donor]
        if progress:
            progress("hidden reasons", i + 1, len(hidden))
    shares = {name: count / len(hidden) for name, count in found.items()}
    return {"n": float(len(hidden)), "among": float(len(load_words().circles)), **shares}


def _likeliest(
    narrator: TunableNarrator, lesson: Lesson, rows: NDArray[np.float32], texts: Sequence[str]
) -> int:
    told = [replace(lesson, rows=rows, text=text) for text in texts]
    return int(narrator.log_probs(told).argmax())
