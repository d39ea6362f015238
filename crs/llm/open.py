"""Which language model is meant: a GGUF file on this machine, or an OpenAI-compatible endpoint."""

from __future__ import annotations

from crs.llm.chat import ChatModel, Price
from knowledge.errors import InputError


def open_chat_model(
    spec: str, *, model: str | None = None, price: Price | None = None, n_ctx: int = 8192
) -> ChatModel:
    """Open ``spec``: the path of a GGUF file, or an endpoint's base URL (``https://host/v1#model``).

    ``model`` is another way to name the endpoint's model. ``n_ctx``: positions that a GGUF's prompt and
    reply share, at most as many as it was trained for. The endpoint's key is read from RACONTEUR_LLM_KEY.
    Raises InputError when an endpoint is named without its model, NotFoundError and ModelError as a
    GGUF's opening does.
    """
    if spec.startswith(("http://", "https://")):
        from crs.llm.endpoint import EndpointChat

        url, _, named = spec.partition("#")
        if not (model := model or named):
            raise InputError("--llm", f"an endpoint serves several models; name one, as in {url}#MODEL")
        return EndpointChat(url, model, price=price)
    from crs.llm.gguf import GgufChat

    if model:
        raise InputError("--llm-model", "belongs to an endpoint; a GGUF file is one model")
    return GgufChat(spec, n_ctx=n_ctx)
