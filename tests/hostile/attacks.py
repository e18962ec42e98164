"""Hostile and broken submissions: what each tries, and what it may cost.

Every attack starts from a submission in which all is right: ``double`` and ``half`` (3 points each)
and a question (1 point). It then types something over the answer to ``double``, adds cells, or
damages the folder. ``loses`` says which parts of the submission may be lost; everything else must
keep its points, nothing outside may be read, changed, reached or left running, and every other
student must get what they deserve.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

UNIT = "97_hostile"


@dataclass(frozen=True)
class Attack:
    """One hostile submission.

    Attributes
    ----------
    name, kind, tries
        What it is called, the class of attacks that it belongs to, what it wants.
    loses
        Of ``double``, ``half``, ``quiz``: what must be lost; the rest must be kept.
    says
        A piece of the sentence that the feedback must hold, where there is one.
    apply
        Changes the submission's folder.
    """

    name: str
    kind: str
    tries: str
    apply: Callable[[Path], None]
    loses: frozenset[str] = frozenset()
    says: str = ""


ATTACKS: list[Attack] = []


def _add(name: str, kind: str, tries: str, apply, loses: str = "", says: str = "") -> None:
    lost = frozenset(loses.split())
    ATTACKS.append(Attack(name, kind, tries, apply, lost, says))


def _edit(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / f"{UNIT}.ipynb"
    notebook = json.loads(path.read_text())
    change(notebook)
    path.write_text(json.dumps(notebook))


def _cell(notebook: dict, name: str) -> dict:
    return next(
        c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") == name
    )


def _load_code() -> None:
    """The attacks that are code: one file each in ``code/``, its head saying what it is."""
    for path in sorted((Path(__file__).parent / "code").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        head = dict(line[2:].split(": ", 1) for line in takewhile(_is_head, text.splitlines()))
        type_in = _over_double if "double" in head["where"] else _behind_all
        apply = functools.partial(type_in, text)
        _add(
            path.stem,
            head["kind"],
            head["tries"],
            apply,
            head.get("loses", ""),
            head.get("says", ""),
        )


def _is_head(line: str) -> bool:
    return line.startswith("# ") and ": " in line


def _over_double(code: str, folder: Path) -> None:
    _edit(folder, lambda nb: _cell(nb, "double-answer").update(source=code))


def _behind_all(code: str, folder: Path) -> None:
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "source": code}
    _edit(folder, lambda nb: nb["cells"].append(cell | {"outputs": [], "execution_count": None}))


def tampered(name: str, kind: str, tries: str, change, loses: str = "", says: str = "") -> None:
    """Change the notebook's JSON."""
    _add(name, kind, tries, lambda folder: _edit(folder, change), loses, says)


def raw(
    name: str, kind: str, tries: str, content: bytes, loses: str = "double half", says: str = ""
) -> None:
    """Hand in bytes in place of the notebook."""
    _add(
        name,
        kind,
        tries,
        lambda folder: (folder / f"{UNIT}.ipynb").write_bytes(content),
        loses,
        says,
    )


def folder(name: str, kind: str, tries: str, loses: str = "", says: str = "") -> Callable:
    """Decorator: do something to the submission's folder."""
    return lambda apply: _add(name, kind, tries, apply, loses, says)


@folder("forge-answers", "forging", "write points into answers.json", "quiz")
def _(where: Path) -> None:
    forged = {"unit": UNIT, "answers": {"sum": ["4", "5"]}, "points": 99, "score": 99}
    (where / "answers.json").write_text(json.dumps(forged))


# ── Tampering. ───────────────────────────────────────────────────────────────────────────────────


def _duplicate(nb: dict) -> None:
    nb["cells"].append(dict(_cell(nb, "double-answer"), source="def double(x): return -1"))
    nb["cells"].append(dict(_cell(nb, "double-visible")))


def _remove(*names: str) -> Callable[[dict], None]:
    def change(nb: dict) -> None:
        nb["cells"] = [
            c for c in nb["cells"] if c["metadata"].get("nbgrader", {}).get("grade_id") not in names
        ]

    return change


