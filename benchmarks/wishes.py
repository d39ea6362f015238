"""Whatever is wished for: is one product shown that does not fit, and what are a newcomer's likes worth?

python -m benchmarks.wishes [--data DIR]

Promised: of 10,000 random combinations of filters on the demo store, and on the office data set that lies in
DIR/office, none is broken; of the first ten products for a newcomer with two stated likes at least 0.6 are of
these two kinds. Filters are checked against the listing itself, not by the code that filters. What is built
of the office data set is kept in .cache/wishes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import told
from crs.bundle import Bundle, build_bundle
from crs.content import Encoder, KeptEncoder, TextEncoder
from crs.evaluation.record import write_record
from crs.recommender import Recommender
from knowledge.readers import import_store
from knowledge.types import Constraints, Interaction, Item

OUT = Path("benchmarks/results/wishes.json")
WORK = Path(".cache/wishes")
CONTENT = Path(".cache/ranking/content")  # where `evaluate ranking` keeps the same texts encoded
N_WISHES, N_NEWCOMERS, N_LISTED = 10_000, 200, 10
COUNTED_EVERY = 50  # wishes after which all that fits is counted, to see whether something is left out


def main() -> None:
    """Ask both stores, write the record and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="the folder of data sets in which office lies")
    parser.add_argument("--wishes", type=int, default=N_WISHES, help=f"of each store ({N_WISHES})")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    demo, encoder = Bundle.open(None), KeptEncoder(Encoder(), CONTENT)
    recommender = Recommender(demo, encoder)
    figures: dict[str, Any] = {
        "filters": {"demo": ask(recommender, demo, asked.wishes)},
        "two likes of a newcomer": {"demo": newcomers(recommender, demo)},
    }
    if asked.data is not None:
        office = _office(asked.data / "office", encoder)
        figures["filters"]["office"] = ask(Recommender(office, encoder), office, asked.wishes)
    write_record(asked.out, {"seed": 0, "listed": N_LISTED}, figures)
    for part, table in figures.items():
        for store, values in table.items():
            print(part, store, *(f"{name} {value}" for name, value in values.items()), sep="\t")
    if any(values["violations"] for values in figures["filters"].values()):
        sys.exit("a filter was broken")


def ask(recommender: Recommender, bundle: Bundle, n_wishes: int) -> dict[str, Any]:
    """What ``n_wishes`` at random are answered with: products, and those that break a wish, by its field."""
    rng, store = random.Random(0), bundle.store
    items = list(store.items.values())
    prices = [item.price for item in items if item.price is not None]
    n_shown = n_empty = n_left_out = 0
    broken: Counter[str] = Counter()
    for number in range(n_wishes):
        wish = any_wish(rng, items, prices)
        history = store.history(store.user_ids[number % len(store.user_ids)])
        found = recommender.recommend(history, wish, k=N_LISTED)
        broken.update(field for each in found if (field := violation(each.item, wish)))
        n_shown += len(found)
        n_empty += not found
        if number % COUNTED_EVERY == 0:
            owned = {purchase.item_id for purchase in history}
            fitting = sum(not violation(item, wish) for item in items if item.item_id not in owned)
            n_left_out += max(0, min(N_LISTED, fitting) - len(found))
    return {
        "wishes": n_wishes,
        "nothing fits": n_empty,
        "shown": n_shown,
        "violations": broken.total(),
        **{f"violations of {field}": n for field, n in sorted(broken.items())},
        "left out although fitting": n_left_out,
    }


def newcomers(recommender: Recommender, bundle: Bundle, n_people: int = N_NEWCOMERS) -> dict[str, Any]:
    """The share of a newcomer's first ten that is of the two kinds that they like a product of."""
    rng = random.Random(0)
    of_kind: dict[str, list[str]] = {}
    for item in bundle.store.items.values():
        if item.kind:
            of_kind.setdefault(item.kind, []).append(item.item_id)
    shares = []
    for _ in range(n_people):
        kinds = rng.sample(sorted(of_kind), 2)
        likes = tuple(rng.choice(of_kind[kind]) for kind in kinds)
        stated = [Interaction("new", item_id, when, 5.0) for when, item_id in enumerate(likes)]
        found = recommender.recommend(stated, Constraints(like_ids=likes), k=N_LISTED)
        shares.append(sum(each.item.kind in kinds for each in found) / N_LISTED)
    mean = round(sum(shares) / len(shares), 3)
    return {
        "people": n_people,
        "kinds": len(of_kind),
        "top-10 precision, mean": mean,
        **told("top-10 precision, median", shares),
    }


def facets(item: Item) -> dict[str, str]:
    """What the filters are about, as a person would read it off the listing; "" for nothing said."""
    color = item.attributes.get("color") or item.attributes.get("colour") or ""
    said = {"brands": item.brand, "colors": color, "departments": item.department, "kinds": item.kind}
    return {name: (value or "").lower() for name, value in said.items()}


def violation(item: Item, wish: Constraints) -> str:
    """The field of the wish that the item breaks; "" for none."""
    if wish.max_price is not None and (item.price is None or item.price > wish.max_price):
        return "max_price"
    if wish.min_price is not None and (item.price is None or item.price < wish.min_price):
        return "min_price"
    if item.item_id in wish.exclude_ids or item.item_id in wish.like_ids:
        return "exclude_ids"
    for name, value in facets(item).items():
        wanted, unwanted = getattr(wish, name), getattr(wish, f"not_{name}")
        if wanted and value not in wanted:
            return name
        if value and value in unwanted:
            return f"not_{name}"
    return ""


def any_wish(rng: random.Random, items: Sequence[Item], prices: Sequence[float]) -> Constraints:
    """A wish that things of this store are named in; some contradict themselves."""
    wish: dict[str, Any] = {}
    for name in ("brands", "colors", "departments", "kinds"):
        for field in (name, f"not_{name}"):
            if rng.random() < 0.25:
                said = {facets(item)[name] for item in rng.sample(items, rng.randint(1, 6))} - {""}
                wish[field] = tuple(sorted(said))
    for bound in ("max_price", "min_price"):
        if prices and rng.random() < 0.3:
            wish[bound] = rng.choice(prices) + rng.choice((0.0, 0.005, -0.01))
    if rng.random() < 0.3:
        wish["exclude_ids"] = tuple(item.item_id for item in rng.sample(items, 5))
    if rng.random() < 0.2:
        wish["like_ids"] = (rng.choice(items).item_id,)
    return Constraints(**wish)


def _office(folder: Path, encoder: TextEncoder) -> Bundle:
    """The office data set as a bundle, built where it is not yet."""
    store, bundle = WORK / "office-store", WORK / "office-bundle"
    if not bundle.is_dir():
        import_store(folder, store, "sequences")
        # Without a narrator nothing is trained to rank as it reads: filters do not ask how well it ranks.
        build_bundle(store, bundle, narrator=WORK / "none", encoder=encoder)
    return Bundle.open(bundle)


if __name__ == "__main__":
    main()
