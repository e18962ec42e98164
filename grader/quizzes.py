"""Read a unit's ``quiz.yaml``: check it, render it, and say what of it students may have.

Markdown and TeX become HTML and MathML here, once, so that a notebook needs no network to show
them. ``quiz.schema.json`` says which fields there are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from grader.pages.markdown import BadTex, render, render_line
from grader.problem import Problem
from halfbits.typed import parse

SOURCE = "quiz.yaml"
_VALIDATOR = Draft202012Validator(
    json.loads(Path(__file__).with_name("quiz.schema.json").read_text(encoding="utf-8"))
)


@dataclass(frozen=True)
class Quiz:
    """A unit's quiz; ``questions`` are rendered, with key and feedback."""

    unit: str
    mode: str
    questions: list[dict]

    @property
    def points(self) -> int:
        return sum(question["points"] for question in self.questions)

    def with_key(self) -> dict:
        """All of it, as plain data: what the hidden test marks with."""
        return {"unit": self.unit, "mode": self.mode, "questions": self.questions}

    def released(self) -> dict:
        """What students get: of a graded quiz neither key nor feedback."""
        if self.mode == "practice":
            return self.with_key()
        return self.with_key() | {"questions": [_without_key(q) for q in self.questions]}


def load_quiz(folder: Path) -> Quiz | None:
    """Read the quiz of a unit's folder, if it has one.

    Raises
    ------
    Problem
        If the file is no quiz; the message names file, question and field.
    """
    path = folder / SOURCE
    if not path.exists():
        return None
    name = f"{folder.name}/{SOURCE}"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" (line {mark.line + 1})" if mark else ""
        raise Problem(f"{name} is not YAML{line}: {str(error).splitlines()[0]}") from None
    defects = sorted(_VALIDATOR.iter_errors(data), key=lambda e: len(e.absolute_path))
    for defect in defects:
        raise Problem(f"{name}: {_place(data, defect.absolute_path)}{_said(defect)}")
    for question, says in _contradictions(data["questions"]):
        raise Problem(f"{name}: question {question!r}: {says}")
    return Quiz(folder.name, data["mode"], [_rendered(name, q) for q in data["questions"]])


def _place(data: Any, path: Any) -> str:
    """``question 'limits': options[1].feedback: `` for the path of a schema error."""
    names = list(path)
    place = ""
    if len(names) >= 2 and names[0] == "questions":
        question = data["questions"][names[1]]
        known = question.get("id") if isinstance(question, dict) else None
        place = f"question {known!r}: " if known else f"question {names[1] + 1}: "
        names = names[2:]
    field = "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in names).lstrip(".")
    return f"{place}{field}: " if field else place


def _said(defect: ValidationError) -> str:
    """A schema error in the author's words."""
    value = defect.validator_value
    match defect.validator:
        case "required":
            missing = [name for name in value if name not in defect.instance]
            return f"{', '.join(missing)} is missing"
        case "additionalProperties" | "unevaluatedProperties":
            return f"unknown field {defect.message.split(chr(39))[1]!r}"
        case "enum":
            return f"{defect.instance!r} is none of {', '.join(value)}"
        case "minItems":
            return f"needs at least {value}"
        case "pattern" if not defect.instance.strip():
            return "is empty"
        case "type":
            kinds = {"object": "a mapping", "array": "a list", "string": "a text"}
            wanted = kinds.get(value, " or ".join([value] if isinstance(value, str) else value))
            return f"must be {wanted}, not {str(defect.instance)[:40]!r}"
    return defect.message


def _contradictions(questions: list[dict]) -> Iterator[tuple[str, str]]:
    """What the schema cannot say."""
    seen: set[str] = set()
    for question in questions:
        name = question["id"]
        if name in seen:
            yield name, "id: used twice"
        seen.add(name)
        if question["kind"] == "number":
            yield from ((name, says) for says in _number_defects(question))
        else:
            yield from ((name, says) for says in _option_defects(question))


def _option_defects(question: dict) -> Iterator[str]:
    names = [option["id"] for option in question["options"]]
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"options: two have the id {name!r}"
    right = sum(option.get("right", False) for option in question["options"])
    if question["kind"] == "one" and right != 1:
        yield f"options: one must be right, and {right or 'none'} is marked as right"
    if question["kind"] == "several" and not right:
        yield "options: none is marked as right"


def _number_defects(question: dict) -> Iterator[str]:
    bounds = [
        (f"wrong[{i}].{end}", wrong[end])
        for i, wrong in enumerate(question["wrong"])
        for end in ("from", "below")
        if end in wrong
    ]
    answers = [(f"answers[{i}]", answer) for i, answer in enumerate(question["answers"])]
    for field, text in [*answers, ("tolerance", question.get("tolerance", 0)), *bounds]:
        try:
            parse(str(text))
        except ValueError as error:
            yield f"{field}: {error}"
    if question["wrong"][-1].keys() != {"feedback"}:
        yield "wrong: the last must fit every number, so it has neither from nor below"


def _without_key(question: dict) -> dict:
    public = {name: question[name] for name in ("id", "kind", "points", "text")}
    if "options" in question:
        options = [{name: o[name] for name in ("id", "text")} for o in question["options"]]
        public["options"] = options
    return public


def _rendered(file: str, question: dict) -> dict:
    """Texts become ``{"markdown", "html"}``, numbers texts, and what may be left out is there."""

    def rich(text: str, field: str, to_html: Callable[[str], str] = render) -> dict[str, str]:
        try:
            return {"markdown": text.strip(), "html": to_html(text)}
        except BadTex as error:
            raise Problem(f"{file}: question {question['id']!r}: {field}: {error}") from None

    full = {name: question[name] for name in ("id", "kind", "points")}
    full["text"] = rich(question["text"], "text")
    if question["kind"] != "number":
        full["options"] = [
            {
                "id": option["id"],
                "text": rich(option["text"], f"options[{i}].text", render_line),
                "feedback": rich(option["feedback"], f"options[{i}].feedback"),
                "right": option.get("right", False),
            }
            for i, option in enumerate(question["options"])
        ]
        return full
    full["answers"] = [str(answer) for answer in question["answers"]]
    full["tolerance"] = str(question.get("tolerance", 0))
    full["feedback"] = rich(question["feedback"], "feedback")
    full["wrong"] = [
        {end: str(wrong[end]) for end in ("from", "below") if end in wrong}
        | {"feedback": rich(wrong["feedback"], f"wrong[{i}].feedback")}
        for i, wrong in enumerate(question["wrong"])
    ]
    return full
