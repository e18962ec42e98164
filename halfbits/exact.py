"""Exact arithmetic on real numbers: what rounding is defined with.

Integers, floats, fractions and decimals are all quotients of two integers, and Python's integers
never overflow or round. So nothing here is approximate.
"""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

Real = int | float | Fraction | Decimal


def as_real(value: Any) -> Real:
    """Unwrap a NumPy scalar or a tensor with one element; pass a real number on.

    Raises
    ------
    TypeError
        If it is not a real number.
    """
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, Real):
        raise TypeError(f"expected a real number, not a {type(value).__name__}")
    return value


def is_negative(value: Real) -> bool:
    """Tell whether the sign bit is set: true also for −0.0."""
    if isinstance(value, float):
        return math.copysign(1.0, value) < 0
    return value.is_signed() if isinstance(value, Decimal) else value < 0


def exponent(value: Real) -> int:
    """Floor of log2 |value| for a finite value other than zero: e in 2^e ≤ |value| < 2^(e+1)."""
    numerator, denominator = value.as_integer_ratio()
    numerator = abs(numerator)
    guess = numerator.bit_length() - denominator.bit_length()
    too_high = numerator << max(-guess, 0) < denominator << max(guess, 0)
    return guess - too_high


def round_to_even(value: Real, unit: int) -> int:
    """Round |value| to a whole number of steps of 2^unit: the nearest, of two the even one."""
    numerator, denominator = value.as_integer_ratio()
    numerator, denominator = abs(numerator) << max(-unit, 0), denominator << max(unit, 0)
    steps, rest = divmod(numerator, denominator)
    return steps + (2 * rest + steps % 2 > denominator)
