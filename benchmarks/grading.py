"""How fast a class is graded: plain nbgrader and our grader on the same submissions, in turn.

    python benchmarks/grading.py [--students N] [--unit UNIT] [--rounds N] [--growth N N]

Every number is that of a whole command as an instructor types it, start-up included. Both ways
grade the same class, alternating; the scores are compared. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
INSIDE = ROOT / "grader" / "running" / "inside"
sys.path[:0] = [str(ROOT), str(INSIDE)]

from benchmarks.machine import measured_here  # noqa: E402
from grader import demo  # noqa: E402
from grader.bundle import bundle  # noqa: E402
from grader.classroom import Classroom  # noqa: E402
from grader.intake import take_in  # noqa: E402
from grader.record import history  # noqa: E402
from grader.results import recorded  # noqa: E402
from grader.scores import make_job  # noqa: E402
from grader.tables import table  # noqa: E402
from grader.units import Unit, find_units  # noqa: E402

OURS = {1: ("--workers", "1"), 2: ("--workers", "2")}


@dataclass(frozen=True)
class Run:
    """One command.

    Attributes
    ----------
    seconds
        That it took in all.
    memory
        Bytes, the most that its processes held; shared pages count for each.
    own
        Seconds of processor time of the command itself, without sandboxes and kernels.
    """

    seconds: float
    memory: int
    own: float


def main() -> int:
    """Measure, print tables, and one JSON object as the last line; 1 if scores differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=20, help="in the class (20)")
    parser.add_argument("--unit", default="01", help="that they submit (01)")
    parser.add_argument("--rounds", type=int, default=2, help="of both ways in turn (2)")
    parser.add_argument("--growth", type=int, nargs=2, default=(20, 200), metavar="N")
    asked = parser.parse_args()
    (unit,) = find_units([asked.unit])
    with tempfile.TemporaryDirectory() as folder:
        template = make_class(Path(folder) / "class", unit, max(asked.students, *asked.growth))
        pure = pure_seconds(template, unit)
        runs, equal = compare_ways(Path(folder), template, unit, asked.students, asked.rounds)
        growth = {n: grow(Path(folder), template, unit, n) for n in asked.growth}
        job = job_seconds(Classroom(Path(folder) / f"growth-{max(asked.growth)}"), unit)
    figures = summary(asked.students, runs, pure, growth) | {"scores_equal": equal}
    figures |= {"job_seconds": job, "writer_seconds": writer_seconds(growth)}
    show(figures, unit)
    record = {"benchmark": "grading", "unit": unit.name} | figures
    print(json.dumps(record | measured_here("nbgrader", "torch", "ipykernel")))
    return 0 if equal else 1


def make_class(root: Path, unit: Unit, count: int) -> Classroom:
    """A class of ``count``: perfect, unsolved, and every known wrong answer, over and over."""
    classroom = Classroom(root)
    release = classroom.prepare(unit)
    samples = demo.packed_class(unit)
    for number in range(count):
        student = demo.renamed(samples[number % len(samples)], f"student-{number:04}")
        demo.submit(classroom, unit, student, release)
    return classroom


def compare_ways(
    folder: Path, template: Classroom, unit: Unit, count: int, rounds: int
) -> tuple[dict[str, list[Run]], bool]:
    """Grade the same class both ways in turn, each time afresh; then ours once more, unchanged."""
    runs: dict[str, list[Run]] = {"plain": [], "1 worker": [], "2 workers": [], "cached": []}
    scores = []
    for number in range(rounds):
        plain = copy_class(template, folder / f"plain-{number}", count)
        runs["plain"].append(timed(plain, unit, "--plain"))
        scores.append(scores_of(plain, unit))
        for workers, options in OURS.items():
            ours = copy_class(template, folder / f"ours-{number}-{workers}", count)
            name = "2 workers" if workers == 2 else "1 worker"
            runs[name].append(timed(ours, unit, *options))
            scores.append(scores_of(ours, unit))
        runs["cached"].append(timed(ours, unit))
        scores.append(scores_of(ours, unit))
    return runs, all(one == scores[0] for one in scores)


def grow(folder: Path, template: Classroom, unit: Unit, count: int) -> Run:
    """Grade a class of another size, with a worker for each core."""
    return timed(copy_class(template, folder / f"growth-{count}", count), unit)


def job_seconds(classroom: Classroom, unit: Unit) -> float:
    """Mean processor time of a job in its sandbox."""
    students = sorted(path.name for path in classroom.submitted.iterdir())
    entries = [history(classroom, unit, student)[-1] for student in students]
    return round(statistics.mean(e.usage["cpu"] for e in entries if "cpu" in e.usage), 3)


def writer_seconds(growth: dict[int, Run]) -> float:
    """Processor time of a submission outside its sandbox: intake, judging, gradebook."""
    (few, small), (many, large) = sorted(growth.items())
    return round((large.own - small.own) / (many - few), 4)


def copy_class(template: Classroom, root: Path, count: int) -> Classroom:
    """The first ``count`` submissions, and nothing graded yet."""
    for student in sorted(template.submitted.iterdir())[:count]:
        shutil.copytree(student, root / "submitted" / student.name)
    return Classroom(root)


