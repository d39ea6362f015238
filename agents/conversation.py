"""The assistant: conversations over one shop, each turn a walk through a LangGraph graph.

A conversation's state lives in the graph's checkpointer under its own thread; nothing is shared between two.
One checkpoint is kept a turn, so that a conversation can be taken back to any earlier message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from agents.checkpoints import mapped_errors
from agents.events import Answer, Event, Message
from agents.farewell import agrees_to_be_forgotten, farewell
from agents.note_phrasing import forgotten_all
from agents.people import Kept, People, guest_id
from agents.plan import Wishes
from agents.state import Conversation, Turn, turn_seed
from agents.turn import Steps
from agents.turns import Turns
from knowledge.errors import NotFoundError
from knowledge.notes import Notebook

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph
    from langgraph.runtime import Runtime

    from crs.shop import Shop

    Graph = CompiledStateGraph[Conversation, Turn, Conversation, Conversation]


class Assistant:
    """Talks about one shop. Any number of conversations at once, one turn at a time in each."""

    def __init__(
        self,
        shop: Shop,
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        notebook: Notebook | None = None,
    ) -> None:
        """``checkpointer`` keeps conversations (checkpoints.py), ``notebook`` what people told of themselves.

        Without one these end with the process.
        """
        from langgraph.checkpoint.memory import InMemorySaver

        self.shop = shop
        self._checkpointer = checkpointer or InMemorySaver()
        self.people = People(shop, notebook or Notebook(), self._checkpointer)
        self.steps = Steps(shop, self.people)
        self._graph = _build_graph(self.steps, self._checkpointer)
        self._turns = Turns()

    def open(self, conversation_id: str, user_id: str | None = None, owner: str | None = None) -> None:
        """Begin a conversation with a shopper (None: someone new), or go on with the one they began.

        ``owner``: whose notes it follows and who may have it forgotten; the shopper by default. Another
        shopper or owner under the same id begins anew. Raises NotFoundError for an unknown shopper.
        """
        if user_id is not None:
            self.shop.person(user_id)
        owner = owner or user_id or guest_id(conversation_id)
        with self._turns.of(conversation_id), mapped_errors():
            state = self._state(conversation_id)
            if not state or (state["user_id"], state.get("owner")) != (user_id, owner):
                self._begin(conversation_id, user_id, owner)
            else:
                self.people.notebook.begin(conversation_id, owner)  # a notebook of this process knows none

    def reply(
        self,
        conversation_id: str,
        message: str,
        stop: threading.Event | None = None,
        *,
        retry: bool = False,
    ) -> Iterator[Event]:
        """The answer as it comes: `Understood`, `Cards`, many `Said`, `Done`; `Waiting` while it has to.

        Setting ``stop``, or closing the iterator, ends the telling; what was said so far is kept and marked.
        ``retry`` answers the last message again with another seed, in place of the answer before; ``message``
        is not read then. Raises NotFoundError for a conversation not opened or without a message to retry,
        BusyError while another answer of this conversation is being said.
        """
        stop = stop or threading.Event()
        with self._turns.of(conversation_id, stop), mapped_errors():
            state = self._opened(conversation_id)
            if not retry and agrees_to_be_forgotten(state, message):
                # no walk through the graph, which would keep what was said
                kept = self._forget_person(state["owner"], within=conversation_id)
                yield from farewell(state, forgotten_all(kept), self.shop)
                return
            messages = state["messages"]
            attempt = 0
            if retry:
                if not messages:
                    raise NotFoundError(f"conversation '{conversation_id}': no message to answer again")
                message, attempt = messages[-2]["text"], messages[-2]["attempt"] + 1
                self._take_back(conversation_id, len(messages) - 2)
            seed = turn_seed(conversation_id, len(messages) - 2 * retry, attempt)
            events = self._graph.stream(
                {},
                _thread(conversation_id),
                context=Turn(message, seed, stop, attempt),
                stream_mode="custom",
                durability="exit",
            )
            try:
                # not `yield from`, which would close the graph's stream before it can be read to its end
                for event in events:
                    yield cast(Event, event)
            except GeneratorExit:
                stop.set()
                for _ in events:  # nobody listens any more, but what was said is still to be kept
                    pass
                raise

    def history(self, conversation_id: str) -> list[Message]:
        """All messages of a conversation, oldest first. Raises NotFoundError when it was never opened."""
        return [
            Message(each["role"], each["text"], Answer.from_json(each["answer"]) if each["answer"] else None)
            for each in self._opened(conversation_id)["messages"]
        ]

    def user_id(self, conversation_id: str) -> str | None:
        """Who talks in a conversation; None for someone new. Raises NotFoundError like `history`."""
        return self._opened(conversation_id)["user_id"]

    def owner(self, conversation_id: str) -> str:
        """Whose conversation it is. Raises NotFoundError like `history`."""
        owner = self._opened(conversation_id).get("owner")
        if owner is None:
            raise NotFoundError(f"conversation '{conversation_id}' is nobody's; begin another")
        return owner

    def rewind(self, conversation_id: str, n_messages: int) -> None:
        """Keep only the first ``n_messages`` (a whole exchange is two) and forget what came of the rest."""
        with self._turns.of(conversation_id), mapped_errors():
            self._take_back(conversation_id, n_messages)

    def forget(self, owner: str) -> Kept:
        """Delete a person's conversations, notes and ratings to the last byte; returns how much there was.

        Answers being written for them are stopped first. Raises BusyError where one does not end.
        """
        return self._forget_person(owner)

    def _forget_person(self, owner: str, within: str | None = None) -> Kept:
        """``within``: the conversation whose turn asks for it, which need not end first."""
        conversation_ids = self.people.notebook.conversations(owner)
        with self._turns.stopped([each for each in conversation_ids if each != within]):
            return self.people.forget(owner, conversation_ids)

    def between_turns(self, do: Callable[[], None], *, patience_s: float = 60.0) -> None:
        """Call ``do``, which must be quick, while nobody is being answered, or after ``patience_s``."""
        self._turns.between(do, patience_s)

    def _begin(self, conversation_id: str, user_id: str | None, owner: str) -> None:
        self._checkpointer.delete_thread(conversation_id)
        self.people.notebook.begin(conversation_id, owner)
        empty: Conversation = {
            "conversation_id": conversation_id,
            "user_id": user_id,
            "owner": owner,
            "messages": [],
            "stated": [],
            "wishes": asdict(Wishes()),
            "shown": [],
            "focus": None,
            "question": None,
        }
        self._graph.update_state(_thread(conversation_id), empty, as_node="remember")

    def _take_back(self, conversation_id: str, n_messages: int) -> None:
        state = self._opened(conversation_id)
        n_messages = max(0, n_messages - n_messages % 2)
        if n_messages >= len(state["messages"]):
            return
        self.people.notebook.take_back(conversation_id, n_messages)
        if n_messages == 0:
            self._begin(conversation_id, state["user_id"], state["owner"])
            return
        for past in self._graph.get_state_history(_thread(conversation_id)):
            if len(past.values.get("messages", ())) == n_messages and not past.next:
                self._graph.update_state(past.config, cast(Conversation, past.values), as_node="remember")
                return

    def _state(self, conversation_id: str) -> Conversation:
        with mapped_errors():
            return cast(Conversation, self._graph.get_state(_thread(conversation_id)).values)

    def _opened(self, conversation_id: str) -> Conversation:
        state = self._state(conversation_id)
        if not state:
            raise NotFoundError(f"no conversation '{conversation_id}'; open it first")
        return state


def _build_graph(steps: Steps, checkpointer: BaseCheckpointSaver[Any]) -> Graph:
    """understand -> recall -> recommend -> narrate -> remember, checkpointed."""
    from langgraph.graph import END, START, StateGraph

    def understand(state: Conversation, runtime: Runtime[Turn]) -> Conversation:
        steps.understand(state, runtime.context)
        return {}

    def recall(state: Conversation, runtime: Runtime[Turn]) -> Conversation:
        steps.recall(state, runtime.context, runtime.stream_writer)
        return {}

    def recommend(state: Conversation, runtime: Runtime[Turn]) -> Conversation:
        steps.recommend(state, runtime.context, runtime.stream_writer)
        return {}

    def narrate(state: Conversation, runtime: Runtime[Turn]) -> Conversation:
        steps.narrate(state, runtime.context, runtime.stream_writer)
        return {}

    def remember(state: Conversation, runtime: Runtime[Turn]) -> Conversation:
        return steps.remember(state, runtime.context, runtime.stream_writer)

    graph = StateGraph(Conversation, Turn)
    graph.add_node("understand", understand)
    graph.add_node("recall", recall)
    graph.add_node("recommend", recommend)
    graph.add_node("narrate", narrate)
    graph.add_node("remember", remember)
    order = [START, "understand", "recall", "recommend", "narrate", "remember", END]
    for before, after in zip(order, order[1:], strict=False):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=checkpointer)


def _thread(conversation_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": conversation_id}}
