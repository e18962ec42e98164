"""The instructor's command line: ``python -m grader COMMAND``."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from nbgrader.api import InvalidEntry
from sqlalchemy.exc import SQLAlchemyError
from tqdm import tqdm

from grader import (
    adequacy,
    badges,
    demo,
    engine,
    exchange,
    feedback,
    keys,
    oversight,
    release,
    selfgrade,
)
from grader.classroom import Classroom, default_root
from grader.plain import grade_plain
from grader.problem import Problem
from grader.processes import on_every_core
from grader.results import Result, as_table, submissions
from grader.sandbox import Limits
from grader.tables import table
from grader.units import COURSE, find_units, units
from grader.verify import verify


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem that the user can mend is one line and exit status 1."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module=r"nbgrader|sqlalchemy")  # meant for their authors
    try:
        return options.run(options)
    except Problem as problem:
        print(f"{problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 1
    except (SQLAlchemyError, InvalidEntry) as error:  # nbgrader wraps some of the former
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        print(f"the gradebook cannot be used: {reason}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "stopped; what was graded is kept, the same command goes on from here", file=sys.stderr
        )
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m grader", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, help: str, units: bool = True) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=help, description=help)
        one.set_defaults(run=run)
        if units:
            one.add_argument("units", nargs="*", metavar="UNIT", help="such as 01; all if left out")
        return one

    command("release", _release, "build course/ from solutions/").add_argument(
        "--check", action="store_true", help="only say whether course/ is what a build would give"
    )
    command("adequacy", _adequacy, "try every known answer on the checks").add_argument(
        "--json", action="store_true", help="print a list of objects"
    )
    for name, run, help in (
        ("grade", _grade, "grade the submissions of a class"),
        ("feedback", _feedback, "write a page for every graded submission"),
        ("formgrader", _formgrader, "open nbgrader's Formgrader on the class"),
    ):
        one = command(name, run, help, units=name != "formgrader")
        one.add_argument("--classroom", type=Path, metavar="DIR", help="the class's folder")
        if name == "grade":
            _grade_arguments(one)
        if name == "formgrader":
            one.add_argument("lab_options", nargs="*", help="options for JupyterLab, after --")
    command("demo", _demo, "take a class of sample students from release to feedback")
    _self_arguments(command("self", _self, "grade your own notebooks by the instructor's tests"))
    _badges_arguments(command("badges", _badges, "give a badge to every student who passed"))
    _verify_arguments(command("verify", _verify, "say whether a badge is genuine", units=False))
    exchange.add_commands(commands)
    oversight.add_commands(commands)
    return parser


def _grade_arguments(one: argparse.ArgumentParser) -> None:
    limits = Limits()
    one.add_argument("--student", action="append", metavar="NAME", help="only theirs; repeatable")
    one.add_argument("--workers", type=int, metavar="N", help="sandboxes side by side; all cores")
    one.add_argument("--force", action="store_true", help="grade unchanged submissions too")
    one.add_argument("--dry-run", action="store_true", help="say what would change, write nothing")
    one.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="of a Dask cluster: tls://…"
    )
    one.add_argument("--tls", type=Path, metavar="DIR", help="ca.pem, cert.pem, key.pem for it")
    one.add_argument("--plain", action="store_true", help="with plain nbgrader: no sandbox, slow")
    one.add_argument("--unsafe", action="store_true", help="where there is no sandbox: do without")
    one.add_argument("--seconds", type=float, default=limits.wall, metavar="S", help="a submission")
    one.add_argument(
        "--memory", type=float, default=limits.memory / 2**30, metavar="GB", help="a submission"
    )
    one.epilog = "What is unchanged is not run again. Exit status 0 if everyone has a grade."


def _self_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("--folder", type=Path, default=COURSE, help="where UNIT/UNIT.ipynb lies")
    one.epilog = "Copies are graded, in a new folder: your own files stay as they are."


def _badges_arguments(one: argparse.ArgumentParser) -> None:
    key = one.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", type=Path, metavar="FILE", help="the private key to sign with")
    key.add_argument("--new-key", type=Path, metavar="FILE", help="make one, and FILE.pub with it")
    one.add_argument("--classroom", type=Path, metavar="DIR", help="the class's folder")
    one.add_argument("--pass-mark", type=float, default=0.6, metavar="SHARE", help="such as 0.6")
    one.add_argument("--issuer-name", default="Half the Bits", metavar="NAME", help="as badges say")
    one.add_argument("--issuer-url", default="", metavar="URL", help="where the issuer is at home")
    one.add_argument("--valid-days", type=int, default=0, metavar="N", help="for ever if left out")
    one.add_argument("--force", action="store_true", help="issue badges anew that are there")
    one.epilog = (
        "A badge is badges/STUDENT/UNIT.jwt in the class's folder, and UNIT.svg, a picture with "
        "the same credential in it: Open Badges 3.0. It says who earned what by the id that the "
        "student has in the gradebook, and nothing else about them. No badge goes to a student "
        "with answers still to be marked by hand. Keep the key to yourself: who has it can issue "
        "badges."
    )


def _verify_arguments(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", type=Path, metavar="FILE", help="a badge: .jwt, or .svg")
    one.add_argument("--key", type=Path, metavar="PUBLIC", help="the issuer's public key")
    one.add_argument("--issuer", default="", metavar="URL", help="demand this issuer in the badge")
    one.add_argument("--classroom", type=Path, metavar="DIR", help="the class's folder")
    one.epilog = (
        "Trust comes from a public key that you got from the issuer: --key, or else "
        "badges/issuer.jwk in the class's folder. The key inside a badge proves nothing, since "
        "anybody can sign with a key of their own. The words come from the signed credential; the "
        "picture of an .svg is not signed. Exit status 0 only if the badge is valid."
    )


def _release(options: argparse.Namespace) -> int:
    chosen = find_units(options.units) if options.units else None
    if options.check:
        if changed := release.differences(chosen=chosen):
            raise Problem(
                f"course/ is not what solutions/ gives ({', '.join(changed)}): make release"
            )
        print("course/ is what solutions/ gives")
        return 0
    release.build_course(COURSE, chosen)
    print(f"built {', '.join(unit.name for unit in chosen or units())} in course/")
    return 0


def _adequacy(options: argparse.Namespace) -> int:
    rows = [
        row for rows in on_every_core(adequacy.assess, find_units(options.units)) for row in rows
    ]
    if options.json:
        print(json.dumps([row.to_json() for row in rows], indent=1))
    else:
        print(adequacy.as_table(rows))
    return 0 if all(row.adequate for row in rows) else 1


def _grade(options: argparse.Namespace) -> int:
    classroom = Classroom(options.classroom)
    work = submissions(classroom, find_units(options.units), options.student)
    if options.plain:
        grading = grade_plain(classroom, work, options.force)
    else:
        how = engine.Options(
            force=options.force,
            dry_run=options.dry_run,
            workers=options.workers,
            limits=Limits(wall=options.seconds, memory=int(options.memory * 2**30)),
            unsafe=options.unsafe,
            scheduler=options.scheduler,
            tls=options.tls,
        )
        grading = engine.grade(classroom, work, how)
    results = _graded(grading, len(work))
    print(as_table(results))
    return 0 if all(result.score is not None for result in results) else 1


def _graded(grading: Iterator[Result], total: int) -> list[Result]:
    """Collect results under a progress bar that names the last fault; in alphabetical order."""
    found = []
    with tqdm(total=total, desc="grading", unit="notebook", leave=False) as bar:
        for result in grading:
            found.append(result)
            bar.update()
            if result.needs and "mark by hand" not in result.needs:
                bar.set_postfix_str(f"{result.student}: {result.needs}"[:60])
    return sorted(found, key=lambda result: (result.unit, result.student))


def _with_progress(items, total: int, doing: str) -> list:
    return list(tqdm(items, total=total, desc=doing, unit="notebook", leave=False))


def _feedback(options: argparse.Namespace) -> int:
    classroom = Classroom(options.classroom)
    written = list(feedback.write_feedback(classroom, find_units(options.units)))
    if not written:
        raise Problem("no graded submission yet: run make grade first")
    print(table(("student", "unit", "feedback"), written))
    return 0 if all(isinstance(page, Path) for _, _, page in written) else 1


def _formgrader(options: argparse.Namespace) -> int:
    classroom = Classroom(options.classroom)
    for unit in find_units([]):
        classroom.prepare(unit)
    classroom.write_config()
    print("JupyterLab opens; choose Nbgrader ▸ Formgrader in its menu", file=sys.stderr)
    os.chdir(classroom.root)  # where nbgrader looks for its settings
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options.lab_options])


def _demo(options: argparse.Namespace) -> int:
    folder = Path(tempfile.mkdtemp(prefix="halfbits-demo-"))
    classroom = Classroom(folder)
    expected, work = {}, []
    for unit in find_units(options.units):
        built = classroom.prepare(unit)
        for student in demo.sample_class(unit):
            demo.submit(classroom, unit, student, built)
            expected[student.name, unit.name] = student.score
            work.append((student.name, unit))
    results = _graded(engine.grade(classroom, work), len(work))
    units = list(dict.fromkeys(unit for _, unit in work))
    pages = _with_progress(feedback.write_feedback(classroom, units), len(work), "feedback")
    print(as_table(results))
    wrong = [r for r in results if r.score != expected[r.student, r.unit]]
    for r in wrong:
        print(
            f"{r.student} should have {expected[r.student, r.unit]}, not {r.score}", file=sys.stderr
        )
    print(f"\nA feedback page: {pages[-1][2]}\nThe class's folder: {folder}")
    return 1 if wrong else 0


def _self(options: argparse.Namespace) -> int:
    chosen = selfgrade.own_work(options.units, options.folder)
    graded = _with_progress(selfgrade.grade_own(chosen, options.folder), len(chosen), "grading")
    print(as_table([result for result, _ in graded]))
    for _, page in graded:
        if page:
            print(f"feedback: {page}")
    return 0 if all(page for _, page in graded) else 1


def _badges(options: argparse.Namespace) -> int:
    if options.new_key:
        public = keys.new_key(options.new_key)
        print(f"{options.new_key} signs badges: keep it secret, and keep a copy")
        print(f"{public} tells them genuine: give it to everybody")
        return 0
    if not options.key.exists():
        make = shlex.join(["python", "-m", "grader", "badges", "--new-key", str(options.key)])
        raise Problem(f"there is no {options.key}; make it: {make}")
    terms = badges.Terms(
        key=keys.load_key(options.key, private=True),
        pass_mark=options.pass_mark,
        issuer_name=options.issuer_name,
        issuer_url=options.issuer_url,
        valid_days=options.valid_days,
    )
    classroom = Classroom(options.classroom)
    issued = list(badges.issue(classroom, find_units(options.units), terms, options.force))
    if not issued:
        raise Problem(f"{classroom.root} has no grades for these units yet: make grade first")
    body = [(i.student, i.unit, f"{i.score:g}", f"{i.maximum:g}", i.note) for i in issued]
    print(table(("student", "unit", "score", "maximum", "badge"), body))
    print(f"\nBadges and public key: {badges.public_key_path(classroom.root).parent}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    key = options.key or badges.public_key_path(options.classroom or default_root())
    if not key.exists():
        raise Problem(f"there is no {key}: give the issuer's public key with --key")
    try:
        content = options.file.read_bytes()
    except OSError as error:
        raise Problem(f"cannot read {options.file}: {error.strerror}") from None
    verdict = verify(content, keys.load_key(key), options.issuer)
    print(verdict.text)
    return 0 if verdict.valid else 1


if __name__ == "__main__":
    sys.exit(main())
