"""Serves the chat: ``python app.py [BUNDLE]`` opens the shop and prints the address of the page.

Reads ``PORT`` (7860) and ``GRADIO_SERVER_NAME`` (127.0.0.1; 0.0.0.0 where a hosting platform sets SPACE_ID).
"""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

from knowledge.errors import RaconteurError

DEFAULT_PORT = 7860
MAX_WAITING = 64  # people in the queue before the page asks to come back later


def main(bundle: str | None = None) -> int:
    """Serve until interrupted. Returns the exit code: 1, with one line on standard error, if it cannot."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported: it asks at import
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy is: small sums in many threads wait for each other
    host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if "SPACE_ID" in os.environ else "127.0.0.1")
    port = os.environ.get("PORT") or str(DEFAULT_PORT)
    try:
        if not port.isdigit():
            raise RaconteurError(f"PORT={port}: not a port; set it to a number such as {DEFAULT_PORT}")
        return _serve(bundle, host, int(port))
    except ModuleNotFoundError as error:
        sys.stderr.write(f"raconteur: {error.name} is not installed; run make setup\n")
    except RaconteurError as error:
        sys.stderr.write(f"raconteur: {error}\n")
    return 1


def _serve(bundle: str | None, host: str, port: int) -> int:
    from agents.checkpoints import conversations_in
    from agents.conversation import Assistant
    from crs.bundle import default_path
    from crs.following import Follower
    from crs.shop import Shop
    from crs.versions import default_data_dir
    from knowledge.logins import VARIABLE, Logins
    from knowledge.notes import FILE_NAME as NOTES_NAME
    from knowledge.notes import Notebook
    from knowledge.shares import FILE_NAME, Shares
    from ui.admin_page import PASSWORD, add_admin_page
    from ui.door import Door
    from ui.page import build_page
    from ui.shared import serve_shared
    from ui.theme import FAVICON_PATH, STYLE_PATH, build_theme

    logins = Logins(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
    data_dir = default_data_dir()
    with (
        closing(Shop.open(bundle, data_dir=data_dir, progress=_progress)) as shop,
        conversations_in(data_dir) as conversations,
        closing(Shares(data_dir / FILE_NAME)) as shares,
        Notebook(data_dir / NOTES_NAME) as notebook,
    ):
        assistant = Assistant(shop, conversations, notebook)
        assistant.people.also_forget.append(shares.take_back)
        page = build_page(shop, assistant, shares, login=logins is not None).queue(max_size=MAX_WAITING)
        if password := os.environ.get(PASSWORD):
            add_admin_page(page, shop, Path(bundle) if bundle else default_path(), data_dir, password)
        try:
            served, *_ = page.launch(
                server_name=host, server_port=port, share=False, ssr_mode=False, quiet=True,
                prevent_thread_lock=True, theme=build_theme(), css_paths=STYLE_PATH,
                favicon_path=FAVICON_PATH, footer_links=[], run_history=False,
                **(Door(logins).launch_options() if logins else {}),
            )  # fmt: skip
        except OSError as error:
            raise RaconteurError(
                f"port {port} on {host} cannot be used ({error}); set PORT to a free one"
            ) from error
        serve_shared(served, assistant, shop, shares)
        device = shop.storyteller.model.device
        sys.stdout.write(f"Raconteur is at http://{host}:{port} (narrator on {device})\n")
        sys.stdout.flush()
        with Follower(shop, bundle, data_dir, assistant.between_turns):
            page.block_thread()
    return 0


def _progress(stage: str, done: int, total: int) -> None:
    sys.stderr.write(f"\r{stage}: {done:,} of {total:,}" + ("\n" if done >= total else ""))
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
