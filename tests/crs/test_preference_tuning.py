"""The losses by hand, and that a narrator learns pairs and thumbs without straying."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crs.bundle import Bundle
from crs.narrator.evidence import Evidence
from crs.rows import FusedRows
from crs.training.preference import (
    SHARES,
    Judged,
    TuningSettings,
    dpo_losses,
    kl_to,
    kto_losses,
    step_back,
    tune,
)
from crs.tuning import Lesson, TunableNarrator
from tests.conftest import WordEncoder, items_of

QUICK = TuningSettings(learning_rate=1e-3, max_steps=12, epochs=100, batch=4, n_rehearsed=2, leash=0.0)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_dpo_by_hand() -> None:
    found = dpo_losses(torch.tensor([2.0, 0.0]), torch.tensor([-1.0, 0.0]), beta=0.1)
    assert found.tolist() == pytest.approx([-math.log(sigmoid(0.3)), math.log(2)])


def test_kto_by_hand() -> None:
    found = kto_losses(
        torch.tensor([2.0, 2.0]),
        torch.tensor([True, False]),
        torch.tensor(0.5),
        0.1,
        torch.tensor([1.0, 0.5]),
    )
    assert found.tolist() == pytest.approx([1 - sigmoid(0.15), 0.5 * (1 - sigmoid(-0.15))])


def test_kl_by_hand() -> None:
    reference = torch.log(torch.tensor([[0.5, 0.5], [0.9, 0.1]]))
    logits = torch.log(torch.tensor([[0.25, 0.75], [0.9, 0.1]]))
    by_hand = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert float(kl_to(reference, logits)) == pytest.approx(by_hand / 2)


@pytest.fixture(scope="module")
def judged(small_narrating_bundle: Bundle) -> list[Judged]:
    """Four shoppers like to be told of tea and not of rain."""
    store = small_narrating_bundle.store
    rows = FusedRows(small_narrating_bundle, WordEncoder())
    found = []
    for user_id in store.user_ids[:4]:
        evidence = Evidence(items_of(store, user_id), "user_profile")
        told = Lesson(rows.of(store.history(user_id)), evidence, "")
        found.append(Judged(replace(told, text="Tea for her."), replace(told, text="The rain keeps out.")))
    return found


@pytest.fixture
def open_narrator(small_narrating_bundle: Bundle) -> Callable[[], TunableNarrator]:
    return lambda: TunableNarrator(small_narrating_bundle.narrator_dir)


def margins(narrator: TunableNarrator, in_use: TunableNarrator, judged: list[Judged]) -> np.ndarray:
    """How much more of the log ratio the liked text of each pair has."""
    liked = [each.liked for each in judged if each.liked]
    disliked = [each.disliked for each in judged if each.disliked]
    gained = [narrator.log_probs(texts) - in_use.log_probs(texts) for texts in (liked, disliked)]
    return gained[0] - gained[1]


def test_pairs_are_learned_and_kept(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged], tmp_path: Path
) -> None:
    narrator, in_use = open_narrator(), open_narrator()
    assert not margins(narrator, in_use, judged).any()
    tune(narrator, in_use, judged, [], QUICK, tmp_path / "work")
    learned = margins(narrator, in_use, judged)
    assert (learned > 0.5).all()
    narrator.save(tmp_path / "tuned")
    again = TunableNarrator(tmp_path / "tuned")
    np.testing.assert_allclose(margins(again, in_use, judged), learned, atol=0.1)  # the adapter is float16


def test_single_thumbs_are_learned(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged], tmp_path: Path
) -> None:
    narrator, in_use = open_narrator(), open_narrator()
    singles = [Judged(each.liked, None) for each in judged] + [Judged(None, each.disliked) for each in judged]
    tune(narrator, in_use, singles, [], QUICK, tmp_path)
    assert (margins(narrator, in_use, judged) > 0.5).all()


def test_the_leash_holds(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged], tmp_path: Path
) -> None:
    in_use = open_narrator()
    rehearsal = [replace(each.liked, text="The kettle boils.") for each in judged if each.liked]
    strayed = []
    for leash in (0.0, 30.0):
        narrator = open_narrator()
        tune(narrator, in_use, judged, rehearsal, replace(QUICK, leash=leash), tmp_path / str(leash))
        strayed.append(float(kl_to(in_use.read(rehearsal).logits, narrator.read(rehearsal).logits)))
    assert strayed[1] < 0.5 * strayed[0]


def test_a_step_back_keeps_the_order_and_lowers_the_cost(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged], tmp_path: Path
) -> None:
    in_use, narrator = open_narrator(), open_narrator()
    references = [each.disliked for each in judged if each.disliked]
    tune(narrator, in_use, judged, [], QUICK, tmp_path)
    was, far, learned = in_use.loss(references), narrator.loss(references), margins(narrator, in_use, judged)
    assert far > was
    assert step_back(narrator, in_use, references, slack=1e9) == step_back(narrator, in_use, [], 0.0) == 1.0
    np.testing.assert_allclose(margins(narrator, in_use, judged), learned)
    share = step_back(narrator, in_use, references, slack=0.5 * (far / was - 1))
    assert share in SHARES[1:] and narrator.loss(references) <= (was + far) / 2
    left = margins(narrator, in_use, judged)
    assert (left > 0).all() and (left < learned).all()


def test_a_tuning_cut_off_goes_on_as_if_it_had_not_been(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged], tmp_path: Path
) -> None:
    in_use = open_narrator()
    settings = replace(QUICK, max_steps=6, checkpoint_every=2)

    class CutOffError(Exception):
        pass

    def cut_off(done: int, total: int) -> None:
        if done == 3:
            raise CutOffError

    cut, whole = open_narrator(), open_narrator()
    with pytest.raises(CutOffError):
        tune(cut, in_use, judged, [], settings, tmp_path / "cut", progress=cut_off)
    steps: list[int] = []
    gone_on = open_narrator()
    tune(gone_on, in_use, judged, [], settings, tmp_path / "cut", progress=lambda done, _: steps.append(done))
    assert steps == [3, 4, 5, 6]
    tune(whole, in_use, judged, [], settings, tmp_path / "whole")
    np.testing.assert_allclose(
        margins(gone_on, in_use, judged), margins(whole, in_use, judged), rtol=1e-4, atol=1e-5
    )


def test_texts_side_by_side_are_read_as_alone(
    open_narrator: Callable[[], TunableNarrator], judged: list[Judged]
) -> None:
    narrator = open_narrator()
    texts = [text for each in judged for text in (each.liked, each.disliked) if text]
    alone = np.concatenate([narrator.log_probs([text]) for text in texts])
    np.testing.assert_allclose(narrator.log_probs(texts), alone, rtol=1e-4)
    n_tokens = len(narrator.read(texts[:1]).ids)
    assert narrator.loss(texts[:1]) == pytest.approx(-alone[0] / n_tokens, rel=1e-4)
    assert narrator.loss([]) == 0.0 and narrator.log_probs([]).shape == (0,)
