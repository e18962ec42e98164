"""The warm-up: reference, cases, known wrong answers, right alternatives, points."""

from fractions import Fraction
from math import ceil

from grader.exercise import Exercise, case

model_bytes = Exercise("model_bytes", points=(1, 1))


@model_bytes.reference
def _(parameters, bits):
    return ceil(Fraction(parameters * bits, 8))


model_bytes.visible(case(7_000_000_000, 16), case(100, 32), case(3, 12))
model_bytes.hidden("whole bytes", case(1, 8), case(66_955_010, 32))
model_bytes.hidden("a last byte that is partly used", case(1, 1), case(5, 6), case(10**15 + 1, 4))
model_bytes.hidden("very many parameters", case(2**60 + 1, 8))
model_bytes.hidden("no parameters", case(0, 16))


@model_bytes.wrong("these are bits; a byte has 8 of them")
def bits_not_bytes(parameters, bits):
    return parameters * bits


@model_bytes.wrong("a last byte that is partly used counts, too: round up")
def rounded_down(parameters, bits):
    return parameters * bits // 8


@model_bytes.wrong("packed tightly, parameters share bytes: round up once, at the end")
def each_parameter_padded(parameters, bits):
    return parameters * ((bits + 7) // 8)


@model_bytes.wrong("bytes come in whole numbers: return an int (`/` makes a float, `//` does not)")
def a_float(parameters, bits):
    return parameters * bits / 8


@model_bytes.wrong(
    "a float holds 53 binary digits: `/` loses the last ones of a large number; stay with integers"
)
def ceil_of_a_float(parameters, bits):
    import math

    return math.ceil(parameters * bits / 8)


@model_bytes.right("rounding up by rounding the negative down")
def negative_floor(parameters, bits):
    return -(-parameters * bits // 8)


@model_bytes.right("with divmod")
def quotient_and_rest(parameters, bits):
    whole, rest = divmod(parameters * bits, 8)
    return whole + (rest > 0)
