"""What several test modules need: the built course, and a class that has been graded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:  # make check-torch has no nbgrader
    from grader.classroom import Classroom
    from grader.units import Unit

# Tests run side by side, one on each core: threads of their own would only wait for each other.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Files that take minutes, longest first: no worker shall be left alone with one at the end.
LONG = (
    "test_plain_training.py", "test_plain.py", "test_units.py", "test_quiz.py", "test_grading.py",
    "test_killed.py", "test_hostile.py", "test_formgrader.py",
)  # fmt: skip

# nbgrader runs alembic by name.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))


@pytest.fixture(scope="session")
def unit() -> Unit:
    from grader.units import find_units

    return find_units(["01"])[0]


@pytest.fixture(scope="session")
def classroom(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """An empty class, in a path with a space."""
    from grader.classroom import Classroom

    return Classroom(tmp_path_factory.mktemp("a class"))


@pytest.fixture(scope="session")
def release(classroom: Classroom, unit: Unit) -> Path:
    """The folder that students of that class get for Unit 1."""
    return classroom.prepare(unit)
