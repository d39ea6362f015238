"""EndpointChat against a server of the same wire format: forms of asking, retries, refusals, errors."""

from __future__ import annotations

import json
import threading
import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from openai_server import Reply, Request, in_turn, serving

from crs.llm.chat import Completion, Message, Price
from crs.llm.endpoint import KEY_VARIABLE, EndpointChat, _retry_after_s
from knowledge.errors import BusyError, ModelError

HELLO = [Message("system", "Be kind."), Message("user", "Hello?")]
SCHEMA = {
    "type": "object",
    "properties": {"words": {"type": "array", "items": {"type": "string", "maxLength": 9}}},
    "required": ["words"],
}


def ask(url: str, **changed: Any) -> Completion:
    chat = EndpointChat(url, "some-model", first_wait_s=0.001, **changed)
    try:
        return chat.complete(HELLO, schema=SCHEMA, temperature=0.5, seed=7, max_tokens=50)
    finally:
        chat.close()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_what_is_asked_and_what_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    with serving(in_turn(Reply('{"words": []}'))) as server:
        reply = ask(server.url + "/", price=Price(2.0, 10.0))
    assert reply == Completion('{"words": []}', 100, 20, pytest.approx(4e-4), "stop")
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["Authorization"] == "Bearer secret"
    form = request.body.pop("response_format")
    assert form["type"] == "json_schema" and form["json_schema"]["schema"] == SCHEMA
    assert request.body == {
        "model": "some-model",
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 50,
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
    }


def test_without_key_schema_and_price() -> None:
    with serving(in_turn(Reply("Hi"))) as server:
        chat = EndpointChat(server.url + "/chat/completions", "m")
        reply = chat.complete(HELLO, temperature=0, seed=0, max_tokens=5)
        chat.close()
    assert reply.cost_usd is None
    (request,) = server.requests
    assert request.path == "/v1/chat/completions"
    assert "Authorization" not in request.headers and "response_format" not in request.body


@pytest.mark.parametrize("taken", ["lengths", "json_object", "words"])
def test_an_endpoint_that_knows_less_is_asked_for_less(taken: str) -> None:
    def answer(request: Request) -> Reply:
        form = request.body.get("response_format", {}).get("type", "words")
        without_lengths = "maxLength" not in json.dumps(request.body.get("response_format", ""))
        if form == taken or (taken == "lengths" and form == "json_schema" and without_lengths):
            return Reply("{}")
        return Reply("response_format is not known", status=400)

    with serving(answer) as server:
        chat = EndpointChat(server.url, "m")
        for _ in range(2):
            assert chat.complete(HELLO, schema=SCHEMA, temperature=0, seed=0, max_tokens=5).text == "{}"
        chat.close()
    n_tried = {"lengths": 2, "json_object": 3, "words": 4}[taken]
    assert len(server.requests) == n_tried + 1  # what was taken is asked for first from then on
    last = server.requests[-1].body["messages"][-1]["content"]
    assert ("JSON schema" in last) == (taken != "lengths")


def test_a_newer_name_of_the_length() -> None:
    def answer(request: Request) -> Reply:
        if "max_tokens" in request.body:
            return Reply("Unsupported parameter: use 'max_completion_tokens', not 'max_tokens'", status=400)
        return Reply("ok")

    with serving(answer) as server:
        assert ask(server.url).text == "ok"
    assert server.requests[-1].body["max_completion_tokens"] == 50
    assert server.requests[-1].body["response_format"]["type"] == "json_schema"


def test_a_busy_endpoint_is_asked_again() -> None:
    busy = [Reply("slow down", 429, headers={"Retry-After": "0.01"}), Reply("", 503), Reply("", 500)]
    with serving(in_turn(*busy, Reply("at last"))) as server:
        assert ask(server.url).text == "at last"
    assert len(server.requests) == 4


def test_an_endpoint_that_stays_busy() -> None:
    with serving(in_turn(Reply("too many requests", 429))) as server:
        with pytest.raises(BusyError, match=r"no answer in 6 tries \(HTTP 429: too many requests\)"):
            ask(server.url)
        assert len(server.requests) == 6


def test_a_server_that_is_not_there() -> None:
    with serving(in_turn(Reply())) as server:
        pass
    with pytest.raises(ModelError, match="no answer in 6 tries"):
        ask(server.url)


@pytest.mark.parametrize(
    ("headers", "at_least", "at_most"),
    [
        ({}, 0, 0),
        ({"Retry-After": "2.5"}, 2.5, 2.5),
        ({"Retry-After": "-3"}, 0, 0),
        ({"Retry-After": "soon"}, 0, 0),
        ({"Retry-After": formatdate(time.time() + 36_000, usegmt=True)}, 18_000, 36_000),
        ({"Retry-After": formatdate(0, usegmt=True)}, 0, 0),
    ],
)
def test_how_long_a_header_asks_to_wait(headers: dict[str, str], at_least: float, at_most: float) -> None:
    assert at_least <= _retry_after_s(httpx.Response(429, headers=headers)) <= at_most


@pytest.mark.parametrize(
    ("reply", "text", "ended"),
    [
        (Reply('{"words": ["a', finish="length"), '{"words": ["a', "length"),
        (Reply(None, refusal="I would rather not."), "I would rather not.", "refused"),
        (Reply("", finish="content_filter"), "", "refused"),
        (Reply("This model's maximum context length is 8 tokens", status=400), "", "length"),
        (Reply(None), "", "stop"),
        (Reply(body='{"choices": [{"message": {"content": "half \\ud83d"}}]}'), "half ?", "stop"),
    ],
)
def test_replies_that_end_otherwise(reply: Reply, text: str, ended: str) -> None:
    with serving(in_turn(reply)) as server:
        came = ask(server.url)
    assert (came.text, came.ended) == (text, ended)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply("bad key", 401), f"set {KEY_VARIABLE} .HTTP 401: bad key"),
        (Reply("no model some-model", 404), "check --llm, which names both .HTTP 404: no model"),
        (Reply("seed is not for you", 422), "refused what it was asked .HTTP 422: seed is not"),
        (Reply(status=403, body="<html>\nno</html>"), "HTTP 403: <html> no</html>"),
        (Reply(body="<html>"), "not a chat completion"),
        (Reply(body='{"choices": []}'), "not a chat completion"),
        (Reply(body='{"choices": [{"message": null}]}'), "not a chat completion"),
    ],
)
def test_errors_that_waiting_does_not_mend(reply: Reply, message: str) -> None:
    with serving(in_turn(reply)) as server, pytest.raises(ModelError, match=message) as raised:
        ask(server.url)
    assert "\n" not in str(raised.value)


def test_an_address_that_is_none() -> None:
    with pytest.raises(ModelError, match="not a URL"):
        EndpointChat("http://127.0.0.1:8o/v1", "m")


def test_closing_ends_the_waiting() -> None:
    asked = threading.Event()

    def answer(_request: Request) -> Reply:
        asked.set()
        return Reply("", 429, headers={"Retry-After": "60"})

    errors: list[Exception] = []

    def call() -> None:
        try:
            chat.complete(HELLO, temperature=0, seed=0, max_tokens=5)
        except ModelError as error:
            errors.append(error)

    with serving(answer) as server:
        chat = EndpointChat(server.url, "m")
        caller = threading.Thread(target=call)
        caller.start()
        assert asked.wait(10)
        chat.close()
        caller.join(10)
        assert not caller.is_alive()
    assert "closed" in str(errors[0])
    with pytest.raises(ModelError, match="closed"):
        chat.complete(HELLO, temperature=0, seed=0, max_tokens=5)
