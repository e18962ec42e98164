"""Softmax step by step in a narrow format, naive and stable: every intermediate result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from halfbits.formats import Format, Which, get_format
from halfbits.text import short

FORMULAS = {"naive": "exp(x) ÷ Σ exp(x)", "stable": "exp(x − max) ÷ Σ exp(x − max)"}
TEMPERATURES = (0.125, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 8, 16)  # exact in every format
CHOICES = ("fp16", "bf16", "fp32")
STEPS = ("x ÷ T", "− max", "exp", "sum", "÷ sum")
LIMIT = 100
_NOTHING = 1e-9  # an error as small is not told apart


@dataclass(frozen=True)
class Softmax:
    """One way to compute softmax, with every intermediate result.

    Attributes
    ----------
    way
        ``"naive"`` or ``"stable"``.
    fmt
        The format that every result is rounded to.
    steps
        What each step gives, by its name; the last one is the probabilities.
    exact
        The probabilities in float64.
    """

    way: str
    fmt: Format
    steps: dict[str, list[float]]
    exact: list[float]

    @property
    def probabilities(self) -> list[float]:
        """What the steps arrive at."""
        return self.steps["÷ sum"]

    def verdict(self) -> str:
        """Name the first step that goes wrong, or say how far off the result is."""
        exponents = self.steps.get("− max", self.steps["x ÷ T"])
        (total,) = self.steps["sum"]
        for z, e in zip(exponents, self.steps["exp"], strict=True):
            if e == math.inf:
                return f"exp({short(z)}) is ∞, and ∞ ÷ ∞ is NaN"
        if total == math.inf:
            return "no exponential overflows, but their sum is ∞, so every quotient is 0"
        if total == 0:
            return "every exponential is flushed to 0, and 0 ÷ 0 is NaN"
        pairs = zip(self.probabilities, self.exact, strict=True)
        worst = max(abs(p - exact) for p, exact in pairs)
        return f"within {short(max(worst, _NOTHING), 1)} of the exact result"


def compute(way: str, logits: Sequence[float], fmt: Which, temperature: float = 1) -> Softmax:
    """Compute softmax as torch does on the CPU, one rounding to the format after each step.

    Raises
    ------
    ValueError
        If the format is not fp16, bf16 or fp32, a logit is beyond ±100, the temperature is not
        positive or there are not three to five logits.
    """
    fmt = check_arguments(logits, fmt, temperature)
    x = torch.tensor(logits, dtype=torch.float32).to(fmt.dtype)
    steps = {"x ÷ T": x / temperature}
    if way == "stable":
        steps["− max"] = steps["x ÷ T"] - steps["x ÷ T"].max()
    steps["exp"] = list(steps.values())[-1].exp()
    steps["sum"] = steps["exp"].sum().reshape(1)  # torch adds in fp32 and rounds once
    steps["÷ sum"] = steps["exp"] / steps["sum"]
    exact = torch.softmax(torch.tensor(logits, dtype=torch.float64) / temperature, 0)
    numbers = {name: step.tolist() for name, step in steps.items()}
    return Softmax(way, fmt, numbers, exact.tolist())


def write(value: float) -> str:
    """Write a number of a table, infinities and NaN included."""
    if math.isnan(value):
        return "NaN"
    return short(value) if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def as_text(way: Softmax) -> str:
    """The verdict, and a line for each step."""
    lines = [f"Softmax in {way.fmt.name}, {way.way}: {way.verdict()}."]
    lines += [f"  {name:6} {'  '.join(map(write, v))}" for name, v in way.steps.items()]
    return "\n".join(lines)


def check_arguments(logits: Sequence[float], fmt: Which, temperature: float) -> Format:
    """Return the format if softmax can be shown for these arguments, else raise a ValueError."""
    if not 3 <= len(logits) <= 5:
        raise ValueError(f"give three to five logits, such as [12, 11, 10], not {len(logits)}")
    if not all(abs(x) <= LIMIT for x in logits):
        raise ValueError(f"logits are numbers from −{LIMIT} to {LIMIT}, not {list(logits)}")
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature is a positive number, not {temperature}")
    if (found := get_format(fmt)).name not in CHOICES:
        raise ValueError(f"softmax is shown in {', '.join(CHOICES)}, not in {found.name}")
    return found
