"""What attention makes of masks that are added to the scores, in a format of 16 bits."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from halfbits.formats import Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.pictures.theme import ALERT
from halfbits.text import short

SCORES = (1.0, 0.0, 2.0, 1.0)  # of one query with four keys
SITUATIONS = {  # how many masks lie on each key
    "padding at the end": (0, 0, 1, 1),
    "the same, added twice": (0, 0, 2, 2),
    "every place masked": (1, 1, 1, 1),
    "every place, twice": (2, 2, 2, 2),
}


class Masked(NamedTuple):
    """A row of scores under a mask: what softmax made of it."""

    fill: str
    situation: str
    scores: list[float]
    weights: list[float]


def fills(fmt: Which) -> dict[str, float]:
    """The numbers that people add: −10⁴, the lowest of the format, the lowest of fp32, −∞."""
    form = get_format(fmt)
    return {
        "−10⁴": -1e4,
        f"lowest {form.name}": -form.max,
        "lowest fp32": -torch.finfo(torch.float32).max,
        "−∞": -math.inf,
    }


def mask_rows(fmt: Which = "fp16") -> list[Masked]:
    """Add each number to a row of scores, once or twice, and take the softmax, all in one format.

    Parameters
    ----------
    fmt
        fp16, bf16 or fp32.

    Raises
    ------
    ValueError
        If it is another.
    """
    form = get_format(fmt)
    if form.name not in ("fp16", "bf16", "fp32"):
        raise ValueError(f"choose fp16, bf16 or fp32, not {fmt!r}")
    scores = torch.tensor(SCORES, dtype=form.dtype)
    rows = []
    for name, value in fills(form).items():
        bias = torch.tensor(value, dtype=torch.float64).to(form.dtype)
        for situation, masks in SITUATIONS.items():
            count = torch.tensor(masks)
            total = torch.zeros_like(scores)
            for layer in (1, 2):
                total = torch.where(count >= layer, total + bias, total)
            row = scores + total
            weights = torch.softmax(row, 0)
            rows.append(Masked(name, situation, row.tolist(), weights.tolist()))
    return rows


@style()
def masks(fmt: Which = "fp16") -> Picture:
    """Draw the attention weights for each number that is added as a mask.

    Parameters
    ----------
    fmt
        fp16, bf16 or fp32.

    Raises
    ------
    ValueError
        If it is another.
    """
    form, rows = get_format(fmt), mask_rows(fmt)
    figure = Figure(figsize=(WIDTH, 4.9))
    grid = figure.subplots(len(SITUATIONS), len(rows) // len(SITUATIONS), sharex=True, sharey=True)
    for number, row in enumerate(rows):
        column, line = divmod(number, len(SITUATIONS))
        axes = grid[line][column]
        _draw_weights(axes, row, color(form))
        if line == 0:
            axes.set_title(f"add {row.fill}", fontsize=SMALL, weight="bold")
        if column == 0:
            axes.set_ylabel(row.situation.replace(", ", ",\n").replace(" at", "\nat"), **_LEVEL)
    grid[-1][0].set_xticks(range(len(SCORES)), range(1, len(SCORES) + 1))
    figure.supxlabel(f"key; bars: attention weight, all computed in {form.name}", fontsize=SMALL)
    return Picture(figure, _describe(form.name, rows))


_LEVEL = {"rotation": 0, "ha": "right", "va": "center", "fontsize": SMALL}


def _draw_weights(axes: Axes, row: Masked, ink: str) -> None:
    dead = any(map(math.isnan, row.weights))
    axes.bar(range(len(row.weights)), [0 if dead else w for w in row.weights], 0.7, color=ink)
    if dead:
        look = {"color": ALERT, "weight": "bold", "ha": "center", "va": "center"}
        axes.text((len(SCORES) - 1) / 2, 0.5, "NaN", fontsize=12, **look)
    axes.set(ylim=(0, 1.08), yticks=[0, 0.5, 1], xlim=(-0.6, len(SCORES) - 0.4))
    axes.grid(visible=False, axis="x")


def _describe(name: str, rows: list[Masked]) -> str:
    parts = []
    for row in rows:
        dead = any(map(math.isnan, row.weights))
        said = "NaN" if dead else ", ".join(short(round(w, 3)) for w in row.weights)
        parts.append(f"{row.fill}, {row.situation}: {said}")
    return f"Attention weights of four keys, computed in {name}. {'; '.join(parts)}."
