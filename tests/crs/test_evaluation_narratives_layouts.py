from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.evaluation.narratives.benchmark import PERSON, Benchmark, content_text
from crs.evaluation.narratives.layouts import open_benchmark
from knowledge.errors import InputError, NotFoundError
from knowledge.store import Store
from tests.crs.reference_folders import write, write_explained, write_profiled


def opened(folder: Path, tmp_path: Path, max_people: int = 100) -> Benchmark:
    return open_benchmark(folder, tmp_path / "cache", max_people=max_people)


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("data")
    return open_benchmark(write_explained(folder / "any-name"), folder / "cache", max_people=100)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("data")
    return open_benchmark(write_profiled(folder / "whatever"), folder / "cache", max_people=100)


def test_explanations_are_reasons_for_one_item(explained: Benchmark) -> None:
    assert explained.name == "any-name" and explained.tasks == ["purchase_reason_explanation"]
    assert len(explained.references) == 24
    first = explained.references[0]
    assert (first.user_id, first.narrative.target_id) == ("0", "0")
    assert first.narrative.text == "The user would buy it because they enjoy tea."
    assert first.note == "Book 0 of tea. Fans of tea enjoy it."


def test_no_explained_pair_is_in_any_history(explained: Benchmark) -> None:
    told = {(r.user_id, r.narrative.target_id) for r in explained.references}
    bought = {(u, p.item_id) for u in explained.store.user_ids for p in explained.store.history(u)}
    assert told.isdisjoint(bought)
    assert ("0", "2") in bought  # a pair that nothing explains stays


def test_a_history_opens_with_what_is_written_of_the_person(explained: Benchmark) -> None:
    history = explained.store.history("4")
    assert history[0].item_id == PERSON + "4"
    assert content_text(explained.store.items[history[0].item_id]) == "Reads about climbing every week."
    assert content_text(explained.store.items["101"]) == ""  # known by id alone
    assert "Fans of climbing" in content_text(explained.store.items["10"])


def test_people_are_no_items_to_the_cf(explained: Benchmark) -> None:
    known = explained.purchases(explained.folds()[0])
    columns = [i for i, item_id in enumerate(explained.store.item_ids) if item_id.startswith(PERSON)]
    assert len(columns) == 12 and known[:, columns].nnz == 0 and known.nnz > 0


def test_profiles_are_summaries_of_all_ratings(profiled: Benchmark) -> None:
    assert profiled.tasks == ["user_summary_long"] and len(profiled.references) == 12
    reference = profiled.references[1]
    assert (reference.narrative.n_history, reference.narrative.target_id) == (4, None)
    history = profiled.store.history("1")
    assert [purchase.review_title for purchase in history] == ["Did not like it."] + ["Liked it."] * 2 + [
        "Did not like it."
    ]
    assert profiled.store.items["0"].price == 12.5 and profiled.store.items["0"].brand == "Acme"
    assert profiled.store.items["1"].price is None and profiled.store.items["1"].brand is None


def test_every_person_is_tested_once_and_never_trained_on_then(explained: Benchmark) -> None:
    folds = explained.folds()
    assert [fold.seed for fold in folds] == [0, 1, 2]
    assert sorted(user for fold in folds for user in fold.test) == sorted(explained.people())
    for fold in folds:
        assert fold.train.isdisjoint(fold.test) and len(fold.train | fold.test) == 12
        assert {r.user_id for r in explained.test_references(fold)} == fold.test
        assert {r.user_id for r in explained.training_references(fold)} == fold.train
        assert len(explained.test_references(fold, 3)) == 3
        assert explained.reading_people(fold) == sorted(fold.train)


def test_a_bundle_and_its_store_are_the_same_benchmark(demo_bundle: Bundle, tmp_path: Path) -> None:
    of_bundle = opened(demo_bundle.path, tmp_path)
    of_store = opened(demo_bundle.path / "store", tmp_path)
    assert of_bundle.quoting and len(of_bundle.tasks) == 6
    assert of_bundle.fingerprint() == of_store.fingerprint()
    assert of_bundle.fingerprint() != opened(demo_bundle.path, tmp_path, max_people=30).fingerprint()


def test_unseen_items_are_in_no_training_text(demo_bundle: Bundle, tmp_path: Path) -> None:
    benchmark = opened(demo_bundle.path, tmp_path)
    fold = benchmark.folds()[0]
    assert len(fold.unseen) == round(0.1 * len(benchmark.store.item_ids))
    known = benchmark.training_references(fold)
    assert 0 < len(known) < sum(r.user_id in fold.train for r in benchmark.references)
    assert all(fold.unseen.isdisjoint(benchmark.items_of(reference)) for reference in known)
    readers = benchmark.reading_people(fold)
    assert readers and set(readers) < fold.train
    bought = {p.item_id for user_id in readers for p in benchmark.store.history(user_id)}
    assert bought.isdisjoint(fold.unseen)


