"""Grade a class of hostile submissions among honest ones, and say what each could do.

The attacks are in ``tests/hostile/``. What nobody may touch is watched meanwhile
(:mod:`grader.watch`).
"""

from __future__ import annotations

import importlib.util
import json
import secrets
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType

import nbformat

from grader import demo, engine
from grader.classroom import Classroom
from grader.problem import Problem
from grader.results import Result
from grader.running.ran import Limits
from grader.tables import table
from grader.units import ROOT, Unit
from grader.watch import Watch, environment, lay_canaries, spoiled, watching

FOLDER = ROOT / "tests" / "hostile"
LIMITS = Limits(wall=6, memory=1 << 30, processes=24, disk=64 << 20, output=16 << 20)
HONEST_EVERY = 10  # attacks between two honest submissions
PARTS = {
    "double": ("double-visible", "double-hidden"),
    "half": ("half-visible", "half-hidden"),
    "quiz": ("quiz-score",),
}
CANARY = "CANARY-"
INPUT = "81916253"  # of a hidden case


@dataclass
class Outcome:
    """What an attack came to."""

    attack: str
    kind: str
    tries: str
    contained: bool
    honest_points_kept: bool
    others_graded: bool
    why: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return self.contained and self.honest_points_kept and self.others_graded

    def to_json(self) -> dict:
        return asdict(self)


def attacks(folder: Path = FOLDER) -> ModuleType:
    """The module that defines the attacks.

    Raises
    ------
    Problem
        If the project's tests are not here.
    """
    path = folder / "attacks.py"
    if not path.exists():
        raise Problem(f"the hostile submissions are not here (no {path})")
    spec = importlib.util.spec_from_file_location("hostile_attacks", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def run(names: list[str] | None = None, workers: int | None = None) -> list[Outcome]:
    """Grade all attacks, or those of these names, in one throw-away class.

    Raises
    ------
    Problem
        If a name is no attack's.
    """
    module = attacks()
    known = {attack.name for attack in module.ATTACKS}
    if unknown := [name for name in names or () if name not in known]:
        raise Problem(f"there is no attack {unknown[0]!r}: grader hostile lists all of them")
    unit = Unit(FOLDER / module.UNIT)
    chosen = [a for a in module.ATTACKS if not names or a.name in names]
    secret = CANARY + secrets.token_hex(12)
    with tempfile.TemporaryDirectory(prefix="halfbits-hostile-") as home, watching() as watch:
        classroom = Classroom(Path(home) / "class")
        release = classroom.prepare(unit)
        lay_canaries(classroom.root, secret)
        honest = _hand_in(classroom, unit, release, chosen, watch)
        with environment(secret):
            work = _interleaved([a.name for a in chosen], honest)
            how = engine.Options(workers=workers, limits=LIMITS)
            graded = engine.grade(classroom, [(name, unit) for name in work], how)
            results = {result.student: result for result in graded}
        others = all(results[name].score == _full(unit) for name in honest)
        harm = watch.found() + spoiled(classroom.root, secret)
        return [
            _outcome(classroom, unit, attack, results[attack.name], secret, harm, others)
            for attack in chosen
        ]


def as_table(outcomes: list[Outcome]) -> str:
    """The outcomes for the terminal."""
    sign = {True: "✓", False: "✗"}
    body = [
        (
            *(o.kind, o.attack, o.tries, sign[o.contained], sign[o.honest_points_kept]),
            *(sign[o.others_graded], "; ".join(o.why)),
        )
        for o in outcomes
    ]
    head = ("class", "attack", "tries to", "contained", "points kept", "others graded", "why not")
    return table(head, body)


def _full(unit: Unit) -> float:
    return sum(sum(e.points) for e in unit.exercises.values()) + unit.quiz.points


def _hand_in(
    classroom: Classroom, unit: Unit, release: Path, chosen: list, watch: Watch
) -> list[str]:
    """Write everyone's folder; return the names of the honest."""
    perfect = demo.perfect_student(unit)
    honest = [f"honest-{number:02}" for number in range(len(chosen) // HONEST_EVERY + 2)]
    for name in [*honest, *(attack.name for attack in chosen)]:
        demo.submit(classroom, unit, demo.renamed(perfect, name), release)
    for attack in chosen:
        folder = classroom.path("submitted", attack.name, unit)
        attack.apply(folder)
        watch.address(folder / f"{unit.name}.ipynb")
    return honest


def _interleaved(hostile: list[str], honest: list[str]) -> list[str]:
    work = list(hostile)
    for number, name in enumerate(honest):
        work.insert(min(number * (HONEST_EVERY + 1), len(work)), name)
    return work


def _outcome(
    classroom: Classroom,
    unit: Unit,
    attack,
    result: Result,
    secret: str,
    spoiled: list[str],
    others: bool,
) -> Outcome:
    page = (classroom.path("autograded", attack.name, unit) / f"{unit.name}.ipynb").read_text()
    why = list(spoiled)
    seen = _shown(page)
    for word in (secret, "SPOILED-LEFT", "REACHED", INPUT):
        if word in seen:
            why.append(f"its output holds {word[:12]!r}")
    contained = not why
    kept, said = _points(classroom, unit, attack)
    why += said
    if attack.says and attack.says not in f"{result.needs} {seen}":
        why.append(f"no feedback says {attack.says!r}, but {result.needs!r}")
        kept = False
    if not others:
        why.append("an honest student lost points")
    return Outcome(attack.name, attack.kind, attack.tries, contained, kept, others, why)


def _shown(page: str) -> str:
    """All outputs and notes of a graded notebook; what the student typed is not what was found."""
    notebook = nbformat.reads(page, 4)
    pieces = [c.source for c in notebook.cells if c.id == "about-submission"]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            pieces.append(output.get("text", ""))
            pieces += [str(value) for value in output.get("data", {}).values()]
            if output.output_type == "error":
                pieces.append(f"{output.ename} {output.evalue}")
    return "\n".join(pieces)


def _points(classroom: Classroom, unit: Unit, attack) -> tuple[bool, list[str]]:
    """Whether exactly what may be lost is lost."""
    with classroom.gradebook() as gradebook:
        notebook = gradebook.find_submission_notebook(unit.name, unit.name, attack.name)
        have = {grade.name: grade.auto_score for grade in notebook.grades}
        full = {grade.name: grade.max_score for grade in notebook.grades}
    said = []
    lost = {part for word in attack.loses for part in PARTS.get(word, (word,))}
    for name, points in full.items():
        if name in lost and have[name] != 0:
            said.append(f"{name} earned {have[name]:g}")
        if name not in lost and have[name] != points:
            said.append(f"{name} has {have[name]} of {points:g}")
    return not said, said


def to_json(outcomes: list[Outcome]) -> str:
    return json.dumps([outcome.to_json() for outcome in outcomes], indent=1)
