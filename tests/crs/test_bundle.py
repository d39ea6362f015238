import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import (
    Bundle,
    build_bundle,
    default_path,
    install_narrator,
    install_ranker,
    split_users,
    without_held_out,
)
from crs.narrator.narrator_folder import OWN_PARTS
from knowledge.errors import BundleError, InputError, NotFoundError
from knowledge.store import Store, StoreWriter
from knowledge.types import Interaction, Item
from tests.conftest import WordEncoder


@pytest.fixture
def copy(small_bundle: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_bundle.path, tmp_path / "copy"))


@pytest.fixture
def narrator_files(tmp_path: Path) -> Path:
    folder = tmp_path / "narrator"
    folder.mkdir()
    for part in OWN_PARTS:
        (folder / part).write_text(part)
    return folder


def test_a_built_bundle_opens_with_all_parts(small_bundle: Bundle, small_store: Store) -> None:
    n_items = len(small_store.item_ids)
    assert small_bundle.item_factors.shape == (n_items, 128)
    assert small_bundle.item_content.shape == (n_items, 384)
    assert small_bundle.item_factors.dtype == small_bundle.item_content.dtype == np.float32
    assert small_bundle.store.item_ids == small_store.item_ids
    assert small_bundle.name == "small" and len(small_bundle.version) == 12
    assert small_bundle.signals == "fused" and not small_bundle.has_narrator
    on_disk = np.load(small_bundle.path / "item_factors.npy")
    assert on_disk.dtype == np.float16


def test_building_twice_gives_one_version(
    small_bundle: Bundle, small_store: Store, word_encoder: WordEncoder, tmp_path: Path
) -> None:
    again = build_bundle(small_store.path, tmp_path / "b", narrator=tmp_path, encoder=word_encoder)
    assert again.version == small_bundle.version
    assert [p.name for p in tmp_path.iterdir()] == ["b"]  # nothing temporary is left


def test_splits_share_no_user_and_do_not_depend_on_the_store() -> None:
    ids = [f"user{i}" for i in range(5000)]
    splits = split_users(ids)
    assert sorted(sum(splits.values(), [])) == sorted(ids)
    shares = {name: len(users) / len(ids) for name, users in splits.items()}
    assert shares == pytest.approx({"train": 0.8, "valid": 0.1, "test": 0.1}, abs=0.02)
    assert split_users(reversed(ids))["test"] == splits["test"][::-1]


def test_held_out_pairs_never_enter_the_fit(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", name="s", format="test") as writer:
        for name in "abc":
            writer.add_item(Item(name, name))
        writer.add_interactions([Interaction("u", "a", 1), Interaction("u", "b", 2)])
        writer.add_interactions([Interaction("v", "b", 1)])
        writer.add_held_out("u", "b")  # bought again: the pair is in the history too
        writer.add_held_out("v", "c")
    matrix = without_held_out(Store.open(tmp_path / "s"))
    assert matrix.toarray().tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_changed_part_is_refused_by_name(copy: Path) -> None:
    factors = np.load(copy / "item_factors.npy")
    np.save(copy / "item_factors.npy", factors + 1)
    with pytest.raises(BundleError, match=r"item_factors\.npy has fingerprint .*manifest\.json expects"):
        Bundle.open(copy)


def test_a_missing_part_is_refused_by_name(copy: Path) -> None:
    (copy / "splits.json").unlink()
    with pytest.raises(BundleError, match=r"splits\.json is missing"):
        Bundle.open(copy)


def test_a_bundle_without_a_ranker_says_how_to_get_one(copy: Path) -> None:
    (copy / "ranker.npz").unlink()
    manifest = json.loads((copy / "manifest.json").read_text())
    others = {part: print_ for part, print_ in manifest["parts"].items() if part != "ranker.npz"}
    (copy / "manifest.json").write_text(json.dumps(manifest | {"parts": others}))
    with pytest.raises(BundleError, match="no ranker.npz; run `python -m crs fit-ranker"):
        _ = Bundle.open(copy).ranker
    fitted = install_ranker(copy)
    assert fitted.manifest["parts"].items() > others.items() and fitted.ranker.signals


def test_parts_that_do_not_fit_each_other_are_refused(copy: Path) -> None:
    from crs.bundle import fingerprint

    np.save(copy / "item_content.npy", np.zeros((3, 384), np.float16))
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["parts"]["item_content.npy"] = fingerprint(copy / "item_content.npy")
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"shape \(3, 384\) does not fit the 37 items"):
        Bundle.open(copy)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 99, "parts": {}}'])
