"""How far Adam's steps go in fp16, against the size of the gradient and its eps."""

from __future__ import annotations

import functools

import numpy as np
import torch
from matplotlib.figure import Figure

from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import ALERT, FORMAT_COLORS
from halfbits.text import power, short

RATE = 1e-3  # Adam's default
_FP16 = torch.float16
# dtype, eps, fused, steps, line, width
_CURVES = {
    "fp32": (torch.float32, 1e-8, False, 1, "solid", 3.4),
    "fp16, eps 10⁻⁷": (_FP16, 1e-7, False, 1, (0, (1, 1)), 1.8),
    "fp16, eps 10⁻⁴": (_FP16, 1e-4, False, 1, (0, (4, 1.2)), 1.8),
    "fp16, fused, mean of 100 steps": (_FP16, 1e-8, True, 100, "solid", 1.8),
}
_TOP = 3e5


@functools.cache
def first_stored() -> float:
    """The smallest gradient whose square, times 1 − 0.999, is not 0 in fp16."""
    return float(np.sqrt(2.0**-25 / 1e-3))


LAST_LOST = float(np.float16(first_stored()))  # fp16's largest gradient below that
_GRADIENTS = np.sort([*2.0 ** np.arange(-19, 0.01, 0.25), LAST_LOST])


def adam_step_lengths(
    dtype: torch.dtype, eps: float, fused: bool, steps: int, gradients: np.ndarray = _GRADIENTS
) -> np.ndarray:
    """Run torch's Adam on weights of 0 with constant gradients and measure how far they move.

    Parameters
    ----------
    dtype
        Of weights, gradients and so of Adam's moments.
    eps, fused
        Of ``torch.optim.Adam``, whose learning rate is its default, 0.001.
    steps
        How many are taken.
    gradients
        One for each weight.

    Returns
    -------
    numpy.ndarray
        Mean length of a step, as a multiple of the learning rate. In exact arithmetic, and with a
        constant gradient, no step is longer than that.
    """
    gradient = torch.from_numpy(gradients).to(dtype)
    weights = torch.zeros_like(gradient, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=RATE, eps=eps, fused=fused)
    for _ in range(steps):
        weights.grad = gradient.clone()
        adam.step()
    return weights.detach().double().abs().numpy() / (steps * RATE)


@style()
def adam_steps() -> Picture:
    """Draw the length of Adam's steps in fp16 against the gradient, for several eps, and fused."""
    figure = Figure(figsize=(WIDTH, 3.9))
    axes = figure.subplots()
    lengths = {}
    for name, (dtype, eps, fused, steps, line, width) in _CURVES.items():
        found = lengths[name] = adam_step_lengths(dtype, eps, fused, steps)
        ink = FORMAT_COLORS["fp32" if dtype == torch.float32 else "fp16"]
        shown = np.where((found > 0) & np.isfinite(found), found, np.nan)
        alpha = 0.5 if name == "fp32" else 1
        look = {"color": ink, "linestyle": line, "linewidth": width, "alpha": alpha}
        axes.plot(_GRADIENTS, shown, label=name, **look)
    infinite = ~np.isfinite(adam_step_lengths(_FP16, 1e-8, False, 1))
    axes.plot(_GRADIENTS[infinite], np.full(infinite.sum(), _TOP / 2), "x", color=ALERT, ms=5)
    beside = {"textcoords": "offset points", "fontsize": SMALL}
    last = _GRADIENTS[infinite][-1]
    at = {"xytext": (9, 0), "va": "center"}
    axes.annotate("∞: fp16, eps 10⁻⁸", (last, _TOP / 2), **beside | at)
    axes.axvline(first_stored(), color="black", linewidth=0.9, linestyle=(0, (4, 3)))
    at = {"xytext": (5, 4), "va": "bottom"}
    note = f"below {short(first_stored(), 2)} the\nsecond moment is 0"
    axes.annotate(note, (first_stored(), 1e-2), **beside | at)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set(xlim=(_GRADIENTS[0], 1), ylim=(6e-3, _TOP))
    axes.set_xticks([10.0**k for k in range(-5, 1)], [power(10, k) for k in range(-5, 0)] + ["1"])
    axes.set_yticks(
        [10.0**k for k in range(-2, 6)], [power(10, k) if k else "1" for k in range(-2, 6)]
    )
    axes.minorticks_off()
    axes.set(xlabel="gradient", ylabel="length of a step, learning rate = 1")
    axes.legend(loc="center right", handlelength=3.2, fontsize=SMALL)
    return Picture(figure, _describe(lengths, last))


def _describe(lengths: dict[str, np.ndarray], last: float) -> str:
    most = [
        f"{name}: at most {short(float(np.max(each)), 2)}, at a gradient of "
        f"{short(float(_GRADIENTS[np.argmax(each)]), 2)}"
        for name, each in lengths.items()
    ]
    return (
        f"Length of Adam's steps against the gradient, the learning rate being 1. "
        f"{'; '.join(most)}. In fp16 with eps 10⁻⁸ the step is infinite up to a gradient of "
        f"{short(float(last), 2)}."
    )
