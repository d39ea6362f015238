"""Sixteen clients at random for ten minutes: come, leave in mid-sentence, ask for the impossible.

python -m benchmarks.soak [--minutes 10] [--clients 16]      (`make soak`)

Promised: no crash, no request without an end, no room lost, every healthy request's text the same as alone
(f32), and no growth of memory.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmarks.measuring import resident_mb
from crs.bundle import Bundle
from crs.evaluation.record import write_record
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from crs.narrator.language_model import Caller, Segment
from crs.narrator.sampling import Constraints, Sampling
from knowledge.errors import BusyError, ModelError

OUT = Path("benchmarks/results/soak.json")
N_PEOPLE = 24  # prompts that come again and again, each with a text of its own
STUCK_S = 60.0  # a client that has not come round for so long is stuck
SAMPLING = Sampling(temperature=0.8, max_tokens=60)


@dataclass
class Tally:
    """What happened, counted by all clients; ``wrong`` texts and ``odd`` outcomes are faults."""

    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str) -> None:
        with self.lock:
            self.done[what] += 1

    def fault(self, what: str) -> None:
        with self.lock:
            self.faults.append(what)


class Soak:
    """Clients of one model, each of whom does what chance says until the time is over."""

    def __init__(self, model: LlamaCppModel, seed: int = 0) -> None:
        self._model = model
        rng = np.random.default_rng(seed)
        self._prompts = [self._prompt(rng, person) for person in range(N_PEOPLE)]
        self._alone = [list(self._ask(person)) for person in range(N_PEOPLE)]
        self.tally = Tally()
        self._ends_at = 0.0

    def run(self, seconds: float, n_clients: int, progress: Callable[[float], None]) -> list[int]:
        """Let them loose; resident memory in MB, sampled evenly."""
        self._ends_at = time.monotonic() + seconds
        clients = [
            threading.Thread(target=self._client, args=(number,), daemon=True) for number in range(n_clients)
        ]
        for client in clients:
            client.start()
        memory = []
        while time.monotonic() < self._ends_at:
            time.sleep(seconds / 60)
            memory.append(resident_mb())
            progress(1 - (self._ends_at - time.monotonic()) / seconds)
        for client in clients:
            client.join(STUCK_S)
            if client.is_alive():
                self.tally.fault("a request never ended")
        return memory

    def _prompt(self, rng: np.random.Generator, person: int) -> list[Segment]:
        model = self._model
        rows = rng.normal(scale=0.1, size=(int(rng.integers(1, 51)), model.embedding_dim))
        return [
            np.array([2], dtype=np.int32),
            rows.astype(np.float32),
            rng.integers(2, model.n_vocab, size=int(rng.integers(4, 40))).astype(np.int32),
        ]

    def _ask(self, person: int, *, caller: Caller | None = None, stop: threading.Event | None = None):  # type: ignore[no-untyped-def]
        unending = Constraints(frozenset({self._model.eos_id}))
        sampling = replace(SAMPLING, seed=person)
        return self._model.generate(
            self._prompts[person], sampling, constraints=unending, stop=stop,
            caller=caller or Caller(f"person {person}"),
        )  # fmt: skip

    def _client(self, number: int) -> None:
        rng = random.Random(number)
        deeds = (self._listen, self._leave, self._stop, self._spoil, self._overfill, self._fill, self._hurry)
        weights = (8, 4, 2, 1, 1, 1, 2)
        while time.monotonic() < self._ends_at:
            deed = rng.choices(deeds, weights)[0]
            try:
                deed(rng)
            except BusyError:
                self.tally.note("refused: too many in line")
            except Exception as error:  # whatever it is, it is a fault, and the others go on
                self.tally.fault(f"{deed.__name__}: {type(error).__name__}: {error}")

    def _listen(self, rng: random.Random) -> None:
        person = rng.randrange(N_PEOPLE)
        if list(self._ask(person)) != self._alone[person]:
            self.tally.fault(f"person {person} was told another text than alone")
        self.tally.note("listened to the end")

    def _leave(self, rng: random.Random) -> None:
        person = rng.randrange(N_PEOPLE)
        text = self._ask(person)
        heard = [token for token, _ in zip(text, range(rng.randrange(1, 30)), strict=False)]
        text.close()
        if heard != self._alone[person][: len(heard)]:
            self.tally.fault(f"person {person} was told another beginning than alone")
        self.tally.note("left in mid-sentence")

    def _stop(self, rng: random.Random) -> None:
        stop = threading.Event()
        timer = threading.Timer(rng.random() * 0.2, stop.set)
        timer.start()
        list(self._ask(rng.randrange(N_PEOPLE), stop=stop))
        timer.join()
        self.tally.note("stopped")

    def _spoil(self, rng: random.Random) -> None:
        head, rows, question = self._prompts[rng.randrange(N_PEOPLE)]
        spoilt = rows.copy()
        spoilt[0, 0] = np.nan
        self._refused([head, spoilt, question], "a row that is not finite")

    def _overfill(self, rng: random.Random) -> None:
        long = np.full(self._model.context_length + rng.randrange(500), 5, dtype=np.int32)
        self._refused([long], "a prompt beyond the context")

    def _refused(self, prompt: list[Segment], why: str) -> None:
        try:
            list(self._model.generate(prompt, SAMPLING))
        except ModelError:
            self.tally.note(f"refused: {why}")
        else:
            self.tally.fault(f"{why} was taken")

    def _fill(self, rng: random.Random) -> None:
        ids = np.array([rng.randrange(2, 200) for _ in range(self._model.context_length - 9)], dtype=np.int32)
        unending = Constraints(frozenset({self._model.eos_id}))
        if len(list(self._model.generate([ids], SAMPLING, constraints=unending))) != 9:
            self.tally.fault("a text did not end where its room does")
        self.tally.note("filled a room")

    def _hurry(self, rng: random.Random) -> None:
        try:
            list(self._ask(rng.randrange(N_PEOPLE), caller=Caller(patience_s=0.001)))
        except ModelError:
            self.tally.note("given up after a millisecond")
        else:
            self.tally.note("told within a millisecond")


def soak(model: LlamaCppModel, seconds: float, n_clients: int, progress: Callable[[float], None]) -> dict:
    """Run it; figures by name, ``faults`` first."""
    run = Soak(model)
    memory = run.run(seconds, n_clients, progress)
    time.sleep(0.2)  # the engine looks up between two steps
    load = model.load
    lost = load.n_live + load.n_waiting
    third = len(memory) // 3
    middle, last = (statistics.median(part) for part in (memory[third : 2 * third], memory[2 * third :]))
    return {
        "faults": len(run.tally.faults) + bool(lost),
        "rooms_lost": lost,
        "requests": run.tally.done.total(),
        "memory_mb_middle": middle,
        "memory_mb_end": last,
        **dict(sorted(run.tally.done.items())),
        **{f"fault {n}": fault for n, fault in enumerate(run.tally.faults[:20], start=1)},
    }


def main() -> int:
    """Soak the embedded narrator; 1 where anything was at fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=16)
    asked = parser.parse_args()
    bundle = Bundle.open(None)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narrator.gguf"
        export_gguf(bundle.narrator_dir, path, "f32")
        model = LlamaCppModel(path, kv_dtype="f32", flash_attn=False, parking_bytes=64 * 2**20)
        figures = soak(
            model,
            60 * asked.minutes,
            asked.clients,
            lambda share: print(f"\r{share:4.0%}", end="", flush=True),
        )
        model.close()
    print()
    config = {"bundle": bundle.name, "minutes": asked.minutes, "clients": asked.clients, "weights": "f32"}
    write_record(OUT, config, {"soak": figures})
    print(*(f"{name}\t{value}" for name, value in figures.items()), sep="\n")
    return int(figures["faults"] > 0)


if __name__ == "__main__":
    sys.exit(main())
