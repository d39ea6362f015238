from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from knowledge import memory as memory_module
from knowledge.errors import BundleError, BusyError, NotFoundError
from knowledge.memory import Memory
from knowledge.types import Interaction

DIM = 384
ANN = [Interaction("ann", "mug", 10, 4.0, "Fine", "Hält Tee."), Interaction("ann", "kettle", 20)]


def _rows(*directions: int) -> np.ndarray:
    """Unit rows along the named axes, float32 (n, DIM)."""
    return np.eye(DIM, dtype=np.float32)[list(directions)]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory.open(tmp_path / "memory") as memory:
        yield memory


def test_a_remembered_person_is_recalled_whole(memory: Memory) -> None:
    taste = np.linspace(-1, 1, DIM, dtype=np.float32)
    memory.remember("ann", ANN, taste)
    person = memory.recall("ann")
    assert (person.user_id, person.history) == ("ann", ANN)
    assert person.taste.dtype == np.float32
    np.testing.assert_allclose(person.taste, taste, rtol=1e-6)


def test_remembering_again_replaces_the_record(memory: Memory) -> None:
    memory.remember("ann", ANN, _rows(0)[0])
    memory.remember("ann", ANN[:1], _rows(1)[0])
    assert memory.recall("ann").history == ANN[:1]
    assert [user_id for user_id, _ in memory.similar_people(_rows(1)[0], 5)] == ["ann"]


def test_strangers_are_not_found(memory: Memory) -> None:
    with pytest.raises(NotFoundError, match="nobody with id 'eve'"):
        memory.recall("eve")


def test_a_newcomer_without_taste_is_remembered(memory: Memory) -> None:
    memory.remember("new", [], np.zeros(DIM, np.float32))
    assert memory.recall("new").history == []


def test_people_and_items_are_found_by_cosine_distance(memory: Memory) -> None:
    half = (_rows(0) + _rows(1))[0] * 3  # length does not matter
    memory.fill_users(["ann", "bob"], _rows(0, 1), [ANN, []])
    memory.fill_items(
        ["mug", "rake", "hose"], np.vstack([_rows(0, 2), -_rows(0)]), [{"title": "Mug"}, {}, {}]
    )
    assert memory.similar_people(half, 9) == [
        ("ann", pytest.approx(1 - 0.5**0.5, abs=1e-5)),
        ("bob", pytest.approx(1 - 0.5**0.5, abs=1e-5)),
    ]
    assert memory.similar_items(_rows(0)[0], 3) == [
        ("mug", pytest.approx(0, abs=1e-5)),
        ("rake", pytest.approx(1, abs=1e-5)),
        ("hose", pytest.approx(2, abs=1e-5)),
    ]
    assert memory.similar_items(_rows(0)[0], 1) == [("mug", pytest.approx(0, abs=1e-5))]


def test_an_empty_memory_has_nothing_similar(memory: Memory) -> None:
    assert memory.similar_items(_rows(0)[0], 3) == []


def test_a_full_memory_is_known_after_a_restart(tmp_path: Path) -> None:
    with Memory.open(tmp_path) as memory:
        assert not memory.is_filled("b1")
        memory.fill_items(["mug"], _rows(0), [{"title": "Mug", "brand": None}])
        memory.fill_users(["ann"], _rows(0), [ANN])
        assert not memory.is_filled("b1")
        memory.mark_filled("b1")
        assert memory.is_filled("b1")
    with Memory.open(tmp_path) as memory:
        assert memory.is_filled("b1") and not memory.is_filled("b2")
        assert memory.recall("ann").history == ANN
        assert [item_id for item_id, _ in memory.similar_items(_rows(0)[0], 3)] == ["mug"]


def test_an_interrupted_refill_does_not_pass_for_the_old_fill(memory: Memory) -> None:
    memory.fill_items(["mug"], _rows(0), [{}])
    memory.mark_filled("b1")

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        memory.fill_items(["rake"], _rows(1), [{}], progress=interrupt)
    assert not memory.is_filled("b1")


