"""What the page does, free of Gradio: sessions, streamed exchanges, ratings, the picker's choices.

A :class:`Session` belongs to one open page. It holds the conversation as shown and the stop signal of
the answer being written, so two pages in one process share nothing.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from agents.events import Answer, Cards, Done, Event, Said, Understood, Waiting
from agents.render import Segment
from knowledge.errors import BusyError, ConsentError, FeedbackError, NotFoundError, RaconteurError
from knowledge.feedback import Rating
from knowledge.types import Interaction, Item
from ui import cards
from ui.cards import Evidence, Verdict
from ui.taste_map import taste_map_panel
from ui.visitor import Visitor

if TYPE_CHECKING:
    from agents.conversation import Assistant
    from crs.shop import Shop

STARTERS = (
    "Recommend something for me",
    "Why did I buy my last purchase?",
    "Tell me about myself as a shopper",
)
NEWCOMER_STARTERS = (
    "I own a kettle and a teapot, and I love gardening",
    "Recommend a gift under $30",
    "What can you do?",
)
N_SHOPPERS_LISTED = 400
N_PURCHASES_SHOWN = 12
HANDOVER_S = 5.0  # how long a new message waits for the stopped answer before it to end
MAX_REASON = MAX_SHOWN = 2_000  # characters of a reason, and of a message on the page
FRAME_S = 0.04  # how long a part of a sentence may wait for the rest before it is shown


@dataclass(slots=True)
class Exchange:
    """One message and the answer to it, as shown; ``suggested`` are products with their shares."""

    message: str
    segments: Sequence[Segment] = ()
    suggested: Sequence[tuple[Item, Mapping[str, float]]] = ()
    answer: Answer | None = None
    verdict: Verdict = Verdict()
    note: str = ""
    live: bool = False


@dataclass(slots=True)
class Session:
    """One open page: whose conversation it shows, its exchanges, and how to stop the one being written."""

    conversation_id: str
    user_id: str | None
    visitor: Visitor = field(default_factory=lambda: Visitor.of(None))
    exchanges: list[Exchange] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)
    left: bool = False  # the page shows another conversation by now
    unkept: tuple[Exchange, Verdict] | None = None  # a rating that waits for consent

    @property
    def owner(self) -> str:
        """The key of the person who talks here."""
        return self.visitor.owner(self.user_id)


@dataclass(frozen=True, slots=True)
class Message:
    """A line of the transcript: a person's plain text, or an answer's HTML with its reply chips."""

    role: str  # "user" or "assistant"
    content: str
    chips: tuple[str, ...] = ()


def open_session(
    assistant: Assistant,
    shop: Shop,
    user_id: str | None,
    conversation_id: str | None = None,
    visitor: Visitor | None = None,
) -> Session:
    """Start a conversation, or take up their own of ``conversation_id`` with all that was said in it.

    ``visitor``: who sits before the page; someone new by default. Raises NotFoundError where the shopper is
    unknown.
    """
    session = Session(conversation_id or uuid.uuid4().hex, user_id, visitor or Visitor.of(None))
    if user_id is not None:
        shop.expect(user_id)
    if not _goes_on(assistant, session):
        session.conversation_id = uuid.uuid4().hex  # the other may be somebody else's
        assistant.open(session.conversation_id, user_id, session.owner)
    recall(assistant, shop, session)
    if session.exchanges:
        _restore_verdicts(shop, session)
    return session


def recall(assistant: Assistant, shop: Shop, session: Session) -> None:
    """Fill a session with what was said in its conversation."""
    for message in assistant.history(session.conversation_id):
        if message.answer is None:
            session.exchanges.append(Exchange(message.text))
        elif session.exchanges:
            _settle(shop, session.exchanges[-1], message.answer)


def _goes_on(assistant: Assistant, session: Session) -> bool:
    """Whether the conversation is under way already; a page may reload while an answer is being written."""
    try:
        talks = assistant.user_id(session.conversation_id), assistant.owner(session.conversation_id)
        return talks == (session.user_id, session.owner)
    except NotFoundError:
        return False


def _restore_verdicts(shop: Shop, session: Session) -> None:
    given = {
        rating.message_id: Verdict(rating.thumb, rating.stars, rating.reason)
        for rating in shop.feedback.latest()
        if rating.conversation_id == session.conversation_id
    }
    for exchange in session.exchanges:
        if exchange.answer is not None:
            exchange.verdict = given.get(exchange.answer.message_id, exchange.verdict)


def converse(
    assistant: Assistant, shop: Shop, session: Session, message: str, *, again: bool = False
) -> Iterator[None]:
    """Send one message and grow the session's last exchange; each yield says "worth showing now".

    So is the end. A sentence is shown as a whole, for a frame costs more than its words. Ends early when
    ``session.stop`` is set; a message sent while an answer is being written sets it. ``again``: the message
    is the conversation's last one, to be answered anew. Raises BusyError where the answer before goes on.
    """
    message = message.strip()
    if not message:
        return
    with _turn(session):
        session.stop = stop = threading.Event()
        exchange = Exchange(message[:MAX_SHOWN], live=True)
        session.exchanges.append(exchange)
        try:
            yield
            unshown_s = 0.0  # since when there is something to show, 0 for nothing
            assistant.people.pace.take(session.visitor.key)
            _begin_again(assistant, session)
            reply = assistant.reply(session.conversation_id, message, stop, retry=again)
            # a page that is left closes this generator; nothing may go on telling for nobody
            with closing(cast(Generator[Event, None, None], reply)) as events:
                for event in events:
                    if isinstance(event, Cards):
                        exchange.suggested = [(each.item, each.shares) for each in event.recommendations]
                    elif isinstance(event, Waiting):
                        exchange.note = cards.in_line(event.place)
                    elif isinstance(event, Said):
                        exchange.segments, exchange.note = event.segments, ""
                    elif isinstance(event, Done):
                        _settle(shop, exchange, event.answer)
                        shop.usage.count(session.user_id or session.conversation_id)
                        if event.answer.forgotten:  # it stays to be read, but cannot be rated
                            session.exchanges[:], exchange.answer = [exchange], None
                    if isinstance(event, Understood | Done):  # nothing to see, or the end
                        continue
                    unshown_s = unshown_s or time.monotonic()
                    if not _is_part(event) or time.monotonic() - unshown_s >= FRAME_S:
                        unshown_s = 0.0
                        yield
        except RaconteurError as error:
            exchange.note = str(error)
        finally:
            exchange.live = False


def _is_part(event: Event) -> bool:
    """Whether the rest of a sentence follows: the narrator tells them whole, but in pieces."""
    if not isinstance(event, Said):
        return False
    return not event.segments or not event.segments[-1].text.rstrip("\"”’'").endswith((".", "!", "?"))


def _begin_again(assistant: Assistant, session: Session) -> None:
    """Who was forgotten and goes on talking begins a conversation of which nothing is known."""
    try:
        assistant.owner(session.conversation_id)
    except NotFoundError:
        assistant.open(session.conversation_id, session.user_id, session.owner)


@contextmanager
def _turn(session: Session) -> Iterator[None]:
    """One answer at a time: stops the one being written and waits for its end."""
    stop_reply(session)
    if not session.turn.acquire(timeout=HANDOVER_S):
        raise BusyError("the answer before this one has not ended yet; try again in a moment")
    try:
        yield
    finally:
        session.turn.release()


def stop_reply(session: Session) -> None:
    """Stop the answer being written, if any; it ends at the engine's next token."""
    session.stop.set()


