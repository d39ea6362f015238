"""The door: where it listens, and that a start that fails says so in one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ui_fakes import FakeShop

import app

ROOT = Path(app.__file__).parent


def failed_start(capsys: pytest.CaptureFixture[str], bundle: str | None = None) -> str:
    assert app.main(bundle) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("raconteur: ") and said.err.count("\n") == 1
    return said.err


def test_a_port_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "eighty")
    assert "PORT=eighty" in failed_start(capsys)


@pytest.mark.parametrize(
    ("environment", "host"),
    [
        ({}, "127.0.0.1"),
        ({"SPACE_ID": "someone/raconteur"}, "0.0.0.0"),
        ({"SPACE_ID": "someone/raconteur", "GRADIO_SERVER_NAME": "127.0.0.1"}, "127.0.0.1"),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "0.0.0.0"),
    ],
)
def test_it_listens_where_it_should(
    environment: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[str | None, str, int]] = []
    for name in ("SPACE_ID", "GRADIO_SERVER_NAME", "PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(app, "_serve", lambda *asked: served.append(asked) or 0)
    assert app.main() == 0
    assert served == [(None, host, 7860)]


def test_a_bundle_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path / "var"))
    assert "nowhere" in failed_start(capsys, str(tmp_path / "nowhere"))


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(*_: object) -> int:
        raise ModuleNotFoundError("No module named 'gradio'", name="gradio")

    monkeypatch.setattr(app, "_serve", serve)
    assert "gradio is not installed; run make setup" in failed_start(capsys)


def test_it_starts_as_a_command_and_fails_with_exit_1(tmp_path: Path) -> None:
    environment = {**os.environ, "RACONTEUR_VAR": str(tmp_path / "var")}
    run = subprocess.run(
        [sys.executable, str(ROOT / "app.py"), str(tmp_path / "nowhere")],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert run.stderr.startswith("raconteur: ") and "Traceback" not in run.stderr
    assert not (tmp_path / "var").exists() or not any((tmp_path / "var").iterdir())


class _Closing(FakeShop):
    """A shop that notes whether it was closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_port_in_use_is_named_and_the_shop_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from crs.shop import Shop

    shop = _Closing()
    monkeypatch.setattr(Shop, "open", lambda *_, **__: shop)
    assistant = SimpleNamespace(people=SimpleNamespace(also_forget=[]))
    monkeypatch.setattr("agents.conversation.Assistant", lambda *_: assistant)
    monkeypatch.setenv("RACONTEUR_VAR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        monkeypatch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
        assert f"port {port}" in failed_start(capsys)
    assert shop.closed
