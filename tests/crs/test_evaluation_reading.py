"""The figures that say whether the narrator reads its soft tokens, on narrators whose answer is known."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from crs.bundle import Bundle, build_bundle
from crs.evaluation.identify import N_SHOPPERS as N_AMONG
from crs.evaluation.reading import (
    Said,
    identification,
    narrate_references,
    order_report,
    spread,
    strangers_rows,
    swap_gap,
)
from crs.narrator.evidence import Evidence
from crs.narrator.language_model import FakeLanguageModel
from crs.narrator.narrate import Narrated
from crs.rows import FusedRows
from crs.storyteller import Storyteller
from crs.tuning import Lesson
from knowledge.errors import InputError
from knowledge.store import StoreWriter
from knowledge.types import Interaction, Item, Narrative, Task
from tests.conftest import WordEncoder
from tests.crs.narrator_folders import DIM, N_VOCAB

N_SHOPPERS = 40


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Shoppers with three purchases of their own kinds; a long summary and a reason of each."""
    folder = tmp_path_factory.mktemp("evaluation")
    with StoreWriter(folder / "store", name="own", format="test") as store:
        for u in range(N_SHOPPERS):
            for n in range(3):
                store.add_item(Item(f"i{u}-{n}", f"thing{u}x{n}", kind=f"thing{u}x{n}"))
        for u in range(N_SHOPPERS):
            user_id = f"u{u:02d}"
            store.add_interactions([Interaction(user_id, f"i{u}-{n}", 1000 + n) for n in range(3)])
            told = f"Has [1] thing{u}x0 and [3] thing{u}x2."
            store.add_narrative(Narrative(user_id, "user_summary_long", told, 3))
            store.add_narrative(Narrative(user_id, "purchase_reason", "A [target] one.", 2, f"i{u}-2"))
    return build_bundle(folder / "store", folder / "bundle", narrator=folder / "none", encoder=WordEncoder())


def narrated(text: str, *, rejected: int = 0, cut: bool = False) -> Narrated:
    return Narrated(text, (), rejected, 3, 1.0, 2.0, 10, stopped=False, cut=cut)


class Stream:
    def __init__(self, text: str) -> None:
        self.result = narrated(text)

    def __iter__(self) -> Iterator[object]:
        return iter([self.result.text])


class Reader:
    """A storyteller that names the kinds it was given, and nothing else."""

    def __init__(self, bundle: Bundle) -> None:
        self.items = bundle.store.items
        self.seeds: list[int] = []

    def tell(self, history: Sequence[Interaction], task: Task, target: Item | None, *, seed: int) -> Stream:
        self.seeds.append(seed)
        return Stream(self.text([self.items[purchase.item_id].kind or "" for purchase in history], seed))

    def text(self, kinds: list[str], seed: int) -> str:
        return "Has " + " and ".join(f"the [{k}] {kind}" for k, kind in enumerate(kinds, start=1)) + "."


class Babbler(Reader):
    """One that does not look: the things of a shopper drawn by its seed."""

    def text(self, kinds: list[str], seed: int) -> str:
        u = random.Random(seed).randrange(N_SHOPPERS)
        return f"Has the [1] thing{u}x0 and the [2] thing{u}x1."


class Mute(Reader):
    def text(self, kinds: list[str], seed: int) -> str:
        return ""


def measure(storyteller: Reader, bundle: Bundle, n: int = N_SHOPPERS) -> dict[str, float]:
    seen: list[tuple[str, int, int]] = []
    users = bundle.store.user_ids
    figures = identification(
        bundle, storyteller, WordEncoder(), users, n=n, progress=lambda *at: seen.append(at)  # type: ignore[arg-type]
    )  # fmt: skip
    assert seen[-1] == ("narratives", n, n)
    return figures


def test_one_who_reads_is_found_out(bundle: Bundle) -> None:
    found = measure(Reader(bundle), bundle)
    assert found["n"] == N_SHOPPERS and found["among"] == N_AMONG
    assert found["references"] > 0.95 and found["generated"] > 0.95
    assert found["follows_donor"] > 0.95


def test_one_who_does_not_read_is_near_chance(bundle: Bundle) -> None:
    found = measure(Babbler(bundle), bundle)
    assert found["references"] > 0.95
    assert found["generated"] < 0.25 and found["follows_donor"] < 0.25  # chance is 1 in 20


def test_saying_nothing_identifies_nobody(bundle: Bundle) -> None:
    found = measure(Mute(bundle), bundle)
    assert found["generated"] == found["follows_donor"] == 0.0


def test_few_shoppers_are_found_among_themselves(bundle: Bundle) -> None:
    assert measure(Reader(bundle), bundle, n=5)["among"] == 5


def test_every_narrative_has_its_own_seed(bundle: Bundle) -> None:
    reader = Reader(bundle)
    measure(reader, bundle)
    assert len(set(reader.seeds)) == 2 * N_SHOPPERS