def leave(session: Session | None) -> None:
    """The page is closed or turns to another conversation: nothing more is written or shown of this one."""
    if session is not None:
        session.left = True
        stop_reply(session)


def is_answering(session: Session) -> bool:
    """Whether an answer is being written just now."""
    return any(exchange.live for exchange in session.exchanges)


def _settle(shop: Shop, exchange: Exchange, answer: Answer) -> None:
    exchange.answer = answer
    exchange.segments = answer.segments
    exchange.suggested = [
        (shop.items[card.id], card.shares) for card in answer.items if card.id in shop.items
    ]
    if answer.stopped:
        exchange.note = "Stopped."


def transcript(
    shop: Shop, session: Session, mean_stars: Mapping[str, float], *, ratable: bool = True
) -> list[Message]:
    """All messages, two for each exchange, oldest first; ``mean_stars`` as :func:`mean_stars` gives them."""
    messages = []
    for number, exchange in enumerate(session.exchanges):
        answer = exchange.answer
        messages.append(Message("user", exchange.message))
        html = cards.answer(
            answer.message_id if answer else f"live-{number}",
            exchange.segments,
            _evidence(shop, answer),
            _product_cards(session, exchange, mean_stars),
            exchange.verdict if answer and ratable and not exchange.live else None,
            live=exchange.live,
            note=exchange.note,
            table=answer.table if answer else None,
        )
        messages.append(Message("assistant", html, answer.chips if answer else ()))
    return messages


