"""From a store with reviews to one with narratives, by recorded replies, a real endpoint and a real GGUF."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crs.llm.chat import Call, Completion, FakeChat, Message, Reply
from crs.narrator.gguf_export import export_gguf
from crs.narrator.tokenizer import NarratorTokenizer
from crs.training.examples import Shelf, narrative_examples
from crs.writing.write import ATTEMPTS, Report, write_narratives
from knowledge.errors import InputError, ModelError
from knowledge.store import Store, StoreWriter
from knowledge.types import TARGET_TASKS, TASKS, Interaction, Item, Narrative
from tests.command_line import called
from tests.crs.foreign_folders import write_llm
from tests.crs.llm.openai_server import Reply as Served
from tests.crs.llm.openai_server import Request, serving
from tests.crs.narrator_folders import WORDS
from tests.crs.writing.sensible_texts import TEXTS, fitted, sensible, told

N_TOPICS = 3


def write(
    store: Store, folder: Path, reply: Callable[[Call], Reply] = sensible, **options: object
) -> tuple[Report, Store, FakeChat]:
    model = FakeChat(reply)
    report = write_narratives(store.path, folder / "out", model, folder / "calls.jsonl", **options)  # type: ignore[arg-type]
    return report, Store.open(folder / "out"), model


def test_every_shopper_gets_six_texts(small_store: Store, tmp_path: Path) -> None:
    seen = []
    report, written, model = write(
        small_store, tmp_path, parallel=4, progress=lambda done, total, usage: seen.append((done, total))
    )
    assert report.written == dict.fromkeys(TASKS, 40)
    assert not report.left_out and not report.rejected and not report.skipped
    assert len(model.calls) == report.usage.n_asked == 40 * N_TOPICS
    assert seen == [(done, 120) for done in range(1, 121)]
    assert written.items == small_store.items and written.held_out == small_store.held_out
    assert [written.history(u) for u in written.user_ids] == [
        small_store.history(u) for u in small_store.user_ids
    ]
    assert written.manifest["dropped"] == {"narratives of the store it was written from": 40}
    items = [small_store.items[purchase.item_id] for purchase in small_store.history("u03")]
    kinds = {str(k): str(item.kind) for k, item in enumerate(items, start=1)} | {
        "target": str(items[-1].kind)
    }
    last = items[-1].item_id
    assert [n for n in written.narratives() if n.user_id == "u03"] == [
        Narrative("u03", task, fitted(TEXTS[task], kinds), *((5, last) if task in TARGET_TASKS else (6,)))
        for task in TASKS
    ]


def test_the_held_out_purchase_is_never_told(small_store: Store, tmp_path: Path) -> None:
    _, _, model = write(small_store, tmp_path, max_users=4)
    for call, user_id in zip(model.calls, np.repeat(small_store.user_ids[:4], N_TOPICS), strict=True):
        title = small_store.items[small_store.held_out[str(user_id)]].title
        assert title not in call.messages[-1].content


def test_the_trainer_reads_the_new_store(small_store: Store, tmp_path: Path) -> None:
    _, written, _ = write(small_store, tmp_path, max_users=5)
    n_items = len(written.item_ids)
    shelf = Shelf(
        written,
        {user_id: written.history(user_id) for user_id in written.user_ids},
        {user_id: np.ones((6, 384), np.float16) for user_id in written.user_ids},
        np.ones((n_items, 384), np.float32),
        np.ones((n_items, 128), np.float32),
    )
    tokenizer = NarratorTokenizer.train([WORDS] * 20, n_vocab=400)
    examples = narrative_examples(shelf, tokenizer, written.narratives())
    assert [example.task for example in examples] == [*TASKS[:2], *TASKS[2:5], TASKS[5]] * 5
    for example in examples:
        assert shelf.rows(example).shape == (6, 512)  # five and the target, or all six
        assert tokenizer.pointer_id(1) in example.reply or "[1]" not in TEXTS[example.task]  # type: ignore[index]


def test_tasks_and_shoppers_can_be_chosen(small_store: Store, tmp_path: Path) -> None:
    report, written, model = write(
        small_store, tmp_path, tasks=["user_profile", "purchase_reason"], max_users=3
    )
    assert report.written == {"user_profile": 3, "purchase_reason": 3}
    assert {n.user_id for n in written.narratives()} == {"u00", "u01", "u02"}
    assert len(model.calls) == 6
    assert written.manifest["dropped"]["shoppers without narratives: not asked for"] == 37
    assert len(written.user_ids) == 40  # the others still tell who buys what


def test_refused_texts_are_asked_for_again_with_another_seed(small_store: Store, tmp_path: Path) -> None:
    history = small_store.history("u00")
    kind = small_store.items[history[-1].item_id].kind
    fit = f"Feeding more people at once called for the [target] {kind}."
    quoting = f"{history[1].review} So the [target] {kind} was next."  # the whole review, of five words
    replies = iter(
        [
            '{"purchase_reason": "cut sho',
            Completion('{"purchase_reason": "cut sho', ended="length"),
            json.dumps({"purchase_reason": quoting}),
            json.dumps({"purchase_reason": fit}),
        ]
    )
    report, written, model = write(
        small_store, tmp_path, lambda _: next(replies), tasks=["purchase_reason"], max_users=1, seed=7
    )
    assert [n.text for n in written.narratives()] == [fit]
    assert [call.seed for call in model.calls] == [7, 8, 9, 10]
    assert report.rejected == {
        ("purchase_reason", "reply not JSON"): 1,
        ("purchase_reason", "reply cut short"): 1,
        ("purchase_reason", "quotes a review"): 1,
    }
    assert not report.left_out


def test_what_stays_unfit_is_left_out_and_counted(small_store: Store, tmp_path: Path) -> None:
    def reply(call: Call) -> str:
        said = json.loads(sensible(call))
        if "user_profile" in said:
            said["user_profile"] = "Owner of the [9] thing"
        if "purchase_reason" in said:
            said["purchase_reason"] = None
        return json.dumps(said)

    report, written, model = write(small_store, tmp_path, reply, max_users=2)
    assert report.left_out == {
        ("purchase_reason", "nothing shown tells it"): 2,
        ("user_profile", "points nowhere"): 2,
    }
    assert report.rejected == {("user_profile", "points nowhere"): 2 * ATTEMPTS}
    # A null is an answer and is not asked again; fit texts beside an unfit one are kept.
    assert len(model.calls) == 2 * (2 + ATTEMPTS)
    assert report.written == dict.fromkeys(set(TASKS) - {"purchase_reason", "user_profile"}, 2)
    dropped = written.manifest["dropped"]
    assert dropped["user_profile: points nowhere"] == dropped["purchase_reason: nothing shown tells it"] == 2
    assert "left out: user_profile, points nowhere\t2" in list(report.lines())


def test_what_the_gate_would_not_let_pass_is_not_learned(small_store: Store, tmp_path: Path) -> None:
    reply = json.dumps({"purchase_reason": "Feeding more people called for the [target] tractor at last."})
    report, _, _ = write(small_store, tmp_path, lambda _: reply, tasks=["purchase_reason"], max_users=1)
    assert report.left_out == {("purchase_reason", "claims a wrong noun"): 1}


def test_spelt_titles_are_mended(small_store: Store, tmp_path: Path) -> None:
    target = small_store.items[small_store.history("u00")[-1].item_id]

    def reply(call: Call) -> str:
        return json.dumps({"purchase_reason": f"A full table called for the {target.title} at last."})

    report, written, _ = write(small_store, tmp_path, reply, tasks=["purchase_reason"], max_users=1)
    assert [n.text for n in written.narratives()] == [
        f"A full table called for the [target] {target.kind} at last."
    ]
    assert report.mended == {"purchase_reason": 1} and "mended\t1" in list(report.lines())


def test_shoppers_who_tell_nothing_are_skipped(tmp_path: Path) -> None:
    def bought(user_id: str, n: int, review: str = "") -> list[Interaction]:
        return [Interaction(user_id, "kettle", day, review=review) for day in range(n)]

    def make(name: str, *shoppers: list[Interaction]) -> Store:
        with StoreWriter(tmp_path / name, name=name, format="test") as writer:
            writer.add_item(Item("kettle", "Kettle", kind="kettle"))
            writer.drop("rows without a title", 3)
            for shopper in shoppers:
                writer.add_interactions(shopper)
        return Store.open(tmp_path / name)

    store = make("mixed", bought("a", 1, "Nice."), bought("b", 4, " "), bought("c", 60, "Nice."))
    report, written, _ = write(store, tmp_path)
    assert report.skipped == {"fewer than 2 purchases": 1, "no reviews": 1}
    assert {(n.user_id, n.n_history) for n in written.narratives()} == {("c", 50), ("c", 49)}
    assert len(written.history("c", last=99)) == 60
    assert written.manifest["dropped"] == {
        "rows without a title": 3,
        "shoppers without narratives: fewer than 2 purchases": 1,
        "shoppers without narratives: no reviews": 1,
    }
    with pytest.raises(InputError, match="no shopper has a review"):
        write(make("mute", bought("a", 1, "Nice."), bought("b", 4)), tmp_path)


def test_a_store_is_not_written_onto_itself(small_store: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name another folder"):
        write_narratives(small_store.path, small_store.path, FakeChat([]), tmp_path / "calls.jsonl")


def test_a_failing_model_ends_the_run_and_loses_nothing(small_store: Store, tmp_path: Path) -> None:
    lock, n_left = threading.Lock(), [7]

    def reply(call: Call) -> Reply:
        with lock:
            n_left[0] -= 1
            return sensible(call) if n_left[0] >= 0 else ModelError("out of credit")

    with pytest.raises(ModelError, match="out of credit"):
        write(small_store, tmp_path, reply, parallel=3, max_users=5)
    assert [path.name for path in tmp_path.iterdir()] == ["calls.jsonl"]
    report, _, model = write(small_store, tmp_path, max_users=5)
    assert (report.usage.n_kept, len(model.calls)) == (7, 15 - 7)


class HangingChat(FakeChat):
    """Answers once; every later call takes until the model is closed."""

    closed = threading.Event()

    def complete(self, messages: Sequence[Message], **settings: Any) -> Completion:
        if self.calls:
            self.closed.wait(60)
            raise ModelError("closed")
        return super().complete(messages, **settings)

    def close(self) -> None:
        self.closed.set()


def test_stopping_ends_the_calls_under_way(small_store: Store, tmp_path: Path) -> None:
    class Interrupted(Exception):
        """Stands for Ctrl-C, which pytest keeps for itself."""

    def progress(*_: object) -> None:
        raise Interrupted

    model = HangingChat(sensible)
    with pytest.raises(Interrupted):
        write_narratives(small_store.path, tmp_path / "out", model, tmp_path / "c.jsonl", progress=progress)
    assert model.closed.is_set() and not (tmp_path / "out").exists()
    assert (tmp_path / "c.jsonl").read_bytes().count(b"\n") == 1


KILLED_AT_THE_SEVENTH = """
import os, signal, sys
from pathlib import Path
from crs.llm.chat import FakeChat
from crs.writing.write import write_narratives
from tests.crs.writing.sensible_texts import sensible

