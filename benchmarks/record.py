"""Record all that needs a GPU, in steps of minutes; a rerun does what is missing.

    sh benchmarks/gpu.sh --list
    sh benchmarks/gpu.sh                             # all that is not recorded yet
    sh benchmarks/gpu.sh --step distilbert --minutes 5
    sh benchmarks/gpu.sh --device cpu --quick --out /tmp/recorded    # try it without a GPU

Every step is a script that takes --device, --quick and --out and writes one JSON with the device,
driver, versions, date, commit and command. A step that fails or runs out of time does not stop the
others; what it had measured by then is kept, and the next run does it again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from halfbits.benchmark.results import write_result  # noqa: E402

GRACE = 20  # seconds that a step has, after its time, to write what it has


@dataclass(frozen=True)
class Step:
    """One thing to record: its name, what it tells, and the script that measures it."""

    name: str
    about: str
    command: tuple[str, ...]


def _benchmark(*workload: str) -> tuple[str, ...]:
    return ("-m", "halfbits.benchmark", "--workloads", *workload)


def _lessons() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The units that train, from the fourth on."""
    for folder in sorted(ROOT.glob("solutions/[01][0-9]_*")):
        unit = folder.name[:2]
        if unit >= "04":
            yield f"lesson_{unit}", f"Unit {int(unit)}, solved", ("benchmarks/lessons.py", unit)


STEPS = {
    name: Step(name, about, command)
    for name, about, command in (
        ("doctor", "the device, its driver and memory", ("benchmarks/doctor.py",)),
        ("matmul", "matrix products of every format, by size", _benchmark("matmul")),
        ("distilbert", "DistilBERT's shape, all settings", _benchmark("distilbert")),
        ("gpt", "GPT-2's shape, all settings", _benchmark("gpt")),
        ("tune_distilbert", "the way to the fastest step", _benchmark("distilbert", "--tune-only")),
        ("tune_gpt", "the same for GPT-2's shape", _benchmark("gpt", "--tune-only")),
        ("autocast", "its table, confirmed", ("tools/autocast_tables.py", "--confirm")),
        ("claims", "what lessons say of CUDA, tried", ("benchmarks/claims.py",)),
        *_lessons(),
        ("finetuning", "MiniLM, four settings, three seeds", ("benchmarks/finetuning.py",)),
        ("names", "a GPT on names, five settings, three seeds", ("benchmarks/names.py",)),
        ("eight_bits", "8-bit products: speed and sums", ("benchmarks/eight_bits.py",)),
        ("policies", "FSDP2's policies on one rank", ("benchmarks/policies.py",)),
    )
}


def main() -> int:
    """Record what is missing; 1 if a step failed, 2 for what cannot be done here."""
    chosen = _parser().parse_args()
    steps = [STEPS[name] for name in chosen.step or STEPS]
    if chosen.list:
        for step in steps:
            found = read(path_of(step, chosen))
            state = found["date"][:10] if is_whole(found) else "partly" if found else "missing"
            print(f"{step.name:16} {state:10}  {step.about}")
        return 0
    if problem := missing(chosen.device):
        print(f"gpu.sh: {problem}", file=sys.stderr)
        return 2
    failed = [step.name for step in steps if not take(step, chosen)]
    if failed:
        print(f"not recorded: {', '.join(failed)}; a rerun tries them again", file=sys.stderr)
        return 1
    print(f"all recorded in {chosen.out}", file=sys.stderr)
    return 0


def missing(device: str) -> str | None:
    """Say why nothing can be measured here, None if it can."""
    try:
        from halfbits.devices import PrecisionError, abilities
    except ImportError as error:
        return f"{sys.executable} has no {error.name}: {error}"
    try:
        abilities(device)
    except PrecisionError as error:
        return str(error)
    return None


def take(step: Step, chosen: argparse.Namespace) -> bool:
    """Run a step unless it is recorded; whether it is in the end."""
    out = path_of(step, chosen)
    if is_whole(read(out)) and not chosen.again:
        print(f"== {step.name}: recorded already", file=sys.stderr)
        return True
    print(f"== {step.name}: {step.about}", file=sys.stderr, flush=True)
    fresh = out.with_suffix(".new.json")
    fresh.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    again = ["--device", chosen.device, *["--quick"] * chosen.quick]
    start = time.monotonic()
    command = [sys.executable, *step.command, *again, "--out", str(fresh)]
    status = run(command, 60 * chosen.minutes)
    found = read(fresh)
    if found and (is_whole(found) or not is_whole(read(out))):  # never a part in place of the whole
        found["command"] = " ".join(["sh benchmarks/gpu.sh --step", step.name, *again])
        write_result(fresh, found)
        fresh.replace(out)
    fresh.unlink(missing_ok=True)
    said = "out of time" if status is None else "failed"
    if is_whole(found):
        said = "recorded, and it names what failed" if status else "recorded"
    print(f"== {step.name}: {said} after {time.monotonic() - start:.0f} s", file=sys.stderr)
    return is_whole(found) and status == 0


def run(command: list[str], seconds: float) -> int | None:
    """Run a command in a group of its own; ask it to end after its time, then end it.

    Returns
    -------
    int or None
        Its exit status, None if its time was over first.
    """
    paths = [str(ROOT), str(ROOT / "minilm"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    # Its output goes to stderr: what this command says itself is the list of steps.
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=sys.stderr.fileno(), start_new_session=True
    )
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def path_of(step: Step, chosen: argparse.Namespace) -> Path:
    """Where a step's record lies."""
    return chosen.out / f"{step.name}_{chosen.device}{'_quick' * chosen.quick}.json"


def read(path: Path) -> dict | None:
    """Read a record, None if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "date" in found else None


def is_whole(record: dict | None) -> bool:
    """Whether a record has all that its step measures."""
    return bool(record) and record.get("complete", False)


def _folder(text: str) -> Path:
    return Path(text).resolve()


def _minutes(text: str) -> float:
    minutes = float(text)
    if not 0 < minutes < 1e4:
        raise ValueError
    return minutes


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gpu.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--device", choices=("cuda", "cpu"), default="cuda")
    add("--quick", action="store_true", help="small shapes, to see that all of it works")
    add("--step", nargs="+", choices=STEPS, metavar="NAME", help="only these; see --list")
    add("--list", action="store_true", help="name the steps and say which are recorded")
    add("--minutes", type=_minutes, default=8, metavar="N", help="at most, for a step; default 8")
    add("--again", action="store_true", help="also those that are recorded")
    add("--out", type=_folder, default=ROOT / "benchmarks" / "results", metavar="DIR")
    return parser


if __name__ == "__main__":
    sys.exit(main())