def test_a_refill_drops_what_is_gone_and_keeps_what_was_taught(memory: Memory) -> None:
    memory.fill_items(["mug", "rake"], _rows(0, 1), [{}, {}])
    memory.fill_users(["ann", "bob", "cy"], _rows(0, 1, 2), [ANN, [], []])
    memory.remember("ann", ANN[:1], _rows(5)[0])
    memory.remember("new", [], _rows(6)[0])
    memory.fill_items(["rake", "hose"], _rows(1, 2), [{}, {}])
    memory.fill_users(["ann", "bob"], _rows(0, 1), [ANN, ANN])
    assert {item_id for item_id, _ in memory.similar_items(_rows(1)[0], 9)} == {"rake", "hose"}
    assert {user_id for user_id, _ in memory.similar_people(_rows(1)[0], 9)} == {"ann", "bob", "new"}
    assert memory.recall("ann").history == ANN[:1]
    assert len(memory.recall("bob").history) == 2


def test_filling_goes_in_batches_and_tells(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_BATCH", 2)
    told: list[tuple[int, int]] = []
    ids = [f"u{n}" for n in range(5)]
    memory.remember("u4", ANN, _rows(9)[0])
    memory.fill_users(
        ids, _rows(*range(5)), [[]] * 5, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(3, 5), (5, 5)]
    assert memory.recall("u3").history == []


def test_vectors_that_do_not_fit_are_refused(memory: Memory) -> None:
    memory.fill_items(["mug"], _rows(0), [{}])
    with pytest.raises(BundleError, match="1 ids do not fit"):
        memory.fill_items(["mug"], _rows(0, 1), [{}])
    with pytest.raises(BundleError, match="dimension"):
        memory.fill_items(["mug"], np.ones((1, 3), np.float32), [{}])
    with pytest.raises(BundleError, match="not finite"):
        memory.remember("ann", ANN, np.full(DIM, np.nan))
    with pytest.raises(BundleError, match="not finite"):
        memory.similar_items(np.full(DIM, np.inf), 1)


def test_one_process_owns_a_folder(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from knowledge.errors import BusyError\n"
        "from knowledge.memory import Memory\n"
        "try:\n"
        "    Memory.open(sys.argv[1]).close()\n"
        "except BusyError as error:\n"
        "    print(error)\n"
        "else:\n"
        "    print('opened')\n"
    )

    def other_process() -> str:
        command = [sys.executable, "-c", script, str(tmp_path)]
        root = Path(__file__).resolve().parents[2]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout

    with Memory.open(tmp_path) as memory:
        with pytest.raises(BusyError, match="another process has this memory open"):
            Memory.open(tmp_path)
        assert "another process has this memory open" in other_process()
        memory.close()
        memory.close()
        assert other_process() == "opened\n"


def test_a_damaged_folder_is_named_and_let_go(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"x" * 9_000)
    for _ in range(2):
        with pytest.raises(BundleError, match="remove the folder"):
            Memory.open(tmp_path)


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be written"):
        Memory.open(tmp_path / "file" / "memory")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_silent_server_is_named() -> None:
    with pytest.raises(NotFoundError, match="no Chroma server answers"):
        Memory.open(f"http://127.0.0.1:{_free_port()}")


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # Chroma leaves its socket open
def test_a_server_remembers_and_its_end_is_our_error(tmp_path: Path) -> None:
    port = _free_port()
    chroma = Path(sys.executable).with_name("chroma")
    command = [str(chroma), "run", "--path", str(tmp_path), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"ANONYMIZED_TELEMETRY": "0"},
    )
    try:
        _await(server, port)
        memory = Memory.open(f"http://127.0.0.1:{port}")
        memory.fill_users(["ann"], _rows(0), [ANN])
        assert memory.recall("ann").history == ANN
        assert memory.similar_people(_rows(0)[0], 1) == [("ann", pytest.approx(0, abs=1e-5))]
    finally:
        server.kill()
        server.wait()
    with pytest.raises(NotFoundError, match="stopped answering"):
        memory.recall("ann")
    memory.close()
    del memory
    gc.collect()  # so that the socket goes here, where its warning is let pass


def _await(server: subprocess.Popen[bytes], port: int) -> None:
    while server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the server ended before it answered")
