"""A bundle: one folder that can be served, every part of it under a fingerprint.

    manifest.json       schema, name, version, signals, dims, what it was built from, sha256 of every part
    store/              the shop: items, interactions, held-out purchases, narratives (parquet)
    item_factors.npy    CF, float16 (n_items, 128)
    item_content.npy    content of the items alone, float16 (n_items, 384), unit rows
    ranker.npz          what ranks: ties of items, counts, the blend's weights (crs/ranking/ranker.py)
    next_item.safetensors  what comes next, read off the narrator's trunk (crs/ranking/next_item.py);
                        only in a bundle whose ranker was fitted beside a narrator
    splits.json         "train" / "valid" / "test" -> user ids; no user is in two
    narrator/           config.json, tokenizer.json, title_words.txt, model.safetensors, adapter.safetensors,
                        a card;
                        of a foreign language model: foreign.json, tokenizer/, adapter.safetensors

A bundle is written to a temporary folder and renamed, so a folder by its name is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crs.adapter import ADAPTER, SoftTokens
from crs.cf import N_FACTORS, fit_wals
from crs.content import CONTENT_DIM, Encoder, TextEncoder, item_text
from crs.fusion import mean_norm
from crs.narrator.narrator_folder import missing_parts
from crs.ranking.next_item import ItemRows, NextItem
from crs.ranking.ranker import Ranker, fit_ranker, load_ranker, save_ranker
from crs.ranking.replacing import replacement_rate
from knowledge.errors import BundleError, InputError, NotFoundError
from knowledge.store import Store
from knowledge.types import SIGNALS, Signals

SCHEMA = 1
MANIFEST, FACTORS, CONTENT, SPLITS = "manifest.json", "item_factors.npy", "item_content.npy", "splits.json"
RANKER, NEXT_ITEM = "ranker.npz", "next_item.safetensors"
NARRATOR, STORE = "narrator", "store"
EMBEDDED = Path(__file__).resolve().parents[1] / "assets" / "demo"

Progress = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. ``item_factors`` and ``item_content`` are float32, rows in the store's order."""

    path: Path
    manifest: dict[str, Any]
    store: Store
    item_factors: np.ndarray
    item_content: np.ndarray
    splits: dict[str, list[str]]
    norm: float

    @classmethod
    def open(cls, path: str | Path | None = None) -> Bundle:
        """Open the bundle at ``path`` (the embedded one, or ``RACONTEUR_BUNDLE``, when None).

        Raises NotFoundError when there is no bundle, BundleError when a part is missing or does not
        fit the manifest's fingerprint.
        """
        path = default_path() if path is None else Path(path)
        manifest = read_manifest(path)
        for part, expected in manifest["parts"].items():
            _check_part(path, part, expected)
        store = Store.open(path / STORE)
        factors = np.load(path / FACTORS, allow_pickle=False).astype(np.float32)
        content = np.load(path / CONTENT, allow_pickle=False).astype(np.float32)
        for name, rows, dim in ((FACTORS, factors, N_FACTORS), (CONTENT, content, CONTENT_DIM)):
            if rows.shape != (len(store.item_ids), dim):
                raise BundleError(
                    f"{path / name}: shape {rows.shape} does not fit the {len(store.item_ids)} items of "
                    f"{path / STORE}; build the bundle again"
                )
        splits = json.loads((path / SPLITS).read_text(encoding="utf-8"))
        return cls(path, manifest, store, factors, content, splits, mean_norm(factors))

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        """Twelve hex digits of the parts' fingerprints: equal versions hold equal parts."""
        return str(self.manifest["version"])

    @property
    def signals(self) -> Signals:
        """What ranking may use, as chosen when the bundle was built."""
        signals: Signals = self.manifest["signals"]
        return signals

    @cached_property
    def ranker(self) -> Ranker:
        """What ranks; BundleError where the bundle is from before there was one."""
        if RANKER not in self.manifest["parts"]:
            raise BundleError(f"{self.path}: no {RANKER}; run `python -m crs fit-ranker {self.path}`")
        next_item = None
        if NEXT_ITEM in self.manifest["parts"]:
            next_item = NextItem.load(self.path / NEXT_ITEM, self.soft_tokens, self.item_rows)
        return load_ranker(self.path / RANKER, self.item_content, self.item_factors, next_item)

    @cached_property
    def soft_tokens(self) -> SoftTokens:
        """The narrator's adapter, whose trunk the ranker reads too; ModelError where it cannot be read."""
        return SoftTokens.load(self.narrator_dir / ADAPTER)

    @property
    def item_rows(self) -> ItemRows:
        """The items as the narrator may hear them."""
        return ItemRows(self.item_factors, self.item_content, self.narrator_signals)

    @property
    def narrator_dir(self) -> Path:
        return self.path / NARRATOR

    @property
    def has_narrator(self) -> bool:
        return "narrator" in self.manifest

    @cached_property
    def narrator_signals(self) -> Signals:
        """What the narrator may read: factors it was not trained on mean nothing to it."""
        trained_on = self.manifest.get("narrator", {}).get("trained_on")
        if trained_on in (None, self.manifest["parts"][FACTORS]):
            return self.signals
        return "content"


