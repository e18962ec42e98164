"""How sixteen bits can be split between exponent and fraction, and what either choice costs."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from halfbits.formats import FORMATS, Format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, color, style
from halfbits.text import power, short

_DECADES = (-300, -100, -30, -10, -3, -1, 0, 1, 3, 10, 30, 100, 300)
EXPLAINED = "each tick outward about triples the power of 10"


def all_splits(bits: int = 16) -> dict[int, Format]:
    """Every format of a width with 2 to 11 exponent bits and at least 2 fraction bits, by E.

    A split that the course knows goes by its name, the others are called e6m9.

    Raises
    ------
    ValueError
        If ``bits`` is not between 6 and 32.
    """
    if not 6 <= bits <= 32:
        raise ValueError(f"choose from 6 to 32 bits, not {bits}")
    known = {(f.exp_bits, f.man_bits): f for f in FORMATS.values() if f.infinities}
    pairs = [(e, bits - 1 - e) for e in range(2, min(bits - 3, 11) + 1)]
    return {e: known.get((e, m), Format(f"e{e}m{m}", e, m)) for e, m in pairs}


@style()
def splits(bits: int = 16) -> Picture:
    """Show what every split of some bits buys: range to the right, precision to the top.

    Parameters
    ----------
    bits
        Width of the formats, 6 to 32.

    Raises
    ------
    ValueError
        If ``bits`` is out of range.
    """
    every = all_splits(bits)
    figure = Figure(figsize=(WIDTH, 3.9))
    axes = figure.subplots()
    places = {e: (position(f.max), -f.man_bits) for e, f in every.items()}
    axes.plot(
        *zip(*places.values(), strict=True),
        color="black",
        alpha=0.35,
        linewidth=1,
        linestyle="solid",
    )
    for e, fmt in every.items():
        known = fmt.name in FORMATS
        axes.plot(*places[e], "o", color=color(fmt), markersize=10 if known else 6)
        label = (
            f"{fmt.name} (E = {e}, M = {fmt.man_bits}): max {short(fmt.max)}"
            if known
            else f"E = {e}, M = {fmt.man_bits}"
        )
        weight = "bold" if known else "normal"
        axes.annotate(
            label,
            places[e],
            xytext=(9, 4),
            textcoords="offset points",
            fontsize=9.5 if known else SMALL,
            fontweight=weight,
        )
    axes.set_yticks([y for _, y in places.values()])
    axes.set_yticklabels([power(2, y) for _, y in places.values()])
    axes.set_ylim(
        -max(f.man_bits for f in every.values()) - 0.8,
        -min(f.man_bits for f in every.values()) + 0.8,
    )
    axes.invert_yaxis()
    right = max(x for x, _ in places.values()) + 1.6
    axes.set_xlim(0, right)
    axes.set_xticks(*decade_ticks(1, 10.0 ** min(2**right - 1, 308)))
    axes.set_xlabel(
        "largest number: one exponent bit more squares it\n"
        f"(axis logarithmic in the exponent: {EXPLAINED})"
    )
    axes.set_ylabel("gap above 1 (eps): it doubles")
    return Picture(figure, _describe_splits(bits, every))


def position(value: float) -> float:
    """Place of a positive number on an axis logarithmic in the exponent: ±log2(1 + |log10|)."""
    decades = math.log10(value)
    return math.copysign(math.log2(1 + abs(decades)), decades)


def decade_ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    decades = [d for d in _DECADES if math.log10(low) <= d <= math.log10(high)]
    labels = [{0: "1", 1: "10"}.get(d, power(10, d)) for d in decades]
    return [math.copysign(math.log2(1 + abs(d)), d) for d in decades], labels


def _describe_splits(bits: int, every: dict[int, Format]) -> str:
    parts = [
        f"{f.name} (E = {e}): max {short(f.max)}, eps {short(f.eps)}" for e, f in every.items()
    ]
    return f"Splits of {bits} bits, more range against coarser spacing: {'; '.join(parts)}."
