"""The page: Gradio blocks around the handlers. Layout and events only; nothing is decided here."""

# No postponed annotations: Gradio reads the event types from the handlers' signatures at run time.
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.errors import BusyError, NotFoundError
from ui import cards, handlers
from ui.handlers import Session
from ui.notes_panel import add_notes_panel, draw_notes, wire_notes_panel
from ui.shared import PANEL_ID as SHARE_ID
from ui.shared import share_panel
from ui.taste_map import PANEL_ID as MAP_ID
from ui.theme import ASSETS_DIR
from ui.visitor import Visitor

if TYPE_CHECKING:
    import gradio as gr

    from agents.conversation import Assistant
    from crs.shop import Shop
    from knowledge.shares import Shares

SCRIPT_PATH = ASSETS_DIR / "page.js"
STORAGE_KEY = "raconteur"
# Not a secret: browser storage is the reader's own, and the value in it is a random conversation id.
STORAGE_SALT = "raconteur-page"
INFO_S = 5.0  # how long a short word of the page stays
LOAD_EVERY_S = 4.0  # how often a page asks what the narrator is busy with
N_SIMULTANEOUS_REPLIES = 32  # our own narrator tells as many at once; a larger one has a line

PROMPT = "What are you looking for?"
GREETING = (
    "### What are you after?\nTell me what you need: I find it, say why it suits you, and show the purchases "
    "I judge by. Three things to try:"
)

# Stars and reasons live inside answers, where Gradio has no events: one listener hands them over.
BRIDGE_JS = """
document.addEventListener('click', (event) => {
  const star = event.target.closest('.rc-star');
  if (star) trigger('click', {message_id: star.dataset.message, stars: Number(star.dataset.stars)});
  const consent = event.target.closest('.rc-consent');
  if (consent) trigger('select', {given: consent.dataset.given === 'yes'});
});
document.addEventListener('submit', (event) => {
  const form = event.target.closest('.rc-reason');
  if (!form) return;
  event.preventDefault();
  trigger('submit', {message_id: form.dataset.message, reason: form.elements.reason.value});
});
for (const kind of ['mouseover', 'focusin', 'click'])
  document.addEventListener(kind, (event) => {
    const named = event.target.closest?.('.rc-map [data-name]');
    if (named) named.closest('.rc-map').querySelector('.rc-map-name').textContent = named.dataset.name;
  });
document.addEventListener('click', (event) => {
  const panel = event.target.closest('#rc-share-panel');
  if (!panel) return;
  const link = panel.querySelector('.rc-link'), told = panel.querySelector('.rc-saved');
  if (event.target.closest('.rc-copy')) {
    link.select();
    navigator.clipboard.writeText(link.value).then(() => { told.textContent = 'Copied.'; },
      () => { told.textContent = 'Press Ctrl+C to copy.'; });
  }
  if (event.target.closest('.rc-unshare')) { panel.hidePopover(); trigger('clear', {}); }
});
"""
SHOW_MAP_JS = f"() => document.getElementById('{MAP_ID}')?.showPopover()"
SHOW_SHARE_JS = f"""() => {{
  const panel = document.getElementById('{SHARE_ID}'), link = panel?.querySelector('.rc-link');
  const folder = location.origin + location.pathname.replace(/[^/]*$/, '');
  if (link) link.value = new URL(link.dataset.path, folder).href;
  panel?.showPopover();
}}"""

Updates = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    """The components that events read or write."""

    session: "gr.State"
    kept: "gr.BrowserState"  # whose conversation, and which: found again after a reload
    share: "gr.Button"
    shared: "gr.HTML"
    over: "gr.Button"
    picker: "gr.Dropdown"
    newcomer: "gr.Button"
    strip: "gr.HTML"
    notes: "gr.HTML"
    see_map: "gr.Button"
    map: "gr.HTML"
    chat: "gr.Chatbot"
    box: "gr.Textbox"
    load: "gr.HTML"
    bridge: "gr.HTML"


