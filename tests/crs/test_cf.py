import numpy as np
import pytest
from scipy.sparse import csr_matrix

from crs import cf


@pytest.fixture(scope="module")
def user_items() -> csr_matrix:
    rng = np.random.default_rng(0)
    dense = (rng.random((60, 40)) < 0.15).astype(np.float32)
    dense[:30, 20:] = 0.0  # two circles
    dense[30:, :20] = 0.0
    return csr_matrix(dense)


def test_same_seed_gives_the_same_factors(user_items: csr_matrix) -> None:
    first = cf.fit_wals(user_items, n_factors=16, seed=5)
    assert first.shape == (40, 16) and first.dtype == np.float32
    np.testing.assert_array_equal(first, cf.fit_wals(user_items, n_factors=16, seed=5))
    assert not np.allclose(first, cf.fit_wals(user_items, n_factors=16, seed=6))


def test_progress_counts_iterations(user_items: csr_matrix) -> None:
    seen: list[tuple[int, int]] = []
    cf.fit_wals(user_items, n_factors=4, iterations=3, progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_fold_in_is_what_implicit_solves(user_items: csr_matrix) -> None:
    from implicit.cpu.als import AlternatingLeastSquares

    factors = cf.fit_wals(user_items, n_factors=16)
    oracle = AlternatingLeastSquares(
        factors=16, regularization=cf.REGULARIZATION, alpha=cf.CONFIDENCE, num_threads=1
    )
    oracle.item_factors = factors
    shared = cf.gram(factors)
    for user in (0, 31, 59):
        expected = oracle.recalculate_user(0, user_items[user])
        np.testing.assert_allclose(
            cf.fold_in(factors, user_items[user].indices, shared=shared), expected, atol=1e-4
        )


def test_fold_in_separates_the_circles(user_items: csr_matrix) -> None:
    factors = cf.fit_wals(user_items, n_factors=8)
    scores = factors @ cf.fold_in(factors, [1, 3, 5])
    assert scores[:20].mean() > scores[20:].mean() + 0.1


def test_fold_in_of_nothing_is_zero_and_repeats_count(user_items: csr_matrix) -> None:
    factors = cf.fit_wals(user_items, n_factors=8)
    assert not cf.fold_in(factors, []).any()
    once, twice = cf.fold_in(factors, [1, 2]), cf.fold_in(factors, [1, 2, 2])
    assert factors[2] @ twice > factors[2] @ once


def test_warm_start_keeps_the_space(user_items: csr_matrix) -> None:
    factors = cf.fit_wals(user_items, n_factors=8, seed=1)
    more = user_items.tolil()
    more[0, 7] = 1.0
    refit = cf.fit_wals(more.tocsr(), n_factors=8, seed=1, start=factors, iterations=2)
    cold = cf.fit_wals(more.tocsr(), n_factors=8, seed=2)
    drift = np.linalg.norm(refit - factors) / np.linalg.norm(factors)
    assert 0 < drift < 0.2 < np.linalg.norm(cold - factors) / np.linalg.norm(factors)


def test_turned_factors_lie_as_the_others_and_tell_the_same() -> None:
    random = np.random.default_rng(0)
    factors = random.standard_normal((30, 8)).astype(np.float32)
    rotation, _ = np.linalg.qr(random.standard_normal((8, 8)))
    others = (factors @ rotation).astype(np.float32)
    back = cf.turned(others, factors)
    np.testing.assert_allclose(back, factors, atol=1e-5)
    np.testing.assert_allclose(back @ back.T, others @ others.T, atol=1e-4)
