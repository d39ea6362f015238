from pathlib import Path

import pytest

from crs.bundle import Bundle, derive_bundle
from crs.versions import default_data_dir, in_use, open_in_use, promote, versions_dir
from knowledge.errors import NotFoundError


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