def _evidence(shop: Shop, answer: Answer | None) -> list[Evidence]:
    return [
        Evidence(
            cite.k,
            shop.items.get(cite.item_id) or Item(cite.item_id, cite.title),
            cite.review,
            cite.stars,
            cite.date,
            cite.stated,
        )
        for cite in (answer.cites if answer else ())
    ]


def _product_cards(session: Session, exchange: Exchange, mean_stars: Mapping[str, float]) -> list[str]:
    return [
        cards.product_card(
            item,
            why=cards.why_line(shares, newcomer=session.user_id is None),
            rating=mean_stars.get(item.item_id),
        )
        for item, shares in exchange.suggested
    ]


def mean_stars(shop: Shop) -> dict[str, float]:
    """Mean stars by item id, of the items that anybody rated."""
    given: defaultdict[str, list[float]] = defaultdict(list)
    for user_id in shop.user_ids:
        for purchase in shop.bundle.store.history(user_id):
            if purchase.rating is not None:
                given[purchase.item_id].append(purchase.rating)
    return {item_id: sum(stars) / len(stars) for item_id, stars in given.items()}


def thumbs(session: Session) -> list[str | None]:
    """The thumb of each answer, in order, in the words of the chat's own buttons."""
    words = {1: "Like", -1: "Dislike"}
    return [words.get(exchange.verdict.thumb or 0) for exchange in session.exchanges]


def taste_map_html(shop: Shop, session: Session) -> str:
    """The map of the shop with the session's shopper on it, as a dialog; drawn anew each time."""
    history = _history(shop, session)
    return taste_map_panel(shop.taste_map(), shop.items, history, shop.taste_place(history))


def starters(session: Session) -> tuple[str, ...]:
    """First things to say, fitting who is talking."""
    return STARTERS if session.user_id is not None else NEWCOMER_STARTERS


def retry(assistant: Assistant, shop: Shop, session: Session) -> Iterator[None]:
    """Answer the last message again, told differently; the new answer takes the old one's place."""
    if not session.exchanges:
        return
    last = session.exchanges[-1]
    with _turn(session):
        session.exchanges.pop()
    # a message that was never answered is not in the conversation yet
    yield from converse(assistant, shop, session, last.message, again=last.answer is not None)


