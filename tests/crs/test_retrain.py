import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.learning.gate import Held, Narratives
from crs.learning.report import N_SHOWN, Outcome
from crs.measures import Measured, hit_rate, measure
from crs.narrator.evidence import Evidence
from crs.retrain import MIN_RATERS, learned_pairs, retrain
from crs.rows import FusedRows
from crs.training.preference import TuningSettings
from crs.tuning import Lesson, TunableNarrator
from crs.versions import alone, in_use, versions_dir
from knowledge.errors import BundleError, BusyError, ModelError
from knowledge.feedback import FeedbackLog, Rating
from tests.conftest import WordEncoder, items_of


def rating(user_id: str, **fields: object) -> Rating:
    number = fields.pop("number", 0)
    return Rating("c", f"m{number}", user_id, **fields)  # type: ignore[arg-type]


@pytest.fixture
def teachers(small_bundle: Bundle) -> list[str]:
    """Shoppers one may learn from, as many as it takes."""
    return small_bundle.splits["train"][:MIN_RATERS]


@pytest.fixture
def thumbs(small_bundle: Bundle, teachers: list[str]) -> list[Rating]:
    """Each teacher likes one summary of theirs and not another."""
    return [thumb for user_id in teachers for thumb in thumbs_of(user_id, small_bundle)]


def thumbs_of(user_id: str, bundle: Bundle, sign: int = 1) -> list[Rating]:
    """A thumb up for a short summary of theirs and one down for a long one; ``sign`` -1: the contrary."""
    owned = tuple(i.item_id for i in bundle.store.history(user_id))
    return [
        rating(
            user_id, number=f"{user_id}{thumb}", task="user_summary_brief", thumb=sign * thumb,
            history_ids=owned, text=text,
        )
        for thumb, text in ((1, "A [2] person."), (-1, "The kettle boils, for tea, and the rain [1] keeps."))
    ]  # fmt: skip


def log(data_dir: Path, *ratings: Rating) -> None:
    with FeedbackLog(data_dir / "feedback.sqlite") as feedback:
        for each in ratings:
            feedback.append(each)


def test_pairs_are_what_ratings_tell_and_the_store_does_not(small_bundle: Bundle) -> None:
    owned = small_bundle.store.history("u00")[0].item_id
    held_out = small_bundle.store.held_out["u00"]
    ratings = [
        rating("u00", thumb=1, item_id="tape", task="product_endorsement"),
        rating("u00", thumb=-1, item_id="rake-red", task="product_endorsement"),
        rating("u00", thumb=1, item_id=held_out, history_ids=(owned,)),  # kept for measuring; known
        rating("guest", stars=1, history_ids=("hose-red", "not sold here")),
        Rating("c", "m", None, thumb=1, item_id="tape"),
    ]
    assert learned_pairs(ratings, small_bundle) == {("u00", "tape"), ("guest", "hose-red")}


@pytest.fixture
def learn(small_narrating_bundle: Bundle, tmp_path: Path) -> Callable[..., Outcome]:
    """Retrain on what the log in ``tmp_path`` holds, quickly."""

    def retrained(**options: object) -> Outcome:
        options = {"settings": TuningSettings(epochs=2, learning_rate=1e-3), "n_told_per_task": 0} | options
        return retrain(
            small_narrating_bundle.path, data_dir=tmp_path, encoder=WordEncoder(), **options
        )  # type: ignore[arg-type]

    return retrained


