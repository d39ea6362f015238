"""An answer while it is being said: the assistant's sentences and the narrator's pieces in one stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from agents.events import Cite, Said, Told
from agents.render import Segment, render
from crs.narrator.narrate import Piece
from knowledge.types import Interaction, Item, Task

if TYPE_CHECKING:
    from crs.narrator.narrate import NarrationStream


@dataclass(slots=True)
class Speech:
    """Collects what is said of one target to one person, and emits it as it comes."""

    emit: Callable[[Said], None]
    items: Mapping[str, Item]
    history: Sequence[Interaction] = ()
    target: Item | None = None
    n_stated: int = 0  # the last of the history: told in words, not bought here
    pieces: list[Piece] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        """A sentence of the assistant's own; it never cites."""
        if sentence:
            self._add(Piece(self._gap("\n\n") + sentence))

    def answer(self, sentences: Sequence[str]) -> None:
        """Sentences about the target, which is named and cited before them."""
        for piece in (Piece(self._gap("\n\n")), Piece("", 0), Piece(": " + " ".join(sentences))):
            self._add(piece)

    def tell(self, stream: NarrationStream, task: Task, seed: int) -> None:
        """A narrative, piece by piece as the narrator makes it."""
        gap = self._gap(" " if self.told else "\n\n")
        for piece in stream:
            if gap:
                self._add(Piece(gap))
                gap = ""
            self._add(piece)
        narrated = stream.result
        self.told.append(
            Told(
                task=task,
                target_id=self.target.item_id if self.target else None,
                seed=seed,
                text=narrated.text,
                sentences_rejected=narrated.sentences_rejected,
                stopped=narrated.stopped,
            )
        )

    def segments(self) -> tuple[Segment, ...]:
        """All that was said so far, names and citations in place."""
        return tuple(render(self.pieces, self.history, self.target, self.items))

    def cites(self) -> tuple[Cite, ...]:
        """The evidence behind what was said, in the order of first mention."""
        seen = dict.fromkeys((segment.k, segment.item_id) for segment in self.segments())
        return tuple(self._cite(k, item_id) for k, item_id in seen if k is not None and item_id)

    def _cite(self, k: int, item_id: str) -> Cite:
        title = self.items[item_id].title
        if k == 0:
            return Cite(0, item_id, title, "", None, None)
        purchase = self.history[k - 1]
        review = " ".join(part for part in (purchase.review_title, purchase.review) if part)
        day = datetime.fromtimestamp(purchase.timestamp, UTC).date().isoformat()
        stated = k > len(self.history) - self.n_stated
        return Cite(k, item_id, title, review, purchase.rating, None if stated else day, stated)

    def _gap(self, space: str) -> str:
        return space if self.pieces else ""

    def _add(self, piece: Piece) -> None:
        self.pieces.append(piece)
        self.emit(Said(piece, self.segments()))
