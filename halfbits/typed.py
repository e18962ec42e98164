"""Numbers as people type them: read exactly, before any format rounds them."""

from __future__ import annotations

import math
import re
from fractions import Fraction

# The same grammar as in bits.js: signed terms of factors, a factor is 12.5e-3 or 2^-24.
# Each text fits it in one way at most: with two ways for each factor, matching takes 2^factors.
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d{1,4})?"
_FACTOR = rf"(?:\d{{1,3}}\^[+-]?\d{{1,4}}|{_NUMBER})"
_TERM = rf"{_FACTOR}(?:[*/]{_FACTOR})*"
_LONGEST = 200  # characters
_LARGEST = 20_000  # exponents, all together: fractions of that size take milliseconds


def parse(text: str) -> Fraction | float:
    """Exact value of a typed number: decimal, scientific, ``1/3``, ``2^-24``, ``1+2^-10``.

    Returns
    -------
    Fraction or float
        A float only for what a Fraction cannot hold: infinities, NaN and −0.

    Raises
    ------
    ValueError
        If the text is not such a number.
    """
    if len(text) > _LONGEST:  # before anything searches in it
        raise ValueError(f"{text.strip()[:40]!r}… is too long for a number")
    plain = text.strip().lower().replace("−", "-").replace("×", "*").replace("**", "^")
    if special := re.fullmatch(r"([+-]?)(inf|infinity|∞|nan)", plain):
        sign = -1.0 if special[1] == "-" else 1.0
        return math.nan if special[2] == "nan" else sign * math.inf
    compact = re.sub(r"\s*([-+*/^])\s*", r"\1", plain)
    whole = re.fullmatch(rf"[+-]?{_TERM}(?:[+-]{_TERM})*", compact, re.ASCII)
    if not whole:
        shown = text.strip()[:40]
        raise ValueError(f"{shown!r} is not a number: try 0.1, 1e-8, 1/3, 2^-24, inf or nan")
    if sum(map(int, re.findall(r"[e^][+-]?(\d+)", compact, re.ASCII))) > _LARGEST:
        raise ValueError(f"{text.strip()[:40]!r} has exponents too large to compute with")
    terms = re.findall(rf"([+-]?)({_TERM})", compact, re.ASCII)
    try:
        total = sum((-1 if sign == "-" else 1) * _parse_term(term) for sign, term in terms)
    except ZeroDivisionError:
        raise ValueError(f"{text.strip()!r} divides by zero: there is no value to round") from None
    return -0.0 if len(terms) == 1 and total == 0 and terms[0][0] == "-" else total


def _parse_term(term: str) -> Fraction:
    product = Fraction(1)
    for operator, factor in re.findall(rf"([*/]?)({_FACTOR})", term, re.ASCII):
        base, _, exponent = factor.partition("^")
        value = Fraction(base) ** int(exponent) if exponent else Fraction(factor)
        product = product / value if operator == "/" else product * value
    return product
