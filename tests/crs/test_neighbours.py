import numpy as np

from crs.neighbours import BACKWARD, HISTORY_DECAY, PAIR_DECAY, POPULARITY_POWER, WINDOW, find_neighbours


def slow_bonds(sequences: list[list[int]], n_items: int) -> np.ndarray:
    """The obvious version: every pair of every sequence, one at a time."""
    bonds = np.zeros((n_items, n_items))
    for sequence in sequences:
        for at, earlier in enumerate(sequence):
            for lag, later in enumerate(sequence[at + 1 : at + 1 + WINDOW], start=1):
                bonds[earlier, later] += PAIR_DECAY ** (lag - 1)
                bonds[later, earlier] += BACKWARD * PAIR_DECAY ** (lag - 1)
    n_buyers = np.array([sum(item in sequence for sequence in sequences) for item in range(n_items)])
    fame = (n_buyers + 1.0) ** POPULARITY_POWER
    return bonds / (fame[:, None] * fame[None, :])


def test_counts_equal_the_obvious_version() -> None:
    rng = np.random.default_rng(0)
    sequences = [rng.integers(0, 12, size=rng.integers(1, 18)).tolist() for _ in range(30)]
    found = find_neighbours(sequences, 12, k=12)
    dense = np.zeros((12, 12))
    for item in range(12):
        np.add.at(dense[item], found.ids[item], found.weights[item])
    np.testing.assert_allclose(dense, slow_bonds(sequences, 12), rtol=1e-4, atol=1e-6)
    assert (np.diff(found.weights, axis=1) <= 0).all()


def test_only_the_strongest_are_kept() -> None:
    found = find_neighbours([[0, 1], [0, 1], [0, 2]], 3, k=1)
    assert found.ids[:, 0].tolist() == [1, 0, 0]


def test_rebought_is_the_share_of_buyers_who_came_back() -> None:
    found = find_neighbours([[0, 1, 0], [0, 2], [1]], 4)
    assert found.rebought.tolist() == [0.5, 0.0, 0.0, 0.0]


def test_scores_decay_with_age() -> None:
    found = find_neighbours([[0, 1], [2, 3]], 4)
    scores = found.scores([0, 2])
    np.testing.assert_allclose(scores[1] / scores[3], HISTORY_DECAY, rtol=1e-6)
    assert not found.scores([]).any()


def test_one_lonely_purchase_has_no_neighbours() -> None:
    assert not find_neighbours([[0]], 2).weights.any()
