"""Gradients of a real transformer, and what of them is left in fp16 under a loss scale.

The recording was made by ``tools/record_gradients.py``; the question is that of Micikevicius et
al. 2018, section 3.2 and figure 3.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from halfbits.formats import FORMATS

FILE = Path(__file__).parent / "data" / "minilm_gradients.npz"
KINDS = ("weights", "activations")

_FP16 = FORMATS["fp16"]
_LOWEST, _HIGHEST = -149, 127  # exponents of float32


@dataclass(frozen=True)
class GradientReport:
    """What becomes of gradients that are scaled and cast to fp16, as fractions of their number.

    Attributes
    ----------
    zero
        Exactly 0 before the cast: no scale brings them back.
    flushed
        Not 0 before, 0 in fp16: at most 2⁻²⁵ after scaling, where the tie goes to the even 0.
    subnormal
        Below 2⁻¹⁴ in fp16: kept with fewer bits.
    normal
        Kept with fp16's full precision.
    overflow
        Infinite in fp16: 65520 and more after scaling. NaN counts here too.
    """

    zero: float
    flushed: float
    subnormal: float
    normal: float
    overflow: float


def report(g: torch.Tensor, scale: float = 1.0) -> GradientReport:
    """Multiply gradients by a loss scale, cast them to fp16 and count what they become.

    Parameters
    ----------
    g
        Gradients of any shape in float32.
    scale
        Loss scale, a positive number.

    Raises
    ------
    ValueError
        If there are no gradients or the scale is not positive and finite.
    """
    if g.numel() == 0:
        raise ValueError("there are no gradients to report on: the tensor is empty")
    cast = (g.float() * _positive(scale)).half().abs()
    zero, gone = g == 0, cast == 0
    finite = cast.isfinite()
    normal = finite & (cast >= _FP16.smallest_normal)
    parts = (zero, gone & ~zero, ~gone & finite & ~normal, normal, ~finite)
    return GradientReport(*(part.double().mean().item() for part in parts))


@dataclass(frozen=True)
class Histogram:
    """How many of a set of float32 numbers have which magnitude, by power of two.

    With the three counts at the places where fp16 decides, it tells what a cast of all numbers
    would make of them, exactly, for every scale that is a power of two.

    Attributes
    ----------
    table
        int64 array (278, 4). Row 0 is exact zeros, row ``150 + e`` the magnitudes in
        [2^e, 2^(e+1)). Columns: how many; of these equal to 2^e; at least (2 − 2⁻¹⁰)·2^e; at
        least (2 − 2⁻¹¹)·2^e.
    """

    table: np.ndarray

    @classmethod
    def of(cls, g: torch.Tensor) -> Histogram:
        """Count the numbers of a finite float32 tensor."""
        table = np.zeros((_HIGHEST - _LOWEST + 2, 4), dtype=np.int64)
        size = g.flatten().abs()
        table[0, 0] = int((size == 0).sum())
        half, exponent = torch.frexp(size[size > 0])  # size = half · 2^exponent, half in [½, 1)
        row = exponent.long() - _LOWEST  # exponent − 1, and one more for the zeros
        parts = [half > 0, half == 0.5, half >= 1 - 2.0**-11, half >= 1 - 2.0**-12]
        for column, part in enumerate(parts):
            table[:, column] += torch.bincount(row[part], minlength=len(table)).numpy()
        return cls(table)

    @property
    def total(self) -> int:
        """How many numbers there are, exact zeros included."""
        return int(self.table[:, 0].sum())

    @property
    def zeros(self) -> int:
        """How many numbers are exactly 0."""
        return int(self.table[0, 0])

    def rows(self) -> dict[int, list[int]]:
        """The four counts of the powers of two in which there is something, by exponent."""
        return {e: row for e, row in enumerate(self.table[1:].tolist(), _LOWEST) if row[0]}

    def report(self, scale: float = 1.0) -> GradientReport:
        """What a cast to fp16 makes of the numbers, as :func:`report` would find for all of them.

        Raises
        ------
        ValueError
            If the scale is not a power of two.
        """
        half, exponent = math.frexp(_positive(scale))
        if half != 0.5:
            raise ValueError(f"the histogram knows scales that are powers of two, not {scale}")
        power = exponent - 1
        flushed = self._below(-25 - power) + self._at(-25 - power, 1)
        subnormal = self._below(-14 - power) - self._at(-15 - power, 2) - flushed
        overflow = self.total - self.zeros - self._below(16 - power) + self._at(15 - power, 3)
        normal = self.total - self.zeros - flushed - subnormal - overflow
        parts = (self.zeros, flushed, subnormal, normal, overflow)
        return GradientReport(*(part / self.total for part in parts))

    def _below(self, exponent: int) -> int:
        """How many magnitudes other than 0 are below 2^exponent."""
        return int(self.table[1 : max(1, exponent - _LOWEST + 1), 0].sum())

    def _at(self, exponent: int, column: int) -> int:
        inside = _LOWEST <= exponent <= _HIGHEST
        return int(self.table[exponent - _LOWEST + 1, column]) if inside else 0


def recorded_gradients() -> torch.Tensor:
    """Return 100,000 weight gradients of MiniLM, drawn at random, as a float32 tensor.

    They are of one backward pass of a classification loss through all-MiniLM-L6-v2, in float32.
    """
    return torch.from_numpy(_recording()["sample"].copy())


def recorded_histogram(kind: str = "weights") -> Histogram:
    """Return the histogram of all recorded gradients of a kind, ``weights`` or ``activations``.

    Raises
    ------
    ValueError
        If the kind is another.
    """
    if kind not in KINDS:
        raise ValueError(f"gradients of {' or '.join(KINDS)} are recorded, not of {kind!r}")
    return Histogram(_recording()[kind])


def recorded_from() -> dict[str, str]:
    """Say where the recording is from: model, text, loss, versions, command."""
    return json.loads(str(_recording()["about"]))


@cache
def _recording() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return dict(file)


def _positive(scale: float) -> float:
    if not 0 < scale < math.inf:
        raise ValueError(f"the loss scale is a positive number such as 2**16, not {scale}")
    return scale
