"""What all floors' tests share: small stores, small bundles, and stand-ins for the slow parts."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("LANGSMITH_TRACING", "false")

import numpy as np
import pytest

from crs.bundle import Bundle, build_bundle, derive_bundle, install_narrator, install_ranker
from knowledge.store import Store, StoreWriter
from knowledge.types import Interaction, Item, Narrative

DATA_DIR = Path(os.environ.get("RACONTEUR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


def items_of(store: Store, user_id: str) -> list[Item]:
    """What the user bought, oldest first."""
    return [store.items[purchase.item_id] for purchase in store.history(user_id)]


class WordEncoder:
    """Stands in for crs.content.Encoder: hashed bags of words, so that shared words mean nearness."""

    def __init__(self) -> None:
        self.n_texts = 0

    def encode(self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        self.n_texts += len(texts)
        rows = np.zeros((len(texts), 384), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.strip(".,:;()").encode()) % 384] += 1.0
        if progress:
            progress(len(texts), len(texts))
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
        return rows


@pytest.fixture(scope="session")
def word_encoder() -> WordEncoder:
    return WordEncoder()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The real data sets (RACONTEUR_DATA, or shared/data beside the project); skips where they are not."""
    if not DATA_DIR.is_dir():
        pytest.skip(f"real data not found at {DATA_DIR}; set RACONTEUR_DATA to its folder")
    return DATA_DIR


# A shop small enough to reason about by hand: cooks and gardeners, and one thing both buy.
KITCHEN = ("kettle", "teapot", "whisk", "skillet", "ladle", "mug")
GARDEN = ("trowel", "rake", "hose", "planter", "shears", "gloves")
COLORS = ("red", "blue", "green")
BRANDS = ("Arbor", "Brindle", "Cobalt")


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """40 shoppers, 37 products in two circles; every shopper has a held-out next purchase."""
    path = tmp_path_factory.mktemp("stores") / "small"
    items = [
        Item(
            item_id=f"{noun}-{color}",
            title=f"{brand} {color} {noun}",
            description=f"A {color} {noun} for the {department.lower()}.",
            brand=brand,
            price=5.0 + 3.0 * rank + 10.0 * (department == "Garden"),
            department=department,
            kind=noun,
            attributes={"color": color},
        )
        for department, nouns in (("Kitchen", KITCHEN), ("Garden", GARDEN))
        for rank, noun in enumerate(nouns)
        for color, brand in zip(COLORS, BRANDS, strict=True)
    ]
    items.append(Item("tape", "Plain tape", kind="tape"))
    rng = np.random.default_rng(3)
    with StoreWriter(path, name="small", format="test") as writer:
        for item in items:
            writer.add_item(item)
        for user in range(40):
            own = items[:18] if user % 2 == 0 else items[18:36]
            chosen = [own[i] for i in rng.permutation(18)[:7]]
            user_id = f"u{user:02d}"
            writer.add_interactions(
                Interaction(
                    user_id,
                    item.item_id,
                    1_600_000_000 + 86_400 * day,
                    rating=float(3 + day % 3),
                    review=f"Good {item.kind}, used every week." if day % 2 else "",
                )
                for day, item in enumerate(chosen[:-1])
            )
            writer.add_held_out(user_id, chosen[-1].item_id)
            writer.add_narrative(
                Narrative(user_id, "user_summary_brief", "Buys the [1] things of one room.", n_history=6)
            )
    return Store.open(path)


@pytest.fixture(scope="session")
def small_bundle(
    small_store: Store, word_encoder: WordEncoder, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """`small_store` built with the stand-in encoder; it has no narrator."""
    path = tmp_path_factory.mktemp("bundles") / "small"
    return build_bundle(small_store.path, path, narrator=path.parent / "none", encoder=word_encoder)


@pytest.fixture(scope="session")
def narrator_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrator with random weights: it says nonsense, but through every real part."""
    import torch

    from crs.adapter import build_adapter, save_adapter
    from tests.crs.narrator_folders import DIM, write_narrator

    folder = write_narrator(tmp_path_factory.mktemp("narrators") / "random")
    torch.manual_seed(0)
    adapter = build_adapter("mlp", DIM, n_hidden=32)
    save_adapter(
        folder / "adapter.safetensors", adapter, 0.06 * torch.randn(51, DIM), {"kind": "mlp", "n_hidden": 32}
    )
    return folder


@pytest.fixture(scope="session")
def small_narrating_bundle(
    small_bundle: Bundle, narrator_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """`small_bundle` with the random narrator in it, whose trunk the ranker reads too."""
    path = tmp_path_factory.mktemp("bundles") / "narrating"
    derive_bundle(small_bundle.path, path, narrator=narrator_dir, reads_factors=True)
    return install_ranker(path)


@pytest.fixture(scope="session")
def demo_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The demo store with 60 shoppers."""
    from knowledge.demo import write_demo_store

    path = tmp_path_factory.mktemp("stores") / "demo"
    write_demo_store(path, n_shoppers=60)
    return Store.open(path)


@pytest.fixture(scope="session")
def demo_bundle(
    demo_store: Store, word_encoder: WordEncoder, narrator_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """`demo_store` as a bundle, with the stand-in encoder and the random narrator."""
    folder = tmp_path_factory.mktemp("bundles")
    build_bundle(demo_store.path, folder / "demo", narrator=folder / "none", encoder=word_encoder)
    return install_narrator(folder / "demo", narrator_dir)
