"""A small server of vLLM's wire format: it decodes the tensor and runs transformers on it."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import torch

from crs.narrator.hf_model import HfModel
from crs.narrator.sampling import Constraints, Sampling


class _Handler(BaseHTTPRequestHandler):
    model: HfModel
    name: str
    n_told: list[int]

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        listed = [{"id": self.name, "object": "model", "max_model_len": self.model.context_length}]
        self._answer(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body["model"] != self.name:
            self._answer(404, {"error": {"message": f"The model {body['model']} does not exist."}})
            return
        rows = torch.load(io.BytesIO(base64.b64decode(body["prompt_embeds"])), weights_only=True).numpy()
        if body.get("stream"):
            self._stream(rows, body)
        else:
            logprobs = torch.log_softmax(torch.from_numpy(self.model.logits([rows])), 0)
            top = {f"token_id:{i}": float(value) for i, value in enumerate(logprobs)}
            self._answer(200, {"choices": [{"logprobs": {"top_logprobs": [top]}}]})

    def _stream(self, rows: np.ndarray, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        sampling = Sampling(
            body["temperature"], body["top_p"], body["repetition_penalty"], body["seed"], body["max_tokens"]
        )
        allowed = body.get("allowed_token_ids")
        banned = frozenset(range(self.model.n_vocab)) - set(allowed) if allowed else frozenset()
        try:
            for token in self.model.generate([rows], sampling, constraints=Constraints(banned)):
                self.n_told.append(token)
                self._event({"choices": [{"text": "?", "logprobs": {"tokens": [f"token_id:{token}"]}}]})
            self._event({"choices": []})
            self.wfile.write(b"data: [DONE]\n\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody listens any more

    def _event(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A listener who left is no error."""


@contextmanager
def serving(folder: Path, name: str, context_length: int) -> Iterator[tuple[str, list[int]]]:
    """Serve ``folder``; the URL, and every token that was told so far."""
    model = HfModel(folder)
    model.context_length = context_length
    told: list[int] = []
    handler = type("Handler", (_Handler,), {"model": model, "name": name, "n_told": told})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", told
    finally:
        server.shutdown()
        server.server_close()
