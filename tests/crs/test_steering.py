"""Constraints on what is drawn: alone, and as the tokenizer makes them of what is known of a shopper."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crs.narrator.evidence import Evidence, StoreWords
from crs.narrator.gate import check
from crs.narrator.language_model import FakeLanguageModel
from crs.narrator.markup import MARKUP, Markup
from crs.narrator.quotes import FEATURES
from crs.narrator.sampling import Constraints, Sampler, Sampling, Steering
from crs.narrator.sentence import sentences
from crs.narrator.tally import GAINS, MARKS, POINTER_MARKS, PURPOSES, TALLY_SLOTS
from crs.narrator.tokenizer import POINTERS, NarratorTokenizer
from knowledge.errors import ModelError
from knowledge.types import TARGET_POINTER, Item, pointer

# A toy vocabulary: two marks, three purchases, a slot, a full stop, and words from 7 on.
LOVED, LAST, ONE, TWO, THREE, SLOT, STOP, WORD = range(8)
TOY = Constraints(
    banned=frozenset({9}),
    after={LOVED: frozenset({ONE, TWO}), LAST: frozenset({THREE})},
    once=frozenset({ONE, TWO, THREE, SLOT}),
    stops=frozenset({STOP}),
)
N_TOY = 12
HOT = Sampling(temperature=1.0, top_p=1.0, repeat_penalty=1.0)


def steered(*tokens: int) -> Steering:
    steering = Steering(TOY)
    for token in tokens:
        steering.take(token)
    return steering


EARLIER, LATER = 10, 11
IN_TIME = replace(TOY, order=(ONE, TWO, THREE), in_time={EARLIER: -1, LATER: 1})


@pytest.mark.parametrize(
    ("drawn", "only", "barred"),
    [
        ((), None, {EARLIER, LATER}),  # nothing was said yet that could be earlier
        ((TWO,), None, set()),
        ((TWO, EARLIER), {ONE}, None),
        ((TWO, LATER), {THREE}, None),
        ((ONE,), None, {EARLIER}),
        ((ONE, THREE), None, {EARLIER, LATER}),  # nothing is before or behind both
        ((TWO, THREE, EARLIER), {ONE}, None),
        ((TWO, STOP), None, {EARLIER, LATER}),  # each sentence has its own order
    ],
)
def test_a_mark_of_time_is_followed_by_what_is_earlier_or_later_than_all_that_was_said(
    drawn: Sequence[int], only: set[int] | None, barred: set[int] | None
) -> None:
    steering = Steering(IN_TIME)
    for token in drawn:
        steering.take(token)
    assert steering.only == only
    if barred is not None:
        assert steering.barred & {EARLIER, LATER} == barred


def test_what_went_round_in_circles_is_not_begun_again() -> None:
    steering = Steering(replace(TOY, openings=frozenset({(WORD, SLOT), (ONE, WORD)})))
    assert not steering.barred
    steering.take(WORD)
    assert steering.barred == {SLOT}
    steering.take(WORD)
    assert not steering.barred  # the sentence has begun otherwise
    steering.take(STOP)
    steering.take(WORD)
    assert steering.barred == {SLOT}


def test_a_text_begins_only_as_it_may() -> None:
    begun = replace(TOY, begins=frozenset({WORD}))
    assert Steering(begun).only == {WORD}
    assert Steering(begun.going_on([WORD])).only is None
    steering = Steering(begun)
    steering.take(WORD)
    assert steering.only is None


def test_what_is_banned_is_neither_earlier_nor_later() -> None:
    steering = Steering(replace(IN_TIME, banned=frozenset({ONE})))
    steering.take(TWO)
    assert EARLIER in steering.barred
    steering.take(LATER)
    assert steering.only == {THREE}


@pytest.mark.parametrize(
    ("drawn", "only"),
    [
        ((), None),
        ((LOVED,), {ONE, TWO}),
        ((LAST,), {THREE}),
        ((LOVED, TWO), None),  # a mark speaks of the next token alone
        ((TWO, LOVED), {ONE}),  # what was said is not said again
        ((TWO, STOP, LOVED), {ONE, TWO}),  # but in the next sentence
        ((ONE, TWO, LOVED), {ONE, TWO}),  # were it drawn all the same, what is true comes before what is new
    ],
)
def test_behind_a_mark_comes_only_what_it_is_true_of(drawn: Sequence[int], only: set[int] | None) -> None:
    assert steered(*drawn).only == only


@pytest.mark.parametrize(
    ("drawn", "barred"),
    [
        ((), set()),
        ((WORD, WORD, STOP), set()),
        ((SLOT,), {SLOT}),
        ((SLOT, WORD, ONE), {SLOT, ONE}),
        ((ONE, TWO), {ONE, TWO, LOVED}),  # of nothing else it would be true
        ((THREE,), {THREE, LAST}),
        ((THREE, ONE, STOP), set()),
        ((THREE, STOP, ONE), {ONE}),
    ],
)
def test_what_was_said_is_barred_until_the_sentence_ends(drawn: Sequence[int], barred: set[int]) -> None:
    assert steered(*drawn).barred == barred


def test_a_token_that_stops_is_never_barred_itself() -> None:
    steering = Steering(Constraints(once=frozenset({1}), stops=frozenset({1})))
    steering.take(1)
    assert steering.barred == set()


def test_what_comes_once_a_text_does_not_come_back_in_a_later_sentence() -> None:
    constraints = replace(TOY, bars={SLOT: frozenset({SLOT})})
    steering = Steering(constraints)
    for token in (SLOT, STOP, ONE, STOP):
        steering.take(token)
    assert steering.barred == {SLOT}
    assert constraints.going_on([WORD, SLOT, STOP]).banned == {9, SLOT}
    assert constraints.going_on([WORD, ONE, STOP]).banned == {9}


def test_the_likeliest_is_passed_over_where_it_may_not_come() -> None:
    sampler = Sampler(replace(HOT, temperature=0), TOY)
    logits = np.linspace(0, 1, N_TOY, dtype=np.float32)
    wished = [LOVED, THREE, SLOT, SLOT, STOP, SLOT, 9]
    got = []
    for token in wished:
        scores = logits.copy()
        scores[token] = 5
        got.append(sampler.pick(scores))
    assert got == [LOVED, TWO, SLOT, N_TOY - 1, STOP, SLOT, N_TOY - 1]


@pytest.mark.parametrize(
    ("drawn", "only"),
    [
        ((LOVED,), {7, 8}),
        ((LOVED, 7), {8, 10}),  # two phrases begin alike
        ((LOVED, 7, 10), {11}),
        ((LOVED, 7, 10, 11), None),  # the phrase is said
        ((LOVED, 7, 8), None),  # the shorter of two ends what is forced
        ((LOVED, 8), None),
        ((LOVED, 8, LOVED), {7, 8}),
        ((7,), None),  # without its mark it is a word like others
    ],
)
def test_behind_a_mark_of_phrases_one_of_them_is_spelt_out(
    drawn: Sequence[int], only: set[int] | None
) -> None:
    phrases = frozenset({(7, 8), (7, 8, 9), (7, 10, 11), (8,)})
    steering = Steering(Constraints(phrases={LOVED: phrases}))
    for token in drawn:
        steering.take(token)
    assert steering.only == only


def test_no_letters_join_the_last_word_of_a_phrase() -> None:
    phrases = frozenset({(7, 8)})
    steering = Steering(Constraints(phrases={LOVED: phrases}, joins=frozenset({10, 11})))
    barred = []
    for token in (LOVED, 7, 8, 9):
        steering.take(token)
        barred.append(steering.barred)
    assert barred == [set(), set(), {10, 11}, set()]


def test_a_phrase_may_be_over_as_it_begins() -> None:
    steering = Steering(Constraints(phrases={7: frozenset({(), (8, 9)})}, joins=frozenset({8, 10})))
    steering.take(7)
    assert steering.only is None and steering.barred == {10}  # a word, or the beginning of a longer one
    steering.take(8)
    assert steering.only == {9}
    steering.take(9)
    assert steering.only is None and steering.barred == {8, 10}


def test_behind_a_mark_comes_nothing_that_is_barred_while_there_is_another() -> None:
    bars = {token: frozenset({token}) for token in (1, 2)}
    steering = Steering(Constraints(after={9: frozenset({1, 2})}, bars=bars))
    allowed = []
    for token in (9, 1, 9, 2, 9):
        steering.take(token)
        allowed.append(steering.only)
    assert allowed == [{1, 2}, None, {2}, None, {1, 2}]


def test_behind_a_department_come_only_purchases_of_it() -> None:
    purchases, stop = frozenset({1, 2, 3, 4}), 8
    steering = Steering(
        Constraints(
            within={9: frozenset({1, 2})}, order=(1, 2, 3, 4), in_turn=purchases, once=purchases,
            after={7: frozenset({3})}, stops=frozenset({stop}),
        )
    )  # fmt: skip
    barred = []
    for token in (1, 9, 1, 2, stop):
        steering.take(token)
        barred.append(steering.barred & (purchases | {7}))
    assert barred == [
        {1},
        {1, 3, 4, 7},  # of the department; what praises another may not begin either
        {1, 3, 4, 7},
        {1, 2},  # nothing of it is left
        {1, 2},
    ]
    steering.take(9)
    assert steering.barred & purchases == {3, 4}  # once a sentence, and again rather than wrongly


def test_a_mark_with_nothing_to_follow_is_told() -> None:
    sampler = Sampler(HOT, Constraints(banned=frozenset({1}), after={0: frozenset({1})}))
    sampler.pick(np.array([9, -9e9, -9e9], dtype=np.float32))
    with pytest.raises(ModelError, match="every token is banned"):
        sampler.pick(np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize("repeat_penalty", [1.0, 1.3])
@pytest.mark.parametrize("top_p", [0.6, 1.0])
def test_no_random_draw_breaks_a_rule(top_p: float, repeat_penalty: float) -> None:
    seen: set[int] = set()
    for seed in range(20):
        sampling = replace(HOT, top_p=top_p, repeat_penalty=repeat_penalty, seed=seed)
        sampler, rng = Sampler(sampling, TOY), np.random.default_rng(seed)
        drawn = [sampler.pick(rng.normal(scale=2, size=N_TOY).astype(np.float32)) for _ in range(60)]
        said: set[int] = set()
        for token, following in zip(drawn, [*drawn[1:], None], strict=True):
            assert token not in TOY.banned and token not in said
            said = set() if token in TOY.stops else said | ({token} & TOY.once)
            if token in TOY.after and following is not None:
                assert following in TOY.after[token]
        seen |= set(drawn)
    assert seen == set(range(N_TOY)) - TOY.banned  # nothing else was kept from coming


def test_constraints_belong_to_one_text() -> None:
    logits = np.zeros(N_TOY, dtype=np.float32)
    logits[SLOT] = 50
    assert [Sampler(HOT, TOY).pick(logits) for _ in range(3)] == [SLOT] * 3


# --- as the tokenizer makes them

# Every turn of phrase that a slot or a mark is written in; «k» is a purchase, with its looks and its noun.
TURNS = (
    "They loved the [loved] «k».",
    "The [loved] «k» earned five stars.",
    "They liked the [liked] «k».",
    "They enjoyed the [enjoyed] «k».",
    "The [disliked] «k» disappointed.",
    "It began with the [first] «k».",
    "The [last] «k» came last.",
    "The [dearest] «k» cost the most.",
    "The [cheapest] «k» cost the least.",
    "[hue1] runs through the [in-hue1] «k».",
    "[hue2] runs through the [in-hue2] «k».",
    "It picks up the [color] of the [matching] «k».",
    "The [color] [material] «k» stands out.",
    "They [generous] give stars generously.",
    "They [fair] rate with a level head.",
    "They [strict] rate strictly.",
    "Over [count] orders tell of it.",
    "They shop in [departments] departments.",
    "They are at ease among [goods1].",
    "They shop for [goods1] and [goods2].",
)
KINDS = ("kettle", "rake", "mug", "tent")
COLORS, MATERIALS = ("red", "navy", "sage green"), ("steel", "beech", "ash wood")
DEPARTMENTS = ("Kitchen", "Garden", "Outdoors")


@pytest.fixture(scope="module")
def tokenizer() -> NarratorTokenizer:
    texts = [re.sub(r" ?\[[^\]]*\]| ?«k»", "", turn) for turn in TURNS]
    return NarratorTokenizer.train([*texts, *KINDS, *COLORS, *MATERIALS] * 9, n_vocab=520)


def product(kind: str, color: str, material: str, department: str, price: float | None) -> Item:
    looks = {"color": color, "material": material}
    return Item(kind, kind.title(), price=price, department=department, kind=kind, attributes=looks)


PRODUCTS = st.builds(
    product,
    st.sampled_from(KINDS),
    st.sampled_from(COLORS),
    st.sampled_from(MATERIALS),
    st.sampled_from(DEPARTMENTS),
    st.sampled_from((9.5, 20.0, 20.0, 75.0, None)),
)
STARS = st.sampled_from((1.0, 2.0, 3.0, 4.0, 5.0, None))


@st.composite
def known(draw: st.DrawFn) -> Evidence:
    bought = draw(st.lists(st.tuples(PRODUCTS, STARS), min_size=1, max_size=6))
    target = draw(PRODUCTS)
    items = [item for item, _ in bought]
    return Evidence(
        items, "product_endorsement", target, [stars for _, stars in bought], StoreWords.of([*items, target])
    )


@settings(deadline=None, max_examples=120)
@given(evidence=known(), seed=st.integers(0, 10**6))
def test_no_claim_by_slot_or_mark_is_ever_wrong(
    tokenizer: NarratorTokenizer, evidence: Evidence, seed: int
) -> None:
    """The model wants to point anywhere, and at what is not there; what it says holds all the same."""
    rng = random.Random(seed)
    markup, constraints = Markup(evidence), tokenizer.constraints(evidence)
    sampling = replace(HOT, seed=seed, penalty_exempt=tokenizer.repeatable)
    sampler, noise = Sampler(sampling, constraints), np.random.default_rng(seed)
    steering = Steering(constraints)

    def say(text: str) -> None:
        """Draw the tokens of ``text``, which the model would love to say."""
        for wished in tokenizer.encode(text):
            logits = noise.normal(size=tokenizer.n_vocab).astype(np.float32)
            logits[wished] += 1e4
            said.append(sampler.pick(logits))
            steering.take(said[-1])

    def may_say(text: str) -> bool:
        return steering.barred.isdisjoint(tokenizer.encode(text))

    said: list[int] = []
    for turn in rng.sample(TURNS, 8):
        if not {token for token in MARKUP if token in turn} <= markup.sayable or not may_say(f" {turn}"):
            continue
        before, named, after = turn.partition("«k»")
        if not named:
            say(f" {turn}")
            continue
        marked = any(mark in turn for mark in POINTER_MARKS)
        # Behind a mark it is wrong as often as not; without one it points at a purchase whose turn it is.
        free = [pointer(k) for k in range(1, len(evidence.items) + 1) if may_say(pointer(k))]
        say(f" {before}{pointer(rng.randint(1, 9)) if marked else rng.choice(free)}")
        position = tokenizer.decode(said[-1:])
        item = evidence.item_of(position)
        assert item is not None, position
        say(f" {item.kind}{after}")
    shown = markup.render(tokenizer.decode(said))
    wrong = [claim for each in sentences(shown) for claim in check(each, evidence) if not claim.holds]
    assert wrong == [], shown
    assert not [token for token in (*MARKS, *TALLY_SLOTS) if token in shown]


@settings(deadline=None, max_examples=30)
@given(evidence=known(), seed=st.integers(0, 10**6))
def test_random_text_keeps_to_what_is_known(
    tokenizer: NarratorTokenizer, evidence: Evidence, seed: int
) -> None:
    markup, noise = Markup(evidence), np.random.default_rng(seed)
    sampler = Sampler(replace(HOT, seed=seed), tokenizer.constraints(evidence))
    # Markup and pointers by far, as plain words break no rule.
    special = tokenizer.encode(" ".join((*MARKUP, *POINTERS, ".")))
    logits = noise.normal(size=(80, tokenizer.n_vocab)).astype(np.float32)
    logits[:, special] += 8
    said = [tokenizer.decode([sampler.pick(row)]) for row in logits]
    there = {*map(pointer, range(1, len(evidence.items) + 1)), TARGET_POINTER}
    assert {token for token in said if token in (*MARKUP, *POINTERS)} <= markup.sayable | there
    for mark, following in itertools.pairwise(said):
        if mark in POINTER_MARKS:
            assert following in map(pointer, markup.tally.marks[mark])


def test_a_purchase_and_a_count_come_once_a_sentence(tokenizer: NarratorTokenizer) -> None:
    bought = [product(kind, "red", "steel", "Kitchen", 5.0) for kind in KINDS[:3]]
    evidence = Evidence(bought, stars=(5.0, 2.0, 5.0))
    constraints = replace(tokenizer.constraints(evidence), phrases={})
    wish = tokenizer.encode(
        "[loved] [1], [loved] [1], [loved] [1], [count] or [count]. [2] [loved] [1] [count]"
    )
    model = FakeLanguageModel(n_vocab=tokenizer.n_vocab, eos_id=tokenizer.eos_id, replies=[wish])
    prompt = [np.array([tokenizer.bos_id], dtype=np.int32)]
    text = tokenizer.decode(list(model.generate(prompt, HOT, constraints=constraints)))
    first = text[: text.rindex(".")]
    assert text.startswith("[loved] [1], [loved] [3],")  # of the third time neither is left
    assert first.count("[loved]") == 2 and first.count("[1]") == 1 and first.count("[count]") == 1
    assert text.endswith("[2] [loved] [1] [count]")


def spelt(tokenizer: NarratorTokenizer, evidence: Evidence, before: str) -> set[str]:
    """All ways to go on with what must follow ``before``."""
    drawn: set[str] = set()
    constraints, asked = tokenizer.constraints(evidence), tokenizer.encode(before)
    ways = [asked]
    while ways:
        way = ways.pop()
        steering = Steering(constraints)
        for token in way:
            steering.take(token)
        if steering.only is None:
            drawn.add(tokenizer.decode(way))
        longer = {phrase[0] for phrase in steering._phrases}
        ways += [[*way, token] for token in steering.only or longer]
    return drawn


def test_a_purchase_is_called_what_its_listing_calls_it(tokenizer: NarratorTokenizer) -> None:
    mug, pens = Item("m", "A mug", kind="mug"), Item("p", "Acme Pens, blue", noun="gel pens")
    evidence = Evidence([mug, pens, Item("x", "")], words=StoreWords.of([mug]))
    assert spelt(tokenizer, evidence, "the [1]") == {"the [1] mug", "the [1] mugs"}
    assert spelt(tokenizer, evidence, "the [2]") == {"the [2] gel pens"}
    assert spelt(tokenizer, evidence, "the [3]") == {"the [3]"}  # of which nothing is known
    assert spelt(tokenizer, evidence.unlisted(), "the [1]") == {"the [1]"}


def test_only_what_has_to_do_with_the_target_is_named_in_its_reason(tokenizer: NarratorTokenizer) -> None:
    looks = {"teapot": "red", "umbrella": "blue", "notebook": "black", "kettle": "green"}
    bought = [product(kind, color, f"{color} steel", "Home", 5.0) for kind, color in looks.items()]
    teapot = bought[0]
    evidence = Evidence(bought, "purchase_reason", teapot, (5.0,) * 4, StoreWords.of(bought))
    named = [k for k in range(1, 5) if evidence.has_to_do_with_target(k)]
    assert named == [1, 4]  # of its kind, and what is used with it
    constraints = tokenizer.constraints(evidence)
    assert {tokenizer.pointer_id(k) for k in (2, 3)} <= constraints.banned
    assert not {tokenizer.pointer_id(k) for k in (0, 1, 4)} & constraints.banned
    assert all(following and not following & constraints.banned for following in constraints.after.values())
    whole = tokenizer.constraints(replace(evidence, task="purchase_reason_explanation"))
    assert not {tokenizer.pointer_id(k) for k in range(5)} & whole.banned


def test_no_word_is_made_of_a_purchases_noun(tokenizer: NarratorTokenizer) -> None:
    evidence = Evidence([Item("m", "A mug", kind="mug")])
    steering = Steering(tokenizer.constraints(evidence))
    for token in tokenizer.encode("the [1] mug"):
        steering.take(token)
    assert set(tokenizer.encode("sabe")) <= steering.barred
    assert not {*tokenizer.encode(". "), *tokenizer.encode(" and"), tokenizer.eos_id} & steering.barred


def test_a_profile_says_a_word_once(tokenizer: NarratorTokenizer) -> None:
    again, first = tokenizer.encode(" The Board The")[-1], tokenizer.encode("The")[-1]
    profile, brief = (
        tokenizer.constraints(Evidence([], task)).bars for task in ("user_profile", "user_summary_brief")
    )
    assert {first, again} <= profile[first] == profile[again]
    assert first not in brief


def test_what_a_target_is_needed_for_can_only_be_what_its_kind_answers(tokenizer: NarratorTokenizer) -> None:
    target = product("kettle", "red", "steel", "Kitchen", 5.0)
    evidence = Evidence([], "purchase_reason", target, words=StoreWords.of([target]))
    needs = {need.to for together in evidence.words.needs for need in together if "kettle" in need.kinds}
    wish = tokenizer.encode(
        "[need] zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz zzz."
    )
    model = FakeLanguageModel(n_vocab=tokenizer.n_vocab, eos_id=tokenizer.eos_id, replies=[wish])
    prompt = [np.array([tokenizer.bos_id], dtype=np.int32)]
    drawn = list(model.generate(prompt, HOT, constraints=tokenizer.constraints(evidence)))
    said = Markup(evidence).render(tokenizer.decode(drawn)).lower()
    assert len(needs) > 1 and any(said.startswith(need) for need in needs), said


def test_constraints_name_what_stands_behind_each_mark(tokenizer: NarratorTokenizer) -> None:
    bought = [product(kind, "red", "steel", "Kitchen", 5.0) for kind in KINDS[:3]]
    constraints = tokenizer.constraints(Evidence(bought, stars=(5.0, None, 1.0)))

    def spelt(ids: frozenset[int]) -> set[str]:
        return {tokenizer.decode([token_id]) for token_id in ids}

    behind = {tokenizer.decode([mark]): spelt(ids) for mark, ids in constraints.after.items()}
    assert behind == {
        "[loved]": {"[1]"}, "[liked]": {"[1]"}, "[enjoyed]": {"[1]"}, "[disliked]": {"[3]"},
        "[first]": {"[1]"}, "[last]": {"[3]"}, "[dearest]": {"[1]"}, "[cheapest]": {"[1]"},
        "[in-hue1]": {"[1]", "[2]", "[3]"},
    }  # fmt: skip
    assert {*TALLY_SLOTS, *map(pointer, range(1, 51))} == spelt(constraints.once)
    barred = {tokenizer.decode([slot]): spelt(ids) for slot, ids in constraints.bars.items()}
    assert barred == {slot: {slot} for slot in (*FEATURES, *PURPOSES, *GAINS)}  # said once a text
    assert {"[matching]", "[generous]", "[hue2]", "[4]", TARGET_POINTER} <= spelt(constraints.banned)
    assert not {"[loved]", "[color]", "[count]", "[3]"} & spelt(constraints.banned)
    assert {".", "!", "?"} <= spelt(constraints.stops) and not {",", ":"} & spelt(constraints.stops)


def test_a_purchase_comes_again_only_after_all_others() -> None:
    steering = Steering(Constraints(in_turn=frozenset({1, 2, 3}), after={9: frozenset({1, 2})}))
    steering.take(1)
    assert steering.barred == {1}
    steering.take(9)
    assert steering.only == {2}
    steering.take(2)
    assert steering.barred == {1, 2, 9}  # nothing new could come behind the mark
    steering.take(9)
    assert steering.only == {1, 2}  # a mark that came all the same is followed by what is so
    steering.take(3)
    assert steering.barred == set()


def test_whose_turn_it_was_is_known_after_a_rewind() -> None:
    constraints = Constraints(in_turn=frozenset({1, 2}))
    assert Steering(constraints.going_on([5, 1, 7])).barred == {1}
    assert Steering(constraints.going_on([1]).going_on([2])).barred == set()
