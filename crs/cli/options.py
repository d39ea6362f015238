"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from crs.llm.chat import ChatModel

BundleArg = Annotated[
    Path | None, typer.Argument(metavar="BUNDLE", help="A bundle's folder; the embedded one by default.")
]
UserOpt = Annotated[str, typer.Option("--user", help="The shopper's id (see `users`).")]
JsonOpt = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
DataDirOpt = Annotated[
    Path | None, typer.Option("--data-dir", help="Where memory, ratings and versions live; var/ by default.")
]

LlmParallelOpt = Annotated[int, typer.Option("--parallel", min=1, help="Calls at once, of an endpoint.")]


@dataclass(frozen=True)
class Llm:
    """The language model that a command asks (crs/llm): the fields are the command's options."""

    llm: Annotated[
        str,
        typer.Option(
            "--llm",
            metavar="GGUF|URL#MODEL",
            help="A GGUF file, or an OpenAI-compatible endpoint and its model (key: RACONTEUR_LLM_KEY).",
        ),
    ]
    llm_model: Annotated[
        str | None, typer.Option("--llm-model", help="The endpoint's model, if not in --llm.")
    ] = None
    llm_price: Annotated[
        str | None,
        typer.Option(
            "--llm-price",
            metavar="IN:OUT",
            help="US dollars for a million tokens read and written, as in 0.15:0.60.",
        ),
    ] = None
    llm_context: Annotated[
        int, typer.Option("--llm-context", min=256, help="Of a GGUF: tokens that prompt and reply share.")
    ] = 8192

    @contextmanager
    def opened(self) -> Iterator[ChatModel]:
        """The model, closed in the end. Raises as `Price.parse` and `open_chat_model` do."""
        from crs.llm.chat import Price
        from crs.llm.open import open_chat_model

        price = None if self.llm_price is None else Price.parse(self.llm_price)
        with closing(
            open_chat_model(self.llm, model=self.llm_model, price=price, n_ctx=self.llm_context)
        ) as model:
            yield model


def asks_llm(command: Callable[..., None]) -> Callable[..., None]:
    """``command`` with the options of `Llm` in place of its parameter ``llm``."""
    options = signature(Llm, eval_str=True).parameters
    own = [each for each in signature(command, eval_str=True).parameters.values() if each.name != "llm"]

    @wraps(command)
    def with_options(**given: Any) -> None:
        command(llm=Llm(**{name: given.pop(name) for name in options}), **given)

    taken = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in (*options.values(), *own)]
    with_options.__signature__ = Signature(taken)  # type: ignore[attr-defined]  # what Typer reads
    with_options.__annotations__ = {each.name: each.annotation for each in taken}
    return with_options
