"""What soft tokens are made of, on adapters whose parts are known, and on tiny bundles from end to end."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from crs.adapter import build_adapter, save_adapter
from crs.bundle import Bundle, build_bundle, derive_bundle, install_narrator
from crs.cf import N_FACTORS
from crs.evaluation import embeddings, geometry
from crs.evaluation.embeddings import (
    CF,
    CONTENT,
    SOFT,
    TOKENS,
    Heard,
    analyze,
    count_buckets,
    first_layer_share,
    share_of_first,
    token_rows,
)
from crs.evaluation.geometry import unit
from crs.narrator.engine import LlamaCppModel
from crs.narrator.foreign import TOKENIZER, ForeignModel
from crs.narrator.gguf_export import cached_gguf
from crs.narrator.vocabulary import HfVocabulary
from knowledge.errors import BundleError, ModelError
from knowledge.store import Store
from tests.conftest import WordEncoder
from tests.crs.foreign_folders import write_llm
from tests.crs.narrator_folders import DIM, N_VOCAB, soft_prompt


@pytest.fixture(autouse=True)
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures: what is drawn in them is the same, and the tests end soon."""
    monkeypatch.setattr(embeddings, "N_DRAWN_TOKENS", 60)
    monkeypatch.setattr(geometry, "N_ITERATIONS", 250)


@pytest.fixture
def copied(small_narrating_bundle: Bundle, tmp_path: Path) -> Bundle:
    """A bundle whose files a test may spoil."""
    shutil.copytree(small_narrating_bundle.path, tmp_path / "copied")
    return replace(small_narrating_bundle, path=tmp_path / "copied")


def fused_rows(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, 512)).astype(np.float32)
    return unit(rows)


def with_other_factors(bundle: Bundle, path: Path) -> Bundle:
    """A copy whose narrator was not trained on the copy's factors, and so reads content only."""
    return derive_bundle(bundle.path, path, item_factors=bundle.item_factors[::-1], reads_factors=False)


def test_parts_of_a_linear_adapter_are_the_projected_halves() -> None:
    torch.manual_seed(1)
    linear = torch.nn.Linear(512, 8)
    rows = fused_rows(5000)  # more than one batch
    weight, bias = linear.weight.detach().numpy(), linear.bias.detach().numpy()
    heard = Heard.of(linear, rows)
    cf, content = heard.parts()
    np.testing.assert_allclose(cf, rows[:, :N_FACTORS] @ weight[:, :N_FACTORS].T, atol=1e-6)
    np.testing.assert_allclose(content, rows[:, N_FACTORS:] @ weight[:, N_FACTORS:].T, atol=1e-6)
    np.testing.assert_allclose(heard.neither, np.broadcast_to(bias, (5000, 8)), atol=1e-6)


@pytest.mark.parametrize("kind", ["mlp", "causal"])
def test_parts_add_up_where_the_adapter_bends(kind: str) -> None:
    torch.manual_seed(2)
    adapter = build_adapter(kind, 32, n_hidden=64).eval()  # type: ignore[arg-type]
    rows = fused_rows(9)
    heard = Heard.of(adapter, rows)
    cf, content = heard.parts()
    np.testing.assert_allclose(cf + content, heard.both - heard.neither, atol=1e-6)
    # Each item is a history of its own: whoever stands before it does not matter.
    np.testing.assert_allclose(Heard.of(adapter, rows[4:]).both, heard.both[4:], atol=1e-6)


def test_a_signal_that_says_nothing_has_no_part() -> None:
    rows = fused_rows(6)
    rows[:, :N_FACTORS] = 0
    cf, content = Heard.of(build_adapter("mlp", 16, n_hidden=32), rows).parts()
    np.testing.assert_allclose(cf, 0, atol=1e-7)
    assert (share_of_first(cf, content) < 1e-5).all()