def _meta(name: str, **changes) -> Callable[[dict], None]:
    return lambda nb: _cell(nb, name)["metadata"]["nbgrader"].update(changes)


tampered("duplicate-cells", "tampering", "two cells with one id", _duplicate, says="more than once")
tampered(
    "delete-tests",
    "tampering",
    "delete the test cells",
    _remove("double-visible", "double-hidden", "quiz-score"),
)
tampered(
    "delete-answer",
    "tampering",
    "delete an answer cell",
    _remove("double-answer"),
    "double",
    "was missing",
)
tampered(
    "edit-test",
    "tampering",
    "make a test pass",
    lambda nb: _cell(nb, "double-hidden").update(source="print('fine')"),
)
tampered("points", "tampering", "make a test worth more", _meta("double-hidden", points=1000))
tampered(
    "unlock",
    "tampering",
    "unlock a test and call it a solution",
    _meta("double-hidden", locked=False, solution=True),
)
tampered(
    "unknown-id",
    "tampering",
    "a test of one's own",
    lambda nb: nb["cells"].append(
        {
            "cell_type": "code",
            "id": "x",
            "source": "1",
            "outputs": [],
            "execution_count": None,
            "metadata": {
                "nbgrader": {
                    "grade": True,
                    "grade_id": "bonus",
                    "points": 50,
                    "locked": True,
                    "schema_version": 3,
                    "solution": False,
                    "task": False,
                }
            },
        }
    ),
)
tampered(
    "cell-types",
    "tampering",
    "make a test cell Markdown",
    lambda nb: _cell(nb, "double-visible").update(cell_type="markdown"),
)
tampered(
    "old-schema", "tampering", "an old schema version", _meta("double-visible", schema_version=1)
)
tampered(
    "empty-metadata",
    "tampering",
    "no nbgrader metadata in a test cell",
    lambda nb: _cell(nb, "double-hidden")["metadata"].update(nbgrader={}),
)
tampered(
    "odd-metadata",
    "tampering",
    "metadata that is no dict",
    lambda nb: _cell(nb, "double-hidden").update(metadata=[1, 2]),
)
tampered(
    "kernel",
    "tampering",
    "another kernel",
    lambda nb: nb["metadata"].update(
        kernelspec={"name": "bash", "display_name": "x", "language": "bash"}
    ),
)
tampered("reversed", "tampering", "cells in reversed order", lambda nb: nb["cells"].reverse())
tampered(
    "no-cells",
    "tampering",
    "a notebook without cells",
    lambda nb: nb.update(cells=[]),
    "double half",
)
tampered(
    "odd-cells",
    "tampering",
    "cells that are none",
    lambda nb: nb["cells"].extend([None, 7, "x", [], {"cell_type": 3, "source": {"a": 1}}]),
)


@folder(
    "renamed",
    "tampering",
    "hand in under another name",
    "double half",
    "no 97_hostile.ipynb was submitted",
)
def _(where: Path) -> None:
    (where / f"{UNIT}.ipynb").rename(where / "mine.ipynb")


@folder("extra-notebooks", "tampering", "hand in more notebooks")
def _(where: Path) -> None:
    for name in ("a.ipynb", "97_hostile (copy).ipynb"):
        (where / name).write_bytes((where / f"{UNIT}.ipynb").read_bytes())


@folder("shadow-modules", "tampering", "modules that hide torch, halfbits, json")
def _(where: Path) -> None:
    for name in ("torch", "halfbits", "json", "numpy", "sitecustomize"):
        (where / f"{name}.py").write_text("raise SystemExit('shadowed')")


@folder("own-checks", "tampering", "own checks.json, quiz.json, drivers.py")
def _(where: Path) -> None:
    (where / "checks.json").write_text('{"double": {}}')
    (where / "quiz.json").write_text("{}")
    (where / "drivers.py").write_text("double = lambda f, x: 2 * x")


