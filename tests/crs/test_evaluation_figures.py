"""The figures are drawn: every kind of point is on the picture in its colour; the command from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle, derive_bundle
from crs.evaluation import embeddings, geometry
from crs.evaluation.embeddings import CF, CONTENT, SOFT, TOKENS, Analysis, analyze
from crs.evaluation.figures import COLORS, draw_figures
from knowledge.errors import InputError
from tests.command_line import Run, called

FIGURES = ["figure5_together.png", "figure6_shares.png", "figure7_item_counts.png", "figure8_apart.png"]


@pytest.fixture(autouse=True, scope="module")
def _few_points() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "N_DRAWN_TOKENS", 60)
        patch.setattr(geometry, "N_ITERATIONS", 250)
        yield


@pytest.fixture(scope="module")
def analysis(small_narrating_bundle: Bundle) -> Analysis:
    return analyze(small_narrating_bundle)


@pytest.fixture(scope="module")
def content_bundle(small_narrating_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    path = tmp_path_factory.mktemp("bundles") / "content"
    factors = small_narrating_bundle.item_factors[::-1]
    return derive_bundle(small_narrating_bundle.path, path, item_factors=factors, reads_factors=False)


def pixels(path: Path) -> np.ndarray:
    """(height, width, 3) from 0 to 1."""
    from matplotlib.image import imread

    return np.asarray(imread(path))[:, :, :3]


def n_of_color(picture: np.ndarray, color: str) -> int:
    """Pixels near a colour: points are a little transparent and their edges are smoothed."""
    rgb = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return int((np.abs(picture - rgb).max(axis=2) < 0.15).sum())


def test_every_kind_is_on_the_pictures(analysis: Analysis, tmp_path: Path) -> None:
    paths = draw_figures(analysis, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == FIGURES
    together, shares, item_counts, apart = map(pixels, paths)
    for picture in (together, shares, item_counts, apart):
        assert picture.shape[1] == 1200
        assert 0.5 < (picture > 0.99).all(axis=2).mean() < 0.99  # drawn, on white
    for picture in (together, apart):
        assert all(n_of_color(picture, color) > 60 for color in COLORS.values())
    assert all(n_of_color(shares, COLORS[kind]) > 500 for kind in (CF, CONTENT))
    assert all(n_of_color(item_counts, COLORS[kind]) > 200 for kind in (CF, SOFT))
    thirds = np.array_split(apart, 3, axis=1)
    above_legend = int(0.88 * apart.shape[0])
    for third, kind in zip(thirds, (SOFT, CF, CONTENT), strict=True):
        shown = {k: n_of_color(third[:above_legend], COLORS[k]) > 30 for k in COLORS}
        assert shown == {k: k in (kind, TOKENS) for k in COLORS}


def test_the_same_analysis_gives_the_same_bytes(analysis: Analysis, tmp_path: Path) -> None:
    once, again = (draw_figures(analysis, tmp_path / name) for name in ("once", "again"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_one_signal_is_drawn_as_far_as_there_is_something(content_bundle: Bundle, tmp_path: Path) -> None:
    paths = draw_figures(analyze(content_bundle), tmp_path)
    assert [path.name for path in paths] == [name for name in FIGURES if "shares" not in name]
    together, item_counts, apart = map(pixels, paths)
    for picture in (together, apart):
        assert n_of_color(picture, COLORS[SOFT]) > 60 and n_of_color(picture, COLORS[CONTENT]) == 0
    assert n_of_color(item_counts, COLORS[CF]) > 200 and n_of_color(item_counts, COLORS[SOFT]) == 0


def test_a_folder_that_cannot_be_written_is_named(analysis: Analysis, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"file: cannot be written to \(.+\); choose another folder"):
        draw_figures(analysis, tmp_path / "file")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))

    def call(*args: object) -> tuple[int, str, str]:
        return called(monkeypatch, capsys, "analyze", *args)

    return call


def test_the_command_writes_figures_and_numbers(
    run: Run, small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    code, out, err = run(small_narrating_bundle.path, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    record = json.loads((tmp_path / "out" / "analysis.json").read_text())
    assert record["config"] == {"bundle": "small", "version": small_narrating_bundle.version, "seed": 0}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*FIGURES, "analysis.json"}
    figures = record["figures"]
    assert len(figures["together"]["points"]["tokens"]) == len(figures["token_ids"]) == 60
    printed = json.loads(out)
    assert printed["shares"] == figures["shares"] and printed["version"] == small_narrating_bundle.version
    assert "together" not in printed and "item_ids" not in printed
    assert "NaN" not in out


def test_the_command_without_json_says_the_main_numbers(
    run: Run, small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    code, out, err = run(small_narrating_bundle.path)
    assert code == 0, err
    names = [line.split("\t")[0] for line in out.splitlines()]
    assert {"length of soft", "words among the nearest of cf", "share of CF", "purchases an item"} <= set(
        names
    )
    assert names[-1] == str(tmp_path / "var" / "analysis" / "analysis.json")
    assert all(Path(name).is_file() for name in names[-5:])


def test_the_command_on_one_signal_and_on_no_narrator(
    run: Run, content_bundle: Bundle, small_bundle: Bundle, tmp_path: Path
) -> None:
    code, out, err = run(content_bundle.path, "--out", tmp_path)
    assert code == 0 and "reads content only" in err and "share of CF" not in out
    code, out, err = run(small_bundle.path, "--out", tmp_path)
    assert (code, out) == (1, "") and "train-narrator" in err
