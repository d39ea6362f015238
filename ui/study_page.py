"""The page of a rating study: Gradio around the screens of study_cards.py; its keys are assets/study.js."""

# No postponed annotations: Gradio reads the event types from the handlers' signatures at run time.
import itertools
import json
from typing import TYPE_CHECKING, Any

from crs.studies.study import Sitting, Study
from knowledge.errors import NotFoundError, RaconteurError
from ui import study_cards
from ui.cards import escape
from ui.theme import ASSETS_DIR, FAVICON_PATH, STYLE_PATH, build_theme

if TYPE_CHECKING:
    import gradio as gr

STUDY_STYLE_PATH, SCRIPT_PATH = ASSETS_DIR / "study.css", ASSETS_DIR / "study.js"
# Not a secret: browser storage is the rater's own, and the code in it is on their screen.
STORAGE_SALT = "raconteur-study"
N_AT_ONCE = 16
MAX_WAITING = 64  # raters in the queue before the page asks to come back later

Updates = tuple[Any, ...]


def build_study_page(study: Study) -> "gr.Blocks":
    """The whole page over an opened study; `launch_study` serves it."""
    import gradio as gr

    page = gr.Blocks(title=study.name, analytics_enabled=False, fill_width=True)
    n_problems = itertools.count(1)  # the page tells a new problem from the last by its number

    def show(at: Sitting) -> Updates:
        screen = study_cards.finished(at) if at.trial is None else study_cards.trial_screen(study, at)
        return screen, gr.skip(), {"code": at.code}

    def on_load(kept: dict[str, str]) -> Updates:
        try:
            return show(study.sitting(kept["code"]))
        except (KeyError, NotFoundError):
            return study_cards.welcome(study), gr.skip(), {}

    def on_act(event: gr.EventData) -> Updates:
        try:
            return act(event.action, json.loads(event.fields))
        except RaconteurError as error:
            problem = f'<span data-n="{next(n_problems)}">{escape(error)}</span>'
            return gr.skip(), problem, gr.skip()

    def act(action: str, fields: dict[str, Any]) -> Updates:
        # The page sends its rater's code each time, so that it outlives a restart of the server.
        code = str(fields.get("code") or "")
        if action == "begin":
            return show(study.sitting(code or study.join()))
        if action == "undo":
            return show(study.undo(code))
        if action == "answer":
            return show(study.answer(code, str(fields.get("trial")), fields))
        return study_cards.welcome(study), gr.skip(), {}

    with page:
        kept = gr.BrowserState(
            {}, storage_key=f"raconteur-study-{study.manifest['fingerprint']}", secret=STORAGE_SALT
        )
        screen = gr.HTML(elem_id="st-screen", apply_default_css=False)
        problem = gr.HTML(elem_id="st-problem", visible="hidden")
        bridge = gr.HTML(
            elem_id="st-bridge", js_on_load=SCRIPT_PATH.read_text(encoding="utf-8"), visible="hidden"
        )
        everything = [screen, problem, kept]
        page.load(on_load, kept, everything, show_progress="hidden")
        bridge.submit(on_act, None, everything, show_progress="hidden", concurrency_limit=N_AT_ONCE)
    return page


def launch_study(study: Study, host: str, port: int) -> "gr.Blocks":
    """Serve the page in threads of its own. Raises RaconteurError where the port cannot be used."""
    page = build_study_page(study)
    page.queue(max_size=MAX_WAITING)
    try:
        page.launch(
            server_name=host, server_port=port, share=False, ssr_mode=False, quiet=True,
            prevent_thread_lock=True, theme=build_theme(), css_paths=[STYLE_PATH, STUDY_STYLE_PATH],
            favicon_path=FAVICON_PATH, footer_links=[], run_history=False,
        )  # fmt: skip
    except OSError as error:
        raise RaconteurError(
            f"port {port} on {host} cannot be used ({error}); name a free one with --port"
        ) from error
    return page
