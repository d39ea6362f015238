"""The one tree of errors; third-party errors are mapped into it where they enter.

RaconteurError                 a person can act on the message: it names the place and the mend
├── InputError                 a file, row or field of the input is wrong (where, what, how to mend)
├── NotFoundError              an id, a path or a name that is not there
├── BundleError                a bundle or store folder is incomplete or its parts do not fit together
├── ModelError                 the language model or the encoder cannot be loaded, or refused its input
├── BusyError                  the engine has no room for another request just now
├── ConversationError          a conversation could not be read or kept
├── NotesError                 what a person told of themselves could not be read or kept
├── ConsentError               a rating was not kept, because its person has not agreed to that
└── FeedbackError              a rating could not be written to the log
"""

from __future__ import annotations


class RaconteurError(Exception):
    """Root of every error the project raises on purpose; the message is one line."""


class InputError(RaconteurError):
    """Input that does not fit its layout; the message names file, line and field, and the mend."""

    def __init__(
        self, path: object, problem: str, *, line: int | None = None, field: str | None = None
    ) -> None:
        where = str(path)
        if line is not None:
            where += f", line {line}"
        if field is not None:
            where += f", field '{field}'"
        super().__init__(f"{where}: {problem}")
        self.path, self.problem, self.line, self.field = str(path), problem, line, field


class NotFoundError(RaconteurError):
    """Something asked for by id, name or path does not exist."""


class BundleError(RaconteurError):
    """A bundle or store folder is incomplete, damaged, or mixes parts that do not fit."""


class ModelError(RaconteurError):
    """A model cannot be loaded, or its input was refused before it could do harm."""


class BusyError(RaconteurError):
    """No room for another request at the moment; trying again later is the mend."""


class ConversationError(RaconteurError):
    """The file of conversations cannot be opened, read or written; the turn was not kept."""


class NotesError(RaconteurError):
    """The file of notes, consents and owners cannot be opened, read or written."""


class ConsentError(RaconteurError):
    """Keeping something of a person was not agreed to; ``was_asked``: they have refused it."""

    def __init__(self, message: str, *, was_asked: bool) -> None:
        super().__init__(message)
        self.was_asked = was_asked


class FeedbackError(RaconteurError):
    """A rating was not written; nothing was acknowledged."""
