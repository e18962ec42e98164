"""Define an exercise once: reference, cases, wrong answers, right alternatives, points.

Everything else is derived from the definition: the visible check that a student runs, the hidden
check that grades, the hints, the sample students of ``make demo``, and the adequacy table.

>>> ulp = Exercise("ulp", points=(1, 2))
>>> @ulp.reference
... def _(x, dtype): ...
>>> ulp.visible(case(1.0, torch.float16))
>>> ulp.hidden("zero", case(0.0, torch.float16))
>>> @ulp.wrong("eps·|x| is the spacing only at the lower end of each binade.")
... def eps_times_x(x, dtype): ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from halfbits.checking.checks import try_out
from halfbits.checking.codec import encode
from halfbits.checking.compare import EXACT, close, within_ulps
from halfbits.checking.differences import as_text
from halfbits.checking.judge import Verdict, seal, wrong_outputs
from halfbits.checking.observe import observe

__all__ = ["Answer", "Case", "Exercise", "case", "close", "sweep", "within_ulps"]


@dataclass(frozen=True)
class Case:
    """One call: its arguments, and how a student would type it where ``repr`` is no help."""

    args: tuple
    call: str | None = None
    sweep: bool = False


def case(*args: Any, call: str | None = None) -> Case:
    """One call of the student's function with these arguments."""
    return Case(args, call)


def sweep(values: Sequence, *rest: Any) -> Case:
    """One call for each value, as the first argument; judged as one case."""
    return Case((values, *rest), sweep=True)


@dataclass(frozen=True)
class Answer:
    """A known answer: its function and, if it is wrong, the sentence that says why."""

    name: str
    function: Callable
    says: str = ""


@dataclass
class Exercise:
    """The one definition of an exercise.

    Parameters
    ----------
    name
        Name of the function, or class, that the student writes.
    points
        For the visible and for the hidden check.
    unit
        How answers are shown: ``"value"``, or the format whose bit patterns they are (``"fp16"``).
    compare
        When two outputs agree: exactly, :func:`close` or :func:`within_ulps`.
    driven
        True where the unit's ``drivers.py`` has a function of the same name that observes the
        student's: it takes the function and a case's arguments and returns plain data.
    """

    name: str
    points: tuple[int, int]
    unit: str = "value"
    compare: dict[str, Any] = field(default_factory=lambda: dict(EXACT))
    driven: bool = False
    drive: Callable | None = None
    oracle: Callable | None = None
    visible_cases: list[tuple[str, Case]] = field(default_factory=list)
    hidden_cases: list[tuple[str, Case]] = field(default_factory=list)
    wrong_answers: list[Answer] = field(default_factory=list)
    right_answers: list[Answer] = field(default_factory=list)

    def reference(self, function: Callable) -> Callable:
        """Decorator: the trusted answer, which need not be the one that the lesson teaches."""
        self.oracle = function
        return function

    def visible(self, *cases: Case) -> None:
        """Cases that students see, with what is expected."""
        self.visible_cases += [("shown", c) for c in cases]

    def hidden(self, kind: str, *cases: Case) -> None:
        """Cases of one kind that only grading runs; students are told the kind, no more."""
        self.hidden_cases += [(kind, c) for c in cases]

    def wrong(self, says: str) -> Callable[[Callable], Callable]:
        """Decorator: an answer that must lose points, and the sentence that names its mistake."""

        def register(function: Callable) -> Callable:
            self.wrong_answers.append(Answer(function.__name__, function, says))
            return function

        return register

    def right(self, says: str) -> Callable[[Callable], Callable]:
        """Decorator: an answer written differently from the lesson's that must get full marks."""

        def register(function: Callable) -> Callable:
            self.right_answers.append(Answer(function.__name__, function, says))
            return function

        return register

    @cached_property
    def visible_spec(self) -> dict:
        """What ``checks.json`` holds: see :mod:`halfbits.checking.judge`."""
        return self._spec(self.visible_cases)

    @cached_property
    def hidden_spec(self) -> dict:
        """What the hidden region of the graded notebook holds: expected outputs are sealed."""
        spec = self._spec(self.hidden_cases) | {"hidden": True}
        if self.compare != EXACT:
            return spec
        sealed = [one | {"expected": seal(one["expected"])} for one in spec["cases"]]
        return spec | {"cases": sealed}

    def _spec(self, cases: list[tuple[str, Case]]) -> dict:
        bare = [{"args": encode(c.args), "sweep": c.sweep} for _, c in cases]
        expected, _ = observe(self.oracle, bare, self.drive)
        if broken := [seen.problem for seen in expected if seen.problem]:
            raise ValueError(f"{self.name}: the reference fails on a case of its own: {broken[0]}")
        spec = {
            "exercise": self.name,
            "unit": self.unit,
            "compare": self.compare,
            "driven": self.driven,
            "hidden": False,
            "cases": [
                {"kind": kind, "call": self._call(c), "expected": seen.output} | plain
                for (kind, c), seen, plain in zip(cases, expected, bare, strict=True)
            ],
            "hints": [],
        }
        return spec | {"hints": self._hints(spec)}

    def _hints(self, spec: dict) -> list[dict]:
        hints = []
        for answer in self.wrong_answers:
            observations, _ = observe(answer.function, spec["cases"], self.drive)
            if outputs := wrong_outputs(spec, observations):
                hints.append({"says": answer.says, "outputs": outputs})
        return hints

    def _call(self, one: Case) -> str:
        first, *rest = one.args if one.args else ("",)
        if one.sweep:
            first = f"one of {len(first):,} values"
            shown = [first, *map(as_text, rest)]
        else:
            shown = [as_text(arg) for arg in one.args]
        return one.call or f"{self.name}({', '.join(shown)})"

    def try_visible(self, function: Callable) -> Verdict:
        """What the visible check says of an answer."""
        return try_out(self.visible_spec, function, self.drive)[0]

    def try_hidden(self, function: Callable) -> Verdict:
        """What the hidden check says of an answer."""
        return try_out(self.hidden_spec, function, self.drive)[0]
