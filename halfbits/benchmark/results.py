"""Results of the benchmark in files, and the figures that the source course published."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

FORMAT = "halfbits benchmark 1"
FINETUNING = "halfbits finetuning 1"
RECORDS = Path(__file__).parents[2] / "benchmarks" / "results"  # not in a student's copy
_PUBLISHED = Path(__file__).parents[1] / "data" / "published_a100.json"
_NEEDED = ("date", "command", "machine", "versions", "matmul", "workloads")


class ResultError(ValueError):
    """A file that holds no result of the benchmark."""


def read_result(path: str | Path) -> dict[str, Any]:
    """Read a result.

    Returns
    -------
    dict
        ``date``, ``command``, ``commit``, ``machine``, ``versions``, ``device``, ``quick``,
        ``complete``; ``matmul`` by format; ``workloads`` by name; ``tune`` by name.

    Raises
    ------
    ResultError
        If the file is missing, damaged or something else.
    """
    result = _read(path)
    if not isinstance(result, dict) or result.get("format") != FORMAT:
        raise ResultError(f"{path} is no result of python -m halfbits.benchmark")
    if missing := [name for name in _NEEDED if not isinstance(result.get(name), dict | str)]:
        raise ResultError(f"{path} is damaged: it has no {', '.join(missing)}; measure anew")
    return result


def read_finetuning(path: str | Path) -> dict[str, Any]:
    """Read a record of ``benchmarks/finetuning.py``.

    Returns
    -------
    dict
        As :func:`read_result`, with ``about``, ``settings`` and ``runs``: each with ``setting``,
        ``resolved``, ``seed``, ``seconds``, ``right`` (of the test sentences) and ``losses``.

    Raises
    ------
    ResultError
        If the file is missing, damaged or something else.
    """
    record = _read(path)
    if not isinstance(record, dict) or record.get("format") != FINETUNING:
        raise ResultError(f"{path} is no record of benchmarks/finetuning.py")
    return record


def _read(path: str | Path) -> Any:
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is not text"
        raise ResultError(f"cannot read {path}: {said}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ResultError(f"{path} is damaged: {error}; measure anew") from None


def gpu_records(step: str, folder: Path | None = None) -> list[Path]:
    """Find what ``benchmarks/gpu.sh`` recorded of a step on GPUs, rehearsals left out.

    Parameters
    ----------
    step
        ``"distilbert"``; ``sh benchmarks/gpu.sh --list`` names them.
    folder
        Where to look, also in the folders below; by default the project's.
    """
    return sorted((folder or RECORDS).rglob(f"{step}_cuda.json"))


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result; numbers of a list stand on one line."""
    text = json.dumps(rounded(result), indent=1, allow_nan=False)
    text = re.sub(r",\n\s+(?=[-\dn])", ", ", re.sub(r"\[\n\s+(?=[-\dn])", "[", text))
    text = re.sub(r"(?<=[\dl])\n\s+\]", "]", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")


def rounded(value: Any) -> Any:
    """Six digits are more than any measurement has."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(each) for each in value]
    return value


@functools.cache
def published() -> dict[str, Any]:
    """Read what the source course and its blog article report, as cited data.

    Returns
    -------
    dict
        ``about``; ``sources``, by key; ``runs``, each with ``source``, ``setting``, ``minutes``,
        ``test_accuracy`` and, where the source has it, ``gigabytes``.
    """
    return json.loads(_PUBLISHED.read_text(encoding="utf-8"))
