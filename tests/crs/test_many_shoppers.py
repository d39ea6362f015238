"""LlamaCppModel with many people at once: batches, lines, deadlines, parking, and their neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from narrator_folders import CONTEXT_LENGTH, GREEDY, soft_prompt, write_narrator

from crs.narrator import language_model
from crs.narrator.desk import MAX_RESTED, OPENING, Desk
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.language_model import Caller
from crs.narrator.prefixes import Held, Parking
from crs.narrator.sampling import Constraints, Sampling
from knowledge.errors import BusyError, ModelError
from tests.waiting import wait_until

HOT = Sampling(temperature=0.9, top_p=0.95, max_tokens=40)


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_narrator(tmp_path_factory.mktemp("many"))
    export_gguf(folder, folder / "narrator.gguf", "f32")
    return folder / "narrator.gguf"


def open_model(gguf_path: Path, **how: int) -> LlamaCppModel:
    return LlamaCppModel(gguf_path, n_ctx=CONTEXT_LENGTH, kv_dtype="f32", flash_attn=False, **how)


@pytest.fixture(scope="module")
def model(gguf_path: Path) -> Iterator[LlamaCppModel]:
    model = open_model(gguf_path, n_seqs=4, max_waiting=20)
    yield model
    model.close()


def unending(model: LlamaCppModel) -> Constraints:
    return Constraints(frozenset({model.eos_id}))


def watched_decodes(monkeypatch: pytest.MonkeyPatch, held: threading.Event) -> list[int]:
    """The sizes of decodes from now on; none is done before ``held`` is set."""
    import llama_cpp

    sizes: list[int] = []
    decode = llama_cpp.llama_decode

    def watched(context: object, batch: object) -> int:
        held.wait(30)
        sizes.append(batch.n_tokens)  # type: ignore[attr-defined]
        return int(decode(context, batch))

    monkeypatch.setattr(llama_cpp, "llama_decode", watched)
    return sizes


def slow_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every decode take .05 s from now on, so that a long text outlasts what happens beside it."""
    import llama_cpp

    decode = llama_cpp.llama_decode

    def slow(context: object, batch: object) -> int:
        time.sleep(0.05)
        return int(decode(context, batch))

    monkeypatch.setattr(llama_cpp, "llama_decode", slow)


