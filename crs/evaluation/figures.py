"""The embedding analysis drawn: REGEN's figures 5 to 8 in colours that the colour-blind tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crs.evaluation.embeddings import CF, CONTENT, N_BINS, SOFT, TOKENS, Analysis, Bucket
from crs.evaluation.geometry import Map, Spread
from knowledge.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette, the words in a light grey behind.
COLORS = {SOFT: "#0072B2", CF: "#D55E00", CONTENT: "#009E73", TOKENS: "#B8BCC2"}
NAMES = {
    SOFT: "Soft tokens",
    CF: "CF heard alone",
    CONTENT: "Content heard alone",
    TOKENS: "The language model's tokens",
}
# Rings around dots: where all signals and content alone fall on one place, both are seen.
MARKS: dict[str, dict[str, Any]] = {
    kind: {"marker": "o", "s": 22, "facecolors": "none", "edgecolors": color, "linewidths": 0.9}
    if kind == SOFT
    else {"marker": "^" if kind == CF else "o", "s": 9, "color": color, "alpha": 0.8, "linewidths": 0}
    for kind, color in COLORS.items()
}
_INK, _FRAME, _BAR = "#33373D", "#D5D8DC", "#7A8CA3"
_WIDTH, _DPI = 8.0, 150  # inches: text of 11 points is still read when a page shows the picture at half size


def draw_figures(analysis: Analysis, folder: Path) -> list[Path]:
    """Write the figures as PNG into ``folder``; returns their paths, figure 6 only where there are shares.

    The same analysis gives the same bytes. Raises InputError when the folder cannot be written to.
    """
    drawings: dict[str, Callable[[Analysis], Figure]] = {
        "figure5_together.png": _together,
        "figure6_shares.png": _shares,
        "figure7_item_counts.png": _item_counts,
        "figure8_apart.png": _apart,
    }
    if analysis.shares is None:
        del drawings["figure6_shares.png"]
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, draw in drawings.items():
            draw(analysis).savefig(folder / name, dpi=_DPI, facecolor="white")
            paths.append(folder / name)
    except OSError as exc:
        raise InputError(folder, f"cannot be written to ({exc.strerror}); choose another folder") from exc
    return paths


def _together(analysis: Analysis) -> Figure:
    figure, (axes,) = _figure(height=5.6)
    _scatter(axes, analysis.together)
    axes.set_title("Soft tokens and words in one space", loc="left", color=_INK, fontsize=13)
    _legend(figure, list(analysis.together.points))
    return figure


def _apart(analysis: Analysis) -> Figure:
    n = len(analysis.apart)
    figure, panels = _figure(height=3.9 if n > 1 else 5.6, n_columns=n)
    for axes, (kind, found) in zip(panels, analysis.apart.items(), strict=True):
        _scatter(axes, found)
        axes.set_title(NAMES[kind], color=_INK, fontsize=12)
        if axes is not panels[0]:
            axes.set_ylabel("")
    _legend(figure, [*analysis.apart, TOKENS])
    return figure


def _shares(analysis: Analysis) -> Figure:
    assert analysis.shares is not None
    figure, (axes,) = _figure(height=4.0)
    edges = np.linspace(0, 100, N_BINS + 1)
    counts = np.asarray(analysis.shares.cf_counts)
    parts = ((CF, counts, analysis.shares.cf), (CONTENT, counts[::-1], analysis.shares.content))
    for kind, heights, spread in parts:
        label = f"{'CF' if kind == CF else 'Content'}: mean {100 * spread.mean:.0f} %"
        axes.stairs(heights, edges, fill=True, color=COLORS[kind], alpha=0.35)
        axes.stairs(heights, edges, color=COLORS[kind], linewidth=1.4, label=label)
        axes.axvline(100 * spread.mean, color=COLORS[kind], linewidth=1.4, linestyle="--")
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("share of a soft token's norm, %")
    axes.set_ylabel("items")
    axes.set_title("How much of a soft token is CF and content", loc="left", color=_INK, fontsize=13)
    axes.legend(frameon=False, labelcolor=_INK)
    return figure


def _item_counts(analysis: Analysis) -> Figure:
    buckets = analysis.item_counts.buckets
    spreads: list[tuple[str, str, float, Callable[[Bucket], Spread | None]]] = [
        ("length of factor\n(mean item = 1)", CF, 1.0, lambda bucket: bucket.factor_norm)
    ]
    if analysis.shares is not None:
        spreads.append(("CF share of\nsoft token, %", SOFT, 100.0, lambda bucket: bucket.cf_share))
    figure, panels = _figure(height=3.0 + 1.7 * len(spreads), n_rows=1 + len(spreads))
    bars = panels[0].bar(range(len(buckets)), [bucket.n_items for bucket in buckets], color=_BAR, width=0.72)
    panels[0].bar_label(bars, fontsize=9, color=_INK, padding=1)
    panels[0].margins(y=0.15)
    panels[0].set_ylabel("items")
    panels[0].set_title("How often items were bought, and what CF makes of it", loc="left", color=_INK,
                        fontsize=13)  # fmt: skip
    for axes, (label, kind, scale, spread_of) in zip(panels[1:], spreads, strict=True):
        quartiles = [
            (place, s.quarter, s.median, s.three_quarters)
            for place, bucket in enumerate(buckets)
            if (s := spread_of(bucket)) is not None
        ]
        at, quarter, median, three_quarters = np.asarray(quartiles).T
        axes.vlines(at, scale * quarter, scale * three_quarters, color=COLORS[kind], linewidth=6, alpha=0.35)
        axes.plot(at, scale * median, "o-", color=COLORS[kind], markersize=5, linewidth=1.2, clip_on=False)
        axes.set_ylim(bottom=0)
        axes.set_ylabel(label)
    panels[-1].set_xticks(range(len(buckets)), [bucket.purchases for bucket in buckets])
    panels[-1].set_xlabel("purchases of an item    (dot: median of its items; bar: middle half)")
    figure.align_ylabels()
    return figure


def _scatter(axes: Axes, found: Map) -> None:
    # The words first: what the picture is about lies on top of them.
    for kind in sorted(found.points, key=lambda kind: kind != TOKENS):
        x, y = np.asarray(found.points[kind]).T
        axes.scatter(x, y, **MARKS[kind])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel("t-SNE 1")
    axes.set_ylabel("t-SNE 2")


def _legend(figure: Figure, kinds: Sequence[str]) -> None:
    legend = figure.legend(
        handles=[figure.axes[0].scatter([], [], label=NAMES[kind], **MARKS[kind]) for kind in kinds],
        loc="outside lower center", ncols=len(kinds), frameon=False, labelcolor=_INK, markerscale=1.6,
        handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip
    for handle in legend.legend_handles:
        assert handle is not None
        handle.set_alpha(1.0)


def _figure(*, height: float, n_rows: int = 1, n_columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A calm figure and its panels; columns are pictures of their own, rows share what is below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    panels: list[Axes] = list(figure.subplots(n_rows, n_columns, sharex=n_rows > 1, squeeze=False).flat)
    for axes in panels:
        axes.tick_params(colors=_INK, labelsize=10, length=0)
        axes.xaxis.label.set(color=_INK, fontsize=11)
        axes.yaxis.label.set(color=_INK, fontsize=11)
        axes.spines[:].set_color(_FRAME)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels
