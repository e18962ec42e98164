"""Find the units in solutions/ and read what each one defines."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from grader import kept
from grader.problem import Problem
from grader.quizzes import Quiz, load_quiz
from halfbits.checking import DRIVERS_FILE

if TYPE_CHECKING:  # it needs PyTorch, which takes seconds
    from grader.exercise import Exercise

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "solutions"
COURSE = ROOT / "course"


@dataclass(frozen=True)
class Unit:
    """One folder of solutions/: a text notebook of the same name, and its exercises."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def notebook(self) -> Path:
        return self.folder / f"{self.name}.py"

    @cached_property
    def imports(self) -> frozenset[str]:
        """The modules that the lesson imports, and what its first optimizer would: for a second."""
        texts = (path.read_text(encoding="utf-8") for path in self.folder.glob("*.py"))
        found = {"torch._dynamo"} if any("torch.optim" in text for text in texts) else set()
        for node in ast.walk(ast.parse(self.notebook.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names):
                    found |= {one.name for one in names}
                case ast.ImportFrom(str(module)):
                    found.add(module)
        return frozenset(found)

    @cached_property
    def made_of(self) -> str:
        """A digest of all that the unit depends on, as it was when the exercises were loaded."""
        return kept.made_of(self.folder)

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        """The exercises of ``exercises.py`` by name, in the order of their definition."""
        from grader.exercise import Exercise

        made, path = self.made_of, self.folder / "exercises.py"
        spec = importlib.util.spec_from_file_location(f"exercises_of_{self.name}", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where inspect looks for the source of a class
        spec.loader.exec_module(module)
        found = [value for value in vars(module).values() if isinstance(value, Exercise)]
        for exercise in found:
            if exercise.driven:
                exercise.drive = self._drivers[exercise.name]
        exercises = {exercise.name: exercise for exercise in found}
        kept.recall(self.folder, exercises, made)
        return exercises

    @property
    def drivers(self) -> Path:
        """How the checks drive what plain calling cannot observe; not every unit has the file."""
        return self.folder / DRIVERS_FILE

    @cached_property
    def _drivers(self) -> dict[str, Callable]:
        from halfbits.checking.checks import load_drivers

        return load_drivers(self.drivers)

    @cached_property
    def quiz(self) -> Quiz | None:
        """The quiz of ``quiz.yaml``, if the unit has one."""
        return load_quiz(self.folder)


def units(solutions: Path = SOLUTIONS) -> list[Unit]:
    """Every unit, in teaching order."""
    return [Unit(path.parent) for path in sorted(solutions.glob("*/*.py")) if _names_unit(path)]


def find_units(names: list[str], solutions: Path = SOLUTIONS) -> list[Unit]:
    """The units of these names (a beginning such as ``01`` will do), or all if none is given.

    Raises
    ------
    Problem
        If a name is no unit's, with the names that there are.
    """
    every = units(solutions)
    chosen = [unit for unit in every if any(unit.name.startswith(name) for name in names)]
    for name in names:
        if not any(unit.name.startswith(name) for unit in every):
            known = ", ".join(unit.name for unit in every)
            raise Problem(f"there is no unit {name!r}; there are: {known}")
    return chosen if names else every


def _names_unit(path: Path) -> bool:
    return path.stem == path.parent.name
