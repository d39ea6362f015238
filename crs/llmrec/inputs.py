"""The item texts that are compared, as content rows: one block of 384 columns a part, side by side."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from crs.content import CONTENT_DIM, TextEncoder
from crs.llmrec.catalogue import Catalogue
from knowledge.errors import InputError

PLAIN, SUMMARY, NEIGHBOURS, SHUFFLED = "plain", "summary", "neighbours", "shuffled"

_YEAR = re.compile(r"\s*\(\d{4}\)$")  # tells little of a neighbour, and four tokens are room for a title

# Parts by name, every item's text in each: what an input is put together from.
Parts = Mapping[str, Sequence[str]]


def item_parts(catalogue: Catalogue, neighbours: Sequence[Sequence[int]]) -> dict[str, Sequence[str]]:
    """The texts that need no language model now. ``neighbours``: item rows, the most important first.

    They must come from training interactions alone, for the part of that name tells who took what. The part
    ``shuffled`` is a control: other items' summaries (or listings), as many columns that tell nothing true.
    """
    parts: dict[str, Sequence[str]] = {PLAIN: catalogue.texts}
    if catalogue.summaries is not None:
        parts[SUMMARY] = catalogue.summaries
    parts[NEIGHBOURS] = [
        engagement_text(text, [catalogue.titles[row] for row in rows])
        for text, rows in zip(catalogue.texts, neighbours, strict=True)
    ]
    dealt = np.random.default_rng(0).permutation(len(catalogue.texts))
    others = catalogue.texts if catalogue.summaries is None else catalogue.summaries
    parts[SHUFFLED] = [others[row] for row in dealt]
    return parts


def engagement_text(text: str, neighbour_titles: Sequence[str]) -> str:
    """An item's own text and, by title, what matters most to those who took it."""
    if not neighbour_titles:
        return text
    names = (_YEAR.sub("", title) for title in neighbour_titles)
    return f"{text} Taken by the same people: {'; '.join(names)}."


def content_rows(name: str, parts: Parts, encoder: TextEncoder) -> np.ndarray:
    """float32 (n_items, 384 * number of parts) of the input ``name``, its parts joined by "+".

    As in LLM-Rec each part is encoded alone and set beside the others: ``plain+summary`` is the listing's
    columns and the summary's 384. Raises InputError for a part that there is no text of.
    """
    rows = []
    for part in name.split("+"):
        if part not in parts:
            raise InputError("--input", f"no texts called '{part}'; there are {', '.join(parts)}")
        rows.append(encoder.encode(parts[part]))
    return np.concatenate(rows, axis=1)


def joined_texts(name: str, parts: Parts) -> list[str]:
    """What the input ``name`` says of each item, its parts one after the other."""
    return [" ".join(own) for own in zip(*(parts[part] for part in name.split("+")), strict=True)]


def one_width(rows: np.ndarray) -> np.ndarray:
    """``rows`` (n_items, d) as unit rows, float32 (n_items, 384), whose cosines are as near as can be.

    Wider rows go to their first 384 singular directions, narrower ones are filled up with zeros.
    """
    rows = rows.astype(np.float32)
    if rows.shape[1] > CONTENT_DIM:
        _, directions = np.linalg.eigh(rows.T @ rows)  # by growing singular value
        rows = rows @ directions[:, -CONTENT_DIM:]
    filled = np.zeros((len(rows), CONTENT_DIM), dtype=np.float32)
    filled[:, : rows.shape[1]] = rows
    filled /= np.maximum(np.linalg.norm(filled, axis=1, keepdims=True), 1e-9)
    return filled


def default_inputs(catalogue: Catalogue, written: Iterable[str] = ()) -> tuple[str, ...]:
    """What is compared if nothing is named, the plain text first, then the control.

    ``written``: parts by a language model.
    """
    augmented = [SHUFFLED, *([] if catalogue.summaries is None else [SUMMARY]), NEIGHBOURS, *written]
    together = [f"{SUMMARY}+{NEIGHBOURS}"] if catalogue.summaries is not None else []
    return (PLAIN, *(f"{PLAIN}+{part}" for part in (*augmented, *together)))
