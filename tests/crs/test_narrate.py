"""The narrator over a scripted language model: whole sentences out, wrong ones drawn again."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from crs.adapter import SoftTokens, build_adapter
from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check
from crs.narrator.language_model import FakeLanguageModel, Sampling, Segment
from crs.narrator.narrate import FIRST_TRIES, MAX_TOKENS, TRIES, NarrationStream, Narrator, Piece
from crs.narrator.plain import plain_statement
from crs.narrator.tokenizer import NarratorTokenizer
from knowledge.errors import ModelError
from knowledge.types import MAX_HISTORY, TARGET_TASKS, TASKS, Item, Task, pointer

DIM = 16
WORDS = "The kettle boils for tea. She bought a teapot; it cost $34.99! “Why not?” asked Dr. Rake of the mug."
HISTORY = [Item("a", "Copper kettle", kind="kettle"), Item("b", "Iron teapot", kind="teapot")]
TARGET = Item("c", "Blue mug", kind="mug", price=34.99)


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    return NarratorTokenizer.train([WORDS] * 20, n_vocab=500)


@pytest.fixture(scope="module")
def soft_tokens() -> SoftTokens:
    rng = np.random.default_rng(0)
    places = rng.standard_normal((51, DIM)).astype(np.float32)
    return SoftTokens(build_adapter("mlp", DIM, n_hidden=32), places)


class Desk:
    """A narrator whose language model answers each request with the next of ``replies``."""

    def __init__(
        self,
        tokenizer: NarratorTokenizer,
        soft_tokens: SoftTokens,
        replies: Iterable[str | list[int]],
        *,
        gated: bool = True,
        words: StoreWords | None = None,
        context_length: int = 1024,
    ) -> None:
        scripts = [tokenizer.encode(reply) if isinstance(reply, str) else reply for reply in replies]
        self.model = FakeLanguageModel(
            embedding_dim=DIM,
            n_vocab=tokenizer.n_vocab,
            eos_id=tokenizer.eos_id,
            context_length=context_length,
            replies=scripts,
        )
        self.narrator = Narrator(self.model, tokenizer, soft_tokens, words=words, gated=gated)

    def tell(
        self, task: Task = "user_summary_brief", *, stop: threading.Event | None = None, seed: int = 0
    ) -> NarrationStream:
        rows = np.zeros((2, 512), dtype=np.float32)
        return self.narrator.narrate(rows, task, history=HISTORY, seed=seed, stop=stop)

    def pitch(self) -> NarrationStream:
        rows = np.zeros((3, 512), dtype=np.float32)
        return self.narrator.narrate(rows, "product_endorsement", history=HISTORY, target=TARGET)


def heard(stream: NarrationStream) -> NarrationStream:
    """The stream, listened to until its end."""
    list(stream)
    return stream


def spelled(pieces: Iterable[Piece]) -> str:
    return "".join(
        piece.text if piece.cite is None else "[target]" if piece.cite == 0 else pointer(piece.cite)
        for piece in pieces
    )


def test_pieces_are_the_text_with_pointers_as_citations(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    text = "The [1] kettle boils. [2] teapot and the [1] kettle, for tea!"
    stream = Desk(tokenizer, soft_tokens, [text]).tell()
    pieces = list(stream)
    assert [piece for piece in pieces if piece.cite] == [Piece("", 1), Piece("", 2), Piece("", 1)]
    assert pieces[0] == Piece("The ")  # the space that the pointer's token swallowed
    assert spelled(pieces) == stream.result.text == text
    assert stream.result.cites == (1, 2, 1)
    assert stream.result.tokens == len(tokenizer.encode(text))
    assert not stream.result.stopped and not stream.result.cut and stream.result.sentences_rejected == 0


def test_the_target_is_cited_as_zero(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    text = "A [target] mug beside the [1] kettle."
    stream = Desk(tokenizer, soft_tokens, [text]).pitch()
    assert spelled(stream) == text
    assert stream.result.cites == (0, 1)
    assert stream.result.n_soft == 3


def test_a_pointer_after_a_bracket_gets_no_space(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    text = "For tea ([1] kettle, “[2] teapot”)."
    stream = Desk(tokenizer, soft_tokens, [text]).tell()
    assert spelled(stream) == stream.result.text == text


def test_the_prompt_is_head_soft_rows_and_question(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    desk = Desk(tokenizer, soft_tokens, ["A [target] mug."])
    rows = np.random.default_rng(1).standard_normal((3, 512)).astype(np.float32)
    list(desk.narrator.narrate(rows, "product_endorsement", history=HISTORY, target=TARGET))
    head, *soft_parts, most, last = desk.model.prompts[0]
    soft, asked = np.concatenate(soft_parts), [*most, *last]
    assert head.tolist() == [tokenizer.bos_id]
    np.testing.assert_array_equal(soft, soft_tokens(rows, np.asarray([1, 2, 0])))
    assert asked[0] == tokenizer.task_id("product_endorsement") and asked[-1] == tokenizer.say_id


def test_a_sentence_is_shown_when_the_next_one_begins(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    desk = Desk(tokenizer, soft_tokens, ["The [1] kettle boils. She bought a rake."])
    stop = threading.Event()
    pieces = iter(desk.tell(stop=stop))
    assert [next(pieces) for _ in range(3)] == [Piece("The "), Piece("", 1), Piece(" kettle boils.")]
    stop.set()
    assert list(pieces) == []


def test_times_are_taken(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    stream = Desk(tokenizer, soft_tokens, ["The [1] kettle boils. It is tea."]).tell()
    list(stream)
    assert 0 < stream.result.first_token_ms <= stream.result.first_sentence_ms


def test_a_wrong_sentence_is_drawn_again_from_where_it_began(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    first = "The [1] kettle boils. She bought a [2] teapot for $9, too. It is tea."
    desk = Desk(tokenizer, soft_tokens, [first, " She bought a [2] teapot, too."])
    stream = desk.tell()
    assert spelled(stream) == stream.result.text == "The [1] kettle boils. She bought a [2] teapot, too."
    assert stream.result.sentences_rejected == 1
    # The second request goes on from what was said, token by token: as the engine keeps what it drew.
    first, second = desk.model.prompts
    said = second[len(first) :]
    assert np.concatenate(said).tolist() == tokenizer.encode("The [1] kettle boils.")
    assert {len(segment) for segment in said} == {1}


def test_a_price_or_an_abbreviation_breaks_no_sentence_of_the_text(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    text = "Dr. Rake paid $34.99 for the [target] mug. It cost $34.99. “Why not?” asked Dr. Rake. Tea!"
    stream = Desk(tokenizer, soft_tokens, [text]).pitch()
    assert spelled(stream) == stream.result.text == text


def test_a_sentence_with_a_wrong_price_is_drawn_again(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stream = Desk(tokenizer, soft_tokens, ["It is tea. It cost $34.95. Tea!", " It cost $34.99."]).pitch()
    assert spelled(stream) == "It is tea. It cost $34.99."
    assert stream.result.sentences_rejected == 1


@pytest.mark.parametrize("start", ["At $34.99 she bought", "At $34", "“Why not?”she asked for"])
def test_a_rejected_sentence_leaves_nothing_of_itself(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, start: str
) -> None:
    desk = Desk(tokenizer, soft_tokens, [f"{start} the [1] kettle for $9.", "Only tea."])
    assert spelled(desk.tell()) == "Only tea."


@pytest.mark.parametrize("end", [".", "!", "?", ".”", '!"', "?’"])
def test_every_ending_closes_a_sentence(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, end: str
) -> None:
    desk = Desk(tokenizer, soft_tokens, [f"It is tea{end} The [1] kettle for $9.", " Good."])
    assert spelled(desk.tell()) == f"It is tea{end} Good."


def test_after_too_many_tries_it_ends_without_the_sentence(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    wrong = " A [2] teapot for $9."
    replies = ["The [1] kettle boils." + wrong, *[wrong] * (TRIES - 1), " Too late."]
    desk = Desk(tokenizer, soft_tokens, replies)
    stream = desk.tell()
    assert spelled(stream) == "The [1] kettle boils."
    assert stream.result.sentences_rejected == TRIES
    assert len(desk.model.prompts) == TRIES


def test_tries_are_counted_for_each_sentence_anew(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    wrong = " A [2] teapot for $9."
    replies = [*[wrong] * (TRIES - 1), "Tea." + wrong, *[wrong] * (TRIES - 2), " A [2] teapot."]
    stream = Desk(tokenizer, soft_tokens, replies).tell()
    assert spelled(stream) == "Tea. A [2] teapot."
    assert stream.result.sentences_rejected == 2 * (TRIES - 1)


def test_rather_a_plain_statement_than_a_wrong_one(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stream = Desk(tokenizer, soft_tokens, [f"A [2] teapot for ${n}." for n in range(FIRST_TRIES)]).tell()
    assert (
        spelled(stream)
        == stream.result.text
        == "The customer has made two purchases, the [2] teapot most recently."
    )
    assert stream.result.is_plain and stream.result.cites == (2,) and not stream.result.cut
    assert stream.result.sentences_rejected == FIRST_TRIES == stream.result.sentences_drawn


@pytest.mark.parametrize("task", ["user_summary_brief", "user_summary_long"])
def test_a_single_purchase_is_told_plainly(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, task: Task
) -> None:
    desk = Desk(tokenizer, soft_tokens, ["Tea."])
    stream = desk.narrator.narrate(np.zeros((1, 512), np.float32), task, history=HISTORY[:1])
    assert spelled(stream) == "The customer has bought the [1] kettle."
    assert stream.result.is_plain and stream.result.sentences_drawn == 0


def test_saying_nothing_is_not_an_answer(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    assert spelled(Desk(tokenizer, soft_tokens, ["", " ", "It is tea."]).tell()) == "It is tea."
    stream = Desk(tokenizer, soft_tokens, [""] * FIRST_TRIES).pitch()
    assert spelled(stream) == "Have a look at the [target] mug for $34.99."
    assert stream.result.is_plain and stream.result.sentences_drawn == 0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n", [0, 1, 2, MAX_HISTORY])
def test_a_plain_statement_holds(task: Task, n: int) -> None:
    items = (HISTORY * MAX_HISTORY)[:n]
    for target in (
        (TARGET, Item("d", "Arbor No. 5, blue", brand="Arbor")) if task in TARGET_TASKS else (None,)
    ):
        evidence = Evidence(items, task, target, words=StoreWords.of([*HISTORY, TARGET]))
        claims = check(plain_statement(evidence), evidence)
        assert all(claim.holds for claim in claims)
        assert claims or n == 0 or task == "user_profile"


def test_a_profile_names_the_department_bought_from_most() -> None:
    items = [Item("a", "A", department="Garden"), Item("b", "B", department="Tools"), Item("c", "C")]
    assert plain_statement(Evidence([*items, items[1]], "user_profile")) == "Tools Shopper"
    assert plain_statement(Evidence(items[2:], "user_profile")) == "Shopper"


def test_faults_are_counted_by_kind(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    replies = [
        "The tea is made. She loved the [2] teapot at $9.",
        " She loved the [2] teapot.",
        " The tea is made.",
        " Tea.",
    ]
    result = heard(Desk(tokenizer, soft_tokens, replies).tell()).result
    assert result.text == "The tea is made. Tea."
    assert result.rejected == {"stars": 2, "price": 1, "loop": 1}
    assert result.sentences_rejected == result.sentences_wrong == 3 and result.sentences_drawn == 5
    assert result.claims_checked == {
        "loop": (0, 1), "noun": (2, 0), "pointer": (2, 0), "price": (0, 1), "stars": (0, 2)
    }  # fmt: skip
    assert result.gate_ms > 0


def test_claims_are_counted_where_the_gate_is_open(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    desk = Desk(tokenizer, soft_tokens, ["The [1] kettle boils. The [2] teapot cost $9."], gated=False)
    result = heard(desk.tell()).result
    assert result.text == "The [1] kettle boils. The [2] teapot cost $9."
    assert (result.sentences_drawn, result.sentences_wrong, result.sentences_rejected) == (2, 1, 0)
    assert result.claims_checked == {"noun": (2, 0), "pointer": (2, 0), "price": (0, 1)}
    assert result.rejected == {}


def test_stars_say_what_was_loved(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    text = "She loved the [1] kettle."
    for stars, told in (((5.0, None), text), ((4.0, None), "Tea."), ((), "Tea.")):
        desk = Desk(tokenizer, soft_tokens, [text, "Tea."])
        rows = np.zeros((2, 512), dtype=np.float32)
        stream = desk.narrator.narrate(rows, "user_summary_brief", history=HISTORY, stars=stars)
        assert spelled(stream) == told


def test_the_stores_words_are_known(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    replies = ["The blue [1] kettle.", "The copper [1] kettle."]
    desk = Desk(tokenizer, soft_tokens, replies, words=StoreWords.of(HISTORY))
    assert spelled(desk.tell()) == "The copper [1] kettle."


def test_what_is_quoted_is_shown_as_listed(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    stream = Desk(tokenizer, soft_tokens, ["A [target] [noun] for [price]. It is tea."]).pitch()
    assert spelled(stream) == stream.result.text == "A [target] mug for $34.99. It is tea."
    assert stream.result.claims_checked["price"] == (1, 0)


def test_every_other_try_is_drawn_more_calmly(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    desk = Desk(tokenizer, soft_tokens, [" A [2] teapot for $9."] * 3)
    asked: list[Sampling] = []
    generate = desk.model.generate

    def spy(segments: Sequence[Segment], sampling: Sampling, **options: Any) -> Generator[int, None, None]:
        asked.append(sampling)
        return generate(segments, sampling, **options)

    desk.model.generate = spy  # type: ignore[method-assign]
    list(desk.tell(seed=3))
    first, second, third = asked[:3]
    assert second.temperature < first.temperature == third.temperature
    assert len({each.seed for each in asked}) == len(asked)


def test_without_the_gate_every_sentence_passes(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    text = "The [1] kettle for $9. A [2] teapot."
    stream = Desk(tokenizer, soft_tokens, [text], gated=False).tell()
    assert spelled(stream) == text
    assert stream.result.sentences_rejected == 0


def test_pointers_to_nothing_and_control_tokens_cannot_be_drawn(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    tea = tokenizer.encode("tea")
    script = [*tea, tokenizer.pointer_id(3), *tea, tokenizer.target_id, tokenizer.say_id, tokenizer.bos_id]
    script += [tokenizer.task_id("user_profile"), tokenizer.pad_id, *tea, tokenizer.pointer_id(2)]
    desk = Desk(tokenizer, soft_tokens, [script] * 5, gated=False)
    last_cites = set()
    for seed in range(5):  # what comes instead is anything, the end too
        stream = desk.tell(seed=seed)
        said = tokenizer.encode(spelled(stream))
        assert not tokenizer.constraints(Evidence([Item("a", "A")] * 2)).banned & set(said)
        assert set(stream.result.cites) <= {1, 2}
        last_cites.add(stream.result.cites[-1:])
    assert (2,) in last_cites


def test_stopping_keeps_what_was_said_and_no_half_sentence(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stop = threading.Event()
    desk = Desk(tokenizer, soft_tokens, ["The [1] kettle boils. She bought a [2] teapot. It is tea."])
    stream = desk.tell(stop=stop)
    heard = []
    for piece in stream:
        heard.append(piece)
        stop.set()
    assert spelled(heard) == stream.result.text == "The [1] kettle boils."
    assert stream.result.stopped and not stream.result.cut
    assert stream.result.sentences_rejected == 0


def test_stopped_before_the_first_word_nothing_is_said(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stop = threading.Event()
    stop.set()
    stream = Desk(tokenizer, soft_tokens, ["It is tea."]).tell(stop=stop)
    assert list(stream) == []
    assert (stream.result.text, stream.result.tokens, stream.result.stopped) == ("", 0, True)


def test_the_length_limit_drops_half_a_sentence(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, half = "The [1] kettle boils.", " She bought a teapot"
    limit = len(tokenizer.encode(whole + half))
    monkeypatch.setitem(MAX_TOKENS, "user_summary_brief", limit)
    stream = Desk(tokenizer, soft_tokens, [whole + half + " and a mug."]).tell()
    assert spelled(stream) == stream.result.text == whole
    assert stream.result.cut and not stream.result.stopped
    assert stream.result.tokens < limit


def test_without_the_gate_half_a_sentence_is_kept_where_it_is_all_there_is(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAX_TOKENS, "user_summary_brief", len(tokenizer.encode("She bought a")))
    stream = Desk(tokenizer, soft_tokens, ["She bought a teapot."], gated=False).tell()
    assert spelled(stream) == "She bought a"
    assert stream.result.cut


def test_a_sentence_that_just_fits_is_kept(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The [1] kettle boils. It is tea."
    monkeypatch.setitem(MAX_TOKENS, "user_summary_brief", len(tokenizer.encode(text)))
    stream = Desk(tokenizer, soft_tokens, [text + " More."]).tell()
    assert spelled(stream) == text
    assert stream.result.cut  # the limit was met, whether or not more would have come


def test_another_target_changes_nothing_of_what_is_read_of_the_purchases(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    narrator, rows = Desk(tokenizer, soft_tokens, []).narrator, np.ones((3, 512), np.float32)
    summary = narrator.prompt(rows[:2], Evidence(HISTORY, "user_summary_brief"))
    pitches = [
        narrator.prompt(rows * scale, Evidence(HISTORY, "product_endorsement", target))
        for scale, target in ((1, HISTORY[0]), (1, HISTORY[1]))
    ]
    for pitch in pitches:
        for before, now in zip(summary[:2], pitch[:2], strict=True):
            np.testing.assert_array_equal(before, now)


def test_the_context_is_a_limit_too(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    text = "The [1] kettle boils."
    narrator = Desk(tokenizer, soft_tokens, []).narrator
    prompt = narrator.prompt(np.zeros((2, 512), np.float32), Evidence(HISTORY, "user_summary_brief"))
    context_length = sum(map(len, prompt)) + len(tokenizer.encode(text)) + 4
    desk = Desk(tokenizer, soft_tokens, [text + " She bought a mug."], context_length=context_length)
    stream = desk.tell()
    assert spelled(stream) == text
    assert stream.result.cut


def test_a_sentence_that_breaks_off_is_drawn_again(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stream = Desk(tokenizer, soft_tokens, ["They bought the", "They love tea."]).tell()
    assert spelled(stream) == "They love tea."
    assert stream.result.rejected == {"ending": 1}
    assert not stream.result.cut


def test_the_title_of_a_profile_needs_no_full_stop(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    stream = Desk(tokenizer, soft_tokens, ["Practical Tea Lover"]).tell("user_profile")
    assert spelled(stream) == "Practical Tea Lover"
    assert not stream.result.cut


def test_the_seed_decides(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    texts = []
    for seed in (3, 3, 4):
        stream = Desk(tokenizer, soft_tokens, [], gated=False).tell(seed=seed)
        assert spelled(stream) == stream.result.text
        texts.append(stream.result.text)
    assert texts[0] == texts[1] != texts[2]


def test_the_result_waits_for_the_end(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    stream = Desk(tokenizer, soft_tokens, ["It is tea."]).tell()
    with pytest.raises(ModelError, match="not finished"):
        _ = stream.result
    list(stream)
    assert stream.result.text == "It is tea."


@pytest.mark.parametrize("shape", [(1, 512), (3, 512), (2, 500), (2,)])
def test_rows_that_do_not_fit_are_refused(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens, shape: tuple[int, ...]
) -> None:
    narrator = Desk(tokenizer, soft_tokens, []).narrator
    with pytest.raises(ModelError, match="rows .* do not fit 2 purchases"):
        narrator.narrate(np.zeros(shape, np.float32), "user_profile", history=HISTORY)


def test_more_purchases_than_places_are_refused(
    tokenizer: NarratorTokenizer, soft_tokens: SoftTokens
) -> None:
    narrator = Desk(tokenizer, soft_tokens, []).narrator
    with pytest.raises(ModelError, match="at most 50"):
        narrator.narrate(np.zeros((51, 512), np.float32), "user_profile", history=HISTORY[:1] * 51)


def test_target_and_task_must_fit(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    narrator = Desk(tokenizer, soft_tokens, []).narrator
    with pytest.raises(ModelError, match="product_endorsement: it needs a target"):
        narrator.narrate(np.zeros((2, 512), np.float32), "product_endorsement", history=HISTORY)
    with pytest.raises(ModelError, match="user_profile: it has no target"):
        narrator.narrate(np.zeros((3, 512), np.float32), "user_profile", history=HISTORY, target=TARGET)


def test_parts_of_two_narrators_are_refused(tokenizer: NarratorTokenizer, soft_tokens: SoftTokens) -> None:
    with pytest.raises(ModelError, match="16 dimensions, the language model fake reads 8"):
        Narrator(FakeLanguageModel(embedding_dim=8), tokenizer, soft_tokens)
