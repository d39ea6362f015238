from __future__ import annotations

import pytest

from knowledge.readers.categories import department, kind


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ((), None),
        (("",), None),
        (("Gift Cards",), "Gift Cards"),
        (("Office Products", "Office Supplies", "Labels"), "Office Supplies"),
    ],
)
def test_the_department_is_the_second_level(path: tuple[str, ...], expected: str | None) -> None:
    assert department(path) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("Postal Scales", "postal scale"),
        ("Boxes", "box"),
        ("Pocket Watches", "pocket watch"),
        ("Glue Guns", "glue gun"),
        ("Markers & Highlighters", None),
        ("Office Supplies", None),
        ("Scissors", None),
        ("Cookies", None),
        ("Gas", None),
        ("Glass", None),
        ("Paper", None),
        ("100% Cotton", None),
        ("Erasers For Whiteboards And Doors", None),
    ],
)
def test_the_kind_is_the_last_level_where_that_is_sure(last: str, expected: str | None) -> None:
    assert kind(("Office Products", "Supplies", last)) == expected


def test_a_department_is_no_kind() -> None:
    assert kind(("Office Products", "Labels")) is None
