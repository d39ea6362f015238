"""Twenty people on the page at once: how soon the narrator's first sentence is on each one's screen.

python -m benchmarks.many_pages      (promised on two cores: p95 under 5 s, no error, nobody sees another's)

The real app runs in a process of its own; people are Gradio clients, each with a session and a shopper of
their own. Ten seconds after everybody's page is open they all ask at the same moment, and again each time
when everybody has had their answer. Every answer is checked: whose purchases it cites.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crs.bundle import Bundle, default_path
from crs.evaluation.record import write_record
from ui.cards import escape

if TYPE_CHECKING:
    from gradio_client.client import Job

OUT = Path("benchmarks/results/many_pages.json")
N_PEOPLE = 20
# What is asked, and which paragraph of the answer is the first that the narrator tells.
ASKED = (
    ("Tell me about myself", 0),
    ("Recommend something for me", 1),
    ("Why did I buy my last purchase?", 0),
)
PATIENCE_S = 120.0
LOOK_S = 0.05  # how often someone looks whether there is more to read
ARRIVED_S = 10.0  # from the page's being open until the first question: people read, choose and type
STARTED = "Raconteur is at "
_PROSE = re.compile(r'<div class="rc-prose">(.*?)</div>', re.DOTALL)
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)
_OFFERED = re.compile(r'<strong class="rc-card-title">(.*?)</')
_CITED = re.compile(r'id="evidence-[^"]*-title">(.*?)</')


@dataclass
class Person:
    """What one of them met with: seconds until the narrator's first sentence, and what went wrong."""

    waits_s: list[float]
    errors: list[str]


def main() -> None:
    """Measure, write the record and print it."""
    bundle = Bundle.open(default_path())
    users = bundle.splits["test"][:N_PEOPLE]
    together = threading.Barrier(N_PEOPLE)
    with running_app() as url, ThreadPoolExecutor(N_PEOPLE) as pool:
        people = list(pool.map(lambda user_id: _visit(url, bundle, user_id, together), users))
    figures = {
        question: _told([person.waits_s[turn] for person in people if len(person.waits_s) > turn])
        for turn, (question, _) in enumerate(ASKED)
    }
    figures["all"] = _told([wait for person in people for wait in person.waits_s])
    errors = [error for person in people for error in person.errors]
    write_record(
        OUT,
        {"people": N_PEOPLE, "bundle": bundle.name, "version": bundle.version, "arrived_s": ARRIVED_S},
        {"first sentence": figures, "errors": len(errors)},
    )  # fmt: skip
    for name, values in figures.items():
        print(name, *(f"{key} {value:.3g}" for key, value in values.items()), sep="\t")
    print("errors", len(errors), *errors[:3], sep="\t")


def _visit(url: str, bundle: Bundle, user_id: str, together: threading.Barrier) -> Person:
    from gradio_client import Client

    person = Person([], [])
    # without the certificates that each request would read anew, at the cost of the answers
    client = Client(url, verbose=False, ssl_verify=False, httpx_kwargs={"timeout": PATIENCE_S})
    client.predict(user_id, api_name="/on_pick")
    store = bundle.store
    titles = {escape(store.items[each.item_id].title) for each in store.history(user_id)}
    together.wait()
    time.sleep(ARRIVED_S)
    for turn, (question, paragraph) in enumerate(ASKED, start=1):
        together.wait()
        asked, waited = time.perf_counter(), None
        messages: list = []
        for chat, *_ in _shown(client.submit(question, api_name="/on_submit")):
            messages = chat.get("value", messages) if isinstance(chat, dict) else chat
            if waited is None and _narrated(messages, paragraph):
                waited = time.perf_counter() - asked
        if waited is None:
            person.errors.append(f"{user_id}: nothing was told on '{question}'")
        else:
            person.waits_s.append(waited)
        cited = set(_CITED.findall(_html(messages)))
        offered = set(_OFFERED.findall(_html(messages)))
        if len(messages) != 2 * turn or not cited - offered <= titles:
            person.errors.append(f"{user_id}: somebody else's answer on '{question}'")
    client.close()
    return person


def _shown(job: Job) -> Iterator[tuple]:
    """What the page shows, as it comes; Gradio's own iterator looks a thousand times a second for each."""
    n_seen = 0
    while True:
        is_over = job.done()
        outputs = job.outputs()
        yield from outputs[n_seen:]
        n_seen = len(outputs)
        if is_over:
            return
        time.sleep(LOOK_S)


def _html(messages: list) -> str:
    return str(messages[-1]["content"][0].get("value", "")) if messages else ""


def _narrated(messages: list, paragraph: int) -> bool:
    """Whether the narrator's first sentence is shown; sentences come whole, once they are checked."""
    told = [each for prose in _PROSE.findall(_html(messages)) for each in _PARAGRAPH.findall(prose)]
    return len(told) > paragraph and bool(told[paragraph].strip())


def _told(waits_s: list[float]) -> dict[str, float]:
    return {
        "answers": len(waits_s),
        "median_s": round(statistics.median(waits_s), 2),
        "p95_s": round(float(np.quantile(waits_s, 0.95)), 2),
        "longest_s": round(max(waits_s), 2),
    }


@contextmanager
def running_app() -> Iterator[str]:
    """The app with a fresh data folder; its address."""
    with tempfile.TemporaryDirectory() as var, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        environment = {**os.environ, "RACONTEUR_VAR": var, "PORT": str(probe.getsockname()[1])}
        probe.close()
        command = [sys.executable, "app.py"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as app:
            assert app.stdout is not None
            try:
                line = next((line for line in app.stdout if line.startswith(STARTED)), "")
                assert line, "the app did not start"
                yield line.removeprefix(STARTED).split()[0]
            finally:
                app.send_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
