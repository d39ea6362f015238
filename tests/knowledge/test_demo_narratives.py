"""The demo's narratives: what they point at, what they claim, and how they sound."""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict

import pytest

from knowledge.demo.catalogue import Catalogue, make_catalogue
from knowledge.demo.grammar import number_word
from knowledge.demo.narratives.facts import profile_facts, purchase_facts, shopper_facts
from knowledge.demo.narratives.writer import WORDS, NarrativeWriter, count_words, grammar
from knowledge.demo.reviews import write_review
from knowledge.demo.shoppers import Circle, Purchase, Shopper, make_circles, make_shopper
from knowledge.demo.words import Words, load_words
from knowledge.types import TARGET_TASKS, TASKS, Narrative, Task

N_SHOPPERS = 150
POINTED = re.compile(r"\[(\w+)\] (.*)")


class Shop:
    """A little demo world with the causes and personas that the store does not keep."""

    def __init__(self) -> None:
        self.words: Words = load_words()
        self.catalogue: Catalogue = make_catalogue(self.words, random.Random(1))
        self.circles: tuple[Circle, ...] = make_circles(self.words, self.catalogue, random.Random(2))
        self.products = {product.item.item_id: product for product in self.catalogue.products}
        self.shoppers: dict[str, Shopper] = {}
        self.narratives: list[Narrative] = []
        writer = NarrativeWriter(random.Random(3))
        for number in range(1, N_SHOPPERS + 1):
            rng = random.Random(f"test {number}")
            shopper = make_shopper(number, self.words, self.catalogue, self.circles, rng)
            self.shoppers[shopper.user_id] = shopper
            self.narratives.extend(writer.write(shopper))

    def of(self, task: Task) -> list[Narrative]:
        return [narrative for narrative in self.narratives if narrative.task == task]

    def pointed(self, narrative: Narrative) -> list[tuple[str, str, str]]:
        """(pointer, kind of the item it stands for, the text that follows it)."""
        shopper = self.shoppers[narrative.user_id]
        found = []
        for match in re.finditer(r"\[(\w+)\] ", narrative.text):
            rest = narrative.text[match.end() :]
            if match[1] == "target":
                assert narrative.target_id is not None
                kind = self.products[narrative.target_id].kind.kind
            else:
                assert 1 <= int(match[1]) <= narrative.n_history
                kind = shopper.purchases[int(match[1]) - 1].product.kind.kind
            found.append((match[1], kind, rest))
        return found


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop()


def purchase_told(shop: Shop, narrative: Narrative) -> Purchase:
    """The purchase that a narrative about a target tells of."""
    shopper = shop.shoppers[narrative.user_id]
    if narrative.task == "product_endorsement":
        assert shopper.next_purchase is not None
        return shopper.next_purchase
    return shopper.purchases[narrative.n_history]


def test_the_noun_after_every_pointer_is_the_kind_of_its_item(shop: Shop) -> None:
    n_pointers = 0
    for narrative in shop.narratives:
        assert narrative.text.count("[") == len(shop.pointed(narrative))
        for _, kind, rest in shop.pointed(narrative):
            assert re.match(rf"{re.escape(kind)}\b", rest), narrative.text
            n_pointers += 1
    assert n_pointers > 3_500


def test_target_tasks_point_at_their_target_and_the_others_at_purchases_only(shop: Shop) -> None:
    for narrative in shop.narratives:
        assert ("[target]" in narrative.text) == (narrative.task in TARGET_TASKS), narrative.text
        assert (narrative.target_id is not None) == (narrative.task in TARGET_TASKS)
    summaries = shop.of("user_summary_long")
    assert min(len(set(re.findall(r"\[\d+\]", narrative.text))) for narrative in summaries) >= 3


def test_reasons_are_told_of_the_last_purchase_and_of_two_before(shop: Shop) -> None:
    told = defaultdict(list)
    for narrative in shop.of("purchase_reason"):
        told[narrative.user_id].append(narrative.n_history + 1)
        assert narrative.target_id == purchase_told(shop, narrative).product.item.item_id
        assert narrative.cause == purchase_told(shop, narrative).cause.name
    for user_id, positions in told.items():
        assert len(positions) == 3
        assert min(positions) >= 3
        assert max(positions) == len(shop.shoppers[user_id].purchases)


def test_a_reason_is_the_same_whatever_came_after_it_and_whatever_its_stars(shop: Shop) -> None:
    """The facts of a reason do not change with the purchase's own stars; later ones are not even passed."""
    for shopper in list(shop.shoppers.values())[:40]:
        purchase = shopper.purchases[-1]
        history = shopper.purchases[:-1]
        other = Purchase(purchase.product, purchase.timestamp, 6 - purchase.stars, purchase.cause)
        facts = purchase_facts(shopper, history, purchase, "their", random.Random(5))
        assert facts == purchase_facts(shopper, history, other, "their", random.Random(5))


def test_no_narrative_quotes_a_review(shop: Shop) -> None:
    everything = "\n".join(narrative.text for narrative in shop.narratives)
    for kind in shop.words.kinds.values():
        for clause in (*kind.praise, *kind.gripes):
            assert clause not in everything
    for shopper in shop.shoppers.values():
        for purchase in shopper.purchases:
            _, review = write_review(shopper, purchase, random.Random(9))
            for sentence in re.split(r"(?<=[.!?]) ", review):
                assert len(sentence.split()) < 4 or sentence not in everything


