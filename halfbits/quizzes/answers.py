"""``answers.json``: what a student chose in a unit's quiz, kept beside the notebook.

It is plain data, ``{"unit": "01_number_formats", "answers": {"limits": "a"}}``: an option's letter,
a list of letters, or a number as typed. Saving reads, changes and replaces the file under a lock:
two notebooks answered at the same time lose nothing, and no crash leaves half a file.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

ANSWERS_FILE = "answers.json"
_LOCK_FILE = ".answers.lock"
_LOCK_SECONDS = 5
_LARGEST = 1_000_000  # bytes

Choice = str | list[str]


class Damaged(Exception):
    """``answers.json`` cannot be used; the message says why."""


class NotSaved(Exception):
    """The choice could not be written; the message says why."""


def read_answers(folder: Path, unit: str) -> dict:
    """What was chosen so far, by question; values are as found, so check them.

    Raises
    ------
    Damaged
        If the file is there and is not one of this unit's.
    """
    path = folder / ANSWERS_FILE
    try:
        if path.stat().st_size > _LARGEST:
            raise Damaged(f"{ANSWERS_FILE} is too large to be one of ours")
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Damaged(f"{ANSWERS_FILE} cannot be read ({error.strerror})") from None
    return parse_answers(content, unit)


def parse_answers(content: bytes, unit: str) -> dict:
    """What the bytes of an ``answers.json`` say was chosen, by question.

    Raises
    ------
    Damaged
        If they are not one of this unit's.
    """
    try:
        data = json.loads(content.decode(encoding_of(content)))
    except UnicodeDecodeError:
        raise Damaged(f"{ANSWERS_FILE} is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise Damaged(f"{ANSWERS_FILE} is not JSON (line {error.lineno})") from None
    except (ValueError, RecursionError):
        raise Damaged(f"{ANSWERS_FILE} is not JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("answers"), dict):
        raise Damaged(f"{ANSWERS_FILE} was not written by a quiz")
    if data.get("unit") != unit:
        raise Damaged(f"{ANSWERS_FILE} belongs to another unit, {str(data.get('unit'))[:60]!r}")
    return data["answers"]


def encoding_of(content: bytes) -> str:
    """UTF-8, unless a mark at the beginning says otherwise, as some editors write it."""
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    return next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8")


def save_answer(folder: Path, unit: str, question: str, choice: Choice) -> str:
    """Write one choice down; an empty one takes it back.

    Returns
    -------
    str
        What happened to a damaged file that was in the way, else the empty string.

    Raises
    ------
    NotSaved
        If the file cannot be written.
    """
    try:
        with FileLock(folder / _LOCK_FILE, timeout=_LOCK_SECONDS):
            note = _set_aside_if_damaged(folder, unit)
            answers = read_answers(folder, unit) | {question: choice}
            if not choice:
                del answers[question]
            _replace(folder / ANSWERS_FILE, {"unit": unit, "answers": answers})
    except Timeout:
        raise NotSaved(f"another program has held {_LOCK_FILE} for {_LOCK_SECONDS} s") from None
    except Damaged as damage:  # a directory of that name, a file that may not be read
        raise NotSaved(str(damage)) from None
    except OSError as error:
        raise NotSaved(f"{ANSWERS_FILE} cannot be written ({error.strerror})") from None
    return note


def _set_aside_if_damaged(folder: Path, unit: str) -> str:
    try:
        read_answers(folder, unit)
    except Damaged as damage:
        number = 1
        while (folder / f"{ANSWERS_FILE}.damaged-{number}").exists():
            number += 1
        kept = folder / f"{ANSWERS_FILE}.damaged-{number}"
        os.replace(folder / ANSWERS_FILE, kept)
        return f"{damage}: it is kept as {kept.name}, and a new one was started"
    return ""


def _replace(path: Path, data: dict) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp's 0o600 would hide it from a grader of another account
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
