"""A small shop and someone to talk to, for tests of whole turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_shop import FakeShop
from talking import Talk

from agents.conversation import Assistant


@pytest.fixture(scope="module")
def assistant() -> Assistant:
    return Assistant(FakeShop())  # type: ignore[arg-type]


@pytest.fixture
def shop(assistant: Assistant) -> Iterator[FakeShop]:
    shop = assistant.shop
    assert isinstance(shop, FakeShop)
    yield shop
    shop.before_piece = lambda: None
    shop.caveats = []
    shop.places_in_line = ()


@pytest.fixture
def talk(assistant: Assistant, request: pytest.FixtureRequest) -> Talk:
    return Talk(assistant, request.node.name)