def test_what_test_people_are_asked_about_is_not_in_the_cf(demo_bundle: Bundle, tmp_path: Path) -> None:
    benchmark = opened(demo_bundle.path, tmp_path)
    store, fold = benchmark.store, benchmark.folds()[0]
    known = benchmark.purchases(fold).toarray()
    everything = store.user_items().toarray()
    asked = {
        (store.user_ids.index(r.user_id), store.item_index[r.narrative.target_id])
        for r in benchmark.references
        if r.user_id in fold.test and r.narrative.target_id
    }
    gone = set(zip(*np.nonzero(everything - known), strict=True))
    held_out = {(store.user_ids.index(u), store.item_index[i]) for u, i in store.held_out.items()}
    assert gone and gone <= asked | held_out
    assert not any(known[pair] for pair in asked)


def test_a_regen_release_is_read_as_it_is_published(tmp_path: Path) -> None:
    purchase = {
        "item": {"asin": "a", "title": "Blue pen", "category": "Office - Pens", "price": "3.00"},
        "review": {"summary": "ok", "rating": 5.0, "text": "Writes.", "unix_time": 1_500_000_000},
    }
    lines = [
        json.dumps(
            {
                "reviewer_id": f"u{i}",
                "purchase_history": [purchase, {**purchase, "item": {**purchase["item"], "asin": "b"}}],
                "user": {"long_summary": "Likes pens."},
            }
        )
        for i in range(8)
    ]
    release = tmp_path / "release" / "office.jsonl"
    release.parent.mkdir()
    release.write_text("\n".join(lines))
    for path in (release, release.parent):
        benchmark = opened(path, tmp_path)
        assert benchmark.tasks == ["user_summary_long"] and len(benchmark.references) == 8


def test_a_folder_without_references_is_refused_with_what_was_found(tmp_path: Path) -> None:
    write(tmp_path / "x" / "items.parquet", [{"item_id": 1, "title": "A"}])
    (tmp_path / "x" / "pairs.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"items.parquet \(item_id, title\), pairs.parquet \(\).* known are"):
        opened(tmp_path / "x", tmp_path)
    with pytest.raises(NotFoundError, match="no such folder"):
        opened(tmp_path / "y", tmp_path)


def test_a_store_without_references_is_refused(small_store: Store, tmp_path: Path) -> None:
    assert opened(small_store.path, tmp_path).tasks == ["user_summary_brief"]
    from knowledge.store import StoreWriter

    with StoreWriter(tmp_path / "bare", name="bare", format="test"):
        pass
    with pytest.raises(InputError, match="no reference narratives"):
        opened(tmp_path / "bare", tmp_path)


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    benchmark = opened(write_explained(tmp_path / "few", n_users=5), tmp_path)
    with pytest.raises(InputError, match="5 people with reference texts; 3 folds need 6"):
        benchmark.folds()


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("narratives", {"explanation": ""}, "field 'explanation': is empty"),
        ("narratives", {"uid": 0, "iid": 0}, "field 'iid': user 0 and item 0 come twice"),
        ("narratives", {"uid": None}, "field 'uid': missing"),
        ("pairs", {"item": None}, "field 'item': missing"),
    ],
)
def test_faults_in_explanations_are_named(
    tmp_path: Path, file: str, change: dict[str, object], message: str
) -> None:
    folder = write_explained(tmp_path / "data")
    spoil(folder / f"{file}.parquet", change)
    with pytest.raises(InputError, match=message):
        opened(folder, tmp_path)


def test_explanations_need_other_pairs(tmp_path: Path) -> None:
    folder = write_explained(tmp_path / "data")
    write(folder / "pairs.parquet", [{"user": 0, "item": 0}])
    with pytest.raises(InputError, match="nobody has a history"):
        opened(folder, tmp_path)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("items", {"item_id": 0}, "item 0 comes twice"),
        ("ratings", {"item": 999}, "items.parquet has no item 999"),
        ("ratings", {"rating": 9.0}, "expected a rating from 1 to 5"),
        ("user_summaries", {"user_id": 999}, "ratings.parquet has no rating of user 999"),
    ],
)
def test_faults_in_profiles_are_named(
    tmp_path: Path, file: str, change: dict[str, object], message: str
) -> None:
    folder = write_profiled(tmp_path / "data")
    spoil(folder / f"{file}.parquet", change)
    with pytest.raises(InputError, match=message):
        opened(folder, tmp_path)


def test_profiles_must_say_something(tmp_path: Path) -> None:
    folder = write_profiled(tmp_path / "data")
    write(folder / "user_summaries.parquet", [{"user_id": 1, "user_summary_long": ""}])
    with pytest.raises(InputError, match="every summary is empty"):
        opened(folder, tmp_path)


def spoil(path: Path, change: dict[str, object]) -> None:
    """Change the file's last row."""
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    write(path, [*rows[:-1], {**rows[-1], **change}])


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "task", "n"),
    [
        ("fashion", "user_summary_long", 848),
        ("xrec_amazon", "purchase_reason_explanation", 3000),
        ("xrec_google", "purchase_reason_explanation", 3000),
    ],
)
def test_the_real_layouts_are_recognised(
    data_dir: Path, tmp_path: Path, folder: str, task: str, n: int
) -> None:
    benchmark = opened(data_dir / folder, tmp_path)
    assert benchmark.tasks == [task] and len(benchmark.references) == n
    assert len(benchmark.folds()) == 3
