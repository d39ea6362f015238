from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from knowledge.errors import NotesError, NotFoundError
from knowledge.notes import MAX_NOTES, Note, Notebook

WOOL = Note("dislike", "I hate wool", "wool", "c1", 2)


def test_notes_survive_a_restart_and_belong_to_one_person(tmp_path: Path) -> None:
    with Notebook(tmp_path / "new" / "notes.sqlite") as notebook:
        notebook.add("ann", WOOL)
        notebook.add("ann", WOOL)  # said twice, noted once
        notebook.add("ben", Note("fact", "I'm tall \ud800", "tall"))
        notebook.set_consent("ann", False)
        notebook.begin("c1", "ann")
    with Notebook(tmp_path / "new" / "notes.sqlite") as notebook:
        (note,) = notebook.notes("ann")
        assert (note.kind, note.text, note.words, note.position) == ("dislike", "I hate wool", "wool", 2)
        assert [each.text for each in notebook.notes("ben")] == ["I'm tall ?"]
        assert (notebook.consent("ann"), notebook.consent("ben")) == (False, None)
        assert (notebook.owner("c1"), notebook.owner("c2")) == ("ann", None)
        assert notebook.conversations("ann") == ["c1"]


def test_a_note_is_changed_and_removed_by_its_person_alone() -> None:
    with Notebook() as notebook:
        notebook.add("ann", WOOL)
        (note,) = notebook.notes("ann")
        notebook.remove("ben", note.note_id)
        with pytest.raises(NotFoundError, match="gone already"):
            notebook.change("ben", note.note_id, WOOL)
        notebook.change("ann", note.note_id, Note("like", "I love wool", "wool"))
        assert [(each.kind, each.text) for each in notebook.notes("ann")] == [("like", "I love wool")]
        notebook.remove("ann", note.note_id)
        assert notebook.notes("ann") == []


def test_what_a_message_told_goes_with_the_message() -> None:
    with Notebook() as notebook:
        notebook.add("ann", Note("fact", "first", "first", "c1", 0))
        notebook.add("ann", Note("fact", "second", "second", "c1", 2))
        notebook.add("ann", Note("fact", "elsewhere", "elsewhere", "c2", 4))
        notebook.take_back("c1", 2)
        assert [note.text for note in notebook.notes("ann")] == ["first", "elsewhere"]


def test_the_oldest_note_makes_room() -> None:
    with Notebook() as notebook:
        for n in range(MAX_NOTES + 2):
            notebook.add("ann", Note("fact", f"note {n}", "x"))
        texts = [note.text for note in notebook.notes("ann")]
        assert len(texts) == MAX_NOTES and texts[0] == "note 2"


def test_the_forgotten_leave_no_byte_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    with Notebook(path) as notebook:
        for n in range(200):  # more than a page
            notebook.add("ann", Note("fact", f"quokka {n}", "quokka"))
            notebook.remove("ann", n)
        notebook.add("ben", Note("fact", "a wombat", "wombat"))
        notebook.begin("c1", "ann")
        notebook.begin("c2", "ben")
        assert notebook.forget("ann", ["c1"]) == 1
        data = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert b"quokka" not in data and b"wombat" in data
        assert (notebook.owner("c1"), notebook.owner("c2")) == (None, "ben")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.sqlite"
    path.write_text("not a database, " * 100)
    with pytest.raises(NotesError, match="notes.sqlite"):
        Notebook(path)


def test_a_reader_that_keeps_old_pages_alive_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("knowledge.sqlite._BUSY_S", 0.05)
    path = tmp_path / "notes.sqlite"
    with Notebook(path) as notebook:
        notebook.add("ann", WOOL)
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM notes").fetchall()
        with pytest.raises(NotesError, match="reading"):
            notebook.forget("ann", [])
        reader.close()
        notebook.forget("ann", [])
        assert b"wool" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())