def test_the_report_counts_by_hand(bundle: Bundle) -> None:
    reference = next(iter(bundle.store.narratives()))
    said = [
        Said(reference, narrated("A.", rejected=2), n_pointers=3, n_wrong_nouns=1, n_invalid=0),
        Said(reference, narrated("B.", cut=True), n_pointers=4, n_wrong_nouns=0, n_invalid=1),
        Said(reference, narrated("A."), n_pointers=1, n_wrong_nouns=1, n_invalid=0),
        Said(reference, narrated(" ", rejected=1), n_pointers=0, n_wrong_nouns=0, n_invalid=0),
    ]
    assert order_report(said) == {
        "n": 4.0,
        "pointers": 8.0,
        "invalid_pointers": 1.0,
        "noun_right": 0.75,
        "unique": 0.75,
        "empty": 1.0,
        "at_length_limit": 1.0,
        "sentences_rejected": 3.0,
    }


def test_what_was_said_is_counted(bundle: Bundle) -> None:
    class Odd(Reader):
        def text(self, kinds: list[str], seed: int) -> str:
            return f"The [1] {kinds[0]}, the [2] rake, the [9] void."

    told = spread(bundle, ["u03"], 1, ("user_summary_long",))
    (said,) = narrate_references(bundle, Odd(bundle), told)  # type: ignore[arg-type]
    assert (said.n_pointers, said.n_wrong_nouns, said.n_invalid) == (3, 2, 1)
    assert said.reference == told[0]


def test_the_same_number_of_each_task(bundle: Bundle) -> None:
    users = bundle.store.user_ids[:10]
    told = spread(bundle, users, 8, ("user_summary_long", "purchase_reason"))
    assert [each.task for each in told] == ["user_summary_long"] * 4 + ["purchase_reason"] * 4
    assert {each.user_id for each in told} <= set(users)
    assert len(spread(bundle, users, 100)) == 20  # all there are


def test_nothing_to_measure_is_said(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="no reference narratives of these users"):
        spread(bundle, bundle.store.user_ids, 10, ("user_profile",))


def lessons_of(n_histories: dict[str, list[int]], *, target: bool = False) -> dict[str, list[Lesson]]:
    """Per shopper lessons on the beginnings of one history, as the references are."""
    rng = np.random.default_rng(5)
    item = Item("t", "Target") if target else None
    lessons = {}
    for user, lengths in n_histories.items():
        rows = rng.standard_normal((60, 512)).astype(np.float32)
        own = [np.concatenate([rows[:n], rows[59:]]) if target else rows[:n] for n in lengths]
        lessons[user] = [
            Lesson(each, Evidence([Item("i", "I")] * (len(each) - target), "purchase_reason", item), user)
            for each in own
        ]
    return lessons


@pytest.mark.parametrize("target", [False, True])
def test_no_lesson_keeps_its_own_rows(target: bool) -> None:
    rng = random.Random(6)
    n_histories = {f"u{u}": [rng.randint(1, 50) for _ in range(rng.randint(1, 6))] for u in range(12)}
    n_histories["longest"] = [50] * 12  # more than any fixed step skips
    lessons = [each for own in lessons_of(n_histories, target=target).values() for each in own]
    swapped = strangers_rows(lessons)
    assert sorted(each.text for each in swapped) == sorted(each.text for each in lessons)
    owner = {row.tobytes(): each.text for each in lessons for row in each.rows[: len(each.rows) - target]}
    for each in swapped:
        assert owner[each.rows[0].tobytes()] != each.text
        if target:
            own = next(other for other in lessons if other.text == each.text)
            np.testing.assert_array_equal(each.rows[-1], own.rows[-1])


def test_all_rows_are_a_strangers_where_one_has_as_many() -> None:
    lessons = lessons_of({"a": [3, 5], "b": [5], "c": [9]})
    flat = [each for own in lessons.values() for each in own]
    for each in strangers_rows(flat):
        own_rows = {row.tobytes() for own in lessons[each.text] for row in own.rows}
        n_own = sum(row.tobytes() in own_rows for row in each.rows)
        assert n_own == (4 if each.text == "c" else 0)  # the longest borrows the five that there are


def test_where_all_is_one_shoppers_nothing_changes() -> None:
    (own,) = lessons_of({"a": [2, 4]}).values()
    for lesson, swapped in zip(own, strangers_rows(own), strict=True):
        np.testing.assert_array_equal(swapped.rows, lesson.rows)
    assert strangers_rows([]) == []


def test_the_swap_gap_is_the_difference_of_two_losses(small_narrating_bundle: Bundle) -> None:
    rows = FusedRows(small_narrating_bundle, WordEncoder())
    gap = swap_gap(small_narrating_bundle, rows, small_narrating_bundle.store.user_ids, 8)
    assert gap["n"] == 8
    assert gap["loss"] > 0 and gap["loss"] != gap["loss_swapped"]
    assert gap["swap_gap"] == pytest.approx(gap["loss_swapped"] - gap["loss"])


def test_a_real_storyteller_can_be_measured(small_narrating_bundle: Bundle) -> None:
    model = FakeLanguageModel(embedding_dim=DIM, n_vocab=N_VOCAB)
    storyteller = Storyteller(small_narrating_bundle, WordEncoder(), model)
    users = small_narrating_bundle.store.user_ids
    told = spread(small_narrating_bundle, users, 2, ("user_summary_brief",))
    said = narrate_references(small_narrating_bundle, storyteller, told, seed=1)
    report = order_report(said)
    assert report["n"] == 2 and report["invalid_pointers"] == 0
    assert report["pointers"] == sum(len(each.narrated.cites) for each in said)