def edit(
    assistant: Assistant, shop: Shop, session: Session, message_index: int, message: str
) -> Iterator[None]:
    """Replace the message at ``message_index`` of the transcript and answer it; what followed goes."""
    with _turn(session):
        del session.exchanges[message_index // 2 :]
        n_answered = sum(exchange.answer is not None for exchange in session.exchanges)
        assistant.rewind(session.conversation_id, 2 * n_answered)
    yield from converse(assistant, shop, session, message)


def rate_thumb(assistant: Assistant, session: Session, message_index: int, thumb: int) -> None:
    """Log a thumb (1 up, -1 down, 0 taken back) for the answer at ``message_index`` of the transcript."""
    exchange = session.exchanges[message_index // 2]
    _rate(assistant, session, exchange, replace(exchange.verdict, thumb=thumb))


def rate_stars(assistant: Assistant, session: Session, message_id: str, n_stars: int) -> None:
    """Log one to five stars for an answer."""
    if n_stars not in range(1, cards.MAX_STARS + 1):
        return
    exchange = _exchange(session, message_id)
    _rate(assistant, session, exchange, replace(exchange.verdict, stars=n_stars))


def rate_reason(assistant: Assistant, session: Session, message_id: str, reason: str) -> None:
    """Log the reader's own words for a rating already given."""
    exchange = _exchange(session, message_id)
    _rate(assistant, session, exchange, replace(exchange.verdict, reason=reason.strip()[:MAX_REASON]))


def _exchange(session: Session, message_id: str) -> Exchange:
    for exchange in session.exchanges:
        if exchange.answer is not None and exchange.answer.message_id == message_id:
            return exchange
    raise NotFoundError(f"no answer '{message_id}' in this conversation; reload the page")


def give_consent(assistant: Assistant, session: Session, given: bool) -> None:
    """Remember whether ratings may be kept; the one that waited for the answer is, or is dropped."""
    assistant.people.notebook.set_consent(session.owner, given)
    if session.unkept is None:
        return
    exchange, verdict = session.unkept
    session.unkept = None
    if given:
        _rate(assistant, session, exchange, verdict)
    else:
        exchange.verdict = Verdict(saved="Nothing was kept.")


def _rate(assistant: Assistant, session: Session, exchange: Exchange, verdict: Verdict) -> None:
    """The acknowledgement is set only after the log has returned, that is, after the row is on disk."""
    answer = exchange.answer
    if answer is None:
        return
    rating = Rating(
        conversation_id=session.conversation_id,
        message_id=answer.message_id,
        user_id=answer.user_id,
        task=answer.task,
        item_id=answer.target_id,
        thumb=verdict.thumb,
        stars=verdict.stars,
        reason=verdict.reason,
        text=answer.narrative or answer.text,
        history_ids=answer.history_ids,
        seed=answer.seed,
        model=answer.model,
        bundle=answer.bundle,
        created_s=time.time(),
    )
    try:
        assistant.people.keep_rating(rating)
    except ConsentError as error:
        session.unkept = exchange, verdict
        asked = replace(verdict, saved="", problem="", consent="ask")  # what was given stays in sight
        exchange.verdict = Verdict(consent="refused") if error.was_asked else asked
    except (FeedbackError, NotFoundError) as error:
        exchange.verdict = replace(exchange.verdict, problem=f"Not saved: {error}", saved="")
    else:
        exchange.verdict = replace(verdict, saved="Saved, thank you.", problem="", consent="")


def shopper_choices(shop: Shop) -> list[tuple[str, str]]:
    """(label, user id) for the picker: shoppers spread evenly over the store, with what they buy."""
    step = max(1, len(shop.user_ids) // N_SHOPPERS_LISTED)
    listed = shop.user_ids[::step][:N_SHOPPERS_LISTED]
    return [(shopper_label(shop, user_id, shop.person(user_id).history), user_id) for user_id in listed]


def shopper_label(shop: Shop, user_id: str, history: Sequence[Interaction]) -> str:
    """A shopper in a few words, such as ``s0042 · 9 purchases, mostly Garden``."""
    items = [shop.items[each.item_id] for each in history if each.item_id in shop.items]
    fields = Counter(item.department or item.kind for item in items if item.department or item.kind)
    label = f"{user_id} · {len(history)} purchase{'' if len(history) == 1 else 's'}"
    return f"{label}, mostly {fields.most_common(1)[0][0]}" if fields else label


def purchases_html(shop: Shop, session: Session) -> str:
    """The strip of recent purchases, newest first; for a newcomer, what they said they own."""
    purchases = enumerate(_history(shop, session), start=1)
    is_guest = session.user_id is None
    recent = [_purchase(shop, k, each, is_guest) for k, each in purchases if each.item_id in shop.items]
    title = "What you told me" if is_guest else "Recent purchases"
    may_pick = not session.visitor.has_login
    return cards.purchase_strip(title, recent[::-1][:N_PURCHASES_SHOWN], may_pick=may_pick)


def _history(shop: Shop, session: Session) -> Sequence[Interaction]:
    """What the session's shopper bought, or said they own, oldest first."""
    user_id = session.user_id
    if user_id is None and session.exchanges and (answer := session.exchanges[-1].answer):
        user_id = answer.user_id
    if user_id is None:
        return ()
    try:
        return shop.person(user_id).history
    except NotFoundError:  # a newcomer who has named nothing yet is not in the memory
        return ()


def _purchase(shop: Shop, k: int, purchase: Interaction, stated: bool) -> Evidence:
    day = None if stated else datetime.fromtimestamp(purchase.timestamp, UTC).date().isoformat()
    review = " ".join(part for part in (purchase.review_title, purchase.review) if part)
    return Evidence(k, shop.items[purchase.item_id], review, purchase.rating, day, stated)
