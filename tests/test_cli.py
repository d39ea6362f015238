"""The command line on a small store, in process; one subprocess shows what `--help` loads."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from crs.bundle import Bundle
from knowledge.feedback import FeedbackLog, Rating
from knowledge.store import Store
from knowledge.types import TASKS
from tests.command_line import called
from tests.conftest import WordEncoder
from tests.test_floors import HEAVY


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.setattr("crs.content.Encoder", WordEncoder)
    monkeypatch.setattr("crs.bundle.Encoder", WordEncoder)
    monkeypatch.setattr("crs.shop.Encoder", WordEncoder)
    monkeypatch.setattr("crs.retrain.Encoder", WordEncoder)
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))

    def call(*args: object, stdin: str = "") -> Ran:
        return Ran(*called(monkeypatch, capsys, *args, stdin=stdin))

    return call


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['crs', '--help']\n"
        "from crs.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    for command in (
        *("import", "demo", "build", "train-narrator", "users", "recommend"),
        *("narrate", "chat", "evaluate", "feedback", "retrain"),
    ):
        assert f"\n  {command} " in ran.stdout
    loaded = set(ran.stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert loaded & (HEAVY | {"numpy", "pyarrow", "rich", "pydantic"}) == set()


def test_wrong_usage_is_exit_2(run: Run) -> None:
    assert run("users", "--split", "nowhere").code == 2
    assert run("narrate", "--user", "u00").code == 2
    assert run("dance").code == 2
    ran = run("import", "a", "b", "--format", "regen", "--map", "profile")
    assert ran.code == 2
    assert "'profile' is not OURS=THEIRS" in ran.err


def test_our_errors_are_one_line_and_exit_1(run: Run, tmp_path: Path) -> None:
    ran = run("users", tmp_path / "nowhere")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert "nowhere" in ran.err


def test_an_interrupt_is_exit_130(run: Run, small_bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Bundle:
        raise KeyboardInterrupt

    monkeypatch.setattr("crs.bundle.Bundle.open", interrupted)
    assert run("users", small_bundle.path).code == 130


def test_import_prints_what_was_kept_and_dropped(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "meta"
    source.mkdir()
    item = {"asin": "a1", "title": "A mug"}
    review = {"reviewerID": "u1", "asin": "a1", "overall": 5.0, "unixReviewTime": 1_500_000_000}
    (source / "meta_Mugs.json").write_text(json.dumps(item) + "\n" + json.dumps({"asin": "a2"}) + "\n")
    (source / "Mugs_5.json").write_text(json.dumps(review) + "\n")
    ran = run("import", source, tmp_path / "store", "--format", "amazon-2018")
    assert ran.code == 0, ran.err
    assert "items\t1" in ran.lines
    assert any(line.startswith("dropped: ") for line in ran.lines)
    assert len(Store.open(tmp_path / "store").items) == 1


def test_demo_build_and_users_follow_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACONTEUR_BUNDLE", str(tmp_path / "none"))
    ran = run("demo", tmp_path / "store", "--shoppers", 40)
    assert ran.code == 0, ran.err
    assert "shoppers\t40" in ran.lines
    ran = run("build", tmp_path / "store", tmp_path / "bundle", "--signals", "cf")
    assert ran.code == 0, ran.err
    assert "train-narrator" in ran.err
    assert Bundle.open(tmp_path / "bundle").signals == "cf"
    everyone = run("users", tmp_path / "bundle").lines
    assert len(everyone) == 40
    assert run("users", tmp_path / "bundle", "-n", 3).lines == everyone[:3]
    parts = [run("users", tmp_path / "bundle", "--split", name).lines for name in ("train", "valid", "test")]
    assert sorted(sum(parts, [])) == sorted(everyone)


def test_building_another_store_takes_the_narrator_along_for_content(
    run: Run,
    demo_store: Store,
    small_narrating_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RACONTEUR_BUNDLE", str(small_narrating_bundle.path))
    ran = run("build", demo_store.path, tmp_path / "bundle")
    assert ran.code == 0, ran.err
    assert "CF is used for ranking only" in ran.err
    assert Bundle.open(tmp_path / "bundle").narrator_signals == "content"


def test_recommend_obeys_a_wish(run: Run, small_bundle: Bundle) -> None:
    plain = run("recommend", small_bundle.path, "--user", "u00", "-k", 4)
    assert plain.code == 0, plain.err
    assert [line.split("\t")[0] for line in plain.lines] == ["1", "2", "3", "4"]
    ran = run(
        "recommend", small_bundle.path, "--user", "u00", "--json", "-k", 30, "--say", "under $12, not arbor"
    )
    found = [json.loads(line) for line in ran.lines]
    assert found
    for each in found:
        assert each["price"] <= 12
        assert each["brand"] != "Arbor"
        assert sum(each["shares"].values()) == pytest.approx(1.0, abs=0.01)
    assert run("recommend", small_bundle.path, "--user", "nobody").code == 1


def test_narrate_tells_all_six_tasks(run: Run, small_narrating_bundle: Bundle) -> None:
    owned = small_narrating_bundle.store.history("u00")
    for task in TASKS:
        item = {"product_endorsement": "tape"}.get(task, owned[2].item_id)
        ran = run(
            *(
                "narrate",
                small_narrating_bundle.path,
                "--user",
                "u00",
                "--task",
                task,
                "--item",
                item,
                "--json",
            )
        )
        assert ran.code == 0, ran.err
        told = json.loads(ran.out)
        n_history = 2 if task.startswith("purchase_reason") else len(owned)
        target = task.startswith(("purchase_reason", "product_endorsement"))
        assert told["n_soft"] == n_history + target
        assert {"text", "cites", "sentences_rejected", "first_token_ms", "tokens"} <= told.keys()
        for cite in told["cites"]:
            assert cite["item"] == (owned[cite["k"] - 1].item_id if cite["k"] else item)
            assert cite["pointer"] in told["text"]


def test_narrate_streams_plain_text_with_its_citations(run: Run, small_narrating_bundle: Bundle) -> None:
    args = ("narrate", small_narrating_bundle.path, "--user", "u00", "--task", "user_summary_brief")
    told = json.loads(run(*args, "--json").out)
    plain = run(*args)
    assert plain.out.strip().startswith(told["text"].split("\n")[0].strip()[:40])
    assert len(plain.lines) >= 1 + len(told["cites"])
    assert run(*args[:-1], "purchase_reason").code == 1


def test_chat_answers_line_by_line(run: Run, demo_bundle: Bundle) -> None:
    user = demo_bundle.store.user_ids[0]
    talk = "hello\n\nrecommend me something under $30\n"
    ran = run("chat", demo_bundle.path, "--user", user, "--json", stdin=talk)
    assert ran.code == 0, ran.err
    answers = [json.loads(line) for line in ran.lines]
    assert len(answers) == 2
    assert all({"intent", "constraints", "items", "text", "cites"} <= answer.keys() for answer in answers)
    assert answers[1]["constraints"]["max_price"] == 30
    assert answers[1]["items"]
    plain = run("chat", demo_bundle.path, "--user", user, stdin="recommend me something under $30\n")
    assert plain.code == 0, plain.err
    assert sum(line.startswith("  - ") for line in plain.lines) == len(answers[1]["items"])


def test_chat_goes_on_with_who_was_forgotten(run: Run, demo_bundle: Bundle) -> None:
    talk = "I hate plastic\nforget me\nyes\nwhat do you know about me?\n"
    ran = run("chat", demo_bundle.path, "--user", demo_bundle.store.user_ids[0], "--json", stdin=talk)
    assert ran.code == 0, ran.err
    answers = [json.loads(line) for line in ran.lines]
    assert [answer["intent"] for answer in answers] == ["notes", "forget_me", "forget_me", "about_me"]
    assert "1 note" in answers[2]["text"] and "nothing of yourself" in answers[3]["text"]


def test_evaluate_prints_one_figure_a_line(run: Run, small_narrating_bundle: Bundle) -> None:
    ran = run("evaluate", "bundle", small_narrating_bundle.path, "--split", "valid")
    assert ran.code == 0, ran.err
    figures = dict(line.strip().split("\t") for line in ran.lines[1:])
    assert 0.0 <= float(figures["hit_rate@10"]) <= 1.0
    assert float(figures["loss"]) > 0.0


def test_simulated_shoppers_talk_and_are_kept(run: Run, demo_bundle: Bundle, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    asked = ("evaluate", "conversation", demo_bundle.path, "-n", 2, "--json", "--out", record)
    ran = run(*asked)
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["habits"]["critiques"]["shoppers"] == 2
    assert json.loads(record.read_text())["figures"] == report
    (kept,) = (tmp_path / "var" / "cache").glob("conversations-*.jsonl")
    before = kept.read_bytes()
    assert json.loads(run(*asked).out) == report and kept.read_bytes() == before
    too_many = run("evaluate", "conversation", demo_bundle.path, "-n", 1000)
    assert too_many.code == 1 and "ask for fewer" in too_many.err


def test_ratings_are_exported_and_learned_from(
    run: Run, small_narrating_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rating = Rating("c", "m", "guest", stars=5, history_ids=("rake-red", "hose-red"))
    with FeedbackLog(tmp_path / "var" / "feedback.sqlite") as log:
        log.append(rating)
    ran = run("feedback", "export")
    assert json.loads(ran.out)["history_ids"] == ["rake-red", "hose-red"]
    assert "1 ratings" in ran.err
    run("feedback", "export", tmp_path / "ratings.jsonl")
    assert len((tmp_path / "ratings.jsonl").read_text().splitlines()) == 1
    monkeypatch.setattr("crs.retrain.judge", lambda *_: (True, "fine"))
    ran = run("retrain", small_narrating_bundle.path, "--told", "0")
    assert ran.code == 0, ran.err
    assert ran.lines[0].startswith("learned from 2 liked or owned products and from 0 preferences")
    assert ran.lines[-1].startswith("version ") and ran.lines[-1].endswith("is now in use: fine")
    ran = run("retrain", small_narrating_bundle.path, "--rollback")
    assert ran.lines == [f"version {small_narrating_bundle.version} is now in use"]
    assert run("retrain", small_narrating_bundle.path, "--rollback").code == 1


def test_train_narrator_puts_what_it_trained_into_the_bundle(
    run: Run,
    small_narrating_bundle: Bundle,
    narrator_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The training itself has its own tests; here it is one that was done before."""
    import shutil

    asked: list[object] = []

    def trained(path: Path, work_dir: Path, **options: object) -> Path:
        asked.extend((path, work_dir, options["settings"], options["start"]))
        return narrator_dir

    monkeypatch.setattr("crs.training.train.train_narrator", trained)
    path = Path(shutil.copytree(small_narrating_bundle.path, tmp_path / "bundle"))
    options = ("--work-dir", tmp_path / "work", "--positions", 1000, "--from", narrator_dir)
    ran = run("train-narrator", path, *options)
    assert ran.code == 0, ran.err
    assert asked[:2] == [path, tmp_path / "work"] and asked[3] == narrator_dir
    assert asked[2].n_positions == 1000  # type: ignore[attr-defined]
    assert Bundle.open(path).narrator_signals == "fused"
    ran = run("train-narrator", path, *options, "--llm", "some/model")
    assert ran.code == 1 and "--from" in ran.err


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("source", "format", "n_items"),
    [
        ("office", "sequences", 3459),
        ("gift_cards", "amazon-2018", None),
        ("regen_sample/office.jsonl", "regen", None),
    ],
)
def test_real_layouts_serve_from_import_to_narrative(
    run: Run,
    data_dir: Path,
    small_narrating_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    format: str,
    n_items: int | None,
) -> None:
    monkeypatch.setenv("RACONTEUR_BUNDLE", str(small_narrating_bundle.path))
    store = tmp_path / "store"
    ran = run("import", data_dir / source, store, "--format", format)
    assert ran.code == 0, ran.err
    if n_items:  # more than it takes to see that such a store is served
        assert f"items\t{n_items}" in ran.lines
        first_of(data_dir / source, tmp_path / "few", n_people=400)
        store = tmp_path / "few_store"
        ran = run("import", tmp_path / "few", store, "--format", format)
        assert ran.code == 0, ran.err
    ran = run("build", store, tmp_path / "bundle")
    assert ran.code == 0, ran.err
    assert "CF is used for ranking only" in ran.err
    user = run("users", tmp_path / "bundle", "-n", 1).lines[0]
    history = Bundle.open(tmp_path / "bundle").store.history(user)
    ran = run("recommend", tmp_path / "bundle", "--user", user, "-k", 3)
    assert len(ran.lines) == 3 or format == "regen"  # the one user there owns nearly all there is
    for task in TASKS:
        item = history[-1].item_id
        ran = run(*("narrate", tmp_path / "bundle", "--user", user, "--task", task, "--item", item, "--json"))
        assert ran.code == 0, ran.err
    ran = run("chat", tmp_path / "bundle", "--user", user, "--json", stdin="tell me about myself\n")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["intent"] == "about_me"
    assert "ranking only" in ran.err


def first_of(source: Path, folder: Path, *, n_people: int) -> None:
    """A copy of a store of sequences with its first people and what they bought."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    folder.mkdir()
    bought: set[str] = set()
    for name in ("valid", "test"):
        table = pq.read_table(source / f"{name}.parquet").slice(0, n_people)
        pq.write_table(table, folder / f"{name}.parquet")
        for row in table.to_pylist():
            bought.update(map(str, (*row["history"], row["target"])))
    items = pq.read_table(source / "items.parquet")
    pq.write_table(items.filter(pc.is_in(items["item_id"], pa.array(bought))), folder / "items.parquet")


def test_a_login_is_added_with_its_password_hashed(run: Run, tmp_path: Path) -> None:
    from knowledge.logins import Logins

    file = tmp_path / "logins"
    ran = run("login", "ann", file, "--password", "correct horse")
    assert ran.code == 0, ran.err
    assert Logins(file).may_enter("ann", "correct horse") and "horse" not in file.read_text()
    refused = run("login", "a:b", file, "--password", "correct horse")
    assert refused.code == 1 and "field 'name'" in refused.err