def build_page(
    shop: "Shop", assistant: "Assistant", shares: "Shares", *, login: bool = False
) -> "gr.Blocks":
    """The whole page over one opened shop; ``launch()`` it with :func:`ui.theme.build_theme`.

    ``login``: people log in, so nobody picks whose purchases are shown.

    The app that it is launched in answers shared links after :func:`ui.shared.serve_shared`.
    """
    import gradio as gr

    page = gr.Blocks(title="Raconteur", analytics_enabled=False, fill_width=True)
    with page:
        parts = _lay_out(shop, login)
        _wire(page, parts, shop, assistant, shares, login)
    return page


def _lay_out(shop: "Shop", login: bool) -> _Parts:
    import gradio as gr

    session = gr.State(None, delete_callback=handlers.leave)
    kept = gr.BrowserState({}, storage_key=STORAGE_KEY, secret=STORAGE_SALT)
    with gr.Row(elem_id="rc-header"):
        gr.HTML(cards.header(shop.notes), apply_default_css=False)
        share = gr.Button("Share", elem_id="rc-share", size="sm")
        over = gr.Button("Start over", elem_id="rc-over", size="sm")
    with gr.Row(elem_id="rc-shell"):
        with gr.Column(elem_id="rc-side", scale=0, min_width=0):
            with gr.Row(elem_id="rc-who"):
                picker = gr.Dropdown(
                    handlers.shopper_choices(shop), value=None, label="Shopper",
                    allow_custom_value=True, elem_id="rc-picker", visible=not login,
                )  # fmt: skip
                newcomer = gr.Button("I'm new here", elem_id="rc-new", size="sm", visible=not login)
                see_map = gr.Button("Taste map", elem_id="rc-see-map", size="sm")
            strip = gr.HTML(elem_id="rc-purchases", apply_default_css=False)
            notes = add_notes_panel()
        with gr.Column(elem_id="rc-talk", min_width=0):
            chat = gr.Chatbot(
                elem_id="rc-chat", label="Conversation", show_label=False, buttons=[], height="100%",
                render_markdown=False, latex_delimiters=[], editable="user", placeholder=GREETING,
                feedback_options=("Like", "Dislike"), container=False, autoscroll=False,
            )  # fmt: skip
            box = gr.Textbox(
                elem_id="rc-message", label="Your message", show_label=False, container=False,
                placeholder="Opening the shop…", interactive=False, max_lines=5, submit_btn="Ask",
            )  # fmt: skip
            load = gr.HTML(cards.busy_line(shop.load), elem_id="rc-load", apply_default_css=False)
    taste_map = gr.HTML(elem_id="rc-map-place", apply_default_css=False)
    shared = gr.HTML(elem_id="rc-share-place", apply_default_css=False)
    script = BRIDGE_JS + SCRIPT_PATH.read_text(encoding="utf-8")
    bridge = gr.HTML(elem_id="rc-bridge", js_on_load=script, visible="hidden")
    return _Parts(
        session, kept, share, shared, over, picker, newcomer, strip, notes, see_map, taste_map, chat, box,
        load, bridge,
    )  # fmt: skip


