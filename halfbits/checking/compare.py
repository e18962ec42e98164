"""When two outputs agree: bit for bit, or within a tolerance that has a reason.

A rule is plain data, so that it travels with the cases: ``{"rule": "exact"}``,
``{"rule": "close", "rtol": …, "atol": …, "why": …}`` or ``{"rule": "ulps", "n": …, "why": …}``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import torch

from halfbits.checking.codec import decode
from halfbits.formats import get_format

EXACT: dict[str, Any] = {"rule": "exact"}


def close(*, rtol: float = 0.0, atol: float = 0.0, why: str) -> dict[str, Any]:
    """Floats and float tensors may differ by ``atol`` + ``rtol`` × |expected|.

    Parameters
    ----------
    rtol, atol
        Relative and absolute tolerance.
    why
        Where the difference comes from, for whoever wonders about the tolerance.
    """
    return {"rule": "close", "rtol": rtol, "atol": atol, "why": why}


def within_ulps(n: int, *, why: str) -> dict[str, Any]:
    """Floats and float tensors may be ``n`` numbers of their format apart.

    Distances are counted in units in the last place of the expected number: of the tensor's dtype,
    for Python's floats of fp64.
    """
    return {"rule": "ulps", "n": n, "why": why}


def agree(expected: Any, got: Any, rule: dict[str, Any]) -> bool:
    """Tell whether two encoded outputs agree.

    Types, dtypes, shapes, integers, strings and the order of lists must be the same. Under the
    exact rule floats are, too: NaN equals NaN, and −0.0 is not 0.0. Under the others 0.0 equals
    −0.0.
    """
    if rule["rule"] == "exact":
        return json.dumps(expected) == json.dumps(got)  # Python takes 1 for True
    return _agree(decode(expected), decode(got), _tolerance(rule))


Tolerance = Callable[[float, torch.dtype], float]


def _tolerance(rule: dict[str, Any]) -> Tolerance:
    if rule["rule"] == "close":
        return lambda want, _: rule["atol"] + rule["rtol"] * abs(want)
    return lambda want, dtype: rule["n"] * get_format(dtype).ulp(want)


def _agree(want: Any, have: Any, tolerance: Tolerance) -> bool:
    if type(want) is not type(have):
        return False
    if isinstance(want, float):
        return _near(want, have, tolerance(want, torch.float64))
    if isinstance(want, torch.Tensor):
        return _tensors_agree(want, have, tolerance)
    if isinstance(want, list | tuple):
        pairs = zip(want, have, strict=False)
        return len(want) == len(have) and all(_agree(w, h, tolerance) for w, h in pairs)
    if isinstance(want, dict):
        return want.keys() == have.keys() and all(_agree(want[k], have[k], tolerance) for k in want)
    return want == have


def _tensors_agree(want: torch.Tensor, have: torch.Tensor, tolerance: Tolerance) -> bool:
    same_kind = want.dtype == have.dtype and want.shape == have.shape
    return same_kind and not _disagreeing(want, have, tolerance)


def disagreeing(want: torch.Tensor, have: torch.Tensor, rule: dict[str, Any]) -> list[int]:
    """Flat indices where two tensors of the same dtype and shape disagree."""
    if rule["rule"] != "exact":
        return _disagreeing(want, have, _tolerance(rule))
    same = (want == have) | ((want != want) & (have != have))
    if want.dtype.is_floating_point:
        same &= want.signbit() == have.signbit()
    return (~same).flatten().nonzero().flatten().tolist()


def _disagreeing(want: torch.Tensor, have: torch.Tensor, tolerance: Tolerance) -> list[int]:
    if not want.dtype.is_floating_point:
        return disagreeing(want, have, EXACT)
    pairs = zip(want.double().flatten().tolist(), have.double().flatten().tolist(), strict=True)
    return [i for i, (w, h) in enumerate(pairs) if not _near(w, h, tolerance(w, want.dtype))]


def _near(want: float, have: float, tolerance: float) -> bool:
    if math.isnan(want) or math.isinf(want):
        return math.isnan(have) if math.isnan(want) else have == want
    return abs(have - want) <= tolerance
