"""A conversation that can be read by whoever has its link: one page without a box to write in.

It needs no Gradio: plain HTML with the page's own style sheet in it, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from knowledge.errors import ConversationError, NotFoundError
from ui import cards, handlers
from ui.theme import SHARED_STYLE_PATH, STYLE_PATH

if TYPE_CHECKING:
    from fastapi import FastAPI

    from agents.conversation import Assistant
    from crs.shop import Shop
    from knowledge.shares import Shares

PATH = "/shared/"
PANEL_ID = "rc-share-panel"

_FOLLOW_SCHEME = (
    "if (matchMedia('(prefers-color-scheme: dark)').matches) document.documentElement.classList.add('dark')"
)


def share_panel(token: str) -> str:
    """The dialog with the link; the browser makes the path a whole address."""
    path = cards.escape(f".{PATH}{token}")
    body = (
        '<p class="rc-panel-facts">Whoever has this link can read this conversation, and the purchases and '
        "reviews it cites, but not write in it. What is said later shows there too.</p>"
        '<div class="rc-reason rc-share-row"><input class="rc-link" readonly '
        f'aria-label="Link to this conversation" data-path="{path}" value="{path}">'
        '<button type="button" class="rc-copy">Copy</button>'
        '<button type="button" class="rc-unshare">Stop sharing</button></div>'
        '<p class="rc-saved" role="status"></p>'
    )
    return cards.dialog(PANEL_ID, "Share this conversation", body)


def shared_page(
    assistant: Assistant, shop: Shop, shares: Shares, token: str, mean_stars: Mapping[str, float]
) -> str:
    """The whole HTML page of a shared conversation. Raises NotFoundError where the link leads nowhere."""
    conversation_id = shares.conversation(token)
    session = handlers.Session(conversation_id, assistant.user_id(conversation_id))
    handlers.recall(assistant, shop, session)
    lines = []
    for message in handlers.transcript(shop, session, mean_stars, ratable=False):
        if message.role == "user":
            lines.append(f'<li class="rc-asked">{cards.escape(message.content)}</li>')
        else:
            lines.append(f"<li>{message.content}</li>")
    return _page("A conversation with Raconteur", f'<ol class="rc-transcript">{"".join(lines)}</ol>')


def _page(title: str, body: str) -> str:
    style = "".join(path.read_text(encoding="utf-8") for path in (STYLE_PATH, SHARED_STYLE_PATH))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{cards.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="robots" content="noindex"><meta name="referrer" content="no-referrer">'
        f'<link rel="icon" href="data:,"><style>{style}</style>'
        f"<script>{_FOLLOW_SCHEME}</script></head>"
        f'<body><main class="rc-shared"><header class="rc-masthead"><div class="rc-name"><h1>Raconteur</h1>'
        f"<p>A conversation that someone shared, to read.</p></div></header>{body}</main></body></html>"
    )


def serve_shared(app: FastAPI, assistant: Assistant, shop: Shop, shares: Shares) -> None:
    """Answer ``/shared/TOKEN`` in the app that serves the page."""
    from fastapi.responses import HTMLResponse

    mean_stars = handlers.mean_stars(shop)

    def read(token: str) -> Any:
        try:
            return HTMLResponse(shared_page(assistant, shop, shares, token, mean_stars))
        except NotFoundError as error:
            missing = f'<p class="rc-quiet">{cards.escape(str(error))}</p>'
            return HTMLResponse(_page("No such conversation", missing), status_code=404)
        except ConversationError as error:
            return HTMLResponse(_page("Not readable", f"<p>{cards.escape(str(error))}</p>"), status_code=500)

    app.add_api_route(PATH + "{token}", read, include_in_schema=False)