def test_shares_by_hand() -> None:
    first = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]])
    second = np.array([[0.0, 15.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(share_of_first(first, second), [0.25, 0.0, 0.5, 1.0])


def test_the_first_layers_share_by_hand() -> None:
    adapter = build_adapter("mlp", 16, n_hidden=2)
    weight = torch.zeros(2, 512)
    weight[0, 0], weight[1, N_FACTORS] = (
        1.0,
        1.0,
    )  # one hidden unit hears the first factor, one a content value
    adapter.enter.weight.data = weight  # type: ignore[union-attr]
    rows = np.zeros((2, 512), dtype=np.float32)
    rows[0, 0], rows[0, N_FACTORS] = 0.5, 0.5
    rows[1, N_FACTORS] = 1.0
    # Inputs come in times sqrt(128) and sqrt(384).
    np.testing.assert_allclose(first_layer_share(adapter, rows), [1 / (1 + 3**0.5), 0.0], atol=1e-6)


def test_buckets_reach_from_the_least_to_the_most() -> None:
    assert count_buckets([0, 3, 120]) == [
        (0, 0), (1, 1), (2, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, 199)
    ]  # fmt: skip
    assert count_buckets([12, 15]) == [(10, 19)]
    assert count_buckets([1, 2]) == [(1, 1), (2, 4)]
    assert count_buckets([0]) == [(0, 0)]
    assert count_buckets([1000]) == [(1000, 1999)]


def test_tokens_are_rows_of_the_models_own_embedding(narrator_dir: Path) -> None:
    held = load_file(narrator_dir / "model.safetensors")["model.embed_tokens.weight"]
    ids, rows, n_tokens = token_rows(narrator_dir, 40, np.random.default_rng(0))
    assert n_tokens == N_VOCAB and len(set(ids.tolist())) == 40
    np.testing.assert_array_equal(rows, held[ids])
    ids, rows, _ = token_rows(narrator_dir, 10_000, np.random.default_rng(0))
    np.testing.assert_array_equal(rows, held)


def test_a_tiny_bundle_from_end_to_end(small_narrating_bundle: Bundle, small_store: Store) -> None:
    seen: list[tuple[str, int, int]] = []
    found = analyze(small_narrating_bundle, seed=3, progress=lambda *at: seen.append(at))
    assert seen == [("t-SNE", done, 4) for done in range(5)]
    assert (found.signals, found.notes) == ("fused", [])
    assert (found.n_items, found.n_tokens) == (37, N_VOCAB)
    assert found.item_ids == small_store.item_ids and len(found.token_ids) == 60
    assert {kind: len(points) for kind, points in found.together.points.items()} == {
        SOFT: 37, CF: 37, CONTENT: 37, TOKENS: 60
    }  # fmt: skip
    assert {kind: list(apart.points) for kind, apart in found.apart.items()} == {
        kind: [kind, TOKENS] for kind in (SOFT, CF, CONTENT)
    }
    # LayerNorm: whatever is heard, a row has the length of the adapter's scale times sqrt(llm_dim).
    for kind in (SOFT, CF, CONTENT):
        assert found.norms[kind].mean == pytest.approx(0.06 * DIM**0.5, rel=0.01)
    assert found.norms["pointers"].n == 51
    assert set(found.separation) == {SOFT, CF, CONTENT}
    assert found.item_neighbours["chance"] == pytest.approx(10 / 36, abs=1e-5)


def test_the_shares_of_a_tiny_bundle(small_narrating_bundle: Bundle) -> None:
    shares = analyze(small_narrating_bundle).shares
    assert shares is not None
    assert shares.cf.n == sum(shares.cf_counts) == 37
    assert shares.cf.mean + shares.content.mean == pytest.approx(1, abs=1e-4)
    assert 0 < shares.cf.mean < 1 and shares.cf.sd == shares.content.sd
    assert shares.cf.quarter <= shares.cf.median <= shares.cf.three_quarters


def test_item_counts_are_those_of_the_purchases_that_cf_saw(
    small_narrating_bundle: Bundle, small_store: Store
) -> None:
    counted = Counter(
        purchase.item_id
        for user_id in small_store.user_ids
        for purchase in small_store.history(user_id)
        if purchase.item_id != small_store.held_out[user_id]
    )
    counts = np.array([counted[item_id] for item_id in small_store.item_ids])
    found = analyze(small_narrating_bundle).item_counts
    assert found.purchases.mean == pytest.approx(counts.mean(), abs=1e-5)
    assert [bucket.purchases for bucket in found.buckets] == ["0", "1", "2-4", "5-9", "10-19", "20-49"][
        : len(found.buckets)
    ]
    by_hand = [int(((counts >= first) & (counts <= last)).sum()) for first, last in count_buckets(counts)]
    assert [bucket.n_items for bucket in found.buckets] == by_hand
    unsold = found.buckets[0]  # the tape: nobody bought it, so its factor is zero and CF has no share
    assert unsold.n_items == 1 and unsold.factor_norm is not None and unsold.cf_share is not None
    assert unsold.factor_norm.mean == pytest.approx(0, abs=1e-3) and unsold.cf_share.mean < 0.05
    assert sum(b.n_items * b.factor_norm.mean for b in found.buckets if b.factor_norm) / 37 == pytest.approx(
        1, abs=1e-3
    )
    correlation = found.rank_correlation
    assert correlation["factor_norm"] is not None and correlation["factor_norm"] > 0.5
    assert correlation["cf_share"] is not None


def test_the_same_seed_gives_the_same_numbers_and_another_does_not(small_narrating_bundle: Bundle) -> None:
    first = analyze(small_narrating_bundle, seed=1)
    assert analyze(small_narrating_bundle, seed=1) == first
    assert analyze(small_narrating_bundle, seed=2).token_ids != first.token_ids


def test_large_stores_are_sampled(small_narrating_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "MAX_ITEMS", 20)
    monkeypatch.setattr(embeddings, "N_DRAWN_ITEMS", 8)
    found = analyze(small_narrating_bundle)
    assert found.n_items == 20 and found.shares is not None and found.shares.cf.n == 20
    assert len(found.item_ids) == len(found.together.points[SOFT]) == 8
    assert sum(bucket.n_items for bucket in found.item_counts.buckets) == 37  # counting costs nothing
    assert sum(b.cf_share.n for b in found.item_counts.buckets if b.cf_share) == 20


def test_a_narrator_that_reads_content_only(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    found = analyze(with_other_factors(small_narrating_bundle, tmp_path / "other"))
    assert found.signals == "content" and found.shares is None
    assert "reads content only" in found.notes[0]
    assert list(found.together.points) == [SOFT, TOKENS] and list(found.apart) == [SOFT]
    assert found.item_neighbours == {}
    assert list(found.item_counts.rank_correlation) == ["factor_norm"]
    assert all(bucket.cf_share is None for bucket in found.item_counts.buckets)


def test_a_bundle_of_cf_only(small_store: Store, narrator_dir: Path, tmp_path: Path) -> None:
    build_bundle(
        small_store.path, tmp_path / "cf", signals="cf", narrator=tmp_path / "none", encoder=WordEncoder()
    )
    found = analyze(install_narrator(tmp_path / "cf", narrator_dir))
    assert found.signals == "cf" and found.shares is None and "reads cf only" in found.notes[0]


def test_where_all_items_are_alike_no_rank_is_correlated(small_narrating_bundle: Bundle) -> None:
    alike = replace(small_narrating_bundle, item_factors=np.ones((37, N_FACTORS), np.float32), norm=128**0.5)
    assert analyze(alike).item_counts.rank_correlation["factor_norm"] is None


def test_a_foreign_narrator(small_bundle: Bundle, tmp_path: Path) -> None:
    llm = write_llm(tmp_path / "llm", hidden=64)
    narrator = tmp_path / "narrator"
    narrator.mkdir()
    save_adapter(
        narrator / "adapter.safetensors", build_adapter("mlp", 64, n_hidden=32), torch.zeros(51, 64),
        {"kind": "mlp", "n_hidden": 32},
    )  # fmt: skip
    HfVocabulary.load(llm, ()).save(narrator / TOKENIZER)
    ForeignModel(str(llm), 64, (1,)).write(narrator)
    bundle = install_narrator(
        derive_bundle(small_bundle.path, tmp_path / "b", reads_factors=False).path, narrator
    )
    found = analyze(bundle)
    held = load_file(llm / "model.safetensors")["model.embed_tokens.weight"]
    assert found.n_tokens == len(held)
    norms = np.linalg.norm(held[found.token_ids], axis=1)
    assert found.norms[TOKENS].mean == pytest.approx(float(norms.mean()), abs=1e-4)
    assert found.shares is not None
    shutil.rmtree(llm)
    with pytest.raises(ModelError, match="neither a folder nor a downloaded repository"):
        analyze(bundle)


def test_no_narrator_is_said(small_bundle: Bundle) -> None:
    with pytest.raises(BundleError, match="no narrator in it; run `python -m crs train-narrator"):
        analyze(small_bundle)


def test_parts_of_two_narrators_are_refused(copied: Bundle) -> None:
    save_adapter(
        copied.narrator_dir / "adapter.safetensors", build_adapter("mlp", 64, n_hidden=32),
        torch.zeros(51, 64), {"kind": "mlp", "n_hidden": 32},
    )  # fmt: skip
    with pytest.raises(BundleError, match=f"soft tokens of 64 dimensions, the language model reads {DIM}"):
        analyze(copied)


def test_broken_weights_are_our_error(copied: Bundle) -> None:
    (copied.narrator_dir / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="no language model that transformers can open"):
        analyze(copied)


@pytest.fixture
def served(small_narrating_bundle: Bundle, tmp_path: Path) -> Iterator[LlamaCppModel]:
    model = LlamaCppModel(cached_gguf(small_narrating_bundle.narrator_dir, tmp_path, "f32"))
    yield model
    model.close()


def test_a_narrator_that_serves_is_not_disturbed(
    small_narrating_bundle: Bundle, served: LlamaCppModel
) -> None:
    before = served.logits(soft_prompt())
    analyze(small_narrating_bundle)
    np.testing.assert_array_equal(served.logits(soft_prompt()), before)
    # Opening checks every part's fingerprint: nothing was written into the bundle.
    assert Bundle.open(small_narrating_bundle.path).version == small_narrating_bundle.version
