"""Run a student's code on given inputs and take plain data out.

What crosses the line between a student's process and a judge is data that JSON can hold:
None, booleans, integers, strings, floats by their bits, dtypes by name, tensors as dtype, shape
and bytes, and lists, tuples and dicts of these. Nothing is ever pickled, so whatever comes back
can be compared without running anything of the student's.
"""

from __future__ import annotations

import base64
import contextlib
import io
import math
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

MAX_DEPTH = 16
MAX_ITEMS = 1_000_000
CASE_SECONDS = 10
MAX_PRINTED = 2_000  # characters of a student's prints that a report repeats


class NotPlain(TypeError):
    """An answer holds something that is not plain data."""


class TookTooLong(BaseException):
    """A case ran out of time; no ``except Exception`` of a student's stops it."""


class NotAttempted(Exception):
    """The stub still raises NotImplementedError."""


def encode(value: Any, depth: int = 0) -> Any:
    """Turn plain data into what ``json.dumps`` takes, losing neither bits nor types.

    Parameters
    ----------
    value
        None, bool, int, str, float, torch.dtype, tensor, NumPy scalar or array,
        or lists, tuples and dicts of these, at most 16 levels deep.

    Raises
    ------
    NotPlain
        For anything else, with a sentence that names its class.
    """
    if depth > MAX_DEPTH:
        raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        return encode(value.item(), depth)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, torch.Tensor | np.ndarray):
        return {"tensor": _encode_tensor(torch.as_tensor(value))}
    if isinstance(value, list | tuple | dict) and len(value) > MAX_ITEMS:
        raise NotPlain(f"it has {len(value):,} items, more than {MAX_ITEMS:,}")
    if isinstance(value, list):
        return [encode(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        pairs = value.items()
        return {"dict": [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in pairs]}
    raise NotPlain(f"an object of class {type(value).__name__} is not plain data")


def decode(data: Any) -> Any:
    """Undo :func:`encode`.

    Raises
    ------
    ValueError
        If ``data`` is not what ``encode`` writes.
    """
    if data is None or isinstance(data, bool | int | str):
        return data
    if isinstance(data, list):
        return [decode(item) for item in data]
    match data:
        case {"float": str(text)}:
            return float.fromhex(text)
        case {"dtype": str(name)} if isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        case {"range": [int(start), int(stop), int(step)]}:
            return range(start, stop, step)
        case {"tensor": dict(fields)}:
            return _decode_tensor(fields)
        case {"tuple": list(items)}:
            return tuple(decode(item) for item in items)
        case {"dict": list(pairs)}:
            return {decode(key): decode(value) for key, value in pairs}
    raise ValueError(f"not encoded data: {str(data)[:80]}")


def _encode_tensor(tensor: torch.Tensor) -> dict[str, Any]:
    if tensor.numel() > MAX_ITEMS:
        raise NotPlain(f"the tensor has {tensor.numel():,} elements, more than {MAX_ITEMS:,}")
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "bytes": base64.b64encode(flat.numpy().tobytes()).decode(),
    }


def _decode_tensor(fields: dict[str, Any]) -> torch.Tensor:
    dtype, shape = getattr(torch, fields["dtype"]), fields["shape"]
    raw = bytearray(base64.b64decode(fields["bytes"]))
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor's bytes do not fit its dtype and shape")
    if not raw:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(raw, dtype=torch.uint8).view(dtype).reshape(shape)


@dataclass(frozen=True)
class Observation:
    """What one case gave: encoded data, or the exception or defect that came instead."""

    output: Any = None
    problem: str | None = None


def observe(function: Callable, cases: Sequence[dict]) -> tuple[list[Observation], str]:
    """Call ``function`` on every case's arguments.

    Parameters
    ----------
    function
        The student's function.
    cases
        Each with ``args`` (encoded). A case with ``"sweep": true`` is called once for each item
        of its first argument, a list; its output is the list of the results.

    Returns
    -------
    observations : one for each case, in order
    printed : what the student's code printed, to stdout, stderr or as warnings

    Raises
    ------
    NotAttempted
        If the function raises NotImplementedError, as an unsolved stub does.
    """
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.simplefilter("always")
        observations = _observe_in_time(function, cases)
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
    """Raise TookTooLong in Python code that runs longer; only where signals can be had."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
        yield
        return

    def strike(*_: object) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, seconds)
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
    except NotImplementedError:
        raise NotAttempted from None
    except NotPlain as defect:
        return Observation(problem=str(defect))
    except (Exception, SystemExit) as error:
        message = str(error).strip().splitlines()
        said = f": {message[0][:200]}" if message else ""
        return Observation(problem=f"raised {type(error).__name__}{said}{_place(error)}")


def _place(error: BaseException) -> str:
    """The line of the student's cell in which it happened, as far as IPython tells."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "ipykernel" in f.filename]
    cells = [f for f in frames if f.name != "<module>" and "site-packages" not in f.filename]
    return f" (line {cells[-1].lineno} of its cell)" if cells else ""