def test_endorsements_claim_only_what_is_true_of_the_target(shop: Shop) -> None:
    features = {feature for kind in shop.words.kinds.values() for feature in kind.features}
    for narrative in shop.of("product_endorsement"):
        target = shop.products[str(narrative.target_id)]
        for feature in target.kind.features:
            if feature in narrative.text:
                # A feature that contains another one's words is not a second claim.
                assert any(feature in own for own in target.item.features), narrative.text
        for price in re.findall(r"\$[\d.]+\d", narrative.text):
            assert float(price[1:]) == pytest.approx(target.item.price)
        for brand in shop.words.brands:
            if re.search(rf"\b{re.escape(brand)}\b", narrative.text):
                assert brand == target.item.brand
        assert sum(feature in narrative.text for feature in features) <= 6
        for color in re.findall(r"\bthe ([\w ]+) finish\b|\bcomes? in ([\w ]+),", narrative.text):
            assert (color[0] or color[1]) == target.color


def test_praise_in_a_text_was_earned_in_stars(shop: Shop) -> None:
    full_marks = re.compile(
        r"gave your [^\[]*\[(\d+)\][^.]*five stars|"
        r"\[(\d+)\][a-z '-]+ (?:earned all five|got all five|earned full|stood out)"
    )
    n_claims = 0
    for narrative in shop.narratives:
        for match in full_marks.finditer(narrative.text):
            purchase = shop.shoppers[narrative.user_id].purchases[int(match[1] or match[2]) - 1]
            assert purchase.stars == 5, narrative.text
            n_claims += 1
        for position in re.findall(
            r"(?:let down by|unhappy with) (?:the|their|your) [^\[.,]*\[(\d+)\]", narrative.text
        ):
            assert shop.shoppers[narrative.user_id].purchases[int(position) - 1].stars <= 2, narrative.text
    assert n_claims > 20


def test_counts_in_summaries_are_right(shop: Shop) -> None:
    for task in ("user_summary_brief", "user_summary_long"):
        for narrative in shop.of(task):
            shopper = shop.shoppers[narrative.user_id]
            facts = shopper_facts(shopper, random.Random(1))
            n_departments = facts.get("n_depts")
            for count in re.findall(r"\b([\w-]+) (?:purchases|orders)\b", narrative.text.lower()):
                if count.split("-")[0] in NUMBER_WORDS:
                    assert count == facts["count"], narrative.text
            for count in re.findall(r"\b([\w-]+) departments\b", narrative.text.lower()):
                assert count == n_departments, narrative.text


NUMBER_WORDS = {number_word(number) for number in (*range(1, 21), 30, 40, 50)}


@pytest.mark.parametrize("task", TASKS)
def test_texts_are_of_the_right_length_and_hardly_ever_twice(shop: Shop, task: Task) -> None:
    texts = [narrative.text for narrative in shop.of(task)]
    low, high = WORDS[task]
    within = sum(low <= count_words(text) <= high for text in texts)
    assert within >= 0.98 * len(texts)
    assert all(texts)
    if task != "user_profile":
        assert len(set(texts)) >= 0.98 * len(texts)


@pytest.mark.parametrize("task", [task for task in TASKS if task != "user_profile"])
def test_openings_vary(shop: Shop, task: Task) -> None:
    texts = [narrative.text for narrative in shop.of(task)]
    openings = Counter(" ".join(text.split()[:3]) for text in texts)
    assert openings.most_common(1)[0][1] <= 0.09 * len(texts)


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_thirty_plans_and_no_phrase_hides_behind_a_fact(shop: Shop, task: Task) -> None:
    task_grammar = grammar(task)
    assert len(set(task_grammar.plans)) >= 30
    names = set(task_grammar.phrases) | {
        name for phrases in task_grammar.by_cause.values() for name in phrases
    }
    facts: set[str] = set()
    for shopper in shop.shoppers.values():
        if task in TARGET_TASKS:
            facts |= set(
                purchase_facts(
                    shopper, shopper.purchases[:-1], shopper.purchases[-1], "their", random.Random(1)
                )
            )
        else:
            facts |= set(profile_facts(shopper, shopper_facts(shopper, random.Random(1))))
    assert not names & facts


def test_grammar_clashes_are_absent(shop: Shop) -> None:
    clash = re.compile(
        r"\b(?:they|customers) (?:is|was|has|buys|looks)\b|"
        r"\bthis \[target\] (?:[\w'-]+ )?(?:gloves|shears|socks)\b|"
        r"\ba (?:\[\w+\] )?(?!eu)[aei]\w|\ban (?:\[\w+\] )?[bcdfgjklmnpqrstvwxz]|"
        r"[{}<>|]|\(n\)|  |\.\.|,,| [.,]|\b(\w+) \1\b",
        re.IGNORECASE,
    )
    for narrative in shop.narratives:
        assert not clash.search(narrative.text), (clash.search(narrative.text), narrative.text)


def test_profiles_are_a_few_words(shop: Shop) -> None:
    profiles = [narrative.text for narrative in shop.of("user_profile")]
    assert len(set(profiles)) > 0.8 * len(profiles)
    assert not any("[" in profile or profile.endswith(".") for profile in profiles)
