import json
from pathlib import Path

import pytest

from crs.bundle import Bundle
from crs.learning.preferences import (
    A_RATERS_SHARE,
    Occasion,
    Preference,
    by_split,
    can_be_told,
    capped,
    fingerprint_of,
    from_file,
    from_ratings,
    is_disliked,
    is_liked,
    lessons_of,
)
from crs.narrator.evidence import StoreWords
from crs.rows import FusedRows
from knowledge.errors import InputError
from knowledge.feedback import Rating
from tests.conftest import WordEncoder


def rated(number: int, text: str, thumb: int | None = None, **fields: object) -> Rating:
    fields = {"user_id": "u00", "task": "user_summary_brief", "history_ids": ("a", "b")} | fields
    return Rating("c", f"m{number}", thumb=thumb, text=text, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "liked", "disliked"),
    [
        ({"thumb": 1}, True, False),
        ({"stars": 4}, True, False),
        ({"stars": 5, "thumb": -1}, False, True),
        ({"stars": 1, "thumb": 1}, True, False),
        ({"stars": 3}, False, False),
        ({"stars": 2}, False, True),
        ({"thumb": 0}, False, False),
        ({"reason": "hm"}, False, False),
    ],
)
def test_what_counts_as_liked(fields: dict[str, object], liked: bool, disliked: bool) -> None:
    rating = Rating("c", "m", "u", **fields)  # type: ignore[arg-type]
    assert (is_liked(rating), is_disliked(rating)) == (liked, disliked)


def test_opposite_thumbs_on_one_occasion_are_a_pair_and_others_stand_alone() -> None:
    found = from_ratings(
        [
            rated(1, "good", 1),
            rated(2, "bad", -1),
            rated(3, "good too", 1),
            rated(4, "bad", -1, user_id="u01"),  # another person
            rated(5, "bad", -1, history_ids=("a",)),  # told from something else
            rated(6, "unsaid", 0),
            rated(7, "no narrative", 1, task=None),
            rated(8, "same", 1, user_id="u02"),
            rated(9, "same", -1, user_id="u02"),
        ]
    )
    assert {(each.liked, each.disliked) for each in found} == {
        ("good", "bad"), ("good too", None), (None, "bad"),
    }  # fmt: skip
    assert [each.is_pair for each in found].count(True) == 1 and len(found) == 4
    pair = next(each for each in found if each.is_pair)
    assert pair.sources == {fingerprint_of(rated(1, "good", 1)), fingerprint_of(rated(2, "bad", -1))}


def test_a_study_is_read_row_by_row(tmp_path: Path) -> None:
    row = {
        "prompt": "", "chosen": "good", "rejected": "bad", "task": "product_endorsement", "user_id": "u00",
        "target_id": "tape", "history_ids": ["a", "b"],
    }  # fmt: skip
    path = tmp_path / "study.jsonl"
    path.write_text(json.dumps(row) + "\n\n" + json.dumps(row | {"rater": "r1"}) + "\n")
    first, second = from_file(path)
    assert first.occasion == Occasion("u00", "product_endorsement", "tape", ("a", "b"))
    assert (first.liked, first.disliked, first.rater, second.rater) == ("good", "bad", "u00", "r1")
    for name, value in (("task", "poem"), ("chosen", " "), ("history_ids", "a")):
        path.write_text(json.dumps(row | {name: value}))
        with pytest.raises(InputError, match=f"line 1, field '{name}'"):
            from_file(path)
    path.write_text("{")
    with pytest.raises(InputError, match="line 1: no JSON"):
        from_file(path)
    path.write_text(json.dumps({"chosen": "x"}))
    with pytest.raises(InputError, match="field 'rejected': is missing"):
        from_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        from_file(tmp_path / "none")


def test_only_texts_that_can_be_told_again_are_learned(small_bundle: Bundle) -> None:
    ids = tuple(i.item_id for i in small_bundle.store.history("u00"))

    def told(text: str, **fields: object) -> bool:
        fields = {"task": "user_summary_brief", "item_id": None, "history_ids": ids} | fields
        occasion = Occasion("u00", **fields)  # type: ignore[arg-type]
        return can_be_told(Preference("u00", occasion, text, None), small_bundle)

    assert told("A [2] person.")
    assert told("The [1] thing.", task="purchase_reason", item_id=ids[2])
    assert not told(" ")
    assert not told("The [9] thing.")
    assert not told("The [3] thing.", task="purchase_reason", item_id=ids[2])  # told from two purchases
    assert not told("A person.", history_ids=("not sold here",))
    assert not told("A thing.", task="product_endorsement")
    assert not told("A thing.", task="product_endorsement", item_id="not sold here")


def test_a_reason_is_learned_from_what_came_before(small_bundle: Bundle) -> None:
    store = small_bundle.store
    ids = tuple(i.item_id for i in store.history("u00"))
    rows, words = FusedRows(small_bundle, WordEncoder()), StoreWords.of(store.items.values())
    reason = Preference("u00", Occasion("u00", "purchase_reason", ids[3], ids), None, "The [1] one.")
    liked, disliked = lessons_of(reason, small_bundle, rows, words)
    assert liked is None and disliked is not None
    assert len(disliked.evidence.items) == 3 and disliked.rows.shape == (4, 512)
    assert disliked.evidence.stars[0] == store.history("u00")[0].rating
    guest = Preference("g", Occasion("guest", "user_profile", None, ids[:2]), "A person.", None)
    liked, _ = lessons_of(guest, small_bundle, rows, words)
    assert liked is not None and liked.rows.shape == (2, 512)


def test_people_fall_into_the_splits_of_the_store(small_bundle: Bundle) -> None:
    def by(user_id: str) -> Preference:
        return Preference(user_id, Occasion(user_id, "user_profile", None, ()), "x", None)

    users = [small_bundle.splits[name][0] for name in ("train", "valid", "test")]
    found = by_split(map(by, [*users, "a stranger"]), small_bundle)
    assert [found[name][0].rater for name in ("train", "valid", "test")] == users
    assert sum(map(len, found.values())) == 4


def test_nobody_speaks_for_everybody() -> None:
    def by(rater: str, n: int) -> list[Preference]:
        occasion = Occasion(rater, "user_profile", None, ())
        return [Preference(rater, occasion, f"{i}", None) for i in range(n)]

    few = [each for rater in "abc" for each in by(rater, 5)]
    kept = capped([*by("loud", 500), *few])
    loud = [each.liked for each in kept if each.rater == "loud"]
    assert loud == [str(i) for i in range(500 - A_RATERS_SHARE, 500)]  # the latest
    assert kept[A_RATERS_SHARE:] == few
    diligent = [each for rater in "abc" for each in by(rater, 60)]
    assert capped(diligent) == diligent
    assert capped([]) == []
