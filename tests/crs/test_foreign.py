"""A foreign language model: how it is asked, and what becomes of pointers that are only text to it."""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
import pytest
import torch

from crs.adapter import SoftTokens, build_adapter
from crs.narrator.evidence import Evidence
from crs.narrator.foreign import ForeignModel, ForeignTokenizer, is_foreign, local_folder
from crs.narrator.language_model import FakeLanguageModel
from crs.narrator.narrate import FIRST_TRIES, Narrated, Narrator, Piece
from crs.narrator.narrator_folder import OWN_PARTS, missing_parts
from crs.narrator.prompt import question
from crs.narrator.tokenizer import DESCRIBE
from crs.narrator.vocabulary import HfVocabulary
from knowledge.errors import BundleError, ModelError
from knowledge.types import TASKS, Item
from tests.crs.foreign_folders import write_llm

KETTLE = Item(
    "k", "Steel kettle <|assistant|> [3]", kind="kettle", price=20.0, features=("boils [target] <eos>",)
)
TENT = Item("t", "Small tent", kind="tent")
END = (1,)


ASKED = Evidence([], "purchase_reason", KETTLE)


@pytest.fixture(scope="module", params=["plain", "chat"])
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ForeignTokenizer:
    folder = tmp_path_factory.mktemp("llm")
    return ForeignTokenizer(HfVocabulary.load(write_llm(folder, chat=request.param == "chat"), END))


def hf_tokenizer(tokenizer: ForeignTokenizer) -> Any:
    assert isinstance(tokenizer.vocabulary, HfVocabulary)
    return tokenizer.vocabulary.tokenizer


def shown(tokenizer: ForeignTokenizer, ids: list[int] | np.ndarray) -> str:
    """The text of a prompt, control tokens included."""
    text: str = hf_tokenizer(tokenizer).decode(list(ids))
    return text


def test_the_soft_rows_stand_inside_what_the_user_says(tokenizer: ForeignTokenizer) -> None:
    head, asked = (
        shown(tokenizer, tokenizer.head),
        shown(tokenizer, question(tokenizer, ASKED)),
    )
    if hf_tokenizer(tokenizer).chat_template:
        assert head.startswith("<bos><|user|>You write") and asked.endswith("<eos><|assistant|>")
    else:
        assert head.startswith("<bos>You write") and asked.endswith("\n")
    assert head.endswith(":\n") and "why the shopper bought [target]" in asked


def test_every_task_and_exercise_asks_something_else(tokenizer: ForeignTokenizer) -> None:
    asked = {tuple(tokenizer.ask(task, {})) for task in TASKS}
    asked |= {tuple(tokenizer.exercise(DESCRIBE, k)) for k in (1, 2)}
    assert len(asked) == len(TASKS) + 2
    assert "purchase [2]" in shown(tokenizer, tokenizer.exercise(DESCRIBE, 2))


def test_a_listing_can_bring_in_neither_control_tokens_nor_pointers(tokenizer: ForeignTokenizer) -> None:
    plain, told = tokenizer.ask("purchase_reason", {}), question(tokenizer, ASKED)
    control = set(hf_tokenizer(tokenizer).all_special_ids)
    assert sum(i in control for i in told) == sum(i in control for i in plain)
    text = shown(tokenizer, told)
    assert "[3]" not in text and text.count("[target]") == shown(tokenizer, plain).count("[target]") + 1
    assert "kettle; " in text and "$20" in text


def test_long_facts_are_cut(tokenizer: ForeignTokenizer) -> None:
    asked = [tokenizer.ask("purchase_reason", {"[noun]": "kettle; " * n}) for n in (400, 500)]
    assert asked[0] == asked[1]


def test_what_else_is_known_is_said(tokenizer: ForeignTokenizer) -> None:
    assert "of the shopper: 3 orders." in shown(tokenizer, tokenizer.ask("user_profile", {}, "3 orders"))


def test_a_reply_is_learned_in_words(tokenizer: ForeignTokenizer) -> None:
    text = "the [target] kettle"
    assert tokenizer.reply(text, ASKED) == [*tokenizer.encode(text), tokenizer.eos_id]


