"""Give a badge to every student who passed a unit: a signed credential, and a picture with it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from joserfc.jwk import OKPKey
from nbgrader.api import MissingEntry

from grader.awards.badge_picture import draw
from grader.awards.credential import Award, bake, credential, sign
from grader.awards.keys import as_text, load_key
from grader.awards.verify import claims_of, verify
from grader.classroom import Classroom
from grader.lateness import earned
from grader.problem import Problem
from grader.units import Unit


@dataclass(frozen=True)
class Terms:
    """Who issues badges, from which share of the points, and for how many days (0: for ever)."""

    key: OKPKey
    pass_mark: float = 0.6
    issuer_name: str = "Half the Bits"
    issuer_url: str = ""
    valid_days: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.pass_mark <= 1:
            raise Problem("--pass-mark is a share of the points, such as 0.6")
        if not 0 <= self.valid_days <= 36_500:
            raise Problem("--valid-days is a number of days from 1 to 36500")
        if self.issuer_url and not re.fullmatch(r"https?://[^\s<>\"]+", self.issuer_url):
            raise Problem("--issuer-url is a web address, such as https://example.edu/course")
        if not self.issuer_name.strip():
            raise Problem("--issuer-name is empty: leave it out, or say who issues the badges")


@dataclass(frozen=True)
class Issued:
    """What became of one student's badge: the picture's path, or why there is none."""

    student: str
    unit: str
    score: float
    maximum: float
    picture: Path | None
    note: str


def public_key_path(root: Path) -> Path:
    """Where a class keeps the public key that tells its badges from others."""
    return root / "badges" / "issuer.jwk"


def issue(
    classroom: Classroom, chosen: list[Unit], terms: Terms, force: bool = False
) -> Iterator[Issued]:
    """Issue what was earned, and yield what became of each student's badge.

    A badge that is there stays as it is, unless ``force`` asks for a new one with the same id.

    Raises
    ------
    Problem
        If nothing has been graded, a file cannot be written, or the class has another key's badges.
    """
    if not (classroom.root / "gradebook.db").exists():
        raise Problem(f"{classroom.root} has no grades yet: make grade first")
    _publish(public_key_path(classroom.root), terms.key, force)
    for unit in chosen:
        for student, score, maximum, waiting in _grades(classroom, unit):
            picture, note = None, ""
            if waiting:
                note = "answers to mark by hand: make formgrader"
            elif score / maximum < terms.pass_mark - 1e-9:
                note = f"below {terms.pass_mark:.0%}"
            else:
                picture, note = _issue_one(classroom, unit, student, maximum, terms, force)
            yield Issued(student, unit.name, score, maximum, picture, note)


def folder_name(student: str) -> str:
    """A name for a student's folder that no other student has, and that leads nowhere else."""

    def escaped(character: str) -> str:
        return "".join(f"%{byte:02X}" for byte in character.encode())

    name = "".join(c if c.isalnum() or c in " _-.@+" else escaped(c) for c in student)
    return re.sub(r"^\.", "%2E", name)


def _publish(path: Path, key: OKPKey, force: bool) -> None:
    text = as_text(key)
    known = path.exists() and not force
    if known and load_key(path).thumbprint() != key.thumbprint():
        raise Problem(f"{path} belongs to another key: use that key, or --force to replace it")
    _write(path, text)


def _grades(classroom: Classroom, unit: Unit) -> list[tuple[str, float, float, bool]]:
    """Each student's score, the maximum, and whether a human has still to mark something."""
    with classroom.gradebook() as gradebook:
        try:
            submissions = gradebook.assignment_submissions(unit.name)
        except MissingEntry:
            return []
        found = [
            (one.student.id, earned(one), one.max_score, one.needs_manual_grade)
            for one in submissions
            if one.max_score
        ]
    return sorted(found)


def _issue_one(
    classroom: Classroom, unit: Unit, student: str, maximum: float, terms: Terms, force: bool
) -> tuple[Path, str]:
    folder = classroom.root / "badges" / folder_name(student)
    token_path, picture = folder / f"{unit.name}.jwt", folder / f"{unit.name}.svg"
    earlier = token_path.read_text(errors="replace") if token_path.exists() else ""
    if earlier and not force:
        verdict = verify(earlier.encode(), terms.key)
        if verdict.valid and not picture.exists():  # an interrupted run
            _write(picture, bake(draw(claims_of(earlier)), earlier))
        what = "issued earlier" if verdict.valid else verdict.text.partition(":")[0]
        return picture, f"{what}; kept" if verdict.valid else f"{what}: --force issues it anew"
    start = datetime.now(UTC)
    award = Award(
        student=student,
        unit=unit.name,
        title=unit_title(unit),
        criteria=f"At least {terms.pass_mark:.0%} of the unit's {maximum:g} points, for exercises "
        "that are checked automatically and answers that an instructor marks.",
        start=start,
        end=start + timedelta(days=terms.valid_days) if terms.valid_days else None,
        **_earlier_id(earlier),
    )
    content = credential(award, terms.key, terms.issuer_name, terms.issuer_url)
    token = sign(content, terms.key)
    _write(token_path, token)
    _write(picture, bake(draw(content), token))
    return picture, "issued anew" if earlier else "issued"


def unit_title(unit: Unit) -> str:
    """The first heading of the unit's notebook."""
    found = re.search(r"^# # (.+)$", unit.notebook.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1].strip() if found else unit.name


def _earlier_id(token: str) -> dict[str, str]:
    try:
        return {"id": uuid.UUID(claims_of(token)["id"]).urn}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}") from None
