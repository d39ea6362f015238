"""Guessing at the login is slow, by name and address; whoever knows the password gets in all the same."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastapi import HTTPException

from knowledge import logins
from knowledge.logins import Logins, add_login
from ui import door
from ui.door import ADDRESS_TRIES, NAME_TRIES, Door, network


class Clock:
    """Seconds that pass only while somebody waits; ``waits`` are those who did."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds + 1e-9


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logins:
    monkeypatch.setitem(logins._COST, "n", 2)
    add_login(tmp_path / "logins", "ann", "correct horse")
    return Logins(tmp_path / "logins")


def guess(at: Door, address: str, name: str = "ann", password: str = "wrong one") -> bool:
    token = door._address.set(address)
    try:
        return asyncio.run(at.admits(name, password))
    finally:
        door._address.reset(token)


def test_a_guess_too_many_waits_and_nobody_is_locked_out(people: Logins) -> None:
    clock = Clock()
    at = Door(people, lambda: clock.now, clock.sleep)
    for _ in range(NAME_TRIES):
        assert not guess(at, "192.0.2.1")
    assert clock.waits == []
    assert not guess(at, "192.0.2.1")
    assert clock.waits == [12.0]  # five a minute
    assert guess(at, "192.0.2.1", password="correct horse") and len(clock.waits) == 2
    assert guess(at, "198.51.100.7", password="correct horse") and len(clock.waits) == 2


def test_many_names_from_one_address_are_slow_too(people: Logins) -> None:
    clock = Clock()
    at = Door(people, lambda: clock.now, clock.sleep)
    for n in range(ADDRESS_TRIES + 3):
        guess(at, "192.0.2.1", name=f"name{n}")
    assert len(clock.waits) == 3
    assert guess(at, "192.0.2.2", password="correct horse") and len(clock.waits) == 3


def test_guesses_at_the_same_time_do_not_pile_up(people: Logins) -> None:
    async def all_at_once() -> list[bool | BaseException]:
        return await asyncio.gather(*(at.admits("ann", "wrong") for _ in range(40)), return_exceptions=True)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)  # no second passes: only so many tokens are there

    at = Door(people, lambda: 0.0, sleep)
    tried = asyncio.run(all_at_once())
    refused = [each for each in tried if isinstance(each, HTTPException)]
    assert tried.count(False) == NAME_TRIES and len(refused) == 40 - NAME_TRIES
    assert refused[0].status_code == 429 and refused[0].headers == {"Retry-After": "30"}


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_is_what_one_customer_has(host: str, expected: str) -> None:
    assert network(host) == expected


def test_the_page_tells_the_door_whence_it_is_asked(people: Logins) -> None:
    import gradio as gr
    from fastapi.testclient import TestClient
    from gradio.routes import App

    clock = Clock()
    at = Door(people, lambda: clock.now, clock.sleep)
    options = at.launch_options()
    with gr.Blocks() as page:
        pass
    page.auth = options["auth"]
    app = App.create_app(page, app_kwargs=options["app_kwargs"])
    wrong, right = ({"username": "ann", "password": word} for word in ("wrong one", "correct horse"))
    one, other = (TestClient(app, client=(host, 50_000)) for host in ("192.0.2.1", "192.0.2.2"))
    told = [one.post("/login", data=wrong).status_code for _ in range(NAME_TRIES)]
    assert told == [400] * NAME_TRIES and clock.waits == []
    assert other.post("/login", data=right).status_code == 200 and clock.waits == []
    assert one.post("/login", data=right).status_code == 200 and len(clock.waits) == 1
