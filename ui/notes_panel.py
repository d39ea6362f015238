"""What the assistant noted of the person, beside the talk, to be changed, deleted or all forgotten."""

# No postponed annotations: Gradio reads the event types from the handlers' signatures at run time.
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agents.note_phrasing import forgotten_all
from agents.notes import written_note
from knowledge.errors import BusyError, NotFoundError
from knowledge.notes import MAX_NOTE, Note
from ui.cards import dialog, escape
from ui.handlers import Session, leave

if TYPE_CHECKING:
    import gradio as gr

    from agents.conversation import Assistant

FORGET_ID, LIST_ID = "rc-forget-panel", "rc-notes-panel"

# The panel is drawn anew at every change; its own root stays and listens.
PANEL_JS = """
element.addEventListener('submit', (event) => {
  const form = event.target.closest('.rc-note');
  if (!form) return;
  event.preventDefault();
  trigger('submit', {note_id: Number(form.dataset.note), text: form.elements.text.value});
  if (form.dataset.note === '0') form.reset();  // drawn anew, a field keeps what was typed into it
});
element.addEventListener('click', (event) => {
  const gone = event.target.closest('.rc-note-delete');
  if (gone) trigger('delete', {note_id: Number(gone.dataset.note)});
  if (event.target.closest('.rc-forget-yes')) {
    document.getElementById('rc-forget-panel').hidePopover();
    trigger('clear', {});
  }
});
"""


def notes_html(notes: Sequence[Note]) -> str:
    """The list of notes, a line for a new one, and "Forget me" with its question.

    On a phone a button opens it; where there is room it lies open (style.css).
    """
    lines = "".join(f"<li>{_form(note.note_id, note.text)}</li>" for note in reversed(notes))
    nothing = "Nothing yet. Say what holds for you, such as “I never wear red”, or write it here."
    told = f'<ul class="rc-note-list">{lines}</ul>' if notes else f'<p class="rc-quiet">{nothing}</p>'
    question = dialog(
        FORGET_ID,
        "Forget me",
        "<p>This deletes your conversations, notes and ratings here, at once and for good. What you bought "
        'stays in the shop\'s books.</p><p class="rc-forget-answers"><button type="button" '
        'class="rc-forget-yes">Yes, forget me</button> <button type="button" class="rc-forget-no" '
        f'popovertarget="{FORGET_ID}" popovertargetaction="hide">No, keep it</button></p>',
    )
    return (
        f'<button type="button" class="rc-notes-open" popovertarget="{LIST_ID}">Notes ({len(notes)})</button>'
        f'<section popover class="rc-panel rc-notes-panel" id="{LIST_ID}" aria-label="What I noted of you">'
        f'<h2 class="rc-eyebrow">What I noted of you</h2>{told}{_form(0, "")}'
        f'<button type="button" class="rc-forget" popovertarget="{FORGET_ID}">Forget me</button>{question}'
        "</section>"
    )


def _form(note_id: int, text: str) -> str:
    """A note in a field of its own; ``note_id`` 0: the empty line for a new one."""
    of = f" the note: {escape(text)}" if note_id else " the note"
    delete = (
        f'<button type="button" class="rc-note-delete" data-note="{note_id}" '
        f'aria-label="Delete{of}">✕</button>'
    )
    act = "Save" if note_id else "Add"
    return (
        f'<form class="rc-note" data-note="{note_id}"><input name="text" value="{escape(text)}" '
        f'maxlength="{MAX_NOTE}" autocomplete="off" placeholder="Add a note" '
        f'aria-label="{"Note" if note_id else "New note"}">'
        f'<button type="submit" aria-label="{act}{of}">{act}</button>{delete if note_id else ""}</form>'
    )


def save_note(assistant: "Assistant", session: Session, note_id: int, text: str) -> None:
    """Write a new note (``note_id`` 0) or put another text in the place of one; an empty text deletes it."""
    notebook, note = assistant.people.notebook, written_note(text)
    if note is None:
        notebook.remove(session.owner, note_id)
    elif note_id:
        notebook.change(session.owner, note_id, note)
    else:
        notebook.add(session.owner, note)


def add_notes_panel() -> "gr.HTML":
    """The panel's place on the page."""
    import gradio as gr

    return gr.HTML(elem_id="rc-mind", js_on_load=PANEL_JS, apply_default_css=False)


def draw_notes(assistant: "Assistant", session: Session) -> str:
    """The panel as it stands."""
    return notes_html(assistant.people.notebook.notes(session.owner))


def wire_notes_panel(
    panel: "gr.HTML",
    session: "gr.State",
    assistant: "Assistant",
    begin: Callable[[Session], tuple[Any, ...]],
    leaving: dict[str, Any],
) -> None:
    """What the panel's buttons do; ``begin`` opens a fresh conversation, ``leaving`` says how."""
    import gradio as gr

    def on_save(session: Session, form: gr.EventData) -> str:
        try:
            save_note(assistant, session, int(form.note_id), str(form.text))
        except NotFoundError as error:
            gr.Warning(escape(error))
        return draw_notes(assistant, session)

    def on_delete(session: Session, note: gr.EventData) -> str:
        assistant.people.notebook.remove(session.owner, int(note.note_id))
        return draw_notes(assistant, session)

    def on_forget(session: Session) -> tuple[Any, ...]:
        leave(session)
        try:
            kept = assistant.forget(session.owner)
        except BusyError as error:
            gr.Warning(escape(error))
        else:
            gr.Info(forgotten_all(kept))
        return begin(session)

    quiet: dict[str, Any] = {"show_progress": "hidden"}
    panel.submit(on_save, session, panel, **quiet)
    panel.delete(on_delete, session, panel, **quiet)
    panel.clear(on_forget, session, **leaving)
