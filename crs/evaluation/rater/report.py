"""What a rating comes to: the figures, a line a case, and the distributions drawn (REGEN, figures 1 to 3)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from crs.evaluation.rater.cases import ATTRIBUTES, STAGES, Stage
from crs.evaluation.rater.rate import Rating
from crs.evaluation.rater.votes import SCALE, counts
from crs.llm.kept import Usage

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR, _CONFIDENCE, _INK, _FRAME = "#0072B2", "#B8BCC2", "#33373D", "#D5D8DC"
_TITLES: dict[Stage, str] = {
    "richness": "Shopper's purchases",
    "reasons": "Reasons",
    "summaries": "Summaries",
    "endorsement": "Endorsements",
}


def figures_of(ratings: Sequence[Rating]) -> dict[str, Any]:
    """Figures by stage, and what all replies came to.

    ``stages``: {stage: {cases, rated, missing_runs, attributes: {name: {mean, counts}},
    confidence: {mean, counts, mean_of_votes}}}; ``counts`` (7,) are of final scores 1 to 7, of confidence
    rounded down. A mean of nothing is null.
    """
    usage = usage_of(ratings)
    flaws: Counter[str] = Counter()
    for rating in ratings:
        flaws.update(rating.flaws)
    return {
        "stages": {
            stage: _figures_of_stage(stage, of_stage)
            for stage in STAGES
            if (of_stage := [rating for rating in ratings if rating.case.stage == stage])
        },
        "replies": {
            "n": usage.n_asked,
            "broken": dict(flaws.most_common()),
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "cost_usd": usage.cost_usd,
        },
    }


def usage_of(ratings: Sequence[Rating]) -> Usage:
    """What all replies came to, those kept from an earlier run included."""
    total = Usage()
    for rating in ratings:
        total.n_asked += rating.usage.n_asked
        total.prompt_tokens += rating.usage.prompt_tokens
        total.completion_tokens += rating.usage.completion_tokens
        if rating.usage.cost_usd is not None:
            total.cost_usd = (total.cost_usd or 0.0) + rating.usage.cost_usd
    return total


def write_ratings(ratings: Sequence[Rating], path: Path) -> None:
    """One JSON object a case: the shopper, the texts, each attribute's score and votes, the confidence."""
    lines = [
        json.dumps(
            {
                "user_id": rating.case.user_id,
                "stage": rating.case.stage,
                "n_history": rating.case.n_history,
                "target_id": rating.case.target_id,
                "texts": rating.case.texts,
                "scores": rating.scores,
                "votes": rating.votes,
                "confidence": rating.confidence,
                "mean_confidence": rating.mean_confidence,
                "missing_runs": rating.n_missing,
            }
        )
        for rating in ratings
    ]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def draw(figures: dict[str, Any], path: Path) -> None:
    """The distributions of ``figures`` (`figures_of`) as PNG, a row a stage; same figures, same bytes."""
    from matplotlib.figure import Figure

    stages: dict[Stage, Any] = figures["stages"]
    n_columns = 1 + max(len(ATTRIBUTES[stage]) for stage in stages)  # confidence is the last
    width, height = 1.8 * n_columns, 0.7 + 1.6 * len(stages)  # inches
    figure = Figure(figsize=(width, height))
    # By hand: working a layout out for so many panels takes longer than drawing them.
    space = {"left": 0.9 / width, "right": 0.99, "bottom": 0.3 / height, "top": 1 - 0.3 / height}
    space |= {"wspace": 0.12, "hspace": 0.35}
    panels = figure.subplots(
        len(stages), n_columns, sharex=True, sharey=True, squeeze=False, gridspec_kw=space
    )
    for row, (stage, measured) in zip(panels, stages.items(), strict=True):
        attributes = measured["attributes"]
        for axes, (name, found) in zip(row, attributes.items(), strict=False):
            _bars(axes, name, found, _BAR)
        for axes in row[len(attributes) : -1]:
            axes.set_axis_off()
        _bars(row[-1], "confidence", measured["confidence"], _CONFIDENCE)
        row[0].set_ylabel(f"{_TITLES[stage]}\n% of {measured['rated']}", color=_INK, fontsize=10)
    figure.savefig(path, dpi=150, facecolor="white")


def _figures_of_stage(stage: Stage, ratings: Sequence[Rating]) -> dict[str, Any]:
    rated = [rating for rating in ratings if rating.scores]
    of_votes = [rating.mean_confidence for rating in rated if rating.mean_confidence is not None]
    return {
        "cases": len(ratings),
        "rated": len(rated),
        "missing_runs": sum(rating.n_missing for rating in ratings),
        "attributes": {
            attribute: _distribution([rating.scores[attribute] for rating in rated])
            for attribute in ATTRIBUTES[stage]
        },
        "confidence": {
            **_distribution([rating.confidence for rating in rated if rating.confidence is not None]),
            "mean_of_votes": mean(of_votes) if of_votes else None,
        },
    }


def _distribution(scores: Sequence[float]) -> dict[str, Any]:
    return {"mean": mean(scores) if scores else None, "counts": counts(int(score) for score in scores)}


def _bars(axes: Axes, name: str, distribution: dict[str, Any], color: str) -> None:
    n_rated = max(1, sum(distribution["counts"]))
    axes.bar(list(SCALE), [100 * n / n_rated for n in distribution["counts"]], color=color, width=0.8)
    average = distribution["mean"]
    axes.set_title(name if average is None else f"{name}  {average:.1f}", color=_INK, fontsize=10)
    axes.set_ylim(0, 100)
    axes.set_xticks(list(SCALE))
    axes.set_yticks([0, 50, 100])
    axes.tick_params(colors=_INK, labelsize=8, length=0)
    axes.spines[:].set_color(_FRAME)
    axes.spines[["top", "right"]].set_visible(False)
