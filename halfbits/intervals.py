"""How far an accuracy can be trusted: intervals, and gaps in standard errors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import NamedTuple

Z95 = 1.959963984540054  # 95 % of a normal distribution lie within so many standard deviations
PUBLISHED = Path(__file__).parent / "data" / "published_a100.json"


class Interval(NamedTuple):
    """A 95 % interval of a share."""

    low: float
    high: float


def wilson(share: float, n: int) -> Interval:
    """Find the 95 % interval of Wilson (1927) for a share of n independent trials.

    It stays within 0 and 1, where share ± 1.96 standard errors would not.

    Raises
    ------
    ValueError
        If the share is not from 0 to 1, or n is not positive.
    """
    _check(share, n)
    shrink = 1 + Z95**2 / n
    middle = (share + Z95**2 / (2 * n)) / shrink
    half = Z95 / shrink * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def gap_in_errors(a: float, b: float, n: int) -> float:
    """Give z, the gap of two shares, each of n, in standard errors of a difference, pooled.

    Raises
    ------
    ValueError
        If a share is not from 0 to 1, or n is not positive.
    """
    _check(a, n)
    _check(b, n)
    pooled = (a + b) / 2
    error = math.sqrt(2 * pooled * (1 - pooled) / n)
    return (a - b) / error if error else 0.0


def published() -> dict[str, float]:
    """Test accuracies of the three notebooks that this course began with, by format; n = 10,000."""
    runs = json.loads(PUBLISHED.read_text(encoding="utf-8"))["runs"]
    formats = {"32-true": "fp32", "16-mixed": "fp16", "bf16-mixed": "bf16"}
    mine = [run for run in runs if run["source"] == "course"]
    return {formats[run["setting"]]: run["test_accuracy"] for run in mine}


def _check(share: float, n: int) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"an accuracy is a share from 0 to 1, not {share}")
    if not n >= 1:
        raise ValueError(f"n is the number of test examples, at least 1, not {n}")
