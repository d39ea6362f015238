from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crs.bundle import Bundle
from crs.measures import Measured, hit_rate, measure
from crs.narrator.evidence import Evidence
from crs.retrain import is_lesson, is_liked, judge, learned_pairs, retrain
from crs.rows import FusedRows
from crs.tuning import Lesson, TunableNarrator
from crs.versions import in_use, versions_dir
from knowledge.errors import BundleError, ModelError
from knowledge.feedback import FeedbackLog, Rating
from tests.conftest import WordEncoder, items_of


def rating(user_id: str, **fields: object) -> Rating:
    number = fields.pop("number", 0)
    return Rating("c", f"m{number}", user_id, **fields)  # type: ignore[arg-type]


@pytest.fixture
def teacher(small_bundle: Bundle) -> str:
    """A shopper one may learn from."""
    return small_bundle.splits["train"][0]


@pytest.fixture
def liked_summary(small_bundle: Bundle, teacher: str) -> Rating:
    owned = tuple(i.item_id for i in small_bundle.store.history(teacher))
    return rating(
        teacher, task="user_summary_brief", thumb=1, history_ids=owned, text="A [2] person of few words."
    )


def log(data_dir: Path, *ratings: Rating) -> None:
    with FeedbackLog(data_dir / "feedback.sqlite") as feedback:
        for each in ratings:
            feedback.append(each)


@pytest.mark.parametrize(
    ("fields", "liked"),
    [
        ({"thumb": 1}, True),
        ({"stars": 4}, True),
        ({"stars": 5, "thumb": -1}, False),
        ({"stars": 3}, False),
        ({"thumb": 0}, False),
        ({"reason": "hm"}, False),
    ],
)
def test_what_counts_as_liked(fields: dict[str, object], liked: bool) -> None:
    assert is_liked(rating("u", **fields)) is liked


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


def test_only_texts_that_can_be_told_again_are_lessons(small_bundle: Bundle, liked_summary: Rating) -> None:
    assert is_lesson(liked_summary, small_bundle)
    valid = small_bundle.splits["valid"][0]
    for wrong in (
        {"task": None},
        {"user_id": valid},
        {"text": " "},
        {"text": "The [9] thing."},
        {"history_ids": ("not sold here",)},
        {"task": "product_endorsement", "item_id": None},
        {"task": "purchase_reason", "item_id": "tape"},
    ):
        assert not is_lesson(replace(liked_summary, **wrong), small_bundle), wrong


def test_without_ratings_nothing_happens(small_narrating_bundle: Bundle, tmp_path: Path) -> None:
    outcome = retrain(small_narrating_bundle.path, data_dir=tmp_path, encoder=WordEncoder())
    assert outcome.version is None and not outcome.promoted
    assert outcome.lines()[-1] == "the old version stays in use: no rating says yet what people like or own"
    assert not (tmp_path / "versions").exists()


def test_a_bundle_without_narrator_is_refused(small_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="train-narrator"):
        retrain(small_bundle.path, data_dir=tmp_path)


def test_ratings_make_a_version_that_serves(
    small_narrating_bundle: Bundle, liked_summary: Rating, tmp_path: Path
) -> None:
    first = small_narrating_bundle
    reason = replace(
        liked_summary,
        message_id="m2",
        task="purchase_reason",
        item_id=liked_summary.history_ids[3],
        text="The [1] one came first.",
    )
    guest = rating("guest", number=3, stars=5, history_ids=("hose-red", "rake-red", "shears-red"))
    log(tmp_path, liked_summary, reason, guest)
    stages: set[str] = set()
    outcome = retrain(
        first.path, data_dir=tmp_path, encoder=WordEncoder(), progress=lambda stage, *_: stages.add(stage)
    )
    assert (outcome.n_pairs, outcome.n_lessons) == (3, 2)
    assert stages == {"refit CF", "tune the adapter"}
    assert outcome.before and outcome.after and outcome.after.loss is not None
    folder = versions_dir(first.path, tmp_path)
    assert outcome.version is not None
    new = Bundle.open(folder / outcome.version)
    assert new.version == outcome.version != first.version
    assert not np.array_equal(new.item_factors, first.item_factors)
    assert new.narrator_signals == "fused"
    ranking = [b.manifest["parts"]["ranker.npz"] for b in (first, new)]
    assert ranking[0] != ranking[1] and (new.ranker.blend.weights == first.ranker.blend.weights).all()
    language_model = [b.manifest["parts"]["narrator/model.safetensors"] for b in (first, new)]
    adapter = [b.manifest["parts"]["narrator/adapter.safetensors"] for b in (first, new)]
    assert language_model[0] == language_model[1] and adapter[0] != adapter[1]
    assert in_use(first.path, tmp_path) == (new.path if outcome.promoted else first.path)
    leftovers = {path.name for path in folder.iterdir()} - {outcome.version, "current"}
    assert leftovers == set()
    assert "held-out users: hit rate@10" in "\n".join(outcome.lines())


def test_a_worse_version_is_kept_but_not_used(
    small_narrating_bundle: Bundle, liked_summary: Rating, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = iter([0.5, 0.4])
    monkeypatch.setattr("crs.measures.hit_rate", lambda *_: next(rates))
    log(tmp_path, liked_summary)
    outcome = retrain(small_narrating_bundle.path, data_dir=tmp_path, encoder=WordEncoder())
    assert not outcome.promoted
    assert outcome.version is not None
    assert (versions_dir(small_narrating_bundle.path, tmp_path) / outcome.version).is_dir()
    assert in_use(small_narrating_bundle.path, tmp_path) == small_narrating_bundle.path
    assert outcome.lines()[-1].startswith("the old version stays in use: it finds fewer held-out purchases")


@pytest.mark.parametrize(
    ("before", "after", "promoted"),
    [
        ((0.3, 2.0), (0.3, 2.0), True),
        ((0.3, 2.0), (0.31, 2.005), True),
        ((0.3, 2.0), (0.29, 1.0), False),
        ((0.3, 2.0), (0.4, 2.02), False),
        ((0.3, None), (0.3, None), True),
    ],
)
def test_the_verdict(before: tuple, after: tuple, promoted: bool) -> None:
    verdict, reason = judge(Measured(*before), Measured(*after))
    assert verdict is promoted
    assert reason.startswith("it is not worse" if promoted else "it ")


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


def test_tuning_teaches_the_adapter_and_leaves_the_language_model(
    small_narrating_bundle: Bundle, tmp_path: Path
) -> None:
    store = small_narrating_bundle.store
    rows = FusedRows(small_narrating_bundle, WordEncoder())
    lessons = [
        Lesson(
            rows.of(store.history(user)), Evidence(items_of(store, user), "user_profile"), f"kettle {user}"
        )
        for user in ("u00", "u01")
    ]
    narrator = TunableNarrator(small_narrating_bundle.narrator_dir)
    untaught = narrator.loss(lessons)
    narrator.tune(lessons, [], n_steps=12)
    assert narrator.loss(lessons) < untaught
    narrator.save(tmp_path / "tuned")
    again = TunableNarrator(tmp_path / "tuned")
    assert again.loss(lessons) == pytest.approx(narrator.loss(lessons), abs=1e-2)  # saved as float16
    assert narrator.loss([]) == 0.0


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
