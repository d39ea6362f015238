"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

BundleArg = Annotated[
    Path | None, typer.Argument(metavar="BUNDLE", help="A bundle's folder; the embedded one by default.")
]
UserOpt = Annotated[str, typer.Option("--user", help="The shopper's id (see `users`).")]
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
DataDirOpt = Annotated[
    Path | None, typer.Option("--data-dir", help="Where memory, ratings and versions live; var/ by default.")
]

# The language model of the commands that ask one (crs/llm): shared by `rate` and `write-narratives`.
LlmOpt = Annotated[
    str,
    typer.Option(
        "--llm",
        metavar="GGUF|URL#MODEL",
        help="A GGUF file, or an OpenAI-compatible endpoint and its model (key: RACONTEUR_LLM_KEY).",
    ),
]
LlmModelOpt = Annotated[
    str | None, typer.Option("--llm-model", help="The endpoint's model, if not in --llm.")
]
LlmPriceOpt = Annotated[
    str | None,
    typer.Option(
        "--llm-price",
        metavar="IN:OUT",
        help="US dollars for a million tokens read and written, as in 0.15:0.60.",
    ),
]
LlmContextOpt = Annotated[
    int, typer.Option("--llm-context", min=256, help="Of a GGUF: tokens that prompt and reply share.")
]
LlmParallelOpt = Annotated[int, typer.Option("--parallel", min=1, help="Calls at once, of an endpoint.")]
