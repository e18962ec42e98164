"""The exercises of Unit 1: references, cases, known wrong answers, right alternatives, points."""

import itertools
import math

import numpy as np
import torch

from grader.exercise import Exercise, case, sweep
from halfbits.formats import FORMATS, Format

FP16, BF16 = FORMATS["fp16"], FORMATS["bf16"]

# ── limits(exp_bits, man_bits) ───────────────────────────────────────────────────────────────────

limits = Exercise("limits", points=(1, 2))


@limits.reference
def _(exp_bits, man_bits):
    f = Format("any", exp_bits, man_bits)
    return {
        "max": f.max,
        "min": f.min,
        "smallest_normal": f.smallest_normal,
        "smallest_subnormal": f.smallest_subnormal,
        "eps": f.eps,
    }


limits.visible(case(5, 10), case(8, 7))
limits.hidden("the fields of float32 and float64", case(8, 23), case(11, 52))
limits.hidden("8-bit fields: E5M2 and E3M4", case(5, 2), case(3, 4))


@limits.wrong(
    "the exponent of all ones is taken for numbers; it is reserved for infinity and NaN, "
    "so the largest number has the exponent field 11…10"
)
def top_exponent_used(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0 ** min(2**exp_bits - 1 - bias, 1023)
    normal = 2.0 ** (1 - bias)
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps,
    }


@limits.wrong("the bias is 2^(E−1) − 1, not 2^(E−1): every limit but eps is off by a factor of 2")
def bias_without_minus_one(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1)
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0 ** (2**exp_bits - 2 - bias)
    normal = 2.0 ** (1 - bias)
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps,
    }


@limits.wrong("the bias is 2^(E−1) − 1, not 2^(E−1): every limit but eps is off by a factor of 2")
def bias_as_largest_exponent(exp_bits, man_bits):
    bias = min(2 ** (exp_bits - 1), 1023)
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0**bias
    normal = 2.0 ** (1 - 2 ** (exp_bits - 1))
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps,
    }


@limits.wrong(
    "the smallest normal number has the exponent field 1, not 0: its exponent is 1 − bias"
)
def smallest_normal_with_field_zero(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0**bias
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": 2.0**-bias,
        "smallest_subnormal": 2.0**-bias * eps,
        "eps": eps,
    }


