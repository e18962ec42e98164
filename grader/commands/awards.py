"""Commands about badges: ``badges``, ``verify``."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from grader.awards import badges, keys
from grader.awards.verify import verify
from grader.classroom import Classroom, default_root
from grader.commands.common import new_command
from grader.problem import Problem
from grader.tables import table
from grader.units import find_units


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add them to the command line."""
    help = "give a badge to every student who passed"
    _badges_arguments(new_command(commands, "badges", _badges, help, units=True, classroom=True))
    help = "say whether a badge is genuine"
    _verify_arguments(new_command(commands, "verify", _verify, help, classroom=True))


def _badges_arguments(one: argparse.ArgumentParser) -> None:
    key = one.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", type=Path, metavar="FILE", help="the private key to sign with")
    key.add_argument("--new-key", type=Path, metavar="FILE", help="make one, and FILE.pub with it")
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
    one.epilog = (
        "Trust comes from a public key that you got from the issuer: --key, or else "
        "badges/issuer.jwk in the class's folder. The key inside a badge proves nothing, since "
        "anybody can sign with a key of their own. The words come from the signed credential; the "
        "picture of an .svg is not signed. Exit status 0 only if the badge is valid."
    )


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
