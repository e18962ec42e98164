"""Numbers as the course writes them in pictures, tables and alt texts."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(base: int, exponent: int) -> str:
    """Write a power with a raised exponent: ``"2⁻¹⁴"``."""
    return f"{base}{str(exponent).translate(_SUPERSCRIPTS)}"


def short(value: float, digits: int = 3) -> str:
    """Write a number in a few digits: ``"65504"``, ``"0.125"``, ``"3.39×10³⁸"``.

    Whole numbers below a million and decimals that are exact in five places are written in full.
    """
    if abs(value) < 1e6 and value == int(value):
        return str(int(value)).replace("-", "−")
    if 0.001 <= abs(value) < 1 and round(value, 5) == value:
        return f"{value:.5f}".rstrip("0").replace("-", "−")
    if 0.01 <= abs(value) < 1e4:
        return f"{float(f'{value:.{digits}g}'):g}".replace("-", "−")  # 4090, not 4.09e+03
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}×{power(10, int(exponent))}".replace("-", "−")


def significant(value: float, digits: int) -> str:
    """Write a number in at most some digits, a tie rounded up, as JavaScript's toPrecision does.

    Thousands are grouped: ``"1,000.5"``; trailing zeros are left out.
    """
    rounded = Context(prec=digits, rounding=ROUND_HALF_UP).create_decimal_from_float(value)
    text = f"{rounded:,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")
