from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.text import clean


@pytest.mark.parametrize(
    ("published", "plain"),
    [
        ("Brown &amp; Blue", "Brown & Blue"),
        ("&amp;quot;twice&amp;quot; escaped", '"twice" escaped'),
        ("5&#34; wide, 3&#x27; long", "5\" wide, 3' long"),
        ("<p>One.</p><p>Two.</p>", "One. Two."),
        ("a <b>bold</b>, <span class='x'>plain</span> word", "a bold, plain word"),
        ("line<br/>break<br>again", "line break again"),
        ("&lt;br&gt;escaped tag", "escaped tag"),
        ("kept <!-- .style { x: y } --> kept", "kept kept"),
        ("kept <!-- cut off in the middle", "kept"),
        ("a<script type='x'>if (a < b) {}</script>b", "a b"),
        ("a<STYLE>p {}</STYLE >b", "a b"),
        ("I <3 it, 4 < 5 and 5 > 4", "I <3 it, 4 < 5 and 5 > 4"),
        ("mail <me@shop.example>", "mail <me@shop.example>"),
        ("?a=1&copy=2 R&D AT&T", "?a=1&copy=2 R&D AT&T"),
        ("tab\tand\nline\x00\x07", "tab and line"),
        ("half \ud83d of a pair", "half of a pair"),
        ("  ", ""),
    ],
)
def test_markup_goes_and_words_stay(published: str, plain: str) -> None:
    assert clean(published) == plain


WELL_FORMED = ["<b>x</b>", "<br>", "<!-- x -->", "&amp;", "&lt;b&gt;", "5 < 6", "x", " ", "<style>p</style>"]


@given(st.lists(st.sampled_from(WELL_FORMED), max_size=12))
def test_what_is_clean_stays_as_it_is(parts: list[str]) -> None:
    once = clean("".join(parts))
    assert clean(once) == once
    assert not any(mark in once for mark in ("<b", "</", "<!", "&amp;", "<style"))


@pytest.mark.parametrize("broken", ["<", "<a ", "<!--", "<style>", "<style", "&amp;", "&amp", "<b", "&#"])
def test_long_broken_markup_does_not_backtrack(broken: str) -> None:
    # 2 MB of it: anything but linear time would not come back.
    assert len(clean(broken * (2_000_000 // len(broken)))) <= 2_000_000