asked = []
def reply(call):
    asked.append(call)
    if len(asked) == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return sensible(call)

store, folder = map(Path, sys.argv[1:])
write_narratives(store, folder / "out", FakeChat(reply), folder / "calls.jsonl", max_users=4)
"""


def test_a_killed_run_goes_on_where_it_was(small_store: Store, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_AT_THE_SEVENTH, str(small_store.path), str(tmp_path)]
    killed = subprocess.run(command, cwd=Path(__file__).parents[3])
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    calls = tmp_path / "calls.jsonl"
    with calls.open("ab") as file:
        file.write(calls.read_bytes().splitlines()[0][:50])  # as if it had died while writing
    report, written, model = write(small_store, tmp_path, max_users=4)
    assert (report.usage.n_kept, len(model.calls)) == (6, 12 - 6)
    assert report.written == dict.fromkeys(TASKS, 4)
    (tmp_path / "unbroken").mkdir()
    _, unbroken, _ = write(small_store, tmp_path / "unbroken", max_users=4)
    assert list(written.narratives()) == list(unbroken.narratives())


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    def call(*args: object) -> tuple[int, str, str]:
        return called(monkeypatch, capsys, *args)

    return call


def test_an_endpoint_writes_a_store(
    small_store: Store, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    def answer(request: Request) -> Served:
        schema = request.body["response_format"]["json_schema"]["schema"]
        return Served(told(schema["properties"], [Message(**m) for m in request.body["messages"]]))

    out = tmp_path / "told"
    with serving(answer) as server:
        command = ("write-narratives", small_store.path, out, "--llm", f"{server.url}#tiny")
        code, said, progress = run(*command, "--max-users", 6, "--llm-price", "1:10", "--parallel", 3)
        assert code == 0, progress
        assert said.splitlines()[-1] == "calls\t18, and 0 from before\t1,800 + 360 tokens, $0.0054"
        assert "written: user_summary_long\t6" in said and "18/18" in progress and "$0.0054" in progress
        assert len(list(Store.open(out).narratives())) == 36
        code, said, _ = run(*command, "--max-users", 7)
        assert code == 0 and "calls\t3, and 18 from before\t300 + 60 tokens" in said
        assert len(server.requests) == 21


def test_a_tiny_gguf_writes_what_it_can(
    small_store: Store, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    folder = write_llm(tmp_path / "llm", chat=True)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16_384}))
    export_gguf(folder, tmp_path / "tiny.gguf", "f32")
    code, said, progress = run(
        *("write-narratives", small_store.path, tmp_path / "told", "--llm", tmp_path / "tiny.gguf"),
        *("--max-users", 1, "--llm-context", 16_384, "--tasks", "user_profile"),
    )
    assert code == 0, progress
    counts = dict(
        line.rsplit("\t", 1) for line in said.splitlines() if line.startswith(("written", "left out"))
    )
    assert sum(map(int, counts.values())) == 1  # a random model's text: fit or not, it is accounted for
    assert len(list(Store.open(tmp_path / "told").narratives())) == said.count("written: ")
    assert "1/1" in progress


def test_a_task_that_is_none_is_wrong_usage(
    small_store: Store, tmp_path: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    code, _, said = run("write-narratives", small_store.path, tmp_path / "x", "--llm", "x", "--tasks", "poem")
    assert code == 2 and "no task is called 'poem'" in said