def timed(classroom: Classroom, unit: Unit, *options: str) -> Run:
    """Run ``grader grade`` as a command of its own."""
    command = [sys.executable, "-m", "grader", "grade", unit.name, *options]
    command += ["--classroom", str(classroom.root)]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as it:
        watch = _Watch(it.pid)
        said, _ = it.communicate()
        seconds = time.perf_counter() - started
    if it.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{said.decode(errors='replace')[-2000:]}")
    return Run(seconds, *watch.stop())


class _Watch:
    """Looks twice a second at what a process uses, and its children."""

    def __init__(self, pid: int) -> None:
        self._process, self._ended = psutil.Process(pid), threading.Event()
        self._most, self._own = 0, 0.0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._most = max(self._most, sum(map(_resident, self._all())))
            self._own = _processor_time(self._process) or self._own

    def _all(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return []

    def stop(self) -> tuple[int, float]:
        self._ended.set()
        self._thread.join()
        return self._most, self._own


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _processor_time(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return times.user + times.system


def scores_of(classroom: Classroom, unit: Unit) -> dict[str, float | None]:
    """The score of each student in the gradebook."""
    students = sorted(path.name for path in classroom.submitted.iterdir())
    with classroom.gradebook() as gradebook:
        return {name: recorded(gradebook, name, unit).score for name in students}


def pure_seconds(template: Classroom, unit: Unit) -> float:
    """Mean time of a submission's cells and checks alone, in a process that has imported all.

    No sandbox, no start-up, no judging, no gradebook: what no grader can save.
    """
    built = bundle(template, unit)
    count = len(demo.packed_class(unit))
    students = sorted(template.submitted.iterdir())[:count]
    jobs = [make_job(built, take_in(path / unit.name, built), seed=1) for path in students]
    _warm_up(unit)
    return statistics.mean(_seconds_in_fork(job) for job in jobs)


def _warm_up(unit: Unit) -> None:
    import job  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import torch
    from shell import Shell

    import halfbits

    torch.set_num_threads(1)
    for name in unit.imports:
        import_module(name)
    for name in halfbits.__all__:
        getattr(halfbits, name)
    str(halfbits.spacing("fp16").svg)
    Shell.instance().run("pass")
    Shell.instance().enable_pictures()
    gc.freeze()


def _seconds_in_fork(task: dict) -> float:
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        from job import run_job
        from shell import Shell

        with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as nowhere:
            os.chdir(folder)
            started = time.perf_counter()
            run_job(task, Shell.instance(), nowhere.fileno(), lambda: task["hidden"])
            os.write(theirs, f"{time.perf_counter() - started}".encode())
        os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return float(said)


def summary(count: int, runs: dict[str, list[Run]], pure: float, growth: dict[int, Run]) -> dict:
    """The figures that the goals are about."""
    seconds = {
        name: statistics.median(run.seconds for run in found) for name, found in runs.items()
    }
    memory = {name: max(run.memory for run in found) for name, found in runs.items()}
    cores = min(2, os.cpu_count() or 1)
    return {
        "students": count,
        "ratio": round(seconds["plain"] / seconds["2 workers"], 1),
        "ratio_cached": round(seconds["plain"] / seconds["cached"], 1),
        "submissions_per_minute": {n: round(60 * count / s, 1) for n, s in seconds.items()},
        "pure_share": round(pure * count / (cores * seconds["2 workers"]), 3),
        "pure_seconds": round(pure, 3),
        "seconds": {name: [round(run.seconds, 2) for run in found] for name, found in runs.items()},
        "memory_mb": {name: most >> 20 for name, most in memory.items()},
        "growth_seconds_each": {str(n): round(run.seconds / n, 3) for n, run in growth.items()},
        "growth_pure_share": {
            str(n): round(pure * n / (cores * run.seconds), 3) for n, run in growth.items()
        },
    }


def show(figures: dict, unit: Unit) -> None:
    """The figures as tables to read."""
    print(f"{figures['students']} submissions of {unit.name}, whole commands\n")
    rows = [
        (name, f"{statistics.median(seconds):.1f}", f"{rate:g}", f"{figures['memory_mb'][name]:,}")
        for (name, seconds), rate in zip(
            figures["seconds"].items(), figures["submissions_per_minute"].values(), strict=True
        )
    ]
    print(table(("way", "seconds", "submissions a minute", "memory, MB"), rows))
    print(
        f"\n{figures['ratio']:g} times plain nbgrader; unchanged {figures['ratio_cached']:g} times"
    )
    print(f"cells alone: {figures['pure_seconds']:g} s a submission, {figures['pure_share']:.0%}")
    for count, each in figures["growth_seconds_each"].items():
        share = figures["growth_pure_share"][count]
        print(f"class of {count}: {each:g} s a submission, cells {share:.0%} of both cores' time")
    print(f"scores equal: {figures['scores_equal']}\n")


if __name__ == "__main__":
    sys.exit(main())
