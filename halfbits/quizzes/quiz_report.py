"""Quiz questions as static HTML and text: without a browser, while grading, in feedback pages."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from halfbits.checking.report import STYLE
from halfbits.pictures.shown import Shown
from halfbits.quizzes.questions import Marked

_ASKS = {"one": "choose one", "several": "choose all that hold", "number": "type a number"}
_EXAMPLES = {"one": '"a"', "several": '["a", "b"]', "number": "42"}
QUIZ_STYLE = """
<style>
.hb-quiz p { margin: 2px 0; } .hb-quiz .hb-head { margin: 0 0 2px; }
.hb-quiz ul { list-style: none; padding: 0; margin: 4px 0 6px; }
.hb-quiz hr { margin: 12px 0; border: 0; border-top: 1px solid var(--jp-border-color2, #8884); }
.hb-quiz .hb-hint { border-left-color: #149170; }
.hb-quiz .hb-hint.hb-no { border-left-color: #d4660e; }
</style>
"""


def question_view(one: Marked, note: str = "") -> Shown:
    """A question with all its options, those chosen with a mark, and feedback if it was marked."""
    ask = "" if one.choice else f'hb.quiz.answer("{one.name}", {_EXAMPLES[one.kind]})'
    text = [
        _title(one),
        *_text(one, every_option=True),
        note,
        ask and f"To answer from code: {ask}",
    ]
    page = f"{_head(_title(one))}{_html(one, every_option=True)}<p>{html.escape(note)}</p>"
    return Shown(_box(page), "\n".join(filter(None, text)))


def score_view(marked: Sequence[Marked], problem: str = "") -> Shown:
    """The points of a quiz, then each question with what was chosen and why it is right or not."""
    earned, full = sum(one.points for one in marked), sum(one.question["points"] for one in marked)
    says = f"quiz: {earned} of {full} points" + (f"; {problem}" if problem else "")
    titles = [_title(one, f"{one.points} of ") for one in marked]
    if problem:  # every question would say the same
        return Shown(_box(_head(says)), says)
    pages = [_head(t) + _html(one) for t, one in zip(titles, marked, strict=True)]
    texts = ["\n".join([t, *_text(one)]) for t, one in zip(titles, marked, strict=True)]
    return Shown(_box("<hr>".join([_head(says), *pages])), "\n\n".join([says, *texts]))


def line_view(sign: str, says: str) -> Shown:
    """One line, as the head of a report."""
    return Shown(_box(_head(f"{sign} {says}")), f"{sign} {says}")


@dataclass(frozen=True)
class _Line:
    """What one option, or a typed number, shows."""

    letter: str
    html: str
    text: str
    chosen: bool


def _lines(one: Marked, every_option: bool) -> list[_Line]:
    chosen = one.choice if isinstance(one.choice, list) else [one.choice]
    if one.kind == "number":
        shown = f"<code>{html.escape(str(one.choice))}</code>"
        return [_Line("", shown, str(one.choice), True)] if one.choice else []
    lines = [
        _Line(o["id"], o["text"]["html"], o["text"]["markdown"], o["id"] in chosen)
        for o in one.question["options"]
    ]
    return [line for line in lines if every_option or line.chosen]


def _text(one: Marked, every_option: bool = False) -> list[str]:
    lines = [one.question["text"]["markdown"]]
    for line in _lines(one, every_option):
        lines.append(f" {'●' if line.chosen else '○'} {f'{line.letter}  '.lstrip()}{line.text}")
    if one.mark:
        lines.append("✓ right" if one.mark.right else "✗ not right")
        lines += [reason.text["markdown"] for reason in one.mark.reasons]
    return [*lines, one.problem] if one.problem else lines


def _html(one: Marked, every_option: bool = False) -> str:
    items = "".join(
        f"<li>{'●' if line.chosen else '○'} <b>{line.letter.upper()}</b> {line.html}</li>"
        for line in _lines(one, every_option)
    )
    problem = f'<p class="hb-bad">{html.escape(one.problem)}</p>' if one.problem else ""
    return f"{one.question['text']['html']}<ul>{items}</ul>{_feedback(one)}{problem}"


def _feedback(one: Marked) -> str:
    if not one.mark:
        return ""
    several = len(one.mark.reasons) > 1
    reasons = "".join(
        (f"<p><b>{reason.option.upper()}</b></p>" if several and reason.option else "")
        + reason.text["html"]
        for reason in one.mark.reasons
    )
    sign = (
        '<b class="hb-good">✓ right</b>' if one.mark.right else '<b class="hb-bad">✗ not right</b>'
    )
    return f'<div class="hb-hint{"" if one.mark.right else " hb-no"}">{sign}{reasons}</div>'


def _title(one: Marked, earned: str = "") -> str:
    points = one.question["points"]
    worth = f"{earned}{points} point{'s' if points > 1 else ''}"
    return f"Question {one.number} of {one.of} · {one.name} · {worth} · {_ASKS[one.kind]}"


def _head(text: str) -> str:
    return f'<p class="hb-head">{html.escape(text)}</p>'


def _box(inside: str) -> str:
    return f'{STYLE}{QUIZ_STYLE}<div class="hb-report hb-quiz">{inside}</div>'
