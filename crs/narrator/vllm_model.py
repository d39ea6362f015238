"""A vLLM server as a ``LanguageModel``: the way out of one machine.

Soft rows travel as `prompt_embeds` of the OpenAI-compatible completions (vLLM, "Prompt Embedding Inputs";
the server is started with ``--enable-prompt-embeds``). A prompt goes as embeddings throughout: those of its
tokens are looked up in the model's own table. Tokens are drawn by the server and come back by their ids.
"""

from __future__ import annotations

import base64
import io
import json
import os
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from crs.narrator.hf_model import end_ids_of
from crs.narrator.language_model import ANYONE, Caller, Segment, check_patience, check_segments, closed_error
from crs.narrator.sampling import Constraints, Sampling
from knowledge.errors import ModelError

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "RACONTEUR_LLM_KEY"

_TABLES = ("model.embed_tokens.weight", "language_model.model.embed_tokens.weight")
_SCALED = ("gemma",)  # these multiply what they read from the table by sqrt(embedding_dim)
_POLL_S = 0.05
_TOKEN_ID = "token_id:"


class VllmModel:
    """The model ``name`` of a vLLM server at ``url``; safe to call from several threads.

    Constraints beyond banned ids are refused with ModelError: the server draws the tokens.
    """

    def __init__(
        self,
        url: str,
        name: str,
        model_dir: str | Path,
        *,
        end_ids: Sequence[int] = (),
        timeout_s: float = 120.0,
    ) -> None:
        """``url``: what stands before ``/completions``. ``model_dir``: the same model's folder.

        Of that folder, in Hugging Face's layout, only config and embedding table are read. The key, where one
        is asked for, is in RACONTEUR_LLM_KEY. Raises ModelError when the server does not answer or has no
        such model.
        """
        import httpx

        folder = Path(model_dir)
        self.name, self.device = name, "gpu (vLLM server)"
        self._table, scale = _embedding_table(folder)
        self._table_scale = np.float32(scale)
        self.n_vocab, self.embedding_dim = map(int, self._table.shape)
        self._end_ids = list(end_ids) or end_ids_of(folder, _config(folder).get("eos_token_id"))
        self.eos_id = self._end_ids[0]
        self._url = url.rstrip("/").removesuffix("/completions")
        key = os.environ.get(KEY_VARIABLE, "").strip()
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout_s, connect=10.0),
        )
        self._closed = threading.Event()
        self.context_length = self._served_length()

    def generate(
        self,
        segments: Sequence[Segment],
        sampling: Sampling,
        *,
        constraints: Constraints | None = None,
        stop: threading.Event | None = None,
        caller: Caller = ANYONE,
    ) -> Generator[int, None, None]:
        """See ``LanguageModel.generate``."""
        prompt = self._accept(segments)
        n_tokens = min(sampling.max_tokens, self.context_length - sum(map(len, prompt)))
        body = {
            **self._asked(prompt, n_tokens),
            **self._within(constraints or Constraints()),
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "repetition_penalty": sampling.repeat_penalty,
            "logprobs": 0,
            "return_tokens_as_token_ids": True,
            "stop_token_ids": self._end_ids,
            "stream": True,
        }
        return self._listen(body, stop, caller)

    def logits(self, segments: Sequence[Segment]) -> np.ndarray:
        """See ``LanguageModel.logits``; log-probabilities, of a server that was started to give them all.

        That is ``--max-logprobs`` of the vocabulary's size.
        """
        body = {
            **self._asked(self._accept(segments), 1),
            "temperature": 0.0,
            "logprobs": self.n_vocab,
            "return_tokens_as_token_ids": True,
        }
        answer = self._read(self._send("POST", "/completions", json=body))
        logits = np.full(self.n_vocab, -np.inf, dtype=np.float32)
        try:
            for token, value in answer["choices"][0]["logprobs"]["top_logprobs"][0].items():
                logits[_id_of(token)] = value
        except (LookupError, TypeError, ValueError) as exc:
            raise self._odd(exc) from exc
        return logits

    def close(self) -> None:
        """See ``LanguageModel.close``."""
        self._closed.set()
        self._client.close()

    def _accept(self, segments: Sequence[Segment]) -> list[Segment]:
        if self._closed.is_set():
            raise closed_error()
        return check_segments(
            segments,
            embedding_dim=self.embedding_dim,
            n_vocab=self.n_vocab,
            context_length=self.context_length,
        )

    def _asked(self, prompt: Sequence[Segment], n_tokens: int) -> dict[str, Any]:
        import torch

        rows = [
            self._table[segment] * self._table_scale if segment.ndim == 1 else segment for segment in prompt
        ]
        buffer = io.BytesIO()
        torch.save(torch.from_numpy(np.concatenate(rows)), buffer)
        embeds = base64.b64encode(buffer.getvalue()).decode()
        return {"model": self.name, "prompt_embeds": embeds, "max_tokens": n_tokens}

    def _within(self, constraints: Constraints) -> dict[str, Any]:
        if constraints.after or constraints.phrases or constraints.once or constraints.bars:
            raise ModelError(
                "a vLLM server draws the tokens itself; of constraints it keeps banned ids alone"
            )
        if not constraints.banned:
            return {}
        return {"allowed_token_ids": sorted(set(range(self.n_vocab)) - constraints.banned)}

    def _listen(
        self, body: dict[str, Any], stop: threading.Event | None, caller: Caller
    ) -> Generator[int, None, None]:
        """Token ids as they come; a thread reads the stream, so that nobody waits for it to be stopped."""
        deadline = caller.deadline()
        if self._closed.is_set():
            raise closed_error()
        said: queue.SimpleQueue[int | Exception | None] = queue.SimpleQueue()
        gone = threading.Event()

        def is_over() -> bool:
            return gone.is_set() or self._closed.is_set() or (stop is not None and stop.is_set())

        if is_over():
            return
        reader = threading.Thread(target=self._follow, args=(body, said, is_over), daemon=True)
        reader.start()
        try:
            while not is_over():
                check_patience(deadline)
                try:
                    token = said.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if isinstance(token, Exception):
                    raise token
                if token is None or is_over():
                    break
                yield token
            if self._closed.is_set():
                raise closed_error()
        finally:
            gone.set()

    def _follow(
        self, body: dict[str, Any], said: queue.SimpleQueue[int | Exception | None], is_over: Any
    ) -> None:
        """Read one stream of tokens to its end, or until nobody listens: leaving it frees the server."""
        import httpx

        try:
            with self._client.stream("POST", f"{self._url}/completions", json=body) as response:
                if response.status_code >= 400:
                    response.read()
                    self._read(response)
                for token in self._tokens(response.iter_lines()):
                    if is_over():
                        return
                    if token in self._end_ids:
                        break
                    said.put(token)
            said.put(None)
        except ModelError as error:
            said.put(error)
        except (httpx.HTTPError, RuntimeError) as exc:  # RuntimeError: closed by another thread
            said.put(ModelError(f"{self._url}: the answer broke off ({exc or repr(exc)}); try again"))

    def _tokens(self, lines: Iterator[str]) -> Iterator[int]:
        for line in lines:
            data = line.removeprefix("data:").strip()
            if not line.startswith("data:") or data == "[DONE]":
                continue
            try:
                choices = json.loads(data)["choices"]
                told = (choices[0].get("logprobs") or {}).get("tokens") or [] if choices else []
                yield from [_id_of(token) for token in told]
            except (LookupError, TypeError, ValueError, AttributeError) as exc:
                raise self._odd(exc) from exc

    def _served_length(self) -> int:
        answer = self._read(self._send("GET", "/models"))
        try:
            served = {model["id"]: model for model in answer["data"]}
        except (LookupError, TypeError) as exc:
            raise self._odd(exc) from exc
        if self.name not in served:
            raise ModelError(
                f"{self._url}: serves {', '.join(sorted(served)) or 'no model'}, not {self.name}"
            )
        return int(served[self.name].get("max_model_len") or 4096)

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        import httpx

        try:
            return self._client.request(method, f"{self._url}{path}", **what)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as exc:
            raise ModelError(f"{self._url}: no answer ({exc or repr(exc)}); is the server running?") from exc

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code >= 400:
            problem = " ".join(response.text.split())[:300]
            raise ModelError(
                f"{self._url}: it refused what it was asked (HTTP {response.status_code}: {problem})"
            )
        try:
            answer: dict[str, Any] = response.json()
        except ValueError as exc:
            raise self._odd(exc) from exc
        return answer

    def _odd(self, exc: Exception) -> ModelError:
        return ModelError(
            f"{self._url}: its answer is not what vLLM gives ({exc!r}); check the URL and version"
        )


def _id_of(token: str) -> int:
    if not token.startswith(_TOKEN_ID):
        raise ValueError(f"{token!r} is not a token by its id")
    return int(token.removeprefix(_TOKEN_ID))


def _embedding_table(folder: Path) -> tuple[np.ndarray, float]:
    """The token embeddings (n_vocab, embedding_dim) float32, and what they are multiplied by when read."""
    from safetensors import SafetensorError, safe_open

    try:
        kind = str(_config(folder).get("model_type", ""))
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(str(path), framework="pt") as file:
                for name in _TABLES:
                    if name in file.keys():  # noqa: SIM118 - it is no dictionary
                        table = file.get_tensor(name).float().numpy()
                        return table, table.shape[1] ** 0.5 if kind.startswith(_SCALED) else 1.0
    except (OSError, SafetensorError) as exc:
        raise ModelError(f"{folder}: its weights cannot be read ({exc}); download the model again") from exc
    raise ModelError(f"{folder}: no embedding table in it; it must hold the model's safetensors")


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelError(
            f"{folder}: no config.json that can be read ({exc}); download the model first"
        ) from exc
    return config