def _wire(
    page: "gr.Blocks", parts: _Parts, shop: "Shop", assistant: "Assistant", shares: "Shares", login: bool
) -> None:
    """Events to handlers, and what they leave in the session to components."""
    import gradio as gr

    mean_stars = handlers.mean_stars(shop)

    def messages(session: Session) -> list[dict[str, Any]]:
        """The chat's messages as they stand."""
        return [_gradio_message(message) for message in handlers.transcript(shop, session, mean_stars)]

    def show(session: Session) -> dict[str, Any]:
        """The chat as it stands, thumbs included."""
        return gr.update(value=messages(session), feedback_value=handlers.thumbs(session))

    def listening() -> dict[str, Any]:
        return gr.update(interactive=True, submit_btn="Ask", stop_btn=False, placeholder=PROMPT)

    def enter(user_id: str | None, visitor: Visitor, conversation_id: str | None = None) -> Updates:
        """Open a session, and everything on the page that depends on whose it is."""
        session = handlers.open_session(assistant, shop, user_id, conversation_id, visitor)
        kept = {"conversation_id": session.conversation_id, "user_id": session.user_id}
        kept |= {} if visitor.has_login else {"visitor": visitor.key}
        chat = show(session) | {"examples": [{"text": text} for text in handlers.starters(session)]}
        strip = handlers.purchases_html(shop, session)
        notes = draw_notes(assistant, session)
        return session, kept, chat, gr.update(value=session.user_id), strip, listening(), notes

    def on_load(kept: dict[str, str | None], request: gr.Request) -> Updates:
        visitor = Visitor.of(request.username, kept.get("visitor"))
        user_id = kept.get("user_id")
        if visitor.has_login:
            user_id = visitor.key if visitor.key in shop.user_ids else None
        try:
            return enter(user_id, visitor, kept.get("conversation_id"))
        except NotFoundError:  # the page was last used with another store
            return enter(None, visitor)

    def whose(session: Session | None, request: gr.Request) -> Visitor:
        """Who clicks; some do before the page has opened their conversation."""
        return session.visitor if session else Visitor.of(request.username)

    def on_pick(session: Session | None, user_id: str | None, request: gr.Request) -> Updates:
        try:
            entered = enter(user_id or None, whose(session, request))
        except NotFoundError as error:
            gr.Warning(cards.escape(error))
            picker = gr.update(value=session.user_id if session else None)
            return gr.skip(), gr.skip(), gr.skip(), picker, gr.skip(), gr.skip(), gr.skip()
        handlers.leave(session)
        return entered

    def on_new(session: Session | None, request: gr.Request) -> Updates:
        handlers.leave(session)
        return enter(None, whose(session, request))

    def on_over(session: Session | None, request: gr.Request) -> Updates:
        handlers.leave(session)
        return enter(session.user_id if session else None, whose(session, request))

    def begin_again(session: Session) -> Updates:
        return enter(session.user_id, session.visitor)

    def stream(
        session: Session, frames: Iterator[None], box: dict[str, Any] | None = None
    ) -> Iterator[Updates]:
        """Show each frame; ``box`` is what the message box turns into besides offering to stop."""
        answering = gr.update(submit_btn=False, stop_btn="Stop", **(box or {}))
        noted, rated = draw_notes(assistant, session), _rated(session)

        def frame() -> Any:
            """Messages alone while the page's thumbs hold: of an update Gradio makes a whole component."""
            return messages(session) if _rated(session) == rated else show(session)

        try:
            for _ in frames:
                if not session.left:  # else the page shows another conversation by now
                    yield frame(), answering, gr.skip(), gr.skip()
                    answering = gr.skip()  # what is typed meanwhile stays
        except BusyError as error:
            gr.Warning(cards.escape(error))
        if not session.left:
            ready = gr.skip() if handlers.is_answering(session) else listening()
            notes = draw_notes(assistant, session)
            strip = handlers.purchases_html(shop, session)
            # a note that is being typed stays, unless the talk brought another
            yield frame(), ready, strip, gr.skip() if notes == noted else notes

    def on_submit(text: str, session: Session) -> Iterator[Updates]:
        yield from stream(session, handlers.converse(assistant, shop, session, text), {"value": ""})

    def on_chip(session: Session, chosen: gr.SelectData) -> Iterator[Updates]:
        text = chosen.value["text"] if isinstance(chosen.value, dict) else str(chosen.value)
        yield from stream(session, handlers.converse(assistant, shop, session, text))

    def on_retry(session: Session) -> Iterator[Updates]:
        yield from stream(session, handlers.retry(assistant, shop, session))

    def on_edit(session: Session, edited: gr.EditData) -> Iterator[Updates]:
        text = str(edited.value).replace(cards.ZERO_WIDTH, "")
        yield from stream(session, handlers.edit(assistant, shop, session, _position(edited.index), text))

    def on_thumb(session: Session, liked: gr.LikeData) -> dict[str, Any]:
        # a thumb taken back arrives as an empty string
        thumb = 1 if liked.liked is True else -1 if liked.liked is False else 0
        handlers.rate_thumb(assistant, session, _position(liked.index), thumb)
        return show(session)

    def on_star(session: Session, star: gr.EventData) -> dict[str, Any]:
        handlers.rate_stars(assistant, session, star.message_id, star.stars)
        return show(session)

    def on_reason(session: Session, form: gr.EventData) -> dict[str, Any]:
        handlers.rate_reason(assistant, session, form.message_id, form.reason)
        return show(session)

    def on_consent(session: Session, answer: gr.EventData) -> dict[str, Any]:
        handlers.give_consent(assistant, session, answer.given is True)
        return show(session)

    def on_share(session: Session) -> str:
        if not any(exchange.answer for exchange in session.exchanges):
            gr.Info("There is nothing to share yet: ask something first.", INFO_S, title="Share")
            return ""
        return share_panel(shares.share(session.conversation_id))

    def on_unshare(session: Session) -> str:
        shares.take_back([session.conversation_id])
        gr.Info("The link leads nowhere from now on.", INFO_S, title="Share")
        return ""

    def on_map(session: Session) -> str:
        return handlers.taste_map_html(shop, session)

    session, chat, box = parts.session, parts.chat, parts.box
    everything = [session, parts.kept, chat, parts.picker, parts.strip, box, parts.notes]
    page.load(on_load, parts.kept, everything, show_progress="hidden")

    reply: dict[str, Any] = {
        "outputs": [chat, box, parts.strip, parts.notes],
        "show_progress": "hidden",
        "concurrency_limit": N_SIMULTANEOUS_REPLIES,
        "concurrency_id": "reply",
    }
    replies = [
        box.submit(on_submit, [box, session], **reply),
        chat.example_select(on_chip, session, **reply),
        chat.option_select(on_chip, session, **reply),
        chat.retry(on_retry, session, **reply),
        chat.edit(on_edit, session, **reply),
    ]
    # Outside the queue: a click on stop must not wait behind what it is to stop.
    box.stop(handlers.stop_reply, session, None, queue=False)

    # Cancelled in the browser too: a frame still under way must not overwrite what comes instead.
    leaving: dict[str, Any] = {"outputs": everything, "show_progress": "hidden", "cancels": replies}
    if not login:
        parts.picker.input(on_pick, [session, parts.picker], **leaving)
        parts.newcomer.click(on_new, session, **leaving)
    parts.over.click(on_over, session, **leaving)
    wire_notes_panel(parts.notes, session, assistant, begin_again, leaving)

    ticks = gr.Timer(LOAD_EVERY_S)
    # Outside the queue, which may be what people wait in.
    ticks.tick(lambda: cards.busy_line(shop.load), None, parts.load, show_progress="hidden", queue=False)

    chat.like(on_thumb, session, chat, show_progress="hidden")
    parts.bridge.click(on_star, session, chat, show_progress="hidden")
    parts.bridge.submit(on_reason, session, chat, show_progress="hidden")
    parts.bridge.select(on_consent, session, chat, show_progress="hidden")

    parts.share.click(on_share, session, parts.shared, show_progress="hidden").then(None, js=SHOW_SHARE_JS)
    parts.bridge.clear(on_unshare, session, parts.shared, show_progress="hidden")
    parts.see_map.click(on_map, session, parts.map, show_progress="minimal").then(None, js=SHOW_MAP_JS)


def _rated(session: Session) -> list[tuple[int, str]]:
    """The thumbs that are given: which answer's, and which."""
    return [(at, thumb) for at, thumb in enumerate(handlers.thumbs(session)) if thumb]


def _position(index: int | tuple[int, int]) -> int:
    """The place of a message in the transcript."""
    assert isinstance(index, int)  # pairs belong to a chat format that Gradio has given up
    return index


def _gradio_message(message: handlers.Message) -> dict[str, Any]:
    """Answers ride as an HTML component (already escaped); people's words as text, which can be edited."""
    if message.role == "user":
        # Gradio lets tags through even where Markdown is off
        return {"role": "user", "content": cards.untagged(message.content)}
    html = {
        "type": "component",
        "component": "html",
        "value": message.content,
        "constructor_args": {},
        "props": {},
    }
    options = [{"value": chip} for chip in message.chips]
    return {"role": "assistant", "content": [html], "options": options}
