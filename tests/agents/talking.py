"""Conversations for tests: said in turn, heard whole or event by event."""

from __future__ import annotations

from agents.conversation import Assistant
from agents.events import Answer, Done, Event


class Talk:
    """Conversations named after the test, one for each shopper."""

    def __init__(self, assistant: Assistant, name: str) -> None:
        self.assistant, self.name = assistant, name

    def __call__(self, user_id: str | None, *messages: str) -> Answer:
        """Say the messages in turn and return the last answer."""
        answers = [self.events(user_id, message)[-1] for message in messages]
        assert isinstance(answers[-1], Done)
        return answers[-1].answer

    def id(self, user_id: str | None) -> str:
        return f"{self.name}-{user_id}"

    def events(self, user_id: str | None, message: str, retry: bool = False) -> list[Event]:
        self.assistant.open(self.id(user_id), user_id)
        return list(self.assistant.reply(self.id(user_id), message, retry=retry))


def ids(answer: Answer) -> list[str]:
    return [card.id for card in answer.items]


# What is said
