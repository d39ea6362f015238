"""Escaped HTML of the rating page: instructions, what is to be judged, and the form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from agents.render import render
from crs.evaluation.rater.cases import Attribute
from crs.evaluation.rater.prompts import AttributeWords, attribute_words
from crs.evaluation.rater.votes import SCALE
from crs.narrator.gate import POINTER, position_of
from crs.narrator.narrate import Piece
from crs.studies.ratings import Answer
from crs.studies.study import Sitting, Study, question_about
from crs.studies.trials import Told, Trial
from knowledge.types import TARGET_POINTER, Interaction, Item
from ui.cards import Evidence, answer, date_text, escape, picture, price_text, stars

CONFIDENCE = AttributeWords("How sure are you?", "a guess", "fairly sure", "certain")
SIDES = (("left", "A"), ("tie", "Tie"), ("right", "B"))
# Where the page says what is missing or went wrong; read aloud.
_STATUS = '<p class="st-status" role="status"></p>'
_LEAVE = '<button type="button" class="st-quiet" data-action="leave">Leave</button>'
_SAID = {"first": "left", "second": "right", "tie": "tie"}
_SWAPPED = {"left": "right", "right": "left", "tie": "tie"}


def welcome(study: Study) -> str:
    """The first screen: what is asked, what the scores mean, which keys there are, and where to begin."""
    compared = study.mode == "compare"
    task = (
        "Each time you see what a shopper bought and two texts about them. Say which one is truer of this "
        "shopper and better made for them: A, B, or a tie."
        if compared
        else "Each time you see what a shopper bought and a text about them. Score the text from 1 to 7 on "
        "each question below."
    )
    meanings = "" if compared else "".join(map(_meaning, _asked(study)))
    meaning = f"<h2>What the scores mean</h2><dl>{meanings}</dl>" if meanings else ""
    choose = "<kbd>A</kbd> <kbd>T</kbd> <kbd>B</kbd> choose, " if compared else ""
    return (
        '<section class="st-screen st-welcome" data-key="welcome">'
        f'<h1 tabindex="-1">{escape(study.name)}</h1>'
        f"<p>A language model wrote these texts for a shop. {task}</p>"
        "<p>Judge only by what is on the page. What the shopper wrote weighs more than what a seller says, "
        "and complaints tell as much as praise. A few texts are wrong on purpose.</p>"
        f"{meaning}"
        "<h2>Keys</h2>"
        f"<p>{choose}<kbd>1</kbd> to <kbd>7</kbd> score and go on to the next question, "
        "<kbd>↑</kbd> <kbd>↓</kbd> move between questions, <kbd>←</kbd> <kbd>→</kbd> change a score, "
        "<kbd>Enter</kbd> saves, <kbd>U</kbd> takes the last answer back.</p>"
        '<form class="st-start" novalidate><h2>Begin</h2>'
        '<label class="st-code">Your code, if you were here before'
        '<input type="text" name="code" maxlength="20" autocomplete="off" spellcheck="false"></label>'
        '<label class="st-consent"><input type="checkbox" name="consent">'
        "<span>I agree that my answers, and how long each took, are kept with this study under a code. "
        "My name is not asked for, and by the code all of it can be deleted.</span></label>"
        f'<button type="submit" class="st-main">Begin</button></form>{_STATUS}</section>'
    )


def finished(at: Sitting) -> str:
    """The last screen."""
    said = (
        f"You judged all {at.n_all} items. Every answer is saved."
        if at.n_all
        else "This study has all the ratings it asked for already."
    )
    undo = _undo(at) if at.n_done else ""
    return (
        f'<section class="st-screen st-welcome" data-key="end:{at.n_done}" data-code="{at.code}">'
        '<h1 tabindex="-1">Thank you</h1>'
        f'<p>{said}</p><div class="st-row">{undo}{_LEAVE}</div>{_STATUS}</section>'
    )


def trial_screen(study: Study, at: Sitting) -> str:
    """The trial to judge now, with the form; what was taken back is filled in again."""
    trial = at.trial
    assert trial is not None
    target = study.items[trial.target_id] if trial.target_id is not None else None
    texts = [_text(study, trial, told, side) for side, told in enumerate(at.shown)]
    pair = " st-pair" if len(texts) > 1 else ""
    key = f"{trial.trial_id}:{at.n_done}"
    return (
        f'<article class="st-screen" data-key="{key}" data-trial="{trial.trial_id}" data-code="{at.code}">'
        f"{_progress(at)}"
        f'<h1 tabindex="-1">{escape(question_about(trial.task, target))}</h1>'
        '<div class="st-columns"><div class="st-material">'
        f'<div class="st-texts{pair}">{"".join(texts)}</div>'
        f"{_about_target(target, trial.later)}"
        f"{_purchases(study, trial.history)}</div>"
        f"{_form(study, at)}</div></article>"
    )


def _asked(study: Study) -> list[Attribute]:
    """What any trial of the study asks, each once."""
    tasks = dict.fromkeys(trial.task for trial in study.trials.values())
    return list(dict.fromkeys(name for task in tasks for name in study.attributes_of(task)))


def _meaning(name: Attribute) -> str:
    words = _words(name)
    scale = f"1: {words.lowest}; 4: {words.middle}; 7: {words.highest}."
    return f"<dt>{name.capitalize()}</dt><dd>{escape(words.asks)} <span>{escape(scale)}</span></dd>"


def _words(name: Attribute) -> AttributeWords:
    """As a person reads them, who sees the product itself and no pointer to it."""
    words = attribute_words(name)
    return replace(words, asks=words.asks.replace(TARGET_POINTER, "the product"))


def _undo(at: Sitting) -> str:
    off = "" if at.n_done else " disabled"
    return f'<button type="button" class="st-quiet" data-action="undo"{off}>Undo last</button>'


def _progress(at: Sitting) -> str:
    code = " ".join(at.code[start : start + 4] for start in range(0, len(at.code), 4))
    return (
        f'<div class="st-top"><p class="st-count">{at.n_done + 1} of {at.n_all}</p>'
        f'<progress max="{at.n_all}" value="{at.n_done}" aria-label="Items judged"></progress>'
        f'<p class="st-mine">Your code: <b>{code}</b></p>{_undo(at)}{_LEAVE}</div>'
    )


def _text(study: Study, trial: Trial, told: Told, side: int) -> str:
    """One narrative with its citations; nothing in it tells who wrote it."""
    target = study.items[trial.target_id] if trial.target_id is not None else None
    pieces = [
        Piece("", position_of(part)) if POINTER.fullmatch(part) else Piece(part)
        for part in POINTER.split(told.text)
    ]
    segments = render(pieces, trial.history, target, study.items)
    evidence = [
        Evidence(k, study.items[each.item_id], _said(each), each.rating, _day(each))
        for k, each in enumerate(trial.history, start=1)
    ]
    if target is not None:
        evidence.append(Evidence(0, target))
    cited = {(segment.k, segment.item_id) for segment in segments}
    shown = [each for each in evidence if (each.k, each.item.item_id) in cited]
    body = answer(f"{trial.trial_id}-{side}", segments, shown, (), None)
    if len(trial.narratives) == 1:
        return f'<section class="st-text" aria-label="The text to judge">{body}</section>'
    name = f"Text {'AB'[side]}"
    return f'<section class="st-text" aria-label="{name}"><h2>{name}</h2>{body}</section>'


def _about_target(target: Item | None, later: Interaction | None) -> str:
    if target is None:
        return ""
    facts = [target.brand, target.department, price_text(target.price), *target.attributes.values()]
    about = [target.description, "; ".join(target.features)]
    said = ""
    if later is not None:
        words = _said(later)
        said = (
            f'<p class="st-label">What the shopper wrote of it afterwards {stars(later.rating)}</p>'
            f"<blockquote>{escape(words)}</blockquote>"
            if words
            else '<p class="st-label">The shopper wrote nothing of it afterwards.</p>'
        )
    return (
        f'<section class="st-target" aria-label="The product">{picture(target)}<div>'
        f"<h2>{escape(target.title)}</h2>"
        f'<p class="st-facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>'
        f"{''.join(f'<p>{escape(text)}</p>' for text in about if text)}{said}</div></section>"
    )


def _purchases(study: Study, history: Sequence[Interaction]) -> str:
    """What the shopper bought, oldest first and numbered as the text's citations are."""
    rows = []
    for k, each in enumerate(history, start=1):
        item, words = study.items[each.item_id], _said(each)
        facts = [item.brand, item.department, price_text(item.price), date_text(_day(each))]
        quote = f"<blockquote>{escape(words)}</blockquote>" if words else ""
        rows.append(
            f'<li><span class="st-k" aria-hidden="true">{k}</span><div>'
            f"<p><strong>{escape(item.title)}</strong> {stars(each.rating)}</p>"
            f'<p class="st-facts">{" · ".join(escape(fact) for fact in facts if fact)}</p>{quote}</div></li>'
        )
    n = len(history)
    title = "Nothing was bought before" if not n else f"{n} purchase{'s' if n > 1 else ''}, oldest first"
    return f'<details class="st-history"><summary>{title}</summary><ol>{"".join(rows)}</ol></details>'