class Line:
    """Knows who has asked ``model`` for a text since, and holds all decodes until it lets them go."""

    def __init__(self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes = watched_decodes(monkeypatch, held := threading.Event())
        self.let_go = held.set
        self._asked: set[int] = set()
        next_outcome = model._next_outcome

        def noted(request: Any) -> Any:
            self._asked.add(id(request))  # whoever listens has asked
            return next_outcome(request)

        monkeypatch.setattr(model, "_next_outcome", noted)

    def wait_for(self, n: int) -> None:
        """Return once ``n`` have asked."""
        while len(self._asked) < n:
            time.sleep(0.005)


def six_times_greedy_then_modest(line: Line, ask: Callable[[str, int], None]) -> None:
    """Ask six times for one caller and once for another, in this order, and see all of it to its end."""
    threads = [threading.Thread(target=ask, args=("greedy", seed)) for seed in range(6)]
    threads.append(threading.Thread(target=ask, args=("modest", 9)))
    for n_asked, thread in enumerate(threads, start=1):
        thread.start()
        line.wait_for(n_asked)
    line.let_go()
    for thread in threads:
        thread.join(60)


def asking(model: LlamaCppModel, seed: int, caller: Caller) -> threading.Thread:
    """A thread that has begun to ask for a short text."""
    text = model.generate(soft_prompt(seed), replace(GREEDY, max_tokens=5), caller=caller)
    thread = threading.Thread(target=lambda: list(text))
    thread.start()
    return thread


def all_at_once(model: LlamaCppModel, seeds: range) -> dict[int, list[int]]:
    """The texts of all seeds, asked for by a thread each at the same moment."""
    texts: dict[int, list[int]] = {}
    start = threading.Barrier(len(seeds))

    def ask(seed: int) -> None:
        start.wait(10)
        texts[seed] = list(
            model.generate(soft_prompt(seed), replace(HOT, seed=seed), constraints=unending(model))
        )

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return texts


class TestBatches:
    def test_everyone_gets_the_text_they_would_get_alone(self, model: LlamaCppModel, gguf_path: Path) -> None:
        together = all_at_once(model, range(10))
        lonely = open_model(gguf_path, n_seqs=1)
        for seed in range(10):
            alone = lonely.generate(soft_prompt(seed), replace(HOT, seed=seed), constraints=unending(lonely))
            assert together[seed] == list(alone)
        lonely.close()

    def test_one_decode_serves_many(self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch) -> None:
        line = Line(model, monkeypatch)
        texts = [
            model.generate(soft_prompt(seed), replace(GREEDY, max_tokens=40), constraints=unending(model))
            for seed in range(30, 34)
        ]
        threads = [threading.Thread(target=list, args=(text,)) for text in texts]
        for thread in threads:
            thread.start()
        line.wait_for(4)
        line.let_go()
        for thread in threads:
            thread.join(60)
        assert line.sizes.count(4) > 10  # four texts, a token of each

    def test_rooms_are_decoded_in_their_order(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else llama.cpp decodes one after the other."""
        import llama_cpp

        rooms: list[list[int]] = []
        decode = llama_cpp.llama_decode

        def watched(context: object, batch: Any) -> int:
            rooms.append([batch.seq_id[row][0] for row in range(batch.n_tokens)])
            return int(decode(context, batch))

        monkeypatch.setattr(llama_cpp, "llama_decode", watched)
        texts = [
            model.generate(soft_prompt(seed), replace(GREEDY, max_tokens=n), constraints=unending(model))
            for seed, n in ((50, 600), (51, 3), (52, 600), (53, 600))
        ]
        for text in texts:
            next(text)
        list(texts[1])  # whose room the next text comes into, after the others
        list(model.generate(soft_prompt(54), replace(GREEDY, max_tokens=40), constraints=unending(model)))
        for text in texts:
            text.close()
        assert any(len(set(each)) == 4 for each in rooms)
        assert all(each == sorted(each) for each in rooms)

    def test_a_first_sentence_goes_before_the_rest_of_a_novel(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        novel = model.generate(soft_prompt(23), replace(GREEDY, max_tokens=600), constraints=unending(model))
        for _ in range(OPENING + 1):
            next(novel)
        held = threading.Event()
        held.set()
        sizes = watched_decodes(monkeypatch, held)
        short = replace(GREEDY, max_tokens=OPENING)
        assert len(list(model.generate(soft_prompt(24), short, constraints=unending(model)))) == OPENING
        together = [size for size in sizes[: sizes.index(1) + OPENING] if size == 2]
        assert 0 < len(together) <= OPENING / MAX_RESTED + 1  # the novel rests, but not for long
        novel.close()

    def test_a_newcomer_need_not_wait_for_a_novel(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line = Line(model, monkeypatch)
        novel = model.generate(soft_prompt(21), replace(GREEDY, max_tokens=600), constraints=unending(model))
        short = model.generate(soft_prompt(22), replace(GREEDY, max_tokens=3), constraints=unending(model))
        threads = [threading.Thread(target=list, args=(text,)) for text in (novel, short)]
        for thread in threads:
            thread.start()
        line.wait_for(2)
        line.let_go()
        threads[1].join(60)
        assert len(line.sizes) < 100  # long before the novel ended
        threads[0].join(60)

    def test_a_text_that_goes_back_to_a_sentence_start_finds_it_read(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        neighbour = model.generate(
            soft_prompt(5), replace(GREEDY, max_tokens=600), constraints=unending(model)
        )
        next(neighbour)
        told = list(
            model.generate(soft_prompt(6), replace(GREEDY, max_tokens=9), constraints=unending(model))
        )
        read: list[int] = []
        decode = llama_cpp.llama_decode
        monkeypatch.setattr(
            llama_cpp, "llama_decode", lambda ctx, batch: read.append(batch.n_tokens) or decode(ctx, batch)
        )
        again = [*soft_prompt(6), *(np.array([token], dtype=np.int32) for token in told[:4])]
        model.logits(again)
        assert max(read) <= 2  # nothing of the prompt, one kept token's logits beside the neighbour's tokens
        neighbour.close()


class TestTheLine:
    def test_more_than_may_wait_are_refused(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = open_model(gguf_path, n_seqs=1, max_waiting=2)
        line = Line(model, monkeypatch)
        outcomes: list[object] = []

        def ask(seed: int) -> None:
            try:
                outcomes.append(list(model.generate(soft_prompt(seed), replace(GREEDY, max_tokens=5))))
            except BusyError as error:
                outcomes.append(error)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(6)]
        threads[0].start()
        line.wait_for(1)
        for thread in threads[1:]:
            thread.start()
        line.wait_for(6)
        line.let_go()
        for thread in threads:
            thread.join(60)
        # One is read, two wait, and three came too late; the one may be in line when the others come.
        assert sum(isinstance(each, BusyError) for each in outcomes) in (3, 4)
        assert sum(isinstance(each, list) for each in outcomes) >= 2
        model.close()

    def test_one_caller_cannot_fill_the_line(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = open_model(gguf_path, n_seqs=1, max_waiting=4, max_waiting_each=2)
        line = Line(model, monkeypatch)
        told: list[str] = []
        refused: list[str] = []

        def ask(name: str, seed: int) -> None:
            sampling = replace(GREEDY, max_tokens=3)
            try:
                list(model.generate(soft_prompt(seed), sampling, caller=Caller(name)))
                told.append(name)
            except BusyError as error:
                refused.append(f"{name}: {error}")

        six_times_greedy_then_modest(line, ask)
        assert "modest" in told and told.count("greedy") in (2, 3)  # of these one may have been under way
        assert len(refused) == 7 - len(told) and all("2 answers of yours" in each for each in refused)
        model.close()

    def test_nobody_takes_all_turns(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """One caller has asked five times before another asks once; with two rooms that is served next."""
        model = open_model(gguf_path, n_seqs=2)
        line = Line(model, monkeypatch)
        served: list[str] = []
        admit = Desk._admit

        def noted(desk: Desk, request: Any) -> None:
            served.append(request.caller.name)
            admit(desk, request)

        monkeypatch.setattr(Desk, "_admit", noted)

        def ask(name: str, seed: int) -> None:
            sampling = replace(GREEDY, max_tokens=25)
            list(
                model.generate(soft_prompt(seed), sampling, constraints=unending(model), caller=Caller(name))
            )

        six_times_greedy_then_modest(line, ask)
        assert len(served) == 7 and "modest" in served[:3]  # two of the greedy were under way
        model.close()

    def test_who_waits_is_told_their_place(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = open_model(gguf_path, n_seqs=1)
        slow_decodes(monkeypatch)
        busy = model.generate(soft_prompt(0), replace(GREEDY, max_tokens=9999), constraints=unending(model))
        next(busy)
        places: list[list[int]] = [[], [], []]
        threads = []
        for seed, heard in enumerate(places):
            caller = Caller(str(seed), on_wait=heard.append)
            threads.append(asking(model, seed, caller))
            wait_until(lambda heard=heard: bool(heard))
        assert places == [[1], [2], [3]]
        busy.close()
        for thread in threads:
            thread.join(60)
        assert all(heard == sorted(heard, reverse=True) and heard[-1] >= 1 for heard in places)
        assert model.load.n_waiting == 0
        model.close()

    def test_a_text_that_goes_on_does_not_queue_again(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = open_model(gguf_path, n_seqs=1)
        slow_decodes(monkeypatch)
        began = time.monotonic()
        busy = model.generate(soft_prompt(0), replace(GREEDY, max_tokens=9999), constraints=unending(model))
        next(busy)
        newcomer: list[int] = []
        continuing: list[int] = []
        threads = [asking(model, 1, Caller("newcomer", on_wait=newcomer.append))]
        wait_until(lambda: newcomer == [1])
        threads.append(asking(model, 2, Caller("here", since_s=began, on_wait=continuing.append)))
        wait_until(lambda: newcomer == [1, 2] and continuing == [1])
        busy.close()
        for thread in threads:
            thread.join(60)
        model.close()

    def test_a_deadline_ends_a_text_under_way_and_one_in_line(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [0.0]
        monkeypatch.setattr(language_model, "time", SimpleNamespace(monotonic=lambda: now[0]))
        model, long = open_model(gguf_path, n_seqs=1), replace(GREEDY, max_tokens=600)
        slow = model.generate(
            soft_prompt(0), long, constraints=unending(model), caller=Caller(patience_s=1.0)
        )
        next(slow)
        now[0] = 10.0
        with pytest.raises(ModelError, match="no time left"):
            list(slow)
        busy = model.generate(soft_prompt(0), long, constraints=unending(model))
        next(busy)
        places: list[int] = []

        def in_line(place: int) -> None:
            places.append(place)
            now[0] = 20.0

        caller = Caller(patience_s=1.0, on_wait=in_line)
        with pytest.raises(ModelError, match="no time left"):
            list(model.generate(soft_prompt(1), GREEDY, caller=caller))
        assert places == [1]
        busy.close()
        assert list(model.generate(soft_prompt(1), replace(GREEDY, max_tokens=3)))
        model.close()


class TestNeighbours:
    def test_a_failed_decode_of_many_costs_nobody_their_text(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        alone = {}
        for seed in range(40, 44):
            text = model.generate(soft_prompt(seed), replace(HOT, seed=seed), constraints=unending(model))
            alone[seed] = list(text)
        decode, failed = llama_cpp.llama_decode, []

        def fails_once(context: object, batch: object) -> int:
            if 2 <= batch.n_tokens <= 4 and not failed:  # type: ignore[attr-defined]
                failed.append(True)
                return -3
            return int(decode(context, batch))

        monkeypatch.setattr(llama_cpp, "llama_decode", fails_once)
        assert all_at_once(model, range(40, 44)) == alone
        assert failed

    def test_a_fault_of_our_own_ends_what_is_under_way_and_nothing_after_it(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = list(model.generate(soft_prompt(45), HOT, constraints=unending(model)))
        with monkeypatch.context() as patch:
            patch.setattr("crs.narrator.desk.Desk._tell", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                list(model.generate(soft_prompt(45), HOT, constraints=unending(model)))
        assert list(model.generate(soft_prompt(45), HOT, constraints=unending(model))) == before

    def test_rows_gone_bad_end_their_own_text_alone(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alone = list(model.generate(soft_prompt(50), HOT, constraints=unending(model)))
        neighbour = model.generate(soft_prompt(50), HOT, constraints=unending(model))
        text = [next(neighbour)]
        prompt = soft_prompt(51)
        prompt[1][2] = np.nan
        with monkeypatch.context() as patch:  # as if the check at the door had let it pass
            patch.setattr("crs.narrator.engine.check_segments", lambda segments, **_: segments)
            with pytest.raises(ModelError, match="not finite"):
                list(model.generate(prompt, GREEDY))
        assert text + list(neighbour) == alone

    def test_whoever_leaves_frees_a_room_at_once(
        self, model: LlamaCppModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ended: list[int] = []  # how much each had asked for
        end = Desk._end

        def noted(desk: Desk, live: Any, outcome: Any = None) -> None:
            ended.append(live.request.n_tokens)
            end(desk, live, outcome)

        monkeypatch.setattr(Desk, "_end", noted)
        novel = replace(GREEDY, max_tokens=600)
        texts = [model.generate(soft_prompt(seed), novel, constraints=unending(model)) for seed in range(4)]
        for text in texts:
            next(text)
        texts[0].close()
        short = replace(GREEDY, max_tokens=2)
        assert len(list(model.generate(soft_prompt(60), short, constraints=unending(model)))) == 2
        assert [len(list(text)) for text in texts[1:]] == [599] * 3
        assert ended == [600, 2, 600, 600, 600]  # the newcomer did not wait for anybody's end


class TestParking:
    def test_who_comes_back_finds_their_beginning_read(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        model = open_model(gguf_path, n_seqs=2)
        first = model.logits(soft_prompt(0))
        for seed in range(1, 6):  # take both rooms again and again
            model.logits(soft_prompt(seed))
        assert model.load.n_parked >= 3
        read: list[int] = []
        decode = llama_cpp.llama_decode
        monkeypatch.setattr(
            llama_cpp, "llama_decode", lambda ctx, batch: read.append(batch.n_tokens) or decode(ctx, batch)
        )
        np.testing.assert_array_equal(model.logits(soft_prompt(0)), first)
        assert read == [len(soft_prompt(0)[2])]  # the question alone
        model.close()

    def test_memory_does_not_grow_beyond_its_budget(self, gguf_path: Path) -> None:
        budget = 200_000
        model = open_model(gguf_path, n_seqs=2, parking_bytes=budget)
        seen = []
        for seed in range(40):
            model.logits(soft_prompt(seed))
            seen.append((model.load.parked_bytes, model.load.n_parked))
        assert max(n_bytes for n_bytes, _ in seen) <= budget
        assert seen[-1][1] == seen[-10][1] > 0
        model.close()

    def test_the_only_room_keeps_a_beginning_for_a_longer_question(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        model, first = open_model(gguf_path, n_seqs=1, parking_bytes=0), soft_prompt(3)
        other = np.arange(20, 60, dtype=np.int32)  # longer than all that is in common
        model.logits([*first[:2], other + 1])
        read: list[int] = []
        decode = llama_cpp.llama_decode
        monkeypatch.setattr(
            llama_cpp, "llama_decode", lambda ctx, batch: read.append(batch.n_tokens) or decode(ctx, batch)
        )
        model.logits([*first[:2], other])
        assert read == [len(other)]
        model.close()

    def test_a_beginning_is_copied_from_whoever_has_it(
        self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import llama_cpp

        model, lonely = open_model(gguf_path, n_seqs=3), open_model(gguf_path, n_seqs=1)
        prompt = soft_prompt(7)
        longer = [*prompt, *(np.array([token], dtype=np.int32) for token in (5, 6, 7))]
        expected = lonely.logits([*prompt[:2], prompt[2][:3]])
        told = model.generate(longer, replace(GREEDY, max_tokens=200), constraints=unending(model))
        next(told)
        read: list[int] = []
        decode = llama_cpp.llama_decode
        monkeypatch.setattr(
            llama_cpp, "llama_decode", lambda ctx, batch: read.append(batch.n_tokens) or decode(ctx, batch)
        )
        np.testing.assert_array_equal(model.logits([*prompt[:2], prompt[2][:3]]), expected)
        told.close()
        assert len(prompt[1]) not in read  # the soft rows were not read again
        model.close()
        lonely.close()


def held(*batches: list[int]) -> Held:
    text = Held()
    for batch in batches:
        text.add(np.array(batch, dtype=np.int32))
    return text


def test_the_least_recently_parked_goes_first() -> None:
    parking = Parking(10)
    one, two, three = held([1], [2]), held([1], [3]), held([4])
    parking.park(one, b"1234")
    parking.park(two, b"1234")
    parking.park(one, b"4321")
    parking.park(three, b"1234")
    assert len(parking) == 2 and parking.n_bytes == 8
    assert parking.nearest(two.keys)[0] == 1  # only what it has in common with the first
    n, parked = parking.nearest(one.keys)
    assert n == 2 and parked is not None and parking.take(parked) == b"4321"
    assert parking.nearest(one.keys) == (0, None) and parking.n_bytes == 4


def test_what_is_larger_than_the_budget_is_not_parked() -> None:
    parking = Parking(3)
    parking.park(held([1]), b"1234")
    assert len(parking) == 0 == parking.n_bytes
