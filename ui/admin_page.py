"""The page ``/admin``: a password, then figures and the versions' buttons. Layout and events only."""

# No postponed annotations: Gradio reads the event types from the handlers' signatures at run time.
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crs.versions import promote, roll_back
from knowledge.errors import RaconteurError
from ui import admin, cards

if TYPE_CHECKING:
    import gradio as gr

    from crs.shop import Shop

PASSWORD = "RACONTEUR_ADMIN_PASSWORD"  # the environment variable; without it there is no such page
QUEUE_EVERY_S = 4.0

NOT_IT = "That is not the password. After five wrong ones nobody is let in for a minute."

Updates = tuple[Any, ...]


def add_admin_page(page: "gr.Blocks", shop: "Shop", first: Path, data_dir: Path, password: str) -> None:
    """Add it to the finished chat. ``first``: the bundle that is served; ``data_dir``: where versions lie."""
    import gradio as gr

    guard = admin.Guard(password)

    def figures() -> Updates:
        """What every part shows: usage, ratings, versions, queue, and the versions to choose from."""
        found = admin.versions(first, data_dir)
        names = [version.name for version in found if not version.is_first]
        in_use = next((version.name for version in found if version.is_in_use), None)
        return (
            admin.usage_html(shop.usage.days(), shop.usage.n_people(), datetime.now(UTC).date()),
            admin.ratings_html(admin.ratings_by_task(shop.feedback.latest())),
            admin.versions_html(found),
            admin.queue_html(shop.load),
            gr.update(choices=names, value=in_use if in_use in names else None),
        )

    nothing: Updates = (gr.skip(),) * 5

    def on_enter(password: str) -> Updates:
        if not guard.admits(password):
            return (False, gr.skip(), gr.skip(), "", _said(NOT_IT), *nothing)
        return (True, gr.update(visible=False), gr.update(visible=True), "", _said(""), *figures())

    def on_refresh(is_in: bool) -> Updates:
        return figures() if is_in else nothing

    def on_tick(is_in: bool) -> Any:
        return admin.queue_html(shop.load) if is_in else gr.skip()

    def put_in_use(change: Callable[[], object]) -> Updates:
        try:
            change()
        except RaconteurError as error:
            return (_said(str(error)), *nothing)
        return (_said(""), *figures())

    def on_promote(is_in: bool, version: str | None) -> Updates:
        if not is_in or not version:
            return (gr.skip(), *nothing)
        return put_in_use(lambda: promote(first, version, data_dir))

    def on_roll_back(is_in: bool) -> Updates:
        return put_in_use(lambda: roll_back(first, data_dir)) if is_in else (gr.skip(), *nothing)

    with page.route("Admin", "/admin", show_in_navbar=False):
        is_in = gr.State(False)  # kept on the server: a page cannot say it of itself
        with gr.Column(elem_id="rc-admin"):
            gr.HTML("<h1>Behind the counter</h1>", elem_id="rc-admin-head", apply_default_css=False)
            said = gr.HTML(_said(""), elem_id="rc-admin-problem", apply_default_css=False)
            with gr.Column(elem_id="rc-admin-door") as door:
                box = gr.Textbox(label="Password", type="password", elem_id="rc-admin-password")
                enter = gr.Button("Open", variant="primary", elem_id="rc-admin-enter")
            with gr.Column(visible=False, elem_id="rc-admin-room") as room:
                refresh = gr.Button("Refresh", size="sm", elem_id="rc-admin-refresh")
                queue = gr.HTML(elem_id="rc-admin-queue", apply_default_css=False)
                usage = gr.HTML(elem_id="rc-admin-usage", apply_default_css=False)
                ratings = gr.HTML(elem_id="rc-admin-ratings", apply_default_css=False)
                versions = gr.HTML(elem_id="rc-admin-versions", apply_default_css=False)
                with gr.Row(elem_id="rc-admin-choice"):
                    choice = gr.Radio([], label="Versions learned from ratings", elem_id="rc-admin-version")
                    put = gr.Button("Put in use", elem_id="rc-admin-promote")
                    back = gr.Button("Back to the one before", elem_id="rc-admin-back")
        parts = [usage, ratings, versions, queue, choice]
        calm: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        for event in (box.submit, enter.click):
            event(on_enter, box, [is_in, door, room, box, said, *parts], **calm)
        refresh.click(on_refresh, is_in, parts, **calm)
        put.click(on_promote, [is_in, choice], [said, *parts], **calm)
        back.click(on_roll_back, is_in, [said, *parts], **calm)
        gr.Timer(QUEUE_EVERY_S).tick(on_tick, is_in, queue, queue=False, **calm)


def _said(problem: str) -> str:
    """What went wrong, read out to those who do not see it."""
    return f'<p class="rc-admin-said" role="alert">{cards.escape(problem)}</p>'
