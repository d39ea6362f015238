"""A study's answers drawn: how often each score was given, or how often each setting won."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from crs.evaluation.rater.votes import SCALE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette, which the colour-blind tell apart; repeated where there are more settings.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_TIE, _INK, _FRAME = "#B8BCC2", "#33373D", "#D5D8DC"
_STAGES = {"reasons": "Reasons", "summaries": "Summaries", "endorsement": "Endorsements"}


def draw(figures: dict[str, Any], path: Path) -> None:
    """Draw ``figures`` (`figures_of`, report.py) as PNG; the same figures give the same bytes."""
    if figures.get("scores"):
        _draw_scores(figures["scores"], path)
    else:
        _draw_wins(figures["wins"], path)


def _draw_scores(scores: dict[str, Any], path: Path) -> None:
    """A row a stage, a column an attribute; the settings' bars side by side."""
    from matplotlib.figure import Figure

    stages = [stage for stage in _STAGES if any(stage in of_setting for of_setting in scores.values())]
    names = {
        stage: list(next(of_setting[stage] for of_setting in scores.values() if stage in of_setting))
        for stage in stages
    }
    n_columns = max(map(len, names.values()))
    width, height = 2.0 * n_columns, 1.1 + 1.7 * len(stages)  # inches
    figure = Figure(figsize=(width, height))
    space = {"left": 0.9 / width, "right": 0.99, "bottom": 0.35 / height, "top": 1 - 0.75 / height}
    space |= {"wspace": 0.12, "hspace": 0.4}
    panels = figure.subplots(
        len(stages), n_columns, sharex=True, sharey=True, squeeze=False, gridspec_kw=space
    )
    for row, stage in zip(panels, stages, strict=True):
        for axes in row[len(names[stage]) :]:
            axes.set_axis_off()
        for axes, name in zip(row, names[stage], strict=False):
            found = {setting: of[stage][name] for setting, of in scores.items() if stage in of}
            _bars(axes, name, found, list(scores))
        row[0].set_ylabel(f"{_STAGES[stage]}\n% of ratings", color=_INK, fontsize=10)
    _legend(figure, dict(zip(scores, _COLORS * len(scores), strict=False)))
    figure.savefig(path, dpi=150, facecolor="white")


def _bars(axes: Axes, name: str, found: dict[str, Any], settings: list[str]) -> None:
    width = 0.84 / len(settings)
    for setting, one in found.items():
        at = settings.index(setting)
        places = [score - 0.42 + (at + 0.5) * width for score in SCALE]
        shares = [100 * n / one["n"] for n in one["counts"]]
        axes.bar(places, shares, color=_COLORS[at % len(_COLORS)], width=width)
    means = " / ".join(f"{one['mean']:.1f}" for one in found.values())
    axes.set_title(f"{name}\n{means}", color=_INK, fontsize=9)
    axes.set_ylim(0, 100)
    axes.set_xticks(list(SCALE))
    axes.set_yticks([0, 50, 100])
    _calm(axes)


def _draw_wins(wins: list[dict[str, Any]], path: Path) -> None:
    """A bar a pair and task: how many votes went to the first, to neither, to the second."""
    from matplotlib.figure import Figure

    height = 1.0 + 0.5 * max(1, len(wins))
    figure = Figure(figsize=(8.0, height))
    axes = figure.subplots(
        gridspec_kw={"left": 0.28, "right": 0.97, "bottom": 0.45 / height, "top": 1 - 0.45 / height}
    )
    for at, row in enumerate(wins):
        n_votes, left = row["wins"] + row["ties"] + row["losses"], 0.0
        for outcome, color in (("wins", _COLORS[0]), ("ties", _TIE), ("losses", _COLORS[1])):
            share = 100 * row[outcome] / n_votes
            axes.barh(at, share, left=left, color=color, height=0.7)
            left += share
        # The rate with its interval, where a tie counts half.
        axes.plot([100 * row["low"], 100 * row["high"]], [at, at], color=_INK, linewidth=1.2)
        axes.plot([100 * row["rate"]], [at], "o", color=_INK, markersize=4)
    labels = [f"{row['first']} against {row['second']}\n{row['task'].replace('_', ' ')}" for row in wins]
    axes.set_yticks(range(len(wins)), labels)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of votes    (dot: win rate, a tie counting half, with its 95 % interval)", color=_INK)
    _calm(axes)
    _legend(figure, {"first preferred": _COLORS[0], "about the same": _TIE, "second preferred": _COLORS[1]})
    figure.savefig(path, dpi=150, facecolor="white")


def _calm(axes: Axes) -> None:
    axes.tick_params(colors=_INK, labelsize=8, length=0)
    axes.spines[:].set_color(_FRAME)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(figure: Any, colors: dict[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=label) for label, color in colors.items()]
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), frameon=False, labelcolor=_INK)
