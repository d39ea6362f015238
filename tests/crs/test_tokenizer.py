"""The narrator's vocabulary: pointers and tasks are one token each, and no text is changed by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crs.narrator.evidence import Evidence
from crs.narrator.sampling import Sampler, Sampling
from crs.narrator.tokenizer import BOS, EOS, POINTERS, SAY, NarratorTokenizer, task_token
from knowledge.errors import ModelError
from knowledge.store import Store
from knowledge.types import MAX_HISTORY, TASKS, Item

WORDS = (
    "The kettle boils for tea, the green teapot keeps it warm. It cost $34.99! “Why not?” they said — once."
)


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    return NarratorTokenizer.train([WORDS] * 20, n_vocab=420)


@pytest.mark.parametrize(
    "text",
    [
        "the [3] kettle",
        "[1] kettle and [2] teapot, with [target] besides",
        "They own it ([50] teapot).",
        '“[7] kettle” and "[8] kettle"',
        "a kettle—[4] teapot",
        "Tea [0] and [51] and [x] point nowhere.",
        "Thé chaud, 12 € 🫖 — naïve",
        " a space in front",
        "two\nlines",
        "",
    ],
)
def test_text_survives_the_round_trip(tokenizer: NarratorTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_demo_narratives_survive_the_round_trip(tokenizer: NarratorTokenizer, demo_store: Store) -> None:
    texts = [narrative.text for narrative in demo_store.narratives()]
    assert len(texts) > 100
    assert [tokenizer.decode(tokenizer.encode(text)) for text in texts] == texts


def test_a_pointer_is_one_token_with_the_space_before_it(tokenizer: NarratorTokenizer) -> None:
    the, kettle = tokenizer.encode("the"), tokenizer.encode(" kettle")
    assert tokenizer.encode("the [3] kettle") == [*the, tokenizer.pointer_id(3), *kettle]
    assert tokenizer.encode("the [target] kettle") == [*the, tokenizer.target_id, *kettle]
    assert tokenizer.pointer_id(0) == tokenizer.target_id
    assert len({tokenizer.pointer_id(k) for k in range(MAX_HISTORY + 1)}) == len(POINTERS) == 51


def test_a_reply_quotes_its_target_by_slots(tokenizer: NarratorTokenizer) -> None:
    teapot = Item("t", "Pot", kind="teapot", attributes={"color": "green"})
    ids = tokenizer.reply("the green [target] teapot", Evidence([], "purchase_reason", teapot))
    assert tokenizer.decode(ids) == "the [color] [target] [noun]" and ids[-1] == tokenizer.eos_id
    assert len(ids) == len(tokenizer.encode("the")) + 4
    assert tokenizer.reply("the [3] kettle", Evidence([]))[:-1] == tokenizer.encode("the [3] kettle")


def test_what_points_nowhere_is_plain_text(tokenizer: NarratorTokenizer) -> None:
    pointers = {tokenizer.pointer_id(k) for k in range(MAX_HISTORY + 1)}
    assert not pointers & set(tokenizer.encode("[0] and [51] and [1 ] and [Target]"))


def test_control_tokens_are_one_token_and_are_never_text(tokenizer: NarratorTokenizer) -> None:
    asked = [tokenizer.task_id(task) for task in TASKS]
    assert len(set(asked)) == len(TASKS)
    assert tokenizer.encode(task_token("user_profile")) == [tokenizer.task_id("user_profile")]
    assert tokenizer.encode(BOS + SAY + EOS) == [tokenizer.bos_id, tokenizer.say_id, tokenizer.eos_id]
    ids = [tokenizer.bos_id, *tokenizer.encode("the"), tokenizer.say_id, *asked]
    ids += [*tokenizer.encode(" kettle"), tokenizer.eos_id, tokenizer.pad_id]
    assert tokenizer.decode(ids) == "the kettle"


def test_a_reply_may_hold_only_pointers_to_something(tokenizer: NarratorTokenizer) -> None:
    two = [Item("a", "A"), Item("b", "B")]
    banned = tokenizer.constraints(Evidence(two)).banned
    allowed = {k for k in range(MAX_HISTORY + 1) if tokenizer.pointer_id(k) not in banned}
    assert allowed == {1, 2}
    assert tokenizer.eos_id not in banned
    assert tokenizer.control_ids - {tokenizer.eos_id} <= banned
    pen = Item("p", "Pen", brand="Nib")
    slots = {tokenizer.encode(slot)[0] for slot in ("[noun]", "[brand]")}
    assert tokenizer.constraints(Evidence(two, target=pen)).banned == banned - {tokenizer.target_id} - slots
    assert (
        not {tokenizer.pointer_id(k) for k in range(1, 51)} & tokenizer.constraints(Evidence(two * 25)).banned
    )


def test_the_vocabulary_holds_what_was_asked_for(tokenizer: NarratorTokenizer) -> None:
    assert tokenizer.n_vocab <= 420
    assert NarratorTokenizer.train([f"{n} cups of tea {n * n}" for n in range(500)], 480).n_vocab == 480
    assert max(tokenizer.encode(WORDS)) < tokenizer.n_vocab


def test_saved_and_loaded_it_is_the_same(tokenizer: NarratorTokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path / "tokenizer.json")
    loaded = NarratorTokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.encode(WORDS + " [9] kettle") == tokenizer.encode(WORDS + " [9] kettle")
    assert (loaded.n_vocab, loaded.control_ids) == (tokenizer.n_vocab, tokenizer.control_ids)


def test_an_unreadable_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="missing.json: not a narrator's tokenizer .* train the narr"):
        NarratorTokenizer.load(tmp_path / "missing.json")
    (tmp_path / "damaged.json").write_text('{"version": "1.0", "model": {')
    with pytest.raises(ModelError, match="damaged.json: not a narrator's tokenizer"):
        NarratorTokenizer.load(tmp_path / "damaged.json")


def test_another_models_tokenizer_is_refused(tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE()).save(str(tmp_path / "other.json"))
    with pytest.raises(ModelError, match="other.json: .*<bos> is missing"):
        NarratorTokenizer.load(tmp_path / "other.json")


def test_a_title_is_written_with_capitals_and_names_no_purchase(tokenizer: NarratorTokenizer) -> None:
    kettles = Evidence([Item("a", "Kettle"), Item("b", "Kettle")], task="user_profile")
    constraints = tokenizer.constraints(kettles)
    assert {tokenizer.pointer_id(1), tokenizer.pointer_id(2)} <= constraints.banned
    for i in constraints.begins:
        assert not tokenizer.decode([i]).strip()[:1].islower()
    lower = [i for i in range(tokenizer.n_vocab) if tokenizer.decode([i])[:2].strip(" ").islower()]
    spaced = {i for i in lower if tokenizer.decode([i])[:1] == " "}
    allowed = {tokenizer.decode([i]).strip() for i in spaced - constraints.banned}
    assert spaced and allowed <= {"and", "of", "with", "in", "an", "a", "the", "for"}
    for mark in ",:;":
        behind = constraints.after[tokenizer.encode(mark)[-1]]
        assert {tokenizer.decode([i])[:1] for i in behind - {tokenizer.eos_id}} <= {" ", "["}, mark
    brief = tokenizer.constraints(Evidence(kettles.items))
    assert not brief.begins and not spaced <= brief.banned


TITLES = ("The Green-Fingered Teapot Keeper", "Tea Keeper of the [n] Kettles: Warm")


def test_titles_are_made_of_the_words_of_titles(tokenizer: NarratorTokenizer, tmp_path: Path) -> None:
    taught = tokenizer.with_titles(map(tokenizer.encode, TITLES))
    words = {"The", "Green-Fingered", "Teapot", "Keeper", "Tea", "of", "the", "Kettles", "Warm"}
    assert taught.title_words == words and not tokenizer.title_words
    taught.save(tmp_path / "tokenizer.json")
    taught = NarratorTokenizer.load(tmp_path / "tokenizer.json")
    assert taught.title_words == words

    evidence = Evidence([Item("a", "Kettle")], task="user_profile")
    spelt = [taught.decode([i]).strip(" ") for i in range(taught.n_vocab)]
    no_letters = [i for i, text in enumerate(spelt) if text != "-" and not text.isalpha()]
    drawn: dict[bool, set[str]] = {}
    for each in (tokenizer, taught):
        rng = np.random.default_rng(0)
        for seed in range(60):
            sampler = Sampler(Sampling(temperature=1.0, top_p=1.0, seed=seed), each.constraints(evidence))
            ids = []
            for _ in range(30):
                scores = rng.normal(scale=3, size=each.n_vocab)
                scores[no_letters] -= 1e6
                ids.append(sampler.pick(scores.astype(np.float32)))
            # The last one may be half a word.
            drawn.setdefault(each is taught, set()).update(each.decode(ids).split()[:-1])
    assert drawn[True] <= words | {"and", "with", "in", "an", "a", "for"}
    assert drawn[True] >= {"Green-Fingered", "Tea", "Teapot"}
    assert not drawn[False] <= words  # without them words are pieced together
    brief = Evidence(evidence.items)
    assert taught.constraints(brief).phrases == tokenizer.constraints(brief).phrases
