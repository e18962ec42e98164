"""Run a student's code on given inputs and take plain data out.

What comes back is data that :mod:`halfbits.checking.codec` writes, so it can be compared without
running anything of the student's.
"""

from __future__ import annotations

import contextlib
import functools
import io
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from halfbits.checking.codec import NotPlain, decode, encode

CASE_SECONDS = 10  # of the clock and of its own computing: others may keep the machine busy
PATIENCE = 3  # times as long for what waits and computes nothing
MAX_PRINTED = 2_000  # characters of a student's prints that a report repeats


class TookTooLong(BaseException):
    """A case ran out of time; no ``except Exception`` of a student's stops it."""


class NotAttempted(Exception):
    """The stub still raises NotImplementedError."""


@dataclass(frozen=True)
class Observation:
    """What one case gave: encoded data, or the exception or defect that came instead."""

    output: Any = None
    problem: str | None = None


def observe(
    function: Callable, cases: Sequence[dict], drive: Callable | None = None
) -> tuple[list[Observation], str]:
    """Call ``function`` on every case's arguments.

    Parameters
    ----------
    function
        The student's function, or class.
    cases
        Each with ``args`` (encoded). A case with ``"sweep": true`` is called once for each item
        of its first argument, a list; its output is the list of the results.
    drive
        Called with the function and the arguments where plain calling does not do: it returns what
        is observed. See ``drivers.py`` of a unit.

    Returns
    -------
    observations : one for each case, in order
    printed : what the student's code printed, to stdout, stderr or as warnings

    Raises
    ------
    NotAttempted
        If the function raises NotImplementedError without a message, as an unsolved stub does.
    """
    call = functools.partial(drive, function) if drive else function
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        observations = _observe_in_time(call, cases)
    said = dict.fromkeys(f"{w.category.__name__}: {w.message}\n" for w in caught)
    return observations, (printed.getvalue() + "".join(said))[:MAX_PRINTED]


def _observe_in_time(function: Callable, cases: Sequence[dict]) -> list[Observation]:
    observations: list[Observation] = []
    for case in cases:
        try:
            with _time_limit(CASE_SECONDS):
                observations.append(_observe_case(function, case))
        except TookTooLong:
            late = f"stopped after {CASE_SECONDS} s: does every loop end?"
            observations.append(Observation(problem=late))
            skipped = Observation(problem="not tried, after a case that took too long")
            observations += [skipped] * (len(cases) - len(observations))
            break
    return observations


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in Python code that computes longer; only where signals can be had."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    start, computed = time.monotonic(), time.process_time()

    def strike(*_: object) -> None:
        waited = time.monotonic() - start >= PATIENCE * seconds
        if waited or time.process_time() - computed >= seconds:
            raise TookTooLong

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)  # and again, as often as it takes
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _observe_case(function: Callable, case: dict) -> Observation:
    args = decode(case["args"])
    try:
        if case.get("sweep"):
            output = [function(item, *args[1:]) for item in args[0]]
        else:
            output = function(*args)
        return Observation(output=encode(output))
    except NotPlain as defect:
        return Observation(problem=str(defect))
    except (Exception, SystemExit) as error:
        if isinstance(error, NotImplementedError) and not error.args:  # torch's have a message
            raise NotAttempted from None
        message = str(error).strip().splitlines()
        said = f": {message[0][:200]}" if message else ""
        return Observation(problem=f"raised {type(error).__name__}{said}{_place(error)}")


def _place(error: BaseException) -> str:
    """The line of the student's cell in which it happened, as far as IPython tells."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename]
    cells = [f for f in frames if f.name != "<module>" and "site-packages" not in f.filename]
    return f" (line {cells[-1].lineno} of its cell)" if cells else ""
