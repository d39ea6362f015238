from pathlib import Path

import pytest

from crs.bundle import Bundle, derive_bundle
from crs.versions import (
    Learned,
    default_data_dir,
    forget_versions,
    in_use,
    learned,
    open_in_use,
    promote,
    roll_back,
    tidy,
    versions_dir,
    write_learned,
)
from knowledge.errors import BundleError, NotFoundError


def test_the_first_version_serves_until_one_is_promoted(small_bundle: Bundle, tmp_path: Path) -> None:
    first = small_bundle.path
    assert in_use(first, tmp_path) == first
    folder = versions_dir(first, tmp_path)
    derive_bundle(first, folder / "second", reads_factors=False)
    assert in_use(first, tmp_path) == first  # being there is not being in use
    promote(first, "second", tmp_path)
    assert in_use(first, tmp_path) == folder / "second"
    assert open_in_use(first, tmp_path).version == small_bundle.version  # equal parts
    assert sorted(path.name for path in folder.iterdir()) == ["current", "second"]


def test_a_pointer_to_nothing_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    versions_dir(small_bundle.path, tmp_path).mkdir(parents=True)
    promote(small_bundle.path, "gone", tmp_path)
    with pytest.raises(NotFoundError, match="names 'gone', which is not there"):
        in_use(small_bundle.path, tmp_path)


def test_the_data_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path))
    assert default_data_dir() == tmp_path
    monkeypatch.delenv("RACONTEUR_VAR")
    assert default_data_dir().name == "var"


def test_no_bundle_named_means_the_default_one(
    small_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RACONTEUR_BUNDLE", str(small_bundle.path))
    assert in_use(None, tmp_path) == small_bundle.path


def made(first: Path, data_dir: Path, name: str, *sources: str, promoted: bool = True) -> Path:
    """An empty version ``name`` that learned ``sources``."""
    folder = versions_dir(first, data_dir)
    (folder / name).mkdir(parents=True)
    write_learned(folder, name, Learned(frozenset(sources)))
    if promoted:
        promote(first, name, data_dir)
    return folder


def test_one_goes_back_version_by_version(small_bundle: Bundle, tmp_path: Path) -> None:
    first = small_bundle.path
    for name in ("second", "third", "fourth"):
        folder = made(first, tmp_path, name)
    (folder / "third").rmdir()
    assert roll_back(first, tmp_path) == "second"
    assert in_use(first, tmp_path) == folder / "second"
    assert roll_back(first, tmp_path) == small_bundle.version
    assert in_use(first, tmp_path) == first
    with pytest.raises(NotFoundError, match="nothing is before it"):
        roll_back(first, tmp_path)


def test_versions_that_learned_what_was_taken_back_are_removed(small_bundle: Bundle, tmp_path: Path) -> None:
    first = small_bundle.path
    made(first, tmp_path, "second", "a", "study:b")
    folder = made(first, tmp_path, "third", "a", "b")
    (folder / "unknown").mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "narrator-third.gguf").touch()
    (cache / "texts-1.npy").touch()
    forget_versions(folder, frozenset({"a", "b", "c"}), cache)
    assert in_use(first, tmp_path) == folder / "third"
    forget_versions(folder, frozenset({"a"}), cache)
    assert in_use(first, tmp_path) == folder / "second"
    assert sorted(path.name for path in folder.iterdir()) == ["current", "second", "second.json"]
    assert [path.name for path in cache.iterdir()] == ["texts-1.npy"]


def test_what_was_never_promoted_is_tidied_away(small_bundle: Bundle, tmp_path: Path) -> None:
    made(small_bundle.path, tmp_path, "second")
    folder = made(small_bundle.path, tmp_path, "refused", promoted=False)
    tidy(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["current", "second", "second.json"]


def test_a_record_is_read_back_and_a_broken_one_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    folder = made(small_bundle.path, tmp_path, "second", "a", "b")
    assert learned(folder, "second") == Learned(frozenset("ab"))
    assert learned(folder, "third") is None
    (folder / "second.json").write_text("{")
    with pytest.raises(BundleError, match="second.json: cannot be read"):
        learned(folder, "second")