def test_a_damaged_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="manifest"):
        Bundle.open(copy)


def test_no_bundle_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFoundError, match="python -m crs build"):
        Bundle.open(tmp_path / "nowhere")
    monkeypatch.setenv("RACONTEUR_BUNDLE", str(tmp_path / "elsewhere"))
    assert default_path() == tmp_path / "elsewhere"
    with pytest.raises(NotFoundError, match="elsewhere"):
        Bundle.open()


def test_other_folders_are_not_overwritten(
    small_store: Store, word_encoder: WordEncoder, tmp_path: Path
) -> None:
    (tmp_path / "letters.txt").write_text("keep me")
    with pytest.raises(InputError, match="not a bundle"):
        build_bundle(small_store.path, tmp_path, encoder=word_encoder)
    assert (tmp_path / "letters.txt").read_text() == "keep me"


def test_a_build_cut_off_leaves_nothing(
    small_store: Store, word_encoder: WordEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(_users: object) -> dict[str, list[str]]:
        raise KeyboardInterrupt

    monkeypatch.setattr("crs.bundle.split_users", cut_off)
    with pytest.raises(KeyboardInterrupt):
        build_bundle(small_store.path, tmp_path / "b", narrator=tmp_path, encoder=word_encoder)
    assert list(tmp_path.iterdir()) == []


def test_unknown_signals_and_empty_stores_are_refused(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'all' is none of fused, cf, content"):
        build_bundle(small_store.path, tmp_path / "b", signals="all")  # type: ignore[arg-type]
    with StoreWriter(tmp_path / "empty", name="e", format="test") as writer:
        writer.add_item(Item("a", "a"))
    with pytest.raises(InputError, match="no purchases"):
        build_bundle(tmp_path / "empty", tmp_path / "b")


def test_a_narrator_reads_only_the_factors_it_was_trained_on(
    copy: Path, narrator_dir: Path, small_store: Store, word_encoder: WordEncoder, tmp_path: Path
) -> None:
    trained = install_narrator(copy, narrator_dir)
    assert trained.has_narrator and trained.narrator_signals == "fused"
    same = build_bundle(small_store.path, tmp_path / "same", narrator=copy, encoder=word_encoder)
    assert same.narrator_signals == "fused" and (same.narrator_dir / "config.json").is_file()
    other = build_bundle(small_store.path, tmp_path / "other", narrator=copy, encoder=word_encoder, seed=9)
    assert other.signals == "fused" and other.narrator_signals == "content"
    read = [bundle.ranker.next_item for bundle in (trained, same, other)]
    assert read[0] is None and read[1] is not None and read[2] is not None
    assert (read[1].rows.signals, read[2].rows.signals) == ("fused", "content")


def test_a_new_narrator_is_ranked_with_once_the_ranker_is_fitted_to_it(
    small_narrating_bundle: Bundle, narrator_dir: Path, tmp_path: Path
) -> None:
    path = shutil.copytree(small_narrating_bundle.path, tmp_path / "bundle")
    before = Bundle.open(path).ranker
    assert before.next_item is not None and before.next_item.soft_tokens.n_hidden == 32
    without = install_narrator(path, narrator_dir)
    assert "next_item.safetensors" not in without.manifest["parts"]
    history = [np.array([0, 1, 2])]
    assert without.ranker.next_item is None and np.isfinite(without.ranker.scores(history)).all()
    again = install_ranker(path).ranker
    np.testing.assert_allclose(again.scores(history), before.scores(history), rtol=1e-4)


def test_installing_an_incomplete_narrator_names_what_is_missing(copy: Path, narrator_files: Path) -> None:
    (narrator_files / "tokenizer.json").unlink()
    with pytest.raises(BundleError, match=r"tokenizer\.json missing"):
        install_narrator(copy, narrator_files)