@limits.wrong("`min` is the most negative finite number, −max; it is not the smallest positive one")
def min_is_smallest_positive(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    normal = 2.0 ** (1 - bias)
    return {
        "max": (2 - eps) * 2.0**bias,
        "min": normal,
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps,
    }


@limits.wrong(
    "eps is the gap from 1 to the next number, 2^−M; half of it is the unit roundoff, "
    "the largest relative error of rounding"
)
def eps_is_unit_roundoff(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0**bias
    normal = 2.0 ** (1 - bias)
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps / 2,
    }


@limits.wrong(
    "subnormals go M binades below the smallest normal number: with a fraction of 00…01 and a "
    "leading 0, the smallest is 2^(1−bias−M)"
)
def no_subnormals(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    largest = (2 - eps) * 2.0**bias
    normal = 2.0 ** (1 - bias)
    return {
        "max": largest,
        "min": -largest,
        "smallest_normal": normal,
        "smallest_subnormal": normal,
        "eps": eps,
    }


@limits.wrong(
    "2^(largest exponent) has a fraction of all zeros; the largest number has all ones, "
    "which makes it almost twice as large: (2 − 2^−M) × 2^(largest exponent)"
)
def fraction_of_max_is_zero(exp_bits, man_bits):
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    normal = 2.0 ** (1 - bias)
    return {
        "max": 2.0**bias,
        "min": -(2.0**bias),
        "smallest_normal": normal,
        "smallest_subnormal": normal * eps,
        "eps": eps,
    }


@limits.right("by building the numbers with ldexp, from integers")
def limits_by_ldexp(exp_bits, man_bits):
    top = (1 << (exp_bits - 1)) - 1
    return {
        "eps": math.ldexp(1, -man_bits),
        "smallest_subnormal": math.ldexp(1, 1 - top - man_bits),
        "smallest_normal": math.ldexp(1, 1 - top),
        "min": math.ldexp(1 - (1 << (man_bits + 1)), top - man_bits),
        "max": math.ldexp((1 << (man_bits + 1)) - 1, top - man_bits),
    }


# ── decode(bits, exp_bits, man_bits) ─────────────────────────────────────────────────────────────

decode = Exercise("decode", points=(1, 3))


EVERY_PATTERN = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
EVERY_VALUE = {
    (5, 10): EVERY_PATTERN.view(torch.float16).double().tolist(),
    (8, 7): EVERY_PATTERN.view(torch.bfloat16).double().tolist(),
}


@decode.reference
def _(bits, exp_bits, man_bits):
    return EVERY_VALUE[exp_bits, man_bits][bits]


def shown_pattern(bits, form):
    literal = "0b" + form.bit_string(bits).replace(" ", "_")
    return case(
        bits,
        form.exp_bits,
        form.man_bits,
        call=f"decode({literal}, {form.exp_bits}, {form.man_bits})",
    )


def patterns(form, first, last):
    """The patterns from first to last, and the same with the sign bit set."""
    for sign in (0, 2 ** (form.bits - 1)):
        yield sweep(range(sign + first, sign + last + 1), form.exp_bits, form.man_bits)


decode.visible(
    shown_pattern(0b0_01111_0000000000, FP16),
    shown_pattern(0b1_10000_1000000000, FP16),
    shown_pattern(0b0_11110_1111111111, FP16),
    shown_pattern(0b0_00000_0000000011, FP16),
    shown_pattern(0b1_00000_0000000000, FP16),
    shown_pattern(0b1_11111_0000000000, FP16),
    shown_pattern(0b0_11111_1000000000, FP16),
    shown_pattern(0b0_10000000_1001001, BF16),
)
for _form in (FP16, BF16):
    _one, _infinity = 2**_form.man_bits, (2**_form.exp_bits - 1) * 2**_form.man_bits
    decode.hidden(f"{_form.name}: every normal number", *patterns(_form, _one, _infinity - 1))
    decode.hidden(f"{_form.name}: every subnormal number", *patterns(_form, 1, _one - 1))
    decode.hidden(f"{_form.name}: both zeros", *patterns(_form, 0, 0))
    decode.hidden(f"{_form.name}: both infinities", *patterns(_form, _infinity, _infinity))
    decode.hidden(f"{_form.name}: every NaN", *patterns(_form, _infinity + 1, _infinity + _one - 1))


@decode.wrong("with an exponent field of zeros the leading digit is 0, not an implicit 1")
def implicit_one_for_subnormals(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        return sign * math.inf if fraction == 0 else math.nan
    if exponent == 0:
        if fraction == 0:
            return sign * 0.0
        return sign * (1 + fraction) * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@decode.wrong(
    "subnormals have the exponent 1 − bias, that of the smallest normal numbers, not 0 − bias: "
    "this is how the two ranges meet without a gap"
)
def subnormal_exponent_minus_bias(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        return sign * math.inf if fraction == 0 else math.nan
    if exponent == 0:
        return sign * fraction * 2.0**-bias
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@decode.wrong(
    "with an exponent field of ones, a fraction of zeros is infinity and any other is NaN"
)
def infinity_and_nan_mixed_up(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        return math.nan if fraction == 0 else sign * math.inf
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@decode.wrong("this works for fp16 only: the bias is 2^(E−1) − 1, so it depends on the layout")
def bias_of_fp16(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    if exponent == 2**exp_bits - 1:
        return sign * math.inf if fraction == 0 else math.nan
    if exponent == 0:
        return sign * fraction * 2.0**-14
    return sign * (1 + fraction) * 2.0 ** (exponent - 15)


@decode.wrong("an exponent field of ones is no ordinary exponent: it marks infinity and NaN")
def no_special_values(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@decode.wrong("zero has a sign: the pattern 1 00…0 is −0.0, and `-0.0 == 0.0` hides the difference")
def sign_of_zero_lost(bits, exp_bits, man_bits):
    sign = -1.0 if bits >> (exp_bits + man_bits) else 1.0
    exponent = (bits >> man_bits) & (2**exp_bits - 1)
    fraction = (bits & (2**man_bits - 1)) / 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        return sign * math.inf if fraction == 0 else math.nan
    if exponent == 0 and fraction == 0:
        return 0.0
    if exponent == 0:
        return sign * fraction * 2.0 ** (1 - bias)
    return sign * (1 + fraction) * 2.0 ** (exponent - bias)


@decode.right("digit by digit, from a string of bits")
def decode_from_digits(bits, exp_bits, man_bits):
    digits = format(bits, f"0{1 + exp_bits + man_bits}b")
    sign, exponent, fraction = digits[0], digits[1 : 1 + exp_bits], digits[1 + exp_bits :]
    bias = 2 ** (exp_bits - 1) - 1
    if "0" not in exponent:
        value = math.nan if "1" in fraction else math.inf
    else:
        leading = "1" if "1" in exponent else "0"
        value = math.ldexp(int(leading + fraction, 2), max(int(exponent, 2), 1) - bias - man_bits)
    return math.copysign(value, -1.0) if sign == "1" else value


# ── encode_fp16(x) ───────────────────────────────────────────────────────────────────────────────

encode_fp16 = Exercise("encode_fp16", points=(1, 4), unit="fp16")


@encode_fp16.reference
def _(x):
    with np.errstate(over="ignore"):
        bits = int(np.float64(x).astype(np.float16).view(np.uint16))
    return 0x7E00 if math.isnan(x) else bits


_values = [FP16.decode(bits) for bits in range(0x7C00)]
_ties = [(low + high) / 2 for low, high in itertools.pairwise(_values)]
_random = np.random.default_rng(7)
_normals = _random.lognormal(0, 4, 300) * _random.choice([-1, 1], 300)

encode_fp16.visible(case(1.0), case(0.1), case(65504.0), case(-0.3), case(2047.9999))
encode_fp16.visible(case(1e-6), case(2049.0), case(-2049.0), case(65520.0), case(-0.0))
encode_fp16.hidden("numbers that fp16 holds exactly", sweep(_values[::31]))
encode_fp16.hidden("numbers between two neighbours", sweep([float(x) for x in _normals]))
encode_fp16.hidden("ties: every number exactly between two positive neighbours", sweep(_ties))
encode_fp16.hidden("ties between two negative neighbours", sweep([-x for x in _ties[1::61]]))
encode_fp16.hidden(
    "numbers that round up to the next power of two",
    sweep([2.0**e * (1 - 2.0**-13) for e in range(-14, 16)]),
)
encode_fp16.hidden("around the overflow threshold", sweep([65519.99, 65520.0, -65520.0, 1e300]))
encode_fp16.hidden(
    "around the underflow threshold", sweep([2.0**-25, 1.01 * 2.0**-25, -(2.0**-26)])
)
encode_fp16.hidden("just beside a tie", sweep([1 + 2**-11 + 2**-40, 1 + 2**-11 - 2**-40]))
encode_fp16.hidden("subnormal results", sweep([3e-8, 1e-7, -5e-6, 6e-5, 6.1e-5]))
encode_fp16.hidden("both zeros", case(0.0), case(-0.0))
encode_fp16.hidden("infinities and NaN", case(math.inf), case(-math.inf), case(math.nan))


@encode_fp16.wrong(
    "the digits that do not fit are cut off (truncation); round to the nearest neighbour"
)
def truncation(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = int(abs(x) / 2.0 ** (exponent - 10))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong(
    "a tie goes up, towards +∞, here; IEEE's default sends it to the neighbour "
    "whose last bit is even"
)
def ties_go_up(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = abs(math.floor(x / 2.0 ** (exponent - 10) + 0.5))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong(
    "a tie goes away from zero here, as in school; IEEE's default sends it to the neighbour "
    "whose last bit is even"
)
def ties_go_away_from_zero(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = math.floor(abs(x) / 2.0 ** (exponent - 10) + 0.5)
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong(
    "what is too large becomes 65504 (saturation); in IEEE arithmetic everything from 65520 on "
    "rounds to infinity"
)
def saturating(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if math.isinf(x):
        return sign | 0x7C00
    x = max(-65504.0, min(65504.0, x))
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = round(abs(x) / 2.0 ** (exponent - 10))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong(
    "what is below the smallest normal number becomes zero (flush to zero); the subnormals "
    "go on down to 2^−24"
)
def flush_to_zero(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    if abs(x) < 2.0**-14:
        return sign
    exponent = math.frexp(abs(x))[1] - 1
    steps = round(abs(x) / 2.0 ** (exponent - 10))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong(
    "when the fraction rounds up past all ones, the carry must raise the exponent by one; "
    "here it is lost"
)
def carry_lost(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = round(abs(x) / 2.0 ** (exponent - 10))
    field = exponent + 15 if abs(x) >= 2.0**-14 else 0
    return sign | (field << 10) | (steps & 0x3FF)


@encode_fp16.wrong(
    "frexp's significand lies in [½, 1), so its exponent is one higher than that of 1.f × 2^e"
)
def frexp_one_too_high(x):
    sign = 0x8000 if math.copysign(1.0, x) < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1], -14) if x else -14
    steps = round(abs(x) / 2.0 ** (exponent - 10))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.wrong("the sign of zero is lost: −0.0 < 0 is false, so ask math.copysign(1, x)")
def sign_of_zero_forgotten(x):
    sign = 0x8000 if x < 0 else 0
    if math.isnan(x):
        return 0x7E00
    if abs(x) >= 65520:
        return sign | 0x7C00
    exponent = max(math.frexp(abs(x))[1] - 1, -14) if x else -14
    steps = round(abs(x) / 2.0 ** (exponent - 10))
    return sign | (((exponent + 14) << 10) + steps)


@encode_fp16.right("by a binary search among the patterns, which count upwards as the numbers do")
def encode_by_search(x):
    def value(bits):
        exponent, fraction = bits >> 10, bits & 0x3FF
        return math.ldexp(fraction + 1024 * (exponent > 0), max(exponent, 1) - 25)

    if math.isnan(x):
        return 0x7E00
    low, high = 0, 0x7C00  # the pattern of infinity, read as a number, is 65536
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if value(middle) <= abs(x) else (low, middle)
    below, above = abs(x) - value(low), value(high) - abs(x)
    nearest = low if below < above or (below == above and low % 2 == 0) else high
    return nearest | (0x8000 if math.copysign(1, x) < 0 else 0)


@encode_fp16.right("by struct, which rounds as IEEE says but raises where it overflows")
def encode_by_struct(x):
    import struct

    if math.isnan(x):
        return 0x7E00
    try:
        return int.from_bytes(struct.pack(">e", x), "big")
    except OverflowError:
        return 0x7C00 if x > 0 else 0xFC00


# ── ulp(x, dtype) ────────────────────────────────────────────────────────────────────────────────

ulp = Exercise("ulp", points=(1, 2))
DTYPES = {torch.float16: FP16, torch.bfloat16: BF16} | {
    f.dtype: f for f in (FORMATS["fp32"], FORMATS["fp64"])
}


@ulp.reference
def _(x, dtype):
    return DTYPES[dtype].ulp(x)


def from_both_sides(form, exponents):
    """Powers of two, and the number right below each."""
    for e in exponents:
        yield 2.0**e
        yield 2.0**e * (1 - 2.0 ** -(form.man_bits + 1))


ulp.visible(
    case(1.0, torch.float16),
    case(1.5, torch.float16),
    case(1.0, torch.bfloat16),
    case(-3.0, torch.float16),
    case(300.0, torch.bfloat16),
    case(2.0**-20, torch.float16),
    case(0.0, torch.float16),
)
for _dtype, _form in DTYPES.items():
    _powers = list(from_both_sides(_form, [-10, -3, -1, 0, 1, 2, 5, 13]))
    _tiny = [_form.smallest_subnormal * k for k in (1, 2, 3, 2**_form.man_bits - 1)]
    ulp.hidden(f"{_form.name}: powers of two and their lower neighbours", sweep(_powers, _dtype))
    ulp.hidden(f"{_form.name}: negative numbers", sweep([-x for x in _powers], _dtype))
    ulp.hidden(f"{_form.name}: subnormal numbers", sweep(_tiny, _dtype))
    ulp.hidden(f"{_form.name}: zero", sweep([0.0, -0.0], _dtype))
    ulp.hidden(
        f"{_form.name}: the largest and the smallest normal number",
        sweep([_form.max, _form.smallest_normal], _dtype),
    )


@ulp.wrong(
    "eps·|x| is the spacing only where |x| is a power of two; in between, the spacing stays "
    "what it is at the power of two below"
)
def eps_times_x(x, dtype):
    info = torch.finfo(dtype)
    return max(info.eps * abs(x), info.smallest_normal * info.eps)


@ulp.wrong(
    "`math.log2` rounds: right below a power of two it returns the whole number above; "
    "`math.frexp` gives the exponent exactly"
)
def rounded_logarithm(x, dtype):
    info = torch.finfo(dtype)
    if abs(x) < info.smallest_normal:
        return info.smallest_normal * info.eps
    return 2.0 ** math.floor(math.log2(abs(x))) * info.eps


@ulp.wrong(
    "below the smallest normal number the spacing stops shrinking: subnormals and zero all "
    "have the spacing of the first binade"
)
def no_floor_for_subnormals(x, dtype):
    if x == 0:
        return 0.0
    return math.ldexp(torch.finfo(dtype).eps, math.frexp(abs(x))[1] - 1)


@ulp.wrong(
    "frexp's significand lies in [½, 1), so its exponent is one higher than that of 1.f × 2^e"
)
def frexp_off_by_one(x, dtype):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    return max(math.ldexp(info.eps, math.frexp(abs(x))[1]), smallest) if x else smallest


@ulp.wrong("a gap has no sign: the spacing at −x is that at x")
def signed_gap(x, dtype):
    info = torch.finfo(dtype)
    if abs(x) < info.smallest_normal:
        return info.smallest_normal * info.eps
    gap = math.ldexp(info.eps, math.frexp(abs(x))[1] - 1)
    return gap if x > 0 else -gap


@ulp.right("the bit pattern counted one up, through integer views")
def ulp_by_pattern(x, dtype):
    ints = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    here = torch.tensor(abs(x), dtype=torch.float64).to(dtype)
    if here.item() == torch.finfo(dtype).max:
        below = (here.view(ints) - 1).view(dtype)
        return here.item() - below.item()
    above = (here.view(ints) + 1).view(dtype)
    return above.item() - here.item()


# ── dtype_limits(names) ──────────────────────────────────────────────────────────────────────────

dtype_limits = Exercise("dtype_limits", points=(1, 1))


@dtype_limits.reference
def _(names):
    forms = {name: Format("any", *fields) for name, fields in FIELDS.items()}
    return {
        name: {
            "min": forms[name].min,
            "max": forms[name].max,
            "smallest_subnormal": forms[name].smallest_subnormal,
        }
        for name in names
    }


FIELDS = {"float16": (5, 10), "bfloat16": (8, 7), "float32": (8, 23), "float64": (11, 52)}

dtype_limits.visible(case(["float16"]))
dtype_limits.hidden("float32 and float16, the pair of the quiz", case(["float32", "float16"]))
dtype_limits.hidden("bfloat16 and float64", case(["bfloat16", "float64"]))
dtype_limits.hidden("no names", case([]))


@dtype_limits.wrong(
    "`finfo.tiny` is the smallest positive normal number; `min` is the most negative"
)
def tiny_as_min(names):
    limits = {}
    for name in names:
        info = torch.finfo(getattr(torch, name))
        limits[name] = {
            "min": info.tiny,
            "max": info.max,
            "smallest_subnormal": info.smallest_normal * info.eps,
        }
    return limits


@dtype_limits.wrong(
    "these limits are rounded to a few decimal digits; `finfo` holds them exactly, use its values"
)
def rounded_to_print(names):
    limits = {}
    for name in names:
        info = torch.finfo(getattr(torch, name))
        limits[name] = {
            "min": float(f"{info.min:.5g}"),
            "max": float(f"{info.max:.5g}"),
            "smallest_subnormal": info.smallest_normal * info.eps,
        }
    return limits


@dtype_limits.wrong("the limits of a float format are floats: leave them as `finfo` gives them")
def as_integers(names):
    limits = {}
    for name in names:
        info = torch.finfo(getattr(torch, name))
        limits[name] = {
            "min": int(info.min),
            "max": int(info.max),
            "smallest_subnormal": info.smallest_normal * info.eps,
        }
    return limits


@dtype_limits.wrong(
    "`tiny` and `smallest_normal` are the same number, and the smallest *normal* one; "
    "the smallest subnormal is eps times that"
)
def tiny_as_smallest_subnormal(names):
    limits = {}
    for name in names:
        info = torch.finfo(getattr(torch, name))
        limits[name] = {"min": info.min, "max": info.max, "smallest_subnormal": info.tiny}
    return limits


@dtype_limits.right("the smallest subnormal as the pattern 00…01, looked at as a float")
def limits_by_view(names):
    ints = {2: torch.int16, 4: torch.int32, 8: torch.int64}
    limits = {}
    for name in names:
        dtype = getattr(torch, name)
        one = torch.ones((), dtype=ints[dtype.itemsize]).view(dtype)
        info = torch.finfo(dtype)
        limits[name] = {"min": -info.max, "max": info.max, "smallest_subnormal": one.item()}
    return limits
