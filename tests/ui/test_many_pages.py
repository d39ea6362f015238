"""Twenty people on the page at once: nobody sees anything of anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from browser import free_port
from ui_fakes import FakeAssistant, FakeShop

from knowledge.shares import Shares

N_PEOPLE, N_TURNS = 20, 1


@pytest.fixture
def shop() -> FakeShop:
    return FakeShop()


@pytest.fixture
def url(shop: FakeShop, tmp_path: Path) -> Iterator[str]:
    from ui.page import build_page

    shares = Shares(tmp_path / "shared.sqlite")
    page = build_page(shop, FakeAssistant(shop, pause_s=0.0), shares)  # type: ignore[arg-type]
    port = free_port()
    page.launch(
        server_name="127.0.0.1", server_port=port, quiet=True, prevent_thread_lock=True, ssr_mode=False,
        footer_links=[], run_history=False,
    )  # fmt: skip
    yield f"http://127.0.0.1:{port}/"
    page.close()
    shares.close()


def visit(url: str, person: int) -> tuple[str, list[dict]]:
    """Pick a shopper and say a few things nobody else says; the conversation's id and all its messages."""
    from gradio_client import Client

    client = Client(url, verbose=False, httpx_kwargs={"timeout": 120.0})  # a slow machine is no fault
    kept, *_ = client.predict("s1" if person % 2 else "s2", api_name="/on_pick")
    for turn in range(N_TURNS):
        chat, *_ = client.predict(f"what person {person:02d} wants, {turn}", api_name="/on_submit")
    client.close()
    return kept["conversation_id"], chat


def test_twenty_people_at_once_do_not_meet(url: str, shop: FakeShop) -> None:
    with ThreadPoolExecutor(N_PEOPLE) as people:
        visits = list(people.map(lambda person: visit(url, person), range(N_PEOPLE)))
    assert len({conversation_id for conversation_id, _ in visits}) == N_PEOPLE
    for person, (_, messages) in enumerate(visits):
        assert [message["role"] for message in messages] == ["user", "assistant"] * N_TURNS
        said = [message["content"][0]["text"] for message in messages[::2]]
        assert said == [f"what person {person:02d} wants, {turn}" for turn in range(N_TURNS)]
        told = json.dumps(messages[1::2])
        assert "matches what you already own" in told and "rc-live" not in told
        assert f"person {(person + 1) % N_PEOPLE:02d}" not in told
    assert len(shop.usage.counted) == N_PEOPLE * N_TURNS