def _form(study: Study, at: Sitting) -> str:
    assert at.trial is not None
    before = at.before
    if study.mode == "compare":
        fields = _choice(before, swapped=at.swapped)
    else:
        given = {} if before is None else before.scores
        fields = "".join(
            _scale(name, name.capitalize(), _words(name), given.get(name))
            for name in study.attributes_of(at.trial.task)
        )
    fields += _scale("confidence", "Confidence", CONFIDENCE, None if before is None else before.confidence)
    return (
        f'<form class="st-rating" novalidate aria-label="Your answer">{fields}'
        f'<button type="submit" class="st-main">Save and go on</button>{_STATUS}</form>'
    )


def _scale(name: str, label: str, words: AttributeWords, given: int | None) -> str:
    """Seven buttons for one question: radio buttons to the keyboard and to a screen reader."""
    options = "".join(
        f'<label><input type="radio" name="{name}" value="{score}"{" checked" if score == given else ""} '
        f'aria-label="{label} {score} of {SCALE[-1]}{_end(score, words)}"><span>{score}</span></label>'
        for score in SCALE
    )
    return (
        f'<fieldset data-name="{name}"><legend><b>{label}</b> <span>{escape(words.asks)}</span></legend>'
        f'<div class="st-scale">{options}</div>'
        f'<p class="st-ends" aria-hidden="true"><span>{escape(words.lowest)}</span>'
        f"<span>{escape(words.highest)}</span></p></fieldset>"
    )


def _end(score: int, words: AttributeWords) -> str:
    meaning = {SCALE[0]: words.lowest, 4: words.middle, SCALE[-1]: words.highest}.get(score)
    return f", {escape(meaning)}" if meaning else ""


def _choice(before: Answer | None, *, swapped: bool) -> str:
    side = "" if before is None or before.choice is None else _SAID[before.choice]
    side = _SWAPPED.get(side, "") if swapped else side
    options = "".join(
        f'<label><input type="radio" name="choice" value="{value}"{" checked" if value == side else ""}>'
        f"<span>{name}</span></label>"
        for value, name in SIDES
    )
    return (
        '<fieldset data-name="choice"><legend><b>Which is better?</b> '
        "<span>True of this shopper, and made for them.</span></legend>"
        f'<div class="st-scale st-sides">{options}</div></fieldset>'
    )


def _said(purchase: Interaction) -> str:
    return ". ".join(filter(None, (purchase.review_title.rstrip("."), purchase.review)))


def _day(purchase: Interaction) -> str:
    return datetime.fromtimestamp(purchase.timestamp, UTC).date().isoformat()
