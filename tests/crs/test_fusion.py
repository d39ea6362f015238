import numpy as np

from crs.fusion import FUSED_DIM, fuse, mean_norm, mute

RNG = np.random.default_rng(0)


def test_mean_norm_by_hand() -> None:
    assert mean_norm(np.array([[3.0, 4.0], [0.0, 1.0]])) == 3.0
    assert mean_norm(np.zeros((3, 2))) == 1.0 == mean_norm(np.zeros((0, 2)))


def test_fused_cf_has_the_expected_length_of_content() -> None:
    cf = RNG.normal(size=(50, 128)).astype(np.float32) * RNG.random((50, 1)).astype(np.float32) * 9
    rows = fuse(cf, np.eye(50, 384, dtype=np.float32), mean_norm(cf))
    assert rows.shape == (50, FUSED_DIM) and rows.dtype == np.float32
    lengths = np.linalg.norm(rows[:, :128], axis=1)
    np.testing.assert_allclose(lengths.mean(), 1.0, atol=1e-5)
    assert lengths.std() > 0.1  # single lengths are kept, not flattened


def test_mute_zeroes_the_other_signal_and_copies() -> None:
    rows = RNG.normal(size=(3, FUSED_DIM)).astype(np.float32)
    cf, content, fused = mute(rows, "cf"), mute(rows, "content"), mute(rows, "fused")
    assert not cf[:, 128:].any() and np.array_equal(cf[:, :128], rows[:, :128])
    assert not content[:, :128].any() and np.array_equal(content[:, 128:], rows[:, 128:])
    assert np.array_equal(fused, rows) and fused is not rows
