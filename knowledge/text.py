"""Plain text out of what shops publish: HTML entities, tags, scripts and control characters go."""

from __future__ import annotations

import html
import re

# Every pattern stops at the next '<' or at the end, so none backtracks over a long broken text.
_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE
)
_INLINE_TAG = re.compile(r"</?(?:a|b|big|em|font|i|small|span|strong|sub|sup|u)(?:\s[^<>]*)?>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][a-z0-9-]*(?:\s[^<>]*)?/?>", re.IGNORECASE)
# Only entities that end in ';': the old forms without it would turn "?a=1&copy=2" into "?a=1©=2".
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
_ESCAPED_AT_MOST = 3  # times over, as seen in published files ("&amp;amp;lt;")


def clean(text: str) -> str:
    """``text`` as one line of plain words: no markup, no entities, no control characters, single spaces."""
    for _ in range(_ESCAPED_AT_MOST):
        if "&" not in text:
            break
        text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
    if "<" in text:
        text = _HIDDEN.sub(" ", text)
        text = _INLINE_TAG.sub("", text)  # inside or beside a word, where a space would show
        text = _TAG.sub(" ", text)
    return " ".join(_CONTROL.sub("", text).split())