def test_without_ratings_nothing_happens(learn: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = learn()
    assert outcome.version is None and not outcome.promoted
    assert outcome.lines()[-1] == "the old version stays in use: nobody has said yet what they like or own"
    assert not (tmp_path / "versions").exists()


def test_a_bundle_without_narrator_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train-narrator"):
        retrain(small_bundle.path, data_dir=tmp_path)


def test_ratings_make_a_version_that_serves(
    small_narrating_bundle: Bundle, thumbs: list[Rating], learn: Callable[..., Outcome], tmp_path: Path
) -> None:
    first = small_narrating_bundle
    guest = rating("guest", number=3, stars=5, history_ids=("hose-red", "rake-red", "shears-red"))
    log(tmp_path, *thumbs, guest)
    stages: set[str] = set()
    outcome = learn(n_told_per_task=1, progress=lambda stage, *_: stages.add(stage))
    assert (outcome.n_pairs, outcome.n_preferences, outcome.n_raters) == (3, MIN_RATERS, MIN_RATERS)
    assert {"refit CF", "tune the narrator"} < stages
    assert outcome.before and outcome.after and outcome.after.measured.loss is not None
    folder = versions_dir(first.path, tmp_path)
    assert outcome.version is not None
    new = Bundle.open(folder / outcome.version)
    assert new.version == outcome.version != first.version
    assert not np.array_equal(new.item_factors, first.item_factors)
    assert new.narrator_signals == "fused"
    ranking = [b.manifest["parts"]["ranker.npz"] for b in (first, new)]
    assert ranking[0] != ranking[1] and (new.ranker.blend.weights == first.ranker.blend.weights).all()
    for part in ("narrator/model.safetensors", "narrator/adapter.safetensors", "next_item.safetensors"):
        assert new.manifest["parts"][part] != first.manifest["parts"][part]
    assert in_use(first.path, tmp_path) == (new.path if outcome.promoted else first.path)
    kept = {path.name for path in folder.iterdir()} - {"current"}
    assert kept == {outcome.version, f"{outcome.version}.json", ".lock"}
    report = "\n".join(outcome.lines())
    assert f"from {MIN_RATERS} preferences of {MIN_RATERS} people" in report
    assert 0 < report.count("  before: ") == report.count("  after:  ") <= N_SHOWN


def test_what_was_learned_is_not_learned_again_and_what_is_taken_back_is_forgotten(
    small_narrating_bundle: Bundle, thumbs: list[Rating], learn: Callable[..., Outcome], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("crs.retrain.judge", lambda *_: (True, "whatever it does"))
    first = small_narrating_bundle.path
    log(tmp_path, *thumbs)
    learned = learn()
    assert learned.promoted and learned.version
    assert learn().version is None  # nothing new

    log(tmp_path, rating("guest", number="g", thumb=1, item_id="hose-red", task="product_endorsement"))
    more = learn()
    assert more.promoted and (more.n_pairs, more.n_preferences) == (1, 0)

    (tmp_path / "feedback.sqlite").unlink()
    log(tmp_path, *thumbs[2:])  # the first teacher's are deleted, and two are too few
    gone = learn()
    assert gone.version is None and "was taken back" in gone.reason
    assert in_use(first, tmp_path) == first
    left = {path.name for path in versions_dir(first, tmp_path).iterdir()}
    assert left == {".lock"}


def test_too_few_people_do_not_change_how_everybody_is_told(
    thumbs: list[Rating], learn: Callable[..., Outcome], tmp_path: Path
) -> None:
    log(tmp_path, *thumbs[:2])
    outcome = learn()
    assert outcome.version is None and outcome.reason.startswith(f"1 of the {MIN_RATERS} people")


@pytest.mark.parametrize(("sign", "promoted"), [(1, True), (-1, False)])
def test_the_gate_asks_people_from_whom_nothing_was_learned(
    small_narrating_bundle: Bundle, teachers: list[str], learn: Callable[..., Outcome], tmp_path: Path,
    sign: int, promoted: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("crs.retrain.hold", lambda *_, **__: Held(Measured(0.3, None), Narratives(())))
    first = small_narrating_bundle
    for user_id in teachers:
        log(tmp_path, *thumbs_of(user_id, first, sign))
    for user_id in first.splits["valid"]:
        log(tmp_path, *thumbs_of(user_id, first))
    outcome = learn(settings=TuningSettings(epochs=20, learning_rate=1e-3))
    assert outcome.after is not None and outcome.after.accuracy == (1.0 if promoted else 0.0)
    assert outcome.promoted is promoted
    assert (in_use(first.path, tmp_path) == first.path) is not promoted


def test_preferences_of_a_study_are_learned(
    small_narrating_bundle: Bundle, thumbs: list[Rating], learn: Callable[..., Outcome], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("crs.retrain.judge", lambda *_: (True, "whatever it does"))
    study = tmp_path / "study.jsonl"
    rows = [
        {
            "prompt": "", "chosen": up.text, "rejected": down.text, "task": up.task, "user_id": up.user_id,
            "target_id": None, "history_ids": list(up.history_ids),
        }
        for up, down in zip(thumbs[::2], thumbs[1::2], strict=True)
    ]  # fmt: skip
    study.write_text("".join(json.dumps(row) + "\n" for row in rows))
    outcome = learn(preference_files=[study])
    assert outcome.n_preferences == len(rows) and outcome.version
    for files in ([study], []):  # learned once, and kept where the file is not named again
        assert learn(preference_files=files).version is None
    assert in_use(small_narrating_bundle.path, tmp_path).name == outcome.version


def test_a_worse_version_is_kept_but_not_used(
    small_narrating_bundle: Bundle, learn: Callable[..., Outcome], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    rates = iter([0.5, 0.4])
    monkeypatch.setattr("crs.measures.hit_rate", lambda *_: next(rates))
    log(tmp_path, rating("guest", stars=5, history_ids=("hose-red", "rake-red")))
    outcome = learn()
    assert not outcome.promoted
    assert outcome.version is not None
    assert (versions_dir(small_narrating_bundle.path, tmp_path) / outcome.version).is_dir()
    assert in_use(small_narrating_bundle.path, tmp_path) == small_narrating_bundle.path
    assert outcome.lines()[-1].startswith("the old version stays in use: it finds fewer held-out purchases")


def test_only_one_retrains_at_a_time(
    small_narrating_bundle: Bundle, learn: Callable[..., Outcome], tmp_path: Path
) -> None:
    folder = versions_dir(small_narrating_bundle.path, tmp_path)
    with alone(folder), pytest.raises(BusyError, match="under way"):
        learn()


def test_hit_rate_by_hand(small_bundle: Bundle) -> None:
    encoder = WordEncoder()
    users = small_bundle.store.user_ids
    assert hit_rate(small_bundle, encoder, users, k=37) == 1.0
    assert hit_rate(small_bundle, encoder, users, k=1) < 1.0
    assert hit_rate(small_bundle, encoder, []) == 0.0


def test_without_narrator_or_narratives_there_is_no_loss(
    small_bundle: Bundle, small_narrating_bundle: Bundle
) -> None:
    encoder = WordEncoder()
    for bundle, users in ((small_bundle, ["u00"]), (small_narrating_bundle, [])):
        assert measure(bundle, encoder, FusedRows(bundle, encoder), users).loss is None


def test_the_torch_narrator_is_the_served_one(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    """The loss here and the logits that llama.cpp serves are about one and the same model."""
    from crs.narrator.prompt import question
    from crs.narrator.tokenizer import NarratorTokenizer
    from crs.storyteller import Storyteller

    bundle, history = small_narrating_bundle, small_narrating_bundle.store.history("u00")
    items = items_of(bundle.store, "u00")
    target = bundle.store.items["tape"]
    rows = FusedRows(bundle, WordEncoder()).of(history, target)
    tokenizer = NarratorTokenizer.load(bundle.narrator_dir / "tokenizer.json")
    evidence = Evidence(items, "product_endorsement", target)
    loss = TunableNarrator(bundle.narrator_dir).loss([Lesson(rows, evidence, "")])
    storyteller = Storyteller.open(bundle, WordEncoder(), tmp_path)
    try:
        prompt = storyteller._narrator.prompt(rows, evidence)
        logits = storyteller.model.logits(prompt).astype(np.float64)
    finally:
        storyteller.close()
    assert sum(map(len, prompt[-2:])) == len(question(tokenizer, evidence))
    served = np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[tokenizer.eos_id]
    assert loss == pytest.approx(served, abs=0.02)  # f16 weights there


def test_a_narrator_that_is_none_is_refused(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(small_narrating_bundle.narrator_dir, tmp_path / "broken"))
    (folder / "config.json").write_text("not JSON")
    with pytest.raises(ModelError, match="cannot be loaded"):
        TunableNarrator(folder)
