"""Sums in a format: one after the other, with Kahan's correction, and in pairs.

Every addition is done in fp64 and then rounded. That gives the bits of a single rounding for
formats of up to 25 significant bits: where the wider format has at least 2q + 2 bits for the q of
the narrow one, rounding twice is innocuous (Figueroa 1995, When is double rounding innocuous?).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from halfbits.exact import Real
from halfbits.formats import Format, Which, get_format
from halfbits.rounding import rounder
from halfbits.typed import parse

HARMONIC = "1/k"

Terms = str | Real | Iterable[Real]


def terms_of(term: Terms, count: int | None = None) -> list[Real]:
    """List what is to be added: a number, exactly, ``count`` times, or 1, ½, ⅓ … for ``"1/k"``.

    Parameters
    ----------
    term
        A number, a typed number such as ``"0.01"``, ``"1/k"``, or a sequence or 1-d tensor of
        numbers.
    count
        How many terms; of a sequence the first ones, by default all.

    Raises
    ------
    ValueError
        If ``count`` is missing, negative or more than a sequence has, or the text is no number.
    """
    if count is not None and (not isinstance(count, int) or count < 0):
        raise ValueError(f"count is how many terms are added, 0 or more, not {count!r}")
    if not isinstance(term, str | Real):
        values = term.tolist() if hasattr(term, "tolist") else list(term)
        if count is not None and count > len(values):
            raise ValueError(f"there are {len(values)} values, fewer than count={count}")
        return values[:count]
    if count is None:
        raise ValueError(f"say how many terms: count=1000 adds {term} a thousand times")
    if isinstance(term, str) and term.replace(" ", "") == HARMONIC:
        # In fp64: nearer to 1/k than any midpoint of a format with up to 25 bits can be.
        return [1 / k for k in range(1, count + 1)]
    return [parse(term) if isinstance(term, str) else term] * count


def running_sum(term: Terms, count: int | None, fmt: Which) -> torch.Tensor:
    """Partial sums in a format: terms are rounded to it, and so is every sum.

    Parameters
    ----------
    term, count
        What is added, as in :func:`terms_of`; ``count`` may be None for a sequence.
    fmt
        Format by name, dtype or :class:`~halfbits.formats.Format`, up to 25 significant bits
        or fp64.

    Returns
    -------
    torch.Tensor
        float64, shape (count,): the sum after 1, 2, … terms, bit for bit what
        ``total = total + x`` gives in that dtype.

    Raises
    ------
    ValueError
        If the terms or the format do not fit.
    """
    values, rounded = _in_format(terms_of(term, count), fmt)
    total, sums = 0.0, []
    for value in values:
        total = rounded(total + value)
        sums.append(total)
    return torch.tensor(sums, dtype=torch.float64)


def kahan(values: Terms, fmt: Which) -> float:
    """Sum in a format with a second variable that keeps what each addition lost.

    Kahan 1965, Further remarks on reducing truncation errors; Goldberg 1991, theorem 8.

    Parameters
    ----------
    values
        Sequence or 1-d tensor; each is rounded to the format first.
    fmt
        As in :func:`running_sum`.

    Returns
    -------
    float
        The sum, a number of the format; 0.0 of no values.
    """
    values, rounded = _in_format(terms_of(values), fmt)
    total = lost = 0.0
    for value in values:
        corrected = rounded(value - lost)
        new = rounded(total + corrected)
        lost = rounded(rounded(new - total) - corrected)
        total = new
    return total


def pairwise(values: Terms, fmt: Which) -> float:
    """Sum in a format by halves: each half is summed in the same way, then both are added.

    The error grows with log2 n instead of n (Higham 1993, The accuracy of floating point
    summation).

    Parameters
    ----------
    values
        Sequence or 1-d tensor; each is rounded to the format first.
    fmt
        As in :func:`running_sum`.

    Returns
    -------
    float
        The sum, a number of the format; 0.0 of no values.
    """
    values, rounded = _in_format(terms_of(values), fmt)

    def add(start: int, end: int) -> float:
        if end - start < 2:
            return values[start] if end > start else 0.0
        middle = (start + end) // 2
        return rounded(add(start, middle) + add(middle, end))

    return add(0, len(values))


def _in_format(values: list[Real], fmt: Which) -> tuple[list[float], Callable[[float], float]]:
    """Round values to a format; give them with the function that rounds its sums."""
    fmt: Format = get_format(fmt)
    if fmt.man_bits > 24 and (fmt.exp_bits, fmt.man_bits) != (11, 52):
        raise ValueError(f"sums work up to 24 fraction bits and in fp64, not with {fmt.man_bits}")
    rounded = rounder(fmt)
    one_by_one = {id(x): x for x in values}  # a repeated term is one object: it is rounded once
    once = {
        key: rounded(x) if isinstance(x, float) else fmt.round(x) for key, x in one_by_one.items()
    }
    return [once[id(x)] for x in values], rounded
