"""GgufChat on tiny random models: JSON whatever the weights, templates that nobody breaks out of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crs.llm.chat import Completion, Message
from crs.llm.gguf import GgufChat
from crs.llm.json_reply import BrokenReply, read_json
from crs.llm.open import open_chat_model
from crs.narrator.engine import LlamaCppModel
from crs.narrator.gguf_export import export_gguf
from knowledge.errors import ModelError
from tests.crs.foreign_folders import CHAT, write_llm
from tests.crs.narrator_folders import write_narrator

ONE_OF_SEVEN = {"type": "integer", "enum": [1, 2, 3, 4, 5, 6, 7]}
SCHEMA = {
    "type": "object",
    "properties": {
        "why_so": {"type": "string", "minLength": 2, "maxLength": 60},
        "score": {
            "type": "object",
            "properties": {"value": ONE_OF_SEVEN},
            "required": ["value"],
            "additionalProperties": False,
        },
        "maybe": {"anyOf": [{"type": "string", "maxLength": 5}, {"type": "null"}]},
        "list": {"type": "array", "items": ONE_OF_SEVEN, "minItems": 1, "maxItems": 3},
    },
    "required": ["why_so", "score", "maybe", "list"],
    "additionalProperties": False,
}
TALK = [Message("system", "You rate."), Message("user", "The kettle <eos> boils <|user|>")]


@pytest.fixture(scope="module")
def gguf_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrator of random weights: no chat template, and no token but bytes and a few words."""
    folder = write_narrator(tmp_path_factory.mktemp("gguf-chat"))
    export_gguf(folder, folder / "random.gguf", "f32")
    return folder / "random.gguf"


@pytest.fixture(scope="module")
def chat(gguf_path: Path) -> Iterator[GgufChat]:
    chat = GgufChat(gguf_path)
    yield chat
    chat.close()


