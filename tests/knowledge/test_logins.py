from __future__ import annotations

from pathlib import Path

import pytest

from knowledge import logins
from knowledge.errors import InputError
from knowledge.logins import Logins, add_login


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(logins._COST, "n", 2)


def test_only_the_right_password_opens(tmp_path: Path) -> None:
    path = tmp_path / "logins"
    add_login(path, "ann", "correct horse")
    add_login(path, "ben@shop", "battery staple")
    opened = Logins(path)
    assert opened.may_enter("ann", "correct horse") and opened.may_enter("ben@shop", "battery staple")
    for name, password in (
        ("ann", "battery staple"),
        ("eve", "correct horse"),
        ("", ""),
        ("ann", "x" * 9_999),
    ):
        assert not opened.may_enter(name, password)
    add_login(path, "ann", "another one")
    assert Logins(path).may_enter("ann", "another one") and not Logins(path).may_enter("ann", "correct horse")
    assert Logins(path).may_enter("ben@shop", "battery staple")


def test_the_file_tells_no_password_and_is_for_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "logins"
    add_login(path, "ann", "correct horse")
    add_login(path, "ben", "correct horse")
    ann, ben = (line.split(":")[1:] for line in path.read_text().splitlines())
    assert "horse" not in path.read_text() and ann != ben
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in tmp_path.iterdir()] == ["logins"]


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [("a:b", "long enough", "name"), ("", "long enough", "name"), ("ann", "short", "password")],
)
def test_what_cannot_be_is_named(tmp_path: Path, name: str, password: str, field: str) -> None:
    with pytest.raises(InputError, match=f"field '{field}'"):
        add_login(tmp_path / "logins", name, password)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_kind_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "logins"
    with pytest.raises(InputError, match="crs login"):
        Logins(path)
    path.write_text("")
    with pytest.raises(InputError, match="nobody may log in"):
        Logins(path)
    path.write_text("ann:secret\n")
    with pytest.raises(InputError, match="line 1"):
        add_login(path, "ben", "long enough")
    assert path.read_text() == "ann:secret\n"
