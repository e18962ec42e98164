"""Grade a class of hostile submissions among honest ones, and say what each could do.

The attacks are in ``tests/hostile/``. What nobody may touch is watched meanwhile: canaries with a
secret, listeners on the loopback, the process table.
"""

from __future__ import annotations

import importlib.util
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType

import nbformat

from grader import demo, engine
from grader.classroom import Classroom
from grader.problem import Problem
from grader.results import Result
from grader.sandbox import Limits
from grader.tables import table
from grader.units import ROOT, Unit

FOLDER = ROOT / "tests" / "hostile"
LIMITS = Limits(wall=6, memory=1 << 30, processes=24, disk=64 << 20, output=16 << 20)
HONEST_EVERY = 10  # attacks between two honest submissions
PARTS = {
    "double": ("double-visible", "double-hidden"),
    "half": ("half-visible", "half-hidden"),
    "quiz": ("quiz-score",),
}
CANARY = "CANARY-"


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
    """Grade all attacks, or those of these names, in one throw-away class."""
    module = attacks()
    unit = Unit(FOLDER / module.UNIT)
    chosen = [a for a in module.ATTACKS if not names or a.name in names]
    secret = CANARY + secrets.token_hex(12)
    with tempfile.TemporaryDirectory(prefix="halfbits-hostile-") as home, _watch() as watch:
        classroom = Classroom(Path(home) / "class")
        release = classroom.prepare(unit)
        _lay_canaries(classroom.root, secret)
        honest = _hand_in(classroom, unit, release, chosen, watch)
        with _environment(secret):
            work = _interleaved([a.name for a in chosen], honest)
            how = engine.Options(workers=workers, limits=LIMITS)
            graded = engine.grade(classroom, [(name, unit) for name in work], how)
            results = {result.student: result for result in graded}
        others = all(results[name].score == _full(unit) for name in honest)
        spoiled = watch.found() + _spoiled(classroom.root, secret)
        return [
            _outcome(classroom, unit, attack, results[attack.name], secret, spoiled, others)
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
    classroom: Classroom, unit: Unit, release: Path, chosen: list, watch: _Watch
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


def _lay_canaries(root: Path, secret: str) -> None:
    for place in (root, root.parent):
        (place / "canary.txt").write_text(secret)


@contextmanager
def _environment(secret: str) -> Iterator[None]:
    os.environ["HALFBITS_CANARY"] = secret
    try:
        yield
    finally:
        del os.environ["HALFBITS_CANARY"]


def _spoiled(root: Path, secret: str) -> list[str]:
    """What was changed outside."""
    found = []
    for place in (root, root.parent):
        if (place / "canary.txt").read_text() != secret:
            found.append(f"{place.name}/canary.txt was changed")
    for top in (root.parent, ROOT / "halfbits", ROOT / "grader"):
        found += [f"{path} was written" for path in top.rglob("SPOILED*")]
    return found


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
    for word in (secret, "SPOILED-LEFT", "REACHED"):
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


class _Watch:
    """Listeners that nobody may reach, and a name that no process may have afterwards."""

    def __init__(self, folder: Path) -> None:
        self._reached: list[str] = []
        self.abstract = f"halfbits-{secrets.token_hex(6)}"
        self.socket = folder / "socket"
        self.marker = str(secrets.randbelow(10**6) + 10**7)  # seconds to sleep
        tcp = socket.create_server(("127.0.0.1", 0))
        self.port = tcp.getsockname()[1]
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        self._sockets = [tcp, udp]
        for name in (str(self.socket), f"\0{self.abstract}"):
            unix = socket.socket(socket.AF_UNIX)
            unix.bind(name)
            unix.listen()
            self._sockets.append(unix)
        for one in self._sockets:
            threading.Thread(target=self._listen, args=(one,), daemon=True).start()

    def address(self, notebook: Path) -> None:
        """Put the listeners' addresses into a submission's code."""
        if notebook.is_symlink() or not notebook.is_file():
            return
        content = notebook.read_bytes()
        if len(content) > 1 << 20:
            return
        for word, value in (
            (b"PORT", str(self.port)),
            (b"ABSTRACT", self.abstract),
            (b"SOCKET'", f"{self.socket}'"),
            (b"MARKER", self.marker),
        ):
            content = content.replace(word, value.encode())
        notebook.write_bytes(content)

    def found(self) -> list[str]:
        """What happened that must not."""
        alive = [f"a process is left: {p}" for p in _commands() if self.marker in p]
        return [*self._reached, *alive]

    def close(self) -> None:
        for one in self._sockets:
            one.close()

    def _listen(self, one: socket.socket) -> None:
        try:
            said = one.recv(10) if one.type == socket.SOCK_DGRAM else one.accept()
        except OSError:
            return
        if said:
            self._reached.append(f"the listener {one.getsockname()!r} was reached")


def _commands() -> Iterator[str]:
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                yield Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue


@contextmanager
def _watch() -> Iterator[_Watch]:
    folder = Path(tempfile.mkdtemp(prefix="halfbits-watch-"))
    watch = _Watch(folder)
    try:
        yield watch
    finally:
        watch.close()
        shutil.rmtree(folder, ignore_errors=True)


def to_json(outcomes: list[Outcome]) -> str:
    return json.dumps([outcome.to_json() for outcome in outcomes], indent=1)
