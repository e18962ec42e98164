"""A picture of a student's summation: how its error grows with the number of terms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from matplotlib.figure import Figure

from halfbits.formats import FORMATS
from halfbits.pictures.attempts import results_of
from halfbits.pictures.figure import WIDTH, Picture, color, style
from halfbits.summation import running_sum

BF16 = FORMATS["bf16"]
COUNTS = (10, 30, 100, 300, 1_000, 3_000)
DRAWS = (3, 10)  # least and most sets of random terms, of which the mean error is drawn
FLOOR = 2.0**-14  # errors below cannot be told apart, and 0 has no place on the axis
LOOKS = (
    {"color": color(BF16), "linestyle": "solid", "marker": "o"},
    {"color": color(FORMATS["tf32"]), "linestyle": "dashed", "marker": "s"},
)


@style()
def draw_sums(*functions: Callable) -> Picture:
    """Show the relative error of ``f(xs, dtype)`` for random terms in bf16, beside a loop's.

    Parameters
    ----------
    *functions
        One or two of the student's functions; they may raise, or return anything.

    Raises
    ------
    ValueError
        If there are none or more than two.
    """
    if not 1 <= len(functions) <= len(LOOKS):
        raise ValueError(f"give one or two functions to draw, not {len(functions)}")
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.subplots()
    loop, _ = _errors(_loop)
    axes.plot(COUNTS, loop, color="black", alpha=0.5, label="loop", marker="x")
    told = []
    for function, look in zip(functions, LOOKS, strict=False):
        name = getattr(function, "__name__", "your function")
        errors, problem = _errors(function)
        said = problem or f"{errors[-1]:.1%} at {COUNTS[-1]:,} terms"
        told.append(f"{name}: {said}")
        axes.plot(COUNTS[: len(errors)], errors, label=name, **look)
    axes.axhline(BF16.eps / 2, color="black", linewidth=1, linestyle="dotted")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 2, 2)
    axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:g} %")
    axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
    axes.set(xlabel="terms between 0 and 1, logarithmic", ylabel="relative error, logarithmic")
    axes.legend(loc="upper left")
    axes.set_title("\n".join(["sums in bf16; dotted: u = 2⁻⁸", *told]), parse_math=False)
    alt = (
        f"Relative error of sums of {COUNTS[0]} to {COUNTS[-1]:,} random bf16 terms. A loop's "
        f"grows to {loop[-1]:.0%}. Yours: {'; '.join(told)}."
    )
    return Picture(figure, alt)


def _errors(function: Callable) -> tuple[list[float], str]:
    """Mean relative errors for each number of terms, up to the first that there is none for."""

    def error(count: int) -> float:
        found = []
        for seed in range(min(max(COUNTS[-1] // count, DRAWS[0]), DRAWS[1])):
            xs = torch.rand(count, generator=torch.Generator().manual_seed(seed)).bfloat16()
            exact = math.fsum(xs.tolist())
            found.append(abs(float(function(xs, torch.bfloat16)) - exact) / exact)
        return max(sum(found) / len(found), FLOOR)

    return results_of(error, COUNTS)


def _loop(xs: torch.Tensor, dtype: torch.dtype) -> float:
    return running_sum(xs, None, dtype)[-1].item()
