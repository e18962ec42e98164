"""Variance computed three ways, while the mean moves away from zero: where cancellation strikes.

Naive is E[x²] − E[x]² (textbook form), two passes subtract the mean first, Welford 1962 updates
mean and sum of squares with each number. All of it runs in the format itself, in torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch

from halfbits.formats import Format
from halfbits.softmax import write
from halfbits.text import power, short

MEANS = (0.0, *(10 ** (k / 4) for k in range(25)))  # 0, then 1 to 10⁶
COUNT = 1000
WAYS = {"naive": "E[x²] − E[x]²", "two passes": "E[(x − E[x])²]", "Welford": "one number at a time"}


@dataclass(frozen=True)
class Variances:
    """The variance of one set of numbers, by way, and ``exact`` as float64 has it."""

    mean: float
    fmt: Format
    exact: float
    by_way: dict[str, float]

    def said(self) -> str:
        """All of it in a sentence."""
        parts = []
        for way, value in self.by_way.items():
            impossible = " (no variance is negative)" if value < 0 else ""
            parts.append(f"{way} {write(value)}{impossible}")
        if math.isnan(self.exact):
            exact = f"the data overflow: {self.fmt.name} ends at {short(self.fmt.max)}"
        else:
            gap = f", {write(self.fmt.ulp(self.mean))} apart near the mean" if self.mean else ""
            exact = f"exact {write(self.exact)} for the data as {self.fmt.name} stores them{gap}"
        return f"Mean {mean_name(self.mean)}: {', '.join(parts)}; {exact}."


@cache
def all_variances(fmt: Format) -> list[Variances]:
    """Compute variances in a format, for every mean, of 1000 numbers with standard deviation 1."""
    deviations = torch.randn(COUNT, generator=torch.Generator().manual_seed(0))
    data = torch.stack([(deviations + mean).to(fmt.dtype) for mean in MEANS])
    one_by_one = welford(data).tolist()
    return [
        Variances(
            mean,
            fmt,
            exact=x.double().var(correction=0).item(),
            by_way={
                "naive": ((x * x).mean() - x.mean() ** 2).item(),
                "two passes": ((x - x.mean()) ** 2).mean().item(),
                "Welford": last,
            },
        )
        for mean, x, last in zip(MEANS, data, one_by_one, strict=True)
    ]


def welford(x: torch.Tensor) -> torch.Tensor:
    """Return the variance over the last axis in one pass, every operation rounded to the dtype.

    Source: Welford 1962, "Note on a method for calculating corrected sums of squares and products".
    """
    mean = squares = torch.zeros(x.shape[:-1], dtype=x.dtype)
    for n, value in enumerate(x.unbind(-1), start=1):
        delta = value - mean
        mean = mean + delta / n
        squares = squares + delta * (value - mean)
    return squares / x.shape[-1]


def mean_name(mean: float) -> str:
    """Write a mean: ``"0"``, ``"5.62"``, ``"10⁴"``."""
    exponent = math.log10(mean) if mean else 0
    return power(10, round(exponent)) if exponent >= 2 and exponent % 1 == 0 else write(mean)
