"""Commands that answer one person: recommend, narrate, chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from crs.cli.options import BundleArg, DataDirOpt, JsonOpt, UserOpt
from crs.cli.output import Stages, note, say, say_json

if TYPE_CHECKING:
    from agents.events import Answer
    from crs.bundle import Bundle
    from crs.content import TextEncoder
    from knowledge.types import Recommendation

# Spelt out as knowledge.types.Task is, which the help of this command should not have to import.
TaskName = Literal[
    "purchase_reason",
    "purchase_reason_explanation",
    "user_summary_brief",
    "user_summary_long",
    "user_profile",
    "product_endorsement",
]


def recommend(
    user: UserOpt,
    bundle: BundleArg = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
    wish: Annotated[str, typer.Option("--say", help='A wish, as in "under $10, not Acme".')] = "",
    as_json: JsonOpt = False,
    data_dir: DataDirOpt = None,
) -> None:
    """Recommend products to a shopper."""
    from crs.content import Encoder
    from crs.versions import open_in_use

    opened, encoder = open_in_use(bundle, data_dir), Encoder()
    for rank, found in enumerate(_recommended(opened, encoder, user, k, wish), start=1):
        item = found.item
        if as_json:
            say_json(
                {
                    "rank": rank,
                    "item": item.item_id,
                    "title": item.title,
                    "brand": item.brand,
                    "price": item.price,
                    "score": round(found.score, 4),
                    "shares": {name: round(share, 3) for name, share in found.shares.items()},
                }
            )
        else:
            price = "" if item.price is None else f"${item.price:.2f}"
            say(f"{rank}\t{item.item_id}\t{item.title}\t{item.brand or ''}\t{price}")


def narrate(
    user: UserOpt,
    task: Annotated[TaskName, typer.Option("--task", help="What to tell.")],
    bundle: BundleArg = None,
    item: Annotated[str | None, typer.Option("--item", help="The product it is about.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed tells the same.")] = 0,
    as_json: JsonOpt = False,
    data_dir: DataDirOpt = None,
) -> None:
    """Tell one narrative about a shopper, or about a product and a shopper."""
    from crs.content import Encoder
    from crs.storyteller import Storyteller
    from crs.versions import default_data_dir, open_in_use

    opened, encoder = open_in_use(bundle, data_dir), Encoder()
    history = opened.store.history(user)
    encoder.encode(["warm up"])  # so that first_token_ms is what a running shop takes
    storyteller = Storyteller.open(opened, encoder, (data_dir or default_data_dir()) / "cache")
    try:
        stream = storyteller.narrate(history, task, item, seed=seed)
        for piece in stream:
            if not as_json:
                sys.stdout.write(piece.text if piece.cite is None else _pointer(piece.cite))
                sys.stdout.flush()
    finally:
        storyteller.close()
    told = stream.result
    cites = [_cited(opened, k, history[k - 1].item_id if k else item) for k in dict.fromkeys(told.cites)]
    if as_json:
        say_json(
            {
                "user": user,
                "task": task,
                "item": item,
                "seed": seed,
                "text": told.text,
                "cites": cites,
                "sentences_rejected": told.sentences_rejected,
                "n_soft": told.n_soft,
                "first_token_ms": told.first_token_ms,
                "first_sentence_ms": told.first_sentence_ms,
                "tokens": told.tokens,
            }
        )
        return
    say("")
    for cite in cites:
        say(f"{cite['pointer']}\t{cite['item']}\t{cite['title']}")


def chat(
    user: UserOpt,
    bundle: BundleArg = None,
    as_json: JsonOpt = False,
    data_dir: DataDirOpt = None,
) -> None:
    """Talk: one message a line from standard input, one reply each."""
    from agents.conversation import Assistant
    from agents.events import Done
    from crs.shop import Shop

    with Stages() as stages:
        shop = Shop.open(bundle, data_dir=data_dir, progress=stages)
    try:
        for line in shop.notes:
            note(line)
        assistant = Assistant(shop)
        assistant.open("cli", user)
        for message in map(str.strip, sys.stdin):
            if not message:
                continue
            for event in assistant.reply("cli", message):
                if isinstance(event, Done):
                    answer = event.answer
            _say_answer(answer, as_json)
            if answer.forgotten:
                assistant.open("cli", user)
    finally:
        shop.close()


def _recommended(bundle: Bundle, encoder: TextEncoder, user: str, k: int, wish: str) -> list[Recommendation]:
    from agents.filters import read_wish
    from crs.recommender import Recommender
    from crs.shop import vocabulary_of
    from knowledge.types import Constraints

    items = bundle.store.items
    constraints = read_wish(wish, items, vocabulary_of(items.values())) if wish.strip() else Constraints()
    return Recommender(bundle, encoder).recommend(bundle.store.history(user), constraints, k=k)


def _say_answer(answer: Answer, as_json: bool) -> None:
    if as_json:
        told = answer.to_json()
        say_json({name: told[name] for name in ("intent", "constraints", "items", "text", "cites", "chips")})
        return
    say(" ".join(answer.text.split()))
    for card in answer.items:
        say(f"  - {card.title}" + ("" if card.price is None else f", ${card.price:.2f}"))


def _pointer(cite: int) -> str:
    from knowledge.types import TARGET_POINTER, pointer

    return pointer(cite) if cite else TARGET_POINTER


def _cited(bundle: Bundle, k: int, item_id: str | None) -> dict[str, Any]:
    assert item_id is not None  # a target's pointer is only sampled where there is a target
    return {"pointer": _pointer(k), "k": k, "item": item_id, "title": bundle.store.items[item_id].title}
