from __future__ import annotations

from crs.ranking.data import RankingData, Rows
from crs.ranking.splits import Window, leave_last, merge_windows, windows
from knowledge.types import Item

ITEMS = {name: Item(name, name) for name in "abcdefgh"}


def told(rows: Rows) -> str:
    return "".join("abcdefgh"[row] for row in rows)


def asked(data: RankingData, fold: str) -> list[tuple[str, str]]:
    queries = getattr(data, fold).queries
    return [(told(h), told([t])) for h, t in zip(queries.histories, queries.targets, strict=True)]  # type: ignore[arg-type]


def test_the_last_is_asked_for_and_the_one_before_is_tuned_on() -> None:
    data = leave_last("x", ITEMS, {"u": "abcd", "v": "ab"})
    assert asked(data, "test") == [("abc", "d")] and asked(data, "valid") == [("ab", "c")]
    assert [told(s) for s in data.test.sequences] == ["abc", "ab"]
    assert [told(s) for s in data.valid.sequences] == ["ab", "ab"]


def test_a_target_bought_before_is_an_input_and_nothing_to_learn_from() -> None:
    data = leave_last("x", ITEMS, {"u": "dabcd", "v": "cabca"})
    assert asked(data, "test")[0] == ("dabc", "d")
    assert told(data.test.sequences[0]) == "abc"
    assert asked(data, "valid")[0] == ("ab", "c")  # nor is the pair of the test seen while tuning
    assert told(data.valid.sequences[0]) == "ab"
    assert data.valid.leaked() == data.test.leaked() == 0


def test_who_buys_the_same_twice_at_the_end_is_not_tuned_on() -> None:
    data = leave_last("x", ITEMS, {"u": "abcc"})
    assert asked(data, "valid") == [] and asked(data, "test") == [("abc", "c")]


def test_only_some_are_asked() -> None:
    data = leave_last("x", ITEMS, {"u": "abcd", "v": "efgh"}, asked={"v"}, ordered=False)
    assert asked(data, "test") == [("efg", "h")] and not data.ordered
    assert told(data.test.sequences[0]) == "abcd"


def given(*rows: str) -> list[Window]:
    return [(list(row[:-1]), row[-1]) for row in rows]


def test_windows_of_a_user_are_one_sequence() -> None:
    assert merge_windows([list("abc"), list("abcd"), list("bcde"), list("xy")]) == list("abcdexy")


def test_what_may_be_learned_of_windows() -> None:
    data = windows(
        "x",
        ITEMS,
        {},
        valid={"u": given("abc", "abcd"), "w": given("ab")},
        test={"u": given("abcde", "abcdef"), "v": given("ghb", "ghba")},
    )
    late = dict(zip("uwv", map(told, data.test.sequences), strict=True))
    # Valid targets are learned from for the test; test targets never, also not as another row's history.
    assert late == {"u": "abcd", "w": "ab", "v": "gh"}
    early = dict(zip("uwv", map(told, data.valid.sequences), strict=True))
    assert early == {"u": "ab", "w": "a", "v": "gh"}
    assert asked(data, "test")[1] == ("abcde", "f")  # the row's history is given as it is
    assert data.valid.leaked() == data.test.leaked() == 0


def test_a_test_pair_in_a_valid_row_is_not_tuned_on() -> None:
    data = windows("x", ITEMS, {}, valid={"u": given("ab", "abc", "eabd")}, test={"u": given("abcdb", "abe")})
    assert asked(data, "valid") == [("a", "c"), ("a", "d")]
    assert all(not set("be") & set(told(s)) for s in (*data.valid.sequences, *data.test.sequences))


def test_a_train_split_is_learned_from_in_both_folds() -> None:
    data = windows(
        "x", ITEMS, {"u": given("ab"), "t": given("fgh")}, {"u": given("abc")}, {"u": given("abcd")}
    )
    assert [told(s) for s in data.valid.sequences] == ["ab", "fgh"]
    assert [told(s) for s in data.test.sequences] == ["abc", "fgh"]