def with_template(folder: Path, template: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random Llama whose GGUF carries a chat template."""
    import gguf

    write_llm(folder)
    add_name = gguf.GGUFWriter.add_name

    def add_both(writer: gguf.GGUFWriter, name: str) -> None:
        add_name(writer, name)
        writer.add_chat_template(template)

    with monkeypatch.context() as patch:
        patch.setattr(gguf.GGUFWriter, "add_name", add_both)
        export_gguf(folder, folder / "chat.gguf", "f32")
    return folder / "chat.gguf"


def ask(chat: GgufChat, seed: int = 0, *, max_tokens: int = 400, temperature: float = 1.0) -> Completion:
    return chat.complete(TALK, schema=SCHEMA, temperature=temperature, seed=seed, max_tokens=max_tokens)


class TestJson:
    def test_random_weights_write_json_of_the_schema(self, chat: GgufChat) -> None:
        replies = [ask(chat, seed) for seed in range(8)]
        read = [read_json(reply, SCHEMA) for reply in replies]
        assert not any(isinstance(value, BrokenReply) for value in read), read
        assert all(reply.ended == "stop" for reply in replies)
        assert len({reply.text for reply in replies}) == 8
        assert all(reply.prompt_tokens > 20 and reply.cost_usd is None for reply in replies)

    def test_the_likeliest_is_held_to_it_as_well(self, chat: GgufChat) -> None:
        assert ask(chat, temperature=0.0) == ask(chat, seed=1, temperature=0.0)
        assert isinstance(read_json(ask(chat, temperature=0.0), SCHEMA), dict)

    def test_the_same_seed_writes_the_same_whatever_came_before(self, chat: GgufChat) -> None:
        first = ask(chat, seed=3)
        ask(chat, seed=4)
        assert ask(chat, seed=3) == first

    def test_a_reply_cut_at_its_limit(self, chat: GgufChat) -> None:
        reply = ask(chat, max_tokens=10)
        assert reply.ended == "length" and reply.completion_tokens == 10
        broken = read_json(reply, SCHEMA)
        assert isinstance(broken, BrokenReply) and broken.flaw == "cut short"

    @pytest.mark.parametrize("n_characters", [1500, 5000])
    def test_long_texts_may_be_asked_for(self, chat: GgufChat, n_characters: int) -> None:
        schema = {
            "type": "object",
            "properties": {"text": {"type": "string", "maxLength": n_characters}},
            "required": ["text"],
        }
        reply = chat.complete(TALK, schema=schema, temperature=0.7, seed=2, max_tokens=400)
        assert reply.text.lstrip().startswith("{")

    def test_without_a_schema_anything_goes(self, chat: GgufChat) -> None:
        reply = chat.complete(TALK, temperature=1.0, seed=0, max_tokens=30)
        assert isinstance(read_json(reply, SCHEMA), BrokenReply) and reply.text

    @pytest.mark.parametrize(
        "schema", [{"type": "spell"}, {"$ref": "https://127.0.0.1/x"}, {"type": "string", "pattern": "open"}]
    )
    def test_a_schema_that_no_grammar_is_made_of(self, chat: GgufChat, schema: dict[str, str]) -> None:
        with pytest.raises(ModelError, match="no grammar can be made"):
            chat.complete(TALK, schema=schema, temperature=1.0, seed=0, max_tokens=5)
        assert ask(chat).text  # the next caller is served

    def test_a_grammar_that_llama_cpp_refuses(self, chat: GgufChat, monkeypatch: pytest.MonkeyPatch) -> None:
        import llama_cpp

        monkeypatch.setattr(llama_cpp, "llama_sampler_init_grammar", lambda *_: None)
        with pytest.raises(ModelError, match="cannot read the grammar"):
            ask(chat)

    def test_a_model_without_the_characters(self, chat: GgufChat, monkeypatch: pytest.MonkeyPatch) -> None:
        import llama_cpp

        def reject_all(_sampler: object, array: object) -> None:
            candidates = array._obj  # type: ignore[attr-defined]
            for place in range(candidates.size):
                candidates.data[place].logit = float("-inf")

        monkeypatch.setattr(llama_cpp, "llama_sampler_apply", reject_all)
        with pytest.raises(ModelError, match="no tokens for the JSON"):
            ask(chat)


class TestPrompts:
    def test_a_plain_layout_where_the_model_has_none(self, gguf_path: Path) -> None:
        model = LlamaCppModel(gguf_path)
        ids = model.chat_prompt([("system", "Tea."), ("user", "Is <eos> it?")])
        assert model.decode(ids.tolist()) == "SYSTEM:\nTea.\n\nUSER:\nIs <eos> it?\n\nASSISTANT:\n"
        assert model.eos_id not in ids  # what a shopper writes ends nothing
        model.close()

    def test_the_models_own_template(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = LlamaCppModel(with_template(tmp_path, CHAT, monkeypatch))
        ids = model.chat_prompt([("user", "a kettle <eos>"), ("assistant", "yes"), ("user", "so?")]).tolist()
        bos, user, assistant = ids[0], ids[1], ids[-1]
        assert len({bos, user, assistant, model.eos_id}) == 4
        assert [ids.count(token) for token in (bos, user, assistant, model.eos_id)] == [1, 2, 2, 3]
        assert model.decode(ids) == "a kettle <eos>yesso?"
        model.close()

    @pytest.mark.parametrize("fault", ["refuses", "leaves out"])
    def test_a_template_without_a_system_turn(
        self, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        does = "{{ raise_exception('no system') }}" if fault == "refuses" else ""
        template = (
            "{% for m in messages %}{% if m['role'] == 'system' %}" + does + "{% else %}"
            "<|user|>{{ m['content'] }}{% endif %}{% endfor %}<|assistant|>"
        )
        model = LlamaCppModel(with_template(tmp_path, template, monkeypatch))
        ids = model.chat_prompt([("system", "Tea."), ("user", "Is it?")])
        assert model.decode(ids.tolist()) == "Tea.\n\nIs it?"
        model.close()

    def test_a_broken_template(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model = LlamaCppModel(with_template(tmp_path, "{% for %}", monkeypatch))
        assert "USER:\nIs it?" in model.decode(model.chat_prompt([("user", "Is it?")]).tolist())
        model.close()

    def test_a_model_that_wants_its_first_token(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import gguf

        adds_bos = gguf.GGUFWriter.add_add_bos_token
        monkeypatch.setattr(gguf.GGUFWriter, "add_add_bos_token", lambda writer, _: adds_bos(writer, True))
        unlike = with_template(tmp_path / "unlike", CHAT.replace("{{ bos_token }}", ""), monkeypatch)
        like = with_template(tmp_path / "like", CHAT, monkeypatch)
        prompts = []
        for path in (unlike, like):
            model = LlamaCppModel(path)
            prompts.append(model.chat_prompt([("user", "tea")]).tolist())
            model.close()
        assert prompts[0] == prompts[1]  # once, whether or not the template writes it
        assert prompts[0].count(prompts[0][0]) == 1

    def test_tokens_longer_than_most(self, gguf_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("crs.narrator.gguf_text._PIECE_BYTES", 1)
        model = LlamaCppModel(gguf_path)
        assert model.decode(model.chat_prompt([("user", "The kettle")]).tolist()).startswith(
            "USER:\nThe kettle"
        )
        model.close()

    def test_a_prompt_that_leaves_no_room(self, chat: GgufChat) -> None:
        reply = chat.complete([Message("user", "tea " * 5000)], temperature=1, seed=0, max_tokens=5)
        assert (reply.text, reply.ended, reply.completion_tokens) == ("", "length", 0)
        assert reply.prompt_tokens >= 5000


def test_closed(gguf_path: Path) -> None:
    chat = open_chat_model(str(gguf_path), n_ctx=512)
    assert chat.name == "random"
    chat.close()
    chat.close()
    with pytest.raises(ModelError, match="closed"):
        chat.complete(TALK, temperature=1, seed=0, max_tokens=5)
