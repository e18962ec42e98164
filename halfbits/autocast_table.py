"""Which dtype comes out of an operation under autocast: torch's own answers, written down.

The tables lie in ``data/autocast_cpu.json`` and ``data/autocast_cuda.json``, made by
``tools/autocast_tables.py``; they say which torch was asked, when and how.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import torch

_DATA = Path(__file__).parent / "data"
_NAMES = {
    torch.float32: "fp32",
    torch.float16: "fp16",
    torch.bfloat16: "bf16",
    torch.float64: "fp64",
    torch.int64: "int64",
    torch.bool: "bool",
}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}


class AutocastError(RuntimeError):
    """torch refuses the operation under autocast; the message is torch's."""


@functools.cache
def autocast_table(device_type: str) -> dict:
    """Read the table of a device.

    Parameters
    ----------
    device_type
        ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    dict
        ``torch``, ``date``, ``command`` and ``how`` say where it comes from, ``left_out`` which
        operations depend on the very CPU or GPU, and ``ops`` holds, by name, ``kind``, ``call``
        (the code that ran), ``inputs``, and for each autocast dtype the output by input dtypes:
        ``table["ops"]["mm"]["bf16"]["fp32 fp32"] == "bf16"``.

    Raises
    ------
    ValueError
        If there is no table of that device.
    """
    if device_type not in ("cpu", "cuda"):
        raise ValueError(f"there are tables for 'cpu' and 'cuda', not for {device_type!r}")
    return json.loads((_DATA / f"autocast_{device_type}.json").read_text(encoding="utf-8"))


def output_dtype(
    op: str,
    in_dtypes: Sequence[torch.dtype] | torch.dtype,
    device_type: str,
    amp_dtype: torch.dtype,
) -> torch.dtype:
    """Look up the dtype that an operation returns inside ``torch.autocast``.

    Parameters
    ----------
    op
        Name in the table, for instance ``"linear"``.
    in_dtypes
        One dtype for each input whose dtype matters (``table["ops"][op]["inputs"]`` names them);
        a single dtype stands for all.
    device_type
        ``"cpu"`` or ``"cuda"``.
    amp_dtype
        The dtype given to autocast: torch.bfloat16 or torch.float16.

    Raises
    ------
    AutocastError
        If torch raises an error instead.
    ValueError
        If the table has no such operation, dtype or combination.
    """
    entry = _entry(op, device_type)
    if amp_dtype not in (torch.bfloat16, torch.float16):
        raise ValueError(f"autocast to torch.bfloat16 or torch.float16, not to {amp_dtype}")
    if isinstance(in_dtypes, torch.dtype):
        in_dtypes = (in_dtypes,) * len(entry["inputs"])
    key = " ".join(_NAMES.get(each, str(each)) for each in in_dtypes)
    outcomes = entry[_NAMES[amp_dtype]]
    if key not in outcomes:
        raise ValueError(f"{op} was not run with ({key}); the table has: {', '.join(outcomes)}")
    if outcomes[key] not in _DTYPES:
        raise AutocastError(outcomes[key])
    return _DTYPES[outcomes[key]]


def autocast_rule(op: str, device_type: str) -> str:
    """Say in a word what autocast does to an operation's floating-point inputs.

    Returns
    -------
    str
        ``"16 bit"``: computed in the dtype of autocast; ``"fp32"``: computed in float32;
        ``"passes through"``: left as it comes; ``"error"``: refused. Judged by what comes out for
        inputs in float32 and for inputs in the dtype of autocast.

    Raises
    ------
    ValueError
        If the table has no such operation or device.
    """
    from_32, from_16 = (_outcome(op, device_type, dtype) for dtype in ("fp32", "bf16"))
    rules = {
        ("bf16", "bf16"): "16 bit",
        ("fp32", "fp32"): "fp32",
    }
    return "error" if from_32 not in _DTYPES else rules.get((from_32, from_16), "passes through")


def _outcome(op: str, device_type: str, dtype: str) -> str:
    """What comes out of inputs of one dtype under autocast to bf16: a dtype's name or an error."""
    entry = _entry(op, device_type)
    return entry["bf16"][" ".join([dtype] * len(entry["inputs"]))]


def _entry(op: str, device_type: str) -> dict:
    table = autocast_table(device_type)
    if op in table["left_out"]:
        raise ValueError(f"the table of {device_type} leaves out {op}: {table['left_out'][op]}")
    if op not in table["ops"]:
        raise ValueError(f"no operation {op!r} in the table; it has {', '.join(table['ops'])}")
    return table["ops"][op]