# ── Broken input. ────────────────────────────────────────────────────────────────────────────────

raw("not-json", "broken", "no JSON", b"this is not JSON", says="is not JSON")
raw("empty", "broken", "an empty file", b"", says="is empty")
raw("other-json", "broken", "JSON that is no notebook", b'{"hello": 1}', says="is no notebook")
raw("list-json", "broken", "a list", b"[1, 2]", says="is no notebook")
raw(
    "half-a-file",
    "broken",
    "half a notebook",
    b'{"cells": [{"cell_type": "code", "sou',
    says="is not JSON",
)
raw(
    "latin-1", "broken", "another encoding", '{"cells": "é"}'.encode("latin-1"), says="is not UTF-8"
)
raw("deep-json", "broken", "deep nesting", b"[" * 200_000 + b"]" * 200_000, says="is not JSON")
raw(
    "huge",
    "broken",
    "60 MB of Markdown",
    b'{"cells": [{"cell_type": "markdown", "source": "' + b"x" * (60 << 20) + b'"}]}',
    says="larger than",
)
raw(
    "many-cells",
    "broken",
    "a hundred thousand cells",
    json.dumps({"cells": [{"cell_type": "code", "source": ""}] * 100_000}).encode(),
    says="cells",
)
raw("cells-no-list", "broken", "cells that are no list", b'{"cells": {"a": 1}}', says="")


@folder("utf-16", "broken", "UTF-16 with a mark")
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.write_bytes(path.read_text().encode("utf-16"))


@folder("bom", "broken", "UTF-8 with a mark")
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


@folder("surrogates", "broken", "lone surrogates in a cell")
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.write_text(path.read_text().replace("Return two times x.", r"\ud800 \udfff"))


@folder("nbformat-3", "broken", "an old format")
def _(where: Path) -> None:
    def change(nb: dict) -> None:
        for cell in nb["cells"]:
            if cell["cell_type"] == "code":
                cell["input"] = cell.pop("source")
        nb["worksheets"] = [{"cells": nb.pop("cells")}]
        nb["nbformat"] = 3

    _edit(where, change)


@folder("nbformat-5", "broken", "a format of the future")
def _(where: Path) -> None:
    _edit(where, lambda nb: nb.update(nbformat=5, nbformat_minor=99, future={"x": 1}))


@folder("link", "broken", "a link to a file of somebody else's", "double half", "is a link")
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.unlink()
    path.symlink_to("/etc/hostname")


@folder("pipe", "broken", "a named pipe", "double half", "is no ordinary file")
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.unlink()
    os.mkfifo(path)


@folder(
    "directory", "broken", "a folder in place of the notebook", "double half", "97_hostile.ipynb"
)
def _(where: Path) -> None:
    path = where / f"{UNIT}.ipynb"
    path.unlink()
    path.mkdir()


@folder("answers-link", "broken", "answers.json as a link", "quiz", "is a link")
def _(where: Path) -> None:
    (where / "answers.json").unlink()
    (where / "answers.json").symlink_to("/etc/hostname")


@folder("answers-deep", "broken", "answers.json nested deep", "quiz", "is not JSON")
def _(where: Path) -> None:
    (where / "answers.json").write_text('{"answers": ' + "[" * 100_000 + "]" * 100_000 + "}")


@folder("answers-huge", "broken", "answers.json of 5 MB", "quiz", "larger than")
def _(where: Path) -> None:
    (where / "answers.json").write_bytes(b" " * (5 << 20))


@folder("timestamp", "broken", "a time that is none")
def _(where: Path) -> None:
    (where / "timestamp.txt").write_bytes(b"the 32nd of \xff Nevruary")


# ── Output. ──────────────────────────────────────────────────────────────────────────────────────

tampered(
    "script-markdown",
    "output",
    "a script in Markdown",
    lambda nb: nb["cells"].append(
        {
            "cell_type": "markdown",
            "id": "md",
            "metadata": {},
            "source": "<script>window.pwned = 1</script>",
        }
    ),
)

_load_code()