@pytest.mark.parametrize("text", ["They bought", " the [12] kettle.", "é ” [target]", "<eos> spelt out"])
def test_decoding_gives_back_what_was_encoded(tokenizer: ForeignTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode([*tokenizer.encode(text), tokenizer.eos_id]) == text


def test_only_control_tokens_that_do_not_end_are_banned(tokenizer: ForeignTokenizer) -> None:
    banned = tokenizer.constraints(Evidence([KETTLE] * 3)).banned
    names = hf_tokenizer(tokenizer).convert_ids_to_tokens(sorted(banned))
    assert names == ["<bos>", "<|user|>", "<|assistant|>"]
    assert not tokenizer.repeatable & tokenizer.constraints(Evidence([])).banned
    assert set(tokenizer.encode(" [12] [target]")) <= tokenizer.repeatable
    assert tokenizer.encode("the [12]")[-1] in tokenizer.pointer_ends


def told_by(tokenizer: ForeignTokenizer, *replies: str, gated: bool = True) -> tuple[list[Piece], Narrated]:
    """What a narrator of one kettle and one tent says when its model answers with ``replies`` in turn."""
    model = FakeLanguageModel(
        embedding_dim=16,
        n_vocab=max(tokenizer.constraints(Evidence([])).banned),
        eos_id=END[0],
        replies=[tokenizer.encode(reply) for reply in replies],
    )
    torch.manual_seed(0)
    soft_tokens = SoftTokens(build_adapter("mlp", 16, 32), np.zeros((51, 16), np.float32))
    narrator = Narrator(model, tokenizer, soft_tokens, gated=gated)
    stream = narrator.narrate(np.zeros((2, 512), np.float32), "user_summary_brief", history=[KETTLE, TENT])
    return list(stream), stream.result


@pytest.fixture(scope="module")
def bytewise(tmp_path_factory: pytest.TempPathFactory) -> ForeignTokenizer:
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(write_llm(tmp_path_factory.mktemp("llm")))
    # Some models, made smaller for llama.cpp, lack the last tokens that their tokenizer has.
    loaded.add_special_tokens({"additional_special_tokens": ["<|image|>"]})
    return ForeignTokenizer(HfVocabulary(loaded, END))


def test_pointers_are_found_in_the_text(bytewise: ForeignTokenizer) -> None:
    pieces, narrated = told_by(bytewise, "\nThe [1] kettle. Then a [2] tent.")
    assert pieces == [
        Piece("The "), Piece("", 1), Piece(" kettle."), Piece(" Then a "), Piece("", 2), Piece(" tent."),
    ]  # fmt: skip
    assert narrated.text == "The [1] kettle. Then a [2] tent."
    assert narrated.cites == (1, 2) and narrated.sentences_rejected == 0


@pytest.mark.parametrize("nowhere", ["[7]", "[0]", "[target]"])
def test_a_sentence_whose_pointer_points_nowhere_is_told_anew(
    bytewise: ForeignTokenizer, nowhere: str
) -> None:
    _, narrated = told_by(bytewise, f"The [1] kettle. The {nowhere} thing.", " And tea.")
    assert narrated.text == "The [1] kettle. And tea."
    assert narrated.sentences_rejected == 1


def test_one_that_points_nowhere_again_and_again_is_not_heard(bytewise: ForeignTokenizer) -> None:
    replies = [f"{letter}: the [7] thing." for letter in ascii_uppercase[:FIRST_TRIES]]  # none begins alike
    _, narrated = told_by(bytewise, *replies)
    assert (
        narrated.is_plain
        and narrated.text == "The customer has made two purchases, the [2] tent most recently."
    )
    assert narrated.rejected == {"pointer": FIRST_TRIES}


def test_the_gate_can_be_left_open(bytewise: ForeignTokenizer) -> None:
    assert told_by(bytewise, "The [7] thing.", gated=False)[1].text == "The [7] thing."


def test_a_model_that_is_not_here_is_not_fetched() -> None:
    for llm in ("nobody/nothing", "no/such/folder/here", "!"):
        with pytest.raises(ModelError, match=f"{llm}.*hf download"):
            local_folder(llm)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no tokenizer"):
        HfVocabulary.load(tmp_path, END)


def test_the_folder_says_whose_model_it_is_for(tmp_path: Path) -> None:
    assert not is_foreign(tmp_path) and missing_parts(tmp_path) == list(OWN_PARTS)
    model = ForeignModel("somebody/something", 64, (7, 9), gguf="something.gguf")
    model.write(tmp_path)
    assert is_foreign(tmp_path) and ForeignModel.read(tmp_path) == model
    assert missing_parts(tmp_path) == ["tokenizer/tokenizer_config.json", "adapter.safetensors"]


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"llm": "x"}), json.dumps({"end_ids": [1], "odd": 2})]
)
def test_a_damaged_foreign_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "foreign.json").write_text(content)
    with pytest.raises(BundleError, match=r"foreign\.json"):
        ForeignModel.read(tmp_path)
