"""The command line as tests call it: in this process, with stand-ins in place."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from crs.cli.app import main

Run = Callable[..., tuple[int, str, str]]


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *args: object, stdin: str = ""
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``crs ARGS``."""
    monkeypatch.setattr(sys, "argv", ["crs", *map(str, args)])
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err
