"""Pictures of a student's rounding, to nearest and at random, over the truth."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from matplotlib.figure import Figure

from halfbits.formats import FORMATS, Format
from halfbits.pictures.attempts import ASTRAY, RIGHT, results_of
from halfbits.pictures.figure import WIDTH, Picture, color, style
from halfbits.rounding import round_to

TRUTH = {"color": "black", "alpha": 0.3, "linewidth": 7, "linestyle": "solid"}
COPIES = 1_000  # roundings of which the mean is drawn
CHANCE = 0.05  # gaps: three standard errors of such a mean, √(p(1 − p)/COPIES) ≤ 0.016
UPDATES, STEP = 1_000, 0.001


def tensor_from(call: Callable[[], object], shape: tuple[int, ...]) -> tuple[torch.Tensor, str]:
    """What a student's function gives, in float64, or all NaN, and what is wrong with it."""

    def checked(_: None) -> torch.Tensor:
        result = call()
        if not isinstance(result, torch.Tensor) or tuple(result.shape) != shape:
            kind = type(result).__name__
            got = tuple(result.shape) if isinstance(result, torch.Tensor) else kind
            raise TypeError(f"return a tensor of shape {shape}, not {got}")
        return result.detach().double()

    results, problem = results_of(checked, [None])
    return (results or [torch.full(shape, math.nan, dtype=torch.float64)])[0], problem


@style()
def draw_rounded(round_mantissa: Callable, man_bits: int = 1) -> Picture:
    """Show ``round_mantissa(x, man_bits)`` from −4 to 4 over the true staircase, with its ties.

    Parameters
    ----------
    round_mantissa
        The student's function; it may raise, or return anything.
    man_bits
        Fraction bits to keep, 1 to 3.

    Raises
    ------
    ValueError
        If ``man_bits`` is not 1, 2 or 3: the steps would be too small to see.
    """
    if man_bits not in (1, 2, 3):
        raise ValueError(f"man_bits is 1, 2 or 3 in this picture, not {man_bits}")
    kept = f"{man_bits} fraction bit{'s'[: man_bits > 1]}"
    x = torch.arange(-4, 4, 2.0**-8) + 0.001  # none of them a tie
    ties = _ties(man_bits)
    both = torch.cat([x, ties])
    truth = round_to(both, Format("kept", 8, man_bits)).double()
    yours, problem = tensor_from(lambda: round_mantissa(both.clone(), man_bits), tuple(both.shape))
    right = yours == truth
    figure = Figure(figsize=(WIDTH, 4.2))
    axes = figure.subplots()
    axes.plot(x, truth[: len(x)], **TRUTH)
    axes.plot(x, yours[: len(x)], color=RIGHT, linestyle="solid")
    axes.plot(ties, truth[len(x) :], "o", color="black", alpha=0.3, markersize=10)
    for chosen, ink, marker in ((right, RIGHT, "o"), (~right, ASTRAY, "X")):
        here = chosen[len(x) :]
        axes.plot(ties[here], yours[len(x) :][here], marker, color=ink, markersize=6)
    axes.set(xlabel="x", ylabel=f"x, rounded to {kept}")
    said = problem or (
        f"{right[: len(x)].sum()} of {len(x)} numbers between and "
        f"{right[len(x) :].sum()} of {len(ties)} ties are right"
    )
    axes.set_title(f"broad and grey: true; thin: yours; dots: ties\n{said}", parse_math=False)
    alt = (
        f"A staircase: numbers from −4 to 4 rounded to {kept}. Its steps are "
        f"half as wide below each power of two, towards zero. Your function over it: {said}."
    )
    return Picture(figure, alt)


def _ties(man_bits: int) -> torch.Tensor:
    """Midpoints between neighbours of magnitude ½ to 4, of both signs."""
    steps = torch.arange(2.0**man_bits, 2.0 ** (man_bits + 1)) + 0.5
    positive = torch.tensor([0.5, 1.0, 2.0]).outer(steps * 2.0**-man_bits).flatten()
    return torch.cat([-positive.flip(0), positive])


@style()
def draw_stochastic(stochastic_round_bf16: Callable) -> Picture:
    """Show the mean of a student's stochastic roundings, and a weight that they update.

    Parameters
    ----------
    stochastic_round_bf16
        The student's function of (x, generator); it may raise, or return anything.
    """
    generator = torch.Generator().manual_seed(0)
    place = torch.arange(17) / 16
    x = (1 + place * 2.0**-7)[:, None].repeat(1, COPIES)
    yours, problem = tensor_from(
        lambda: stochastic_round_bf16(x.clone(), generator), tuple(x.shape)
    )
    means = (yours.mean(1) - 1) * 2**7
    off = (means - place).abs().max().item()
    figure = Figure(figsize=(WIDTH, 3.6))
    left, right = figure.subplots(1, 2)
    left.plot(place, place, **TRUTH)
    left.plot([0, 0.5, 0.5, 1], [0, 0, 1, 1], color="black", linewidth=1, linestyle="dotted")
    left.plot(place, means, "o-", color=color(FORMATS["bf16"]), markersize=5)
    left.set(xlabel="place of x between neighbours, in gaps", ylabel=f"mean of {COPIES:,} results")
    left.set_title("dotted: rounding to nearest; grey: x itself")
    weights, problem_of_weights = _trajectories(stochastic_round_bf16, generator)
    steps = range(UPDATES + 1)
    right.plot(steps, [1 - STEP * k for k in steps], **TRUTH)
    right.plot(steps, [1.0] * len(steps), color="black", linewidth=1, linestyle="dotted")
    right.plot(weights, color=color(FORMATS["bf16"]), linewidth=1, linestyle="solid")
    right.set(xlabel="updates", ylabel="four weights", ylim=(-0.15, 1.15))
    right.set_title("dotted: rounding to nearest; grey: exact")
    problem = problem or problem_of_weights
    said = (
        problem or f"largest distance of a mean from x: {off:.2f} gaps (up to {CHANCE} is chance)"
    )
    figure.suptitle(f"your stochastic rounding to bf16: {said}", x=0.01, ha="left", fontsize=10)
    end = "" if problem else f" After {UPDATES:,} updates their mean is {weights[-1].mean():.2f}."
    alt = (
        "Left: the mean of your roundings against x, over the diagonal that it should follow. "
        f"Right: weights that start at 1 and get {UPDATES:,} updates of −{STEP}; to nearest they "
        f"stay at 1, exactly they end at 0. Yours: {said}.{end}"
    )
    return Picture(figure, alt)


def _trajectories(function: Callable, generator: torch.Generator) -> tuple[torch.Tensor, str]:
    """Four weights after each update, shape (updates + 1, 4); all NaN with a problem."""

    def train() -> torch.Tensor:
        weights = [torch.ones(4, dtype=torch.bfloat16)]
        for _ in range(UPDATES):
            weights.append(function(weights[-1].float() - STEP, generator))
        return torch.stack([w.double() for w in weights])

    return tensor_from(train, (UPDATES + 1, 4))
