"""Links to conversations: one each, until they are taken back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from knowledge.errors import ConversationError, NotFoundError
from knowledge.shares import Shares


def test_a_link_stays_the_same_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "shared.sqlite"
    with closing(Shares(path)) as shares:
        token = shares.share("conversation 1")
        assert shares.share("conversation 1") == token and shares.share("c2") != token
        assert len(token) >= 20 and "conversation" not in token
    with closing(Shares(path)) as shares:
        assert shares.conversation(token) == "conversation 1"


def test_a_link_that_was_taken_back_leads_nowhere(tmp_path: Path) -> None:
    with closing(Shares(tmp_path / "shared.sqlite")) as shares:
        token, other = shares.share("c1"), shares.share("c2")
        assert shares.take_back(["c1", "c9"]) == 1
        with pytest.raises(NotFoundError, match="leads to no conversation"):
            shares.conversation(token)
        assert shares.conversation(other) == "c2"
        assert shares.share("c1") != token


def test_a_token_is_data(tmp_path: Path) -> None:
    with closing(Shares(tmp_path / "shared.sqlite")) as shares:
        shares.share("c1")
        with pytest.raises(NotFoundError):
            shares.conversation("' OR 1=1 --")


def test_another_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shared.sqlite"
    path.write_text("no database, but long enough to be taken for one" * 40)
    with pytest.raises(ConversationError, match=r"shared\.sqlite: could not be opened"):
        Shares(path)