def default_path() -> Path:
    """``RACONTEUR_BUNDLE`` where it is set, else the bundle that comes with the project."""
    return Path(os.environ.get("RACONTEUR_BUNDLE") or EMBEDDED)


def build_bundle(
    store_path: str | Path,
    bundle_path: str | Path,
    *,
    signals: Signals = "fused",
    narrator: Path | None = None,
    encoder: TextEncoder | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Bundle:
    """Fit CF, encode the items, split the users and write the bundle; an older one there is replaced.

    ``narrator``: the bundle to take the narrator from, the embedded one by default; without any, the
    bundle ranks but cannot narrate until `train-narrator`. Held-out purchases never enter the fit.
    Raises InputError for unknown ``signals`` or a store without purchases.
    """
    if signals not in SIGNALS:
        raise InputError("--signals", f"'{signals}' is none of {', '.join(SIGNALS)}")
    store = Store.open(Path(store_path))
    user_items = store.user_items()
    if not store.item_ids or not user_items.nnz:
        raise InputError(store_path, "the store has no purchases to learn from; import one that has")
    factors = fit_wals(without_held_out(store), seed=seed, progress=_stage(progress, "collaborative filter"))
    texts = [item_text(item) for item in store.items.values()]
    content = (encoder or Encoder()).encode(texts, progress=_stage(progress, "content of items"))
    source = default_path() if narrator is None else narrator
    with _replacing(Path(bundle_path)) as folder:
        shutil.copytree(store.path, folder / STORE)
        np.save(folder / FACTORS, factors.astype(np.float16), allow_pickle=False)
        np.save(folder / CONTENT, content.astype(np.float16), allow_pickle=False)
        (folder / SPLITS).write_text(json.dumps(split_users(store.user_ids)), encoding="utf-8")
        manifest: dict[str, Any] = {
            "schema": SCHEMA,
            "name": store.manifest.get("name", Path(store_path).name),
            "signals": signals,
            "built_from": {"store": store.manifest.get("name"), "format": store.manifest.get("format")},
            "dims": {
                "cf": N_FACTORS,
                "content": CONTENT_DIM,
                "items": len(texts),
                "users": user_items.shape[0],
            },
        }
        if (source / MANIFEST).exists() and "narrator" in (origin := read_manifest(source)):
            shutil.copytree(source / NARRATOR, folder / NARRATOR)
            manifest["narrator"] = origin["narrator"]
        unsealed = manifest | {"parts": {FACTORS: fingerprint(folder / FACTORS)}}
        bundle = Bundle(folder, unsealed, store, factors, content, {}, mean_norm(factors))
        _write_ranker(folder, _fit_ranker(bundle, progress))
        _seal(folder, manifest)
    return Bundle.open(bundle_path)


def install_narrator(bundle_path: str | Path, source: str | Path) -> Bundle:
    """Put the narrator files of the folder ``source`` into the bundle, as trained on its factors.

    What read the trunk of a narrator before is taken out of the ranking until `install_ranker` fits it anew.
    """
    source = Path(source)
    if missing := missing_parts(source):
        raise BundleError(f"{source}: not a narrator, {', '.join(missing)} missing; train one there")
    return derive_bundle(bundle_path, bundle_path, narrator=source, reads_factors=True)


def install_ranker(bundle_path: str | Path, progress: Progress | None = None) -> Bundle:
    """Fit the bundle's ranker anew on its purchases, content, factors and narrator; all other parts stay."""
    bundle = Bundle.open(bundle_path)
    ranker = _fit_ranker(bundle, progress)
    return derive_bundle(bundle.path, bundle.path, reads_factors=False, ranker=ranker)


def derive_bundle(
    source: str | Path,
    bundle_path: str | Path,
    *,
    reads_factors: bool,
    item_factors: np.ndarray | None = None,
    ranker: Ranker | None = None,
    narrator: Path | None = None,
) -> Bundle:
    """A copy of the bundle ``source`` with new factors, ranker or narrator, under a version of its own.

    ``reads_factors``: the copy's narrator was trained on factors that are new in the copy.
    """
    source, bundle_path = Path(source), Path(bundle_path)
    manifest = read_manifest(source)
    with _replacing(bundle_path) as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        if item_factors is not None:
            np.save(folder / FACTORS, item_factors.astype(np.float16), allow_pickle=False)
        if narrator is not None:
            shutil.rmtree(folder / NARRATOR, ignore_errors=True)
            shutil.copytree(narrator, folder / NARRATOR)
            (folder / NEXT_ITEM).unlink(missing_ok=True)  # it reads the trunk of the narrator before
        if ranker is not None:
            _write_ranker(folder, ranker)
        if reads_factors:
            manifest["narrator"] = {"trained_on": fingerprint(folder / FACTORS)}
        _seal(folder, manifest)
    return Bundle.open(bundle_path)


def split_users(user_ids: Iterable[str]) -> dict[str, list[str]]:
    """Users by a salted hash of their id, 80 / 10 / 10: the same user falls the same way in any store."""
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for user_id in user_ids:
        tenth = int.from_bytes(hashlib.sha256(f"raconteur:{user_id}".encode()).digest()[:8], "big") % 10
        splits["valid" if tenth == 8 else "test" if tenth == 9 else "train"].append(user_id)
    return splits


def without_held_out(store: Store) -> Any:
    """The store's ``user_items`` (CSR) less every pair that is held out, were it bought before or not."""
    user_items = store.user_items().tocsr()
    row_of = {user_id: row for row, user_id in enumerate(store.user_ids)}
    pairs = [
        (row_of[user_id], store.item_index[item_id])
        for user_id, item_id in store.held_out.items()
        if user_id in row_of and item_id in store.item_index
    ]
    if pairs:
        from scipy.sparse import csr_matrix

        users, items = zip(*pairs, strict=True)
        held = csr_matrix((np.ones(len(pairs), np.float32), (users, items)), shape=user_items.shape)
        user_items = user_items - user_items.multiply(held > 0)
        user_items.eliminate_zeros()
    return user_items.tocsr()


def purchases(store: Store) -> list[NDArray[np.int64]]:
    """Every user's history as item rows int64 (n,), oldest first, less what is held out."""
    index, held_out = store.item_index, store.held_out
    return [
        np.array(
            [index[i.item_id] for i in store.history(user_id) if i.item_id != held_out.get(user_id)],
            dtype=np.int64,
        )
        for user_id in store.user_ids
    ]


def _fit_ranker(bundle: Bundle, progress: Progress | None) -> Ranker:
    store = bundle.store
    rate = replacement_rate((store.history(user_id) for user_id in store.user_ids), store.items)
    return fit_ranker(
        purchases(store), list(store.items.values()), bundle.item_content, bundle.item_factors,
        use=bundle.signals, replaced=rate,
        soft_tokens=bundle.soft_tokens if bundle.has_narrator else None,
        heard=bundle.narrator_signals, progress=progress,
    )  # fmt: skip


def _write_ranker(folder: Path, ranker: Ranker) -> None:
    save_ranker(folder / RANKER, ranker)
    (folder / NEXT_ITEM).unlink(missing_ok=True)
    if ranker.next_item is not None:
        ranker.next_item.save(folder / NEXT_ITEM)


def fingerprint(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the bundle at ``path``. NotFoundError for none, BundleError for a damaged one."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFoundError(
            f"{path}: no bundle there; make one with `python -m crs build STORE BUNDLE`"
        ) from exc
    except (OSError, ValueError) as exc:
        raise BundleError(f"{path / MANIFEST}: cannot be read ({exc}); build the bundle again") from exc
    if (
        not isinstance(manifest, dict)
        or manifest.get("schema") != SCHEMA
        or FACTORS not in manifest.get("parts", ())
    ):
        raise BundleError(f"{path / MANIFEST}: not a manifest of schema {SCHEMA}; build the bundle again")
    return manifest


def _check_part(path: Path, part: str, expected: str) -> None:
    if not (path / part).is_file():
        raise BundleError(f"{path}: {part} is missing; build the bundle again")
    if (found := fingerprint(path / part)) != expected:
        raise BundleError(
            f"{path / part} has fingerprint {found[:12]}, but {path / MANIFEST} expects {expected[:12]}: "
            "parts of two bundles are mixed; build it again"
        )


def _seal(folder: Path, manifest: dict[str, Any]) -> None:
    parts = {
        file.relative_to(folder).as_posix(): fingerprint(file)
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }
    manifest["parts"] = parts
    manifest["version"] = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that takes its place once the block ends without an error."""
    if path.exists() and not (path / MANIFEST).exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(path, "is there and is not a bundle; choose another folder")
    folder = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
        old = folder.with_suffix(".old")
        if path.exists():
            os.replace(path, old)
        os.replace(folder, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stage(progress: Progress | None, stage: str) -> Callable[[int, int], None] | None:
    return (lambda done, total: progress(stage, done, total)) if progress else None
