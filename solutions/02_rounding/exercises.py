"""The exercises of Unit 2: references, cases, known wrong answers, right alternatives, points."""

import math

import torch

from grader.exercise import Exercise, case, close, sweep, within_ulps
from halfbits.formats import FORMATS, Format, get_format
from halfbits.rounding import round_to

FP16, BF16, FP32 = FORMATS["fp16"], FORMATS["bf16"], FORMATS["fp32"]
NAN = 0x7FC00000

# ── round_mantissa(x, man_bits) ──────────────────────────────────────────────────────────────────

round_mantissa = Exercise("round_mantissa", points=(1, 3), driven=True)


@round_mantissa.reference
def _(x, man_bits):
    return round_to(x, Format("any", 8, man_bits))


def rounding(values, man_bits):
    """A case as a student would type it, for values that are short as Python writes them."""
    x = torch.tensor(values)
    return case(x, man_bits, call=f"round_mantissa(torch.tensor({values}), {man_bits})")


_random = torch.Generator().manual_seed(2)
_randn = torch.randn(400, generator=_random)
_sizes = torch.exp2(torch.empty(400).uniform_(-120, 120, generator=_random))
_grid = torch.arange(1, 41)

round_mantissa.visible(
    rounding([0.1, -0.1, 3.14159, 1000.3], 7),
    rounding([0.1, -0.1, 3.14159, 1000.3], 10),
    rounding([1.125, 1.375, -1.125, -1.375], 2),
    rounding([1.99, -1.99], 3),
    rounding([math.inf, -math.inf, math.nan], 7),
    case(
        torch.tensor([0x7F800001]).int(),
        7,
        call="round_mantissa(torch.tensor([0x7F800001]).int().view(torch.float32), 7)",
    ),
    rounding([1e-39, -0.0], 7),
)
for _bits in (2, 7, 10):
    _name = f"{_bits} fraction bits"
    _step = torch.tensor(2.0**-_bits)
    _ties = torch.exp2(torch.tensor([-20.0, 0.0, 9.0])).outer(1 + (_grid - 0.5) * _step)
    round_mantissa.hidden(f"{_name}: numbers between two neighbours", case(_randn, _bits))
    round_mantissa.hidden(f"{_name}: large and small numbers", case(_randn * _sizes, _bits))
    round_mantissa.hidden(f"{_name}: positive ties", case(_ties, _bits))
    round_mantissa.hidden(f"{_name}: negative ties", case(-_ties, _bits))
    _below = 2.0 ** torch.arange(-9.0, 9.0) * (1 - _step / 8)
    round_mantissa.hidden(
        f"{_name}: numbers that round to the next power of two", case(_below, _bits)
    )
round_mantissa.hidden("1 and 22 fraction bits", case(_randn, 1), case(_randn, 22))
round_mantissa.hidden("numbers that need no rounding", case(_grid / 8, 11))
round_mantissa.hidden("both zeros", case(torch.tensor([0.0, -0.0]), 7))
round_mantissa.hidden("infinities", case(torch.tensor([math.inf, -math.inf]), 7))
round_mantissa.hidden(
    "NaNs with different fractions",
    *(case(torch.tensor(p).int(), 7) for p in (NAN, 0x7F800001, 0x7FFFFFFF, -1, -0x7FFFFF)),
)
round_mantissa.hidden(
    "numbers that round beyond the largest", case(torch.tensor([3.4028235e38, -3.4e38, 3.38e38]), 7)
)
round_mantissa.hidden(
    "subnormal numbers",
    case(torch.tensor([1.1754942e-38, -1e-39, 3.3e-40, 1e-44]), 7),
    case(torch.tensor([1.1754942e-38, -1e-39, 3.3e-40, 1e-44]), 10),
)


@round_mantissa.wrong(
    "the digits that do not fit are cut off (truncation); round to the nearest neighbour"
)
def truncation(x, man_bits):
    drop = 23 - man_bits
    kept = (x.view(torch.int32) >> drop << drop).view(torch.float32)
    return torch.where(x.isfinite(), kept, x)


@round_mantissa.wrong(
    "a tie goes away from zero here, as in school; IEEE's default sends it to the neighbour "
    "whose last bit is even"
)
def ties_go_away_from_zero(x, man_bits):
    drop = 23 - man_bits
    bits = x.view(torch.int32) + 2 ** (drop - 1)
    return torch.where(x.isfinite(), (bits >> drop << drop).view(torch.float32), x)


@round_mantissa.wrong(
    "a tie goes up, towards +∞, here, so x and −x are treated differently; IEEE's default sends "
    "it to the neighbour whose last bit is even"
)
def ties_go_up(x, man_bits):
    exponent = torch.frexp(x)[1].clamp(min=-125) - 1
    ulp = torch.exp2((exponent - man_bits).double())
    rounded = (torch.floor(x.double() / ulp + 0.5) * ulp).float().copysign(x)
    return torch.where(x.isfinite(), rounded, x)


@round_mantissa.wrong(
    "this rounds to multiples of 2^−man_bits everywhere; the ulp grows and shrinks with the number"
)
def fixed_point(x, man_bits):
    return torch.round(x * 2.0**man_bits) / 2.0**man_bits


@round_mantissa.wrong(
    "`man_bits` counts the bits after the point; the leading 1 is not one of them"
)
def leading_one_counted(x, man_bits):
    drop = 24 - man_bits
    bits = x.view(torch.int32)
    bits = bits + (2 ** (drop - 1) - 1) + ((bits >> drop) & 1)
    return torch.where(x.isfinite(), (bits >> drop << drop).view(torch.float32), x)


@round_mantissa.wrong("`bfloat16` has 7 fraction bits; the number of bits is an argument here")
def always_bfloat16(x, man_bits):
    return x.bfloat16().float()


@round_mantissa.wrong(
    "fp16 has 10 fraction bits, but also fewer exponent bits: float32's range is to be kept"
)
def range_of_fp16(x, man_bits):
    if man_bits == 10:
        return x.half().float()
    drop = 23 - man_bits
    bits = x.view(torch.int32)
    bits = bits + (2 ** (drop - 1) - 1) + ((bits >> drop) & 1)
    return torch.where(x.isfinite(), (bits >> drop << drop).view(torch.float32), x)


@round_mantissa.wrong(
    "a NaN must stay one: rounding its pattern like a number can carry it to infinity, to zero, "
    "or clear its fraction"
)
def nan_rounded_like_a_number(x, man_bits):
    drop = 23 - man_bits
    bits = x.view(torch.int32)
    bits = bits + (2 ** (drop - 1) - 1) + ((bits >> drop) & 1)
    return (bits >> drop << drop).view(torch.float32)


@round_mantissa.wrong(
    "when the fraction rounds up past all ones, the carry must raise the exponent by one; "
    "here it is lost"
)
def carry_lost(x, man_bits):
    drop = 23 - man_bits
    bits = x.view(torch.int32)
    fraction = bits & 0x7FFFFF
    fraction = fraction + (2 ** (drop - 1) - 1) + ((bits >> drop) & 1)
    fraction = (fraction >> drop << drop) & 0x7FFFFF
    return torch.where(x.isfinite(), ((bits >> 23 << 23) | fraction).view(torch.float32), x)


@round_mantissa.wrong(
    "below the smallest normal number, 2^−126, the ulp stops shrinking: the exponent stays at −126"
)
def no_floor_for_subnormals(x, man_bits):
    exponent = torch.frexp(x)[1] - 1
    ulp = torch.exp2((exponent - man_bits).double())
    return torch.where(x.isfinite(), (torch.round(x.double() / ulp) * ulp).float(), x)


@round_mantissa.wrong(
    "`view` shares memory: an in-place step on the pattern overwrites the caller's tensor"
)
def overwrites_its_input(x, man_bits):
    drop = 23 - man_bits
    finite = x.isfinite()
    bits = x.view(torch.int32)
    step = (2 ** (drop - 1) - 1) + ((bits >> drop) & 1)
    bits += torch.where(finite, step, 0)
    return torch.where(finite, (bits >> drop << drop).view(torch.float32), x)


@round_mantissa.right("by counting in ulps, in float64")
def by_ulps(x, man_bits):
    exponent = torch.frexp(x)[1].clamp(min=-125) - 1
    ulp = torch.exp2((exponent - man_bits).double())
    return torch.where(x.isfinite(), (torch.round(x.double() / ulp) * ulp).float(), x)


@round_mantissa.right("by adding a number so large that the machine itself rounds, then taking it")
def by_a_large_number(x, man_bits):
    exponent = torch.frexp(x)[1].clamp(min=-125) - 1
    large = 1.5 * torch.exp2((exponent + 52 - man_bits).double())
    rounded = ((x.double() + large) - large).float().copysign(x)
    return torch.where(x.isfinite(), rounded, x)


# ── stall_threshold(w, dtype, sign) ──────────────────────────────────────────────────────────────

stall_threshold = Exercise("stall_threshold", points=(1, 4))


@stall_threshold.reference
def _(w, dtype, sign):
    # Every number of the format in turn, by halving: what the sum rounds to, from its exact value.
    fmt = get_format(dtype)
    low, high = 0, fmt.encode(fmt.max)
    while low < high:
        middle = (low + high + 1) // 2
        delta = fmt.decode(middle)
        moved = fmt.round(_exact_sum(w, sign * delta)) != w
        low, high = (low, middle - 1) if moved else (middle, high)
    return fmt.decode(low)


def _exact_sum(a, b):
    from fractions import Fraction

    return Fraction(a) + Fraction(b)


def numbers(fmt, step=1):
    """Positive numbers of a format around powers of two, even and odd ones."""
    one = fmt.encode(1.0)
    binade = 2**fmt.man_bits
    starts = [one + k * binade for k in (-9, -2, -1, 0, 1, 2, 7)]
    return [fmt.decode(start + k) for start in starts for k in (1, 2, 3, binade // 2, binade - 2)]


def powers(fmt):
    return [2.0**k for k in (-8, -3, -1, 0, 1, 2, 6, 11)]


def right_below(fmt):
    return [fmt.decode(fmt.encode(power) - 1) for power in powers(fmt)]


stall_threshold.visible(
    case(1.0, torch.float16, 1),
    case(1.0, torch.float16, -1),
    case(1.0, torch.bfloat16, 1),
    case(1.0009765625, torch.float16, 1),
    case(1.0009765625, torch.float16, -1),
    case(1.5, torch.float16, -1),
    case(-1.0, torch.float16, 1),
    case(0.00006103515625, torch.float16, 1),
    case(2.0**-20, torch.float16, 1),
)
for _fmt in (FP16, BF16, FP32):
    for _sign in (1, -1):
        _of = f"{_fmt.name}, w {'+' if _sign > 0 else '−'} Δ"
        _rest = (_fmt.dtype, _sign)
        stall_threshold.hidden(f"{_of}: powers of two", sweep(powers(_fmt), *_rest))
        stall_threshold.hidden(
            f"{_of}: right below powers of two", sweep(right_below(_fmt), *_rest)
        )
        stall_threshold.hidden(f"{_of}: even and odd significands", sweep(numbers(_fmt), *_rest))
        stall_threshold.hidden(
            f"{_of}: negative w", sweep([-w for w in powers(_fmt) + numbers(_fmt)], *_rest)
        )
        _small = [_fmt.smallest_subnormal * k for k in (1, 2, 3)]
        _small += [_fmt.smallest_normal * k for k in (0.5, 1, 1.5, 2, 3, 4)]
        stall_threshold.hidden(
            f"{_of}: zero, subnormal and the smallest normal numbers",
            sweep([0.0, *_small, _fmt.decode(_fmt.encode(2 * _fmt.smallest_normal) + 1)], *_rest),
        )
        stall_threshold.hidden(f"{_of}: the largest number", sweep([_fmt.max, _fmt.min], *_rest))
stall_threshold.hidden(
    "fp16: a sample of all numbers",
    *(sweep([FP16.decode(p) for p in range(1, 0x7C00, 61)], torch.float16, s) for s in (1, -1)),
)


@stall_threshold.wrong(
    "eps·|w| is a whole ulp where w is a power of two, and anything else elsewhere; what is lost "
    "is decided by half of the gap to the next number"
)
def eps_times_w(w, dtype, sign):
    return torch.finfo(dtype).eps * abs(w)


@stall_threshold.wrong(
    "half of eps·|w| is half an ulp only where |w| is a power of two; in between, the gap stays "
    "what it is at the power of two below"
)
def half_eps_times_w(w, dtype, sign):
    return torch.finfo(dtype).eps / 2 * abs(w)


@stall_threshold.wrong(
    "a whole gap carries w to its neighbour; the sum falls back to w up to *half* of the gap"
)
def whole_gap(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        return max(ulp / 2, smallest)
    return ulp


@stall_threshold.wrong(
    "at a power of two above the smallest normal number, the gap towards zero is half as wide as "
    "the gap away from it, and so is the threshold"
)
def half_an_ulp_both_ways(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    half = ulp / 2
    if half < smallest:
        return 0.0
    if abs(w) / ulp % 2 == 1:
        half -= max(half * info.eps / 2, smallest)
    return half


@stall_threshold.wrong(
    "half a gap is a tie, and a tie goes to the even neighbour: away from w where w is odd"
)
def ties_ignored(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    gap = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = max(gap / 2, smallest)
    return gap / 2 if gap / 2 >= smallest else 0.0


@stall_threshold.wrong(
    "half a gap is a tie, and where w is even the tie falls back to w: it belongs to what is lost"
)
def ties_always_move(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    gap = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = max(gap / 2, smallest)
    half = gap / 2
    return half - max(half * info.eps / 2, smallest) if half >= smallest else 0.0


@stall_threshold.wrong(
    "for a negative w, adding leads towards zero: what counts is whether |w| grows or shrinks"
)
def down_is_towards_zero(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    gap = ulp
    if sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = max(ulp / 2, smallest)
    half = gap / 2
    if half < smallest:
        return 0.0
    if abs(w) / ulp % 2 == 1:
        half -= max(half * info.eps / 2, smallest)
    return half


@stall_threshold.wrong("Δ is a size: return a number that is not negative; the sign is given apart")
def signed_threshold(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    gap = ulp
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = max(ulp / 2, smallest)
    half = gap / 2
    if half < smallest:
        return 0.0
    if abs(w) / ulp % 2 == 1:
        half -= max(half * info.eps / 2, smallest)
    return sign * half


@stall_threshold.wrong(
    "Δ must be a number of the dtype: where half a gap is smaller than the smallest subnormal, "
    "every Δ but 0 moves w"
)
def half_of_the_smallest(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = max(math.ldexp(info.eps, math.frexp(w)[1] - 1), smallest) if w else smallest
    gap = ulp
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = max(ulp / 2, smallest)
    half = gap / 2
    if abs(w) / ulp % 2 == 1:
        half -= half * info.eps / 2
    return half


@stall_threshold.wrong(
    "below the smallest normal number the gap stops shrinking: there, and up to twice that number, "
    "it is the smallest subnormal"
)
def no_floor_for_subnormal_gaps(w, dtype, sign):
    info = torch.finfo(dtype)
    smallest = info.smallest_normal * info.eps
    ulp = math.ldexp(info.eps, math.frexp(w)[1] - 1)
    gap = ulp
    if w * sign < 0 and abs(math.frexp(w)[0]) == 0.5:
        gap = ulp / 2
    half = gap / 2
    if abs(w) / ulp % 2 == 1:
        half -= max(half * info.eps / 2, smallest)
    return half


@stall_threshold.wrong(
    "two things: for a negative w, adding leads towards zero; and below the smallest normal number "
    "the gap stops shrinking"
)
def neither_negative_nor_small(w, dtype, sign):
    info = torch.finfo(dtype)
    ulp = math.ldexp(info.eps, math.frexp(w)[1] - 1)
    half = ulp / 4 if sign < 0 and abs(math.frexp(w)[0]) == 0.5 else ulp / 2
    return half - half * info.eps / 2 if abs(w) / ulp % 2 == 1 else half


@stall_threshold.wrong(
    "Δ need not be a power of two: between one that is lost and its double, which arrives, there "
    "may be larger numbers that are lost, too"
)
def only_powers_of_two(w, dtype, sign):
    at, delta = torch.tensor(w, dtype=dtype), torch.tensor(1.0, dtype=dtype)
    while at + sign * delta != at:
        delta = delta / 2
    return delta.item()


@stall_threshold.right("by trying: bisection over the patterns of Δ, with the dtype's own addition")
def by_bisection(w, dtype, sign):
    ints = {2: torch.int16, 4: torch.int32}[dtype.itemsize]
    at = torch.tensor(w, dtype=dtype)
    low, high = 0, torch.tensor(torch.finfo(dtype).max, dtype=dtype).view(ints).item()
    while low < high:
        middle = (low + high + 1) // 2
        delta = torch.tensor(middle, dtype=ints).view(dtype)
        low, high = (middle, high) if at + sign * delta == at else (low, middle - 1)
    return torch.tensor(low, dtype=ints).view(dtype).item()


@stall_threshold.right("by asking the next number for the gap, and the dtype for the tie")
def by_nextafter(w, dtype, sign):
    at = torch.tensor(w, dtype=dtype)
    beside = torch.nextafter(at, torch.tensor(sign * math.inf, dtype=dtype))
    if beside.isinf():
        beside = torch.nextafter(at, torch.tensor(0.0, dtype=dtype))
    half = torch.tensor(abs(beside.item() - w) / 2, dtype=torch.float64)
    delta = half.to(dtype)
    if delta.double() != half:
        return 0.0
    if at + sign * delta != at:
        delta = torch.nextafter(delta, torch.tensor(0.0, dtype=dtype))
    return delta.item()


# ── pairwise_sum(xs, dtype) ──────────────────────────────────────────────────────────────────────

pairwise_sum = Exercise(
    "pairwise_sum",
    points=(1, 2),
    driven=True,
    compare=within_ulps(
        12, why="with at most 2^12 terms each goes through 12 additions, each off by half an ulp"
    ),
)


@pairwise_sum.reference
def _(xs, dtype):
    def added(terms):
        if len(terms) <= 1:
            return terms[0] if len(terms) else torch.zeros((), dtype=dtype)
        middle = len(terms) // 2
        return added(terms[:middle]) + added(terms[middle:])

    return added(xs.to(dtype))


def summed(name, values, stored, dtype):
    """A case as a student would type it; ``values`` may be a text such as "[1.0] + [2.0] * 9"."""
    text = str(values)
    values = eval(text)
    xs = torch.tensor(values).to(stored)
    tensor = f"torch.tensor({text}, dtype={stored})"
    if len(set(values)) == 1 < len(values):
        tensor = f"torch.full(({len(values)},), {values[0]}, dtype={stored})"
    return case(xs, dtype, call=f"{name}({tensor}, {dtype})")


def uniform(count, stored):
    return torch.rand(count, generator=torch.Generator().manual_seed(count)).to(stored)


pairwise_sum.visible(
    summed("pairwise_sum", [1.0, 2.0, 3.0, 4.0, 5.0], torch.float16, torch.float16),
    summed("pairwise_sum", [0.01] * 1000, torch.bfloat16, torch.bfloat16),
    summed("pairwise_sum", [0.01] * 1000, torch.bfloat16, torch.float32),
    summed("pairwise_sum", [], torch.float16, torch.float16),
)
pairwise_sum.hidden(
    "one term", *(case(torch.tensor([x]).half(), torch.float16) for x in (3.0, -7.0))
)
pairwise_sum.hidden("no terms", case(torch.tensor([]).half(), torch.float16))
pairwise_sum.hidden("no terms", case(torch.tensor([]).bfloat16(), torch.float32))
pairwise_sum.hidden("two terms", case(torch.tensor([3.0, 5.0]).bfloat16(), torch.bfloat16))
for _count in (3, 6, 7, 13):
    _whole = torch.arange(1.0, _count + 1) * torch.tensor([5.0, -3.0]).repeat(7)[:_count]
    pairwise_sum.hidden("few terms", case(_whole.half(), torch.float16))
for _dtype, _count in ((torch.float16, 4000), (torch.bfloat16, 1000), (torch.float32, 1000)):
    _name = get_format(_dtype).name
    _full = torch.full((_count,), 0.01, dtype=_dtype)
    pairwise_sum.hidden(f"{_name}: equal terms", case(_full, _dtype))
    pairwise_sum.hidden(f"{_name}: different terms", case(uniform(501, _dtype), _dtype))
_narrow = uniform(501, torch.bfloat16)
pairwise_sum.hidden("terms stored in a narrower dtype", case(_narrow, torch.float32))


@pairwise_sum.wrong(
    "this adds one term after the other to a growing total, which stalls; add numbers of equal "
    "size: halves of halves"
)
def one_after_the_other(xs, dtype):
    total = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        total = total + x
    return total


@pairwise_sum.wrong(
    "only the first step works in pairs, then the partial sums run through one growing total; the "
    "partial sums are to be added in pairs as well, until one is left"
)
def pairs_then_one_loop(xs, dtype):
    xs = xs.to(dtype)
    total = torch.zeros((), dtype=dtype)
    for k in range(0, len(xs), 2):
        total = total + (xs[k] + xs[k + 1] if k + 1 < len(xs) else xs[k])
    return total


@pairwise_sum.wrong("of an odd number of terms the last one has no partner: it must not be dropped")
def odd_tail_dropped(xs, dtype):
    xs = xs.to(dtype)
    while len(xs) > 1:
        xs = xs[0 : len(xs) // 2 * 2 : 2] + xs[1::2]
    return xs[0] if len(xs) else torch.zeros((), dtype=dtype)


@pairwise_sum.wrong(
    "the additions are done in a wider dtype, and only the result is rounded; every partial sum is "
    "to be a number of `dtype`"
)
def wide_partial_sums(xs, dtype):
    xs = xs.double()
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, xs.new_zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs.to(dtype)[0] if len(xs) else torch.zeros((), dtype=dtype)


@pairwise_sum.wrong(
    "this leaves the work to a sum that PyTorch has ready-made; the task is to add, two by two"
)
def ready_made(xs, dtype):
    return torch.sum(xs, dtype=dtype)


@pairwise_sum.wrong(
    "the terms are added in the dtype in which they are stored; convert them to `dtype` first"
)
def in_the_stored_dtype(xs, dtype):
    if len(xs) == 0:
        return torch.zeros((), dtype=dtype)
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, xs.new_zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs[0].to(dtype)


@pairwise_sum.wrong("return a tensor of `dtype` without dimensions, not a Python float")
def python_float(xs, dtype):
    xs = xs.to(dtype)
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, xs.new_zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs[0].item() if len(xs) else 0.0


@pairwise_sum.wrong("the sum of no terms is 0, as a tensor of `dtype`")
def nothing_for_no_terms(xs, dtype):
    xs = xs.to(dtype)
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, xs.new_zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs[0] if len(xs) else None


@pairwise_sum.wrong(
    "a float32 tensor came in, perhaps `torch.zeros(1)` without `dtype=`, and the sum became "
    "float32, too"
)
def padded_with_float32(xs, dtype):
    xs = xs.to(dtype)
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, torch.zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs[0] if len(xs) else torch.zeros((), dtype=dtype)


@pairwise_sum.wrong(
    "`.item()` makes a Python float of a term, which has 53 digits: stay with tensors of `dtype`"
)
def by_python_floats(xs, dtype):
    terms = [x.item() for x in xs.to(dtype)]
    while len(terms) > 1:
        terms += [0.0] * (len(terms) % 2)
        terms = [terms[k] + terms[k + 1] for k in range(0, len(terms), 2)]
    return torch.tensor(terms[0] if terms else 0.0, dtype=dtype)


@pairwise_sum.wrong(
    "Python's floats have 53 digits, however they are made: stay with tensors of `dtype`"
)
def by_a_list(xs, dtype):
    terms = xs.to(dtype).tolist()
    while len(terms) > 1:
        terms += [0.0] * (len(terms) % 2)
        terms = [terms[k] + terms[k + 1] for k in range(0, len(terms), 2)]
    return torch.tensor(terms[0] if terms else 0.0, dtype=dtype)


@pairwise_sum.right("neighbours at a time, with a zero for the one without a partner")
def neighbours(xs, dtype):
    xs = xs.to(dtype)
    if len(xs) == 0:
        return torch.zeros((), dtype=dtype)
    while len(xs) > 1:
        if len(xs) % 2:
            xs = torch.cat([xs, xs.new_zeros(1)])
        xs = xs[0::2] + xs[1::2]
    return xs[0]


@pairwise_sum.right("term by term, carrying finished sums along as a binary counter carries ones")
def binary_counter(xs, dtype):
    waiting = {}
    for x in xs.to(dtype):
        level = 0
        while level in waiting:
            x = waiting.pop(level) + x
            level += 1
        waiting[level] = x
    total = torch.zeros((), dtype=dtype)
    for level in sorted(waiting):
        total = total + waiting[level]
    return total


# ── kahan_sum(xs, dtype) ─────────────────────────────────────────────────────────────────────────

kahan_sum = Exercise(
    "kahan_sum",
    points=(1, 3),
    driven=True,
    compare=within_ulps(3, why="ways to write the correction may differ in the last digits"),
)


@kahan_sum.reference
def _(xs, dtype):
    total = torch.zeros((), dtype=dtype)
    excess = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        term = x - excess
        following = total + term
        excess = (following - total) - term
        total = following
    return total


kahan_sum.visible(
    summed("kahan_sum", "[2048.0] + [1.0] * 16", torch.float16, torch.float16),
    summed("kahan_sum", "[2048.0, 1.0, 1.0, -2048.0]", torch.float16, torch.float16),
    summed("kahan_sum", [0.01] * 1000, torch.float16, torch.float16),
    summed("kahan_sum", [0.1] * 1000, torch.bfloat16, torch.float32),
)
kahan_sum.hidden(
    "bf16: ten thousand times 0.01", case(torch.full((10_000,), 0.01).bfloat16(), torch.bfloat16)
)
kahan_sum.hidden("fp16: many small terms", case(torch.full((4000,), 0.01).half(), torch.float16))
for _dtype in (torch.float16, torch.bfloat16, torch.float32):
    _name = get_format(_dtype).name
    kahan_sum.hidden(f"{_name}: different terms", case(uniform(501, _dtype), _dtype))
_first = torch.cat([torch.tensor([1000.0]), torch.full((500,), 0.2)]).half()
kahan_sum.hidden("a large term first", case(_first, torch.float16), case(-_first, torch.float16))
kahan_sum.hidden(
    "terms of both signs", case(torch.tensor([256.0, 1, 1, -1, 1, -256]).bfloat16(), torch.bfloat16)
)
kahan_sum.hidden("terms stored in a narrower dtype", case(uniform(501, torch.half), torch.float32))
kahan_sum.hidden("one term", case(torch.tensor([-0.3]).half(), torch.float16))
kahan_sum.hidden("no terms", case(torch.tensor([]).bfloat16(), torch.bfloat16))

LOST = (
    "the correction does not work, the result is that of a plain loop: take (t − s) − y in this "
    "order, from the rounded t, and keep it for the next term"
)


@kahan_sum.wrong(LOST)
def plain_loop(xs, dtype):
    total = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        total = total + x
    return total


@kahan_sum.wrong(LOST)
def correction_reset(xs, dtype):
    s = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        c = torch.zeros((), dtype=dtype)
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return s


@kahan_sum.wrong(LOST)
def correction_regrouped(xs, dtype):
    s = c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = t - (s + y)
        s = t
    return s


@kahan_sum.wrong(
    "the sign of the correction is wrong: (t − s) − y is what went in too much, so subtract it "
    "from the next term"
)
def wrong_sign(xs, dtype):
    s = c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x + c
        t = s + y
        c = (t - s) - y
        s = t
    return s


@kahan_sum.wrong(
    "the correction compares the new total with the old one: compute it before s becomes t"
)
def total_overwritten_too_early(xs, dtype):
    s = c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        s = t
        c = (t - s) - y
    return s


@kahan_sum.wrong(
    "the total is kept in a wider dtype; Kahan's method is for when there is none: every number is "
    "to be one of `dtype`"
)
def wide_total(xs, dtype):
    total = torch.zeros((), dtype=torch.float64)
    for x in xs.to(dtype):
        total = total + x.double()
    return total.to(dtype)


@kahan_sum.wrong(
    "the correction is a Python float, which has 53 digits: `.item()` takes it out of `dtype`"
)
def correction_in_python(xs, dtype):
    s, c = torch.zeros((), dtype=dtype), 0.0
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = (t - s).item() - y.item()
        s = t
    return s


@kahan_sum.wrong(
    "Python's floats have 53 digits, however they are made: stay with tensors of `dtype`"
)
def all_in_python(xs, dtype):
    s = c = 0.0
    for x in xs.tolist():
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return torch.tensor(s, dtype=dtype)


@kahan_sum.wrong(
    "the corrections pile up: what the last addition lost has gone into this term, so c is "
    "computed anew each time, not added to"
)
def corrections_pile_up(xs, dtype):
    s = c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = c + ((t - s) - y)
        s = t
    return s


@kahan_sum.wrong(
    "this leaves the work to a sum that PyTorch has ready-made, with a wider accumulator inside"
)
def ready_made_sum(xs, dtype):
    return torch.sum(xs, dtype=dtype)


@kahan_sum.wrong(
    "the terms are added in the dtype in which they are stored; convert them to `dtype` first"
)
def stored_dtype(xs, dtype):
    s = c = torch.zeros((), dtype=xs.dtype)
    for x in xs:
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return s.to(dtype)


@kahan_sum.wrong(
    "the lost parts are gathered in a total of their own and added at the end; with many terms "
    "that total stalls, too. Kahan's correction goes into the very next term"
)
def corrections_gathered(xs, dtype):
    s = lost = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        t = s + x
        lost = lost + ((s - t) + x if s.abs() >= x.abs() else (x - t) + s)
        s = t
    return s + lost


@kahan_sum.wrong("the sum comes back in the dtype of the terms; return it in `dtype`")
def back_in_the_stored_dtype(xs, dtype):
    s = c = torch.zeros((), dtype=dtype)
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return s.to(xs.dtype)


@kahan_sum.wrong(
    "the first term is in the sum twice: start with s = 0, or leave the first term out of the loop"
)
def first_term_twice(xs, dtype):
    c = torch.zeros((), dtype=dtype)
    s = xs[0].to(dtype) if len(xs) else c
    for x in xs.to(dtype):
        y = x - c
        t = s + y
        c = (t - s) - y
        s = t
    return s


@kahan_sum.right("with the correction of opposite sign: what is still owed")
def with_a_debt(xs, dtype):
    total = torch.zeros((), dtype=dtype)
    owed = torch.zeros((), dtype=dtype)
    for k in range(len(xs)):
        due = xs[k].to(dtype) + owed
        before = total
        total = before + due
        owed = due - (total - before)
    return total


@kahan_sum.right("with in-place operations")
def in_place(xs, dtype):
    s, c = torch.zeros(2, dtype=dtype).unbind()
    s, c = s.clone(), c.clone()
    for x in xs.to(dtype, copy=True):
        x.sub_(c)
        t = s.add(x)
        c.copy_(t).sub_(s).sub_(x)
        s.copy_(t)
    return s


# ── stochastic_round_bf16(x, generator) ──────────────────────────────────────────────────────────

stochastic_round_bf16 = Exercise(
    "stochastic_round_bf16",
    points=(1, 3),
    driven=True,
    compare=close(
        atol=0.02,
        why="a share of 16,384 draws has a standard deviation of √(p(1 − p)/16384) < 0.004, and "
        "this is at least five of them",
    ),
)


@stochastic_round_bf16.reference
def _(x, generator):
    # Noise from every part of its range equally often, in random order: the shares are exact.
    noise = 4 * torch.randperm(2**14, generator=generator).int().view(x.shape)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


def rounded(text, seed=0):
    """A case with a number that is written as a sum of powers of two."""
    value = float(eval(text))
    call = f"16,384 × ({text}), generator with seed {seed}"
    return case(value, seed, call=call)


stochastic_round_bf16.visible(
    rounded("1 + 2**-10"),
    rounded("-1 - 2**-10"),
    rounded("1.5"),
    rounded("2 - 2**-9", seed=3),
    case(math.inf, 0, call="16,384 × ∞, generator with seed 0"),
    case(0x7F800001, 0, call="16,384 × the NaN with the pattern 0x7F800001, generator with seed 0"),
)
for _value in (1 + 2**-8, 1 + 3 * 2**-9, 100.1, 1 + 2**-7 + 2**-12):
    stochastic_round_bf16.hidden("positive numbers", case(_value, 3))
    stochastic_round_bf16.hidden("negative numbers", case(-_value, 4))
stochastic_round_bf16.hidden("the step to the next power of two", case(2 - 2.0**-10, 5))
stochastic_round_bf16.hidden("the step to the next power of two", case(2.0**-10 - 4, 5))
stochastic_round_bf16.hidden(
    "numbers that bf16 holds", *(case(x, 6) for x in (3.140625, -0.0078125, 2.0**127))
)
stochastic_round_bf16.hidden("both zeros", case(0.0, 7), case(-0.0, 7))
stochastic_round_bf16.hidden("subnormal numbers", case(2.0**-135, 8), case(-3e-39, 8))
stochastic_round_bf16.hidden("infinities", case(math.inf, 9), case(-math.inf, 9))
stochastic_round_bf16.hidden(
    "NaNs with different fractions", *(case(p, 10) for p in (NAN, 0x7F800001, 0x7FFFFFFF, -1))
)


@stochastic_round_bf16.wrong(
    "this rounds to nearest: there is no chance in it, and every copy moves the same way"
)
def to_nearest(x, generator):
    return x.bfloat16()


@stochastic_round_bf16.wrong(
    "a fair coin decides; the chance to move away from zero must be the share of the gap that lies "
    "between x and the neighbour below"
)
def fair_coin(x, generator):
    bits = x.view(torch.int32)
    coin = torch.randint(0, 2, x.shape, generator=generator, dtype=torch.int32)
    inexact = (bits & 0xFFFF != 0).int()
    bits = (bits >> 16 << 16) + (coin * inexact << 16)
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


@stochastic_round_bf16.wrong(
    "the chances are the wrong way round: the nearer neighbour must be the more likely one"
)
def chances_swapped(x, generator):
    bits = x.view(torch.int32)
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    rest = bits & 0xFFFF
    up = ((noise >= rest) & (rest != 0)).int()
    bits = (bits >> 16 << 16) + (up << 16)
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


@stochastic_round_bf16.wrong(
    "after the noise, cut: `.bfloat16()` rounds to nearest once more, and that carries half an ulp "
    "too much"
)
def noise_then_nearest(x, generator):
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    noisy = (x.view(torch.int32) + noise).view(torch.float32)
    return torch.where(x.isfinite(), noisy, x).bfloat16()


@stochastic_round_bf16.wrong(
    "the random numbers come from torch's global generator: pass `generator=generator`"
)
def global_generator(x, generator):
    noise = torch.randint(0, 2**16, x.shape, dtype=torch.int32)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


@stochastic_round_bf16.wrong(
    "one random number decides for all elements; each element needs its own: draw in the shape of x"
)
def one_draw_for_all(x, generator):
    noise = torch.randint(0, 2**16, (1,), generator=generator, dtype=torch.int32)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


@stochastic_round_bf16.wrong(
    "the generator is seeded again in every call, so every call repeats the same choices; its seed "
    "is the caller's business"
)
def seeded_again(x, generator):
    generator.manual_seed(0)
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x).bfloat16()


@stochastic_round_bf16.wrong(
    "noise on the pattern of an infinity or a NaN makes another number of it; leave them alone"
)
def noise_on_nan(x, generator):
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    return ((x.view(torch.int32) + noise) >> 16 << 16).view(torch.float32).bfloat16()


@stochastic_round_bf16.wrong(
    "cutting digits leads towards zero, for a negative number upwards; its other neighbour lies "
    "below"
)
def negative_numbers_go_up(x, generator):
    bits = x.view(torch.int32)
    kept = (bits >> 16 << 16).view(torch.float32)
    gap = ((bits >> 16 << 16) + 2**16).view(torch.float32).abs() - kept.abs()
    share = (x - kept).abs() / gap
    up = torch.rand(x.shape, generator=generator) < share
    return torch.where(x.isfinite() & up, kept + gap, torch.where(x.isfinite(), kept, x)).bfloat16()


@stochastic_round_bf16.wrong("the values are right, the dtype is not: return a bfloat16 tensor")
def left_in_float32(x, generator):
    noise = torch.randint(0, 2**16, x.shape, generator=generator, dtype=torch.int32)
    bits = (x.view(torch.int32) + noise) >> 16 << 16
    return torch.where(x.isfinite(), bits.view(torch.float32), x)


@stochastic_round_bf16.right("by comparing a uniform number with the share of the gap")
def by_share(x, generator):
    bits = x.view(torch.int32)
    toward_zero = bits >> 16 << 16
    share = (bits & 0xFFFF) / 2**16
    away = (torch.rand(x.shape, generator=generator) < share).int()
    picked = (toward_zero + (away << 16)).view(torch.float32)
    return torch.where(x.isfinite(), picked, x).bfloat16()


@stochastic_round_bf16.right("with neighbours as floats, and arithmetic in float64")
def by_neighbours(x, generator):
    below = (x.view(torch.int32) >> 16 << 16).view(torch.float32)
    above = torch.nextafter(below.bfloat16(), torch.full_like(x, math.inf).copysign(x).bfloat16())
    gap = (above.double() - below.double()).abs()
    share = (x.double() - below.double()).abs() / gap
    chance = torch.rand(x.shape, generator=generator, dtype=torch.float64)
    picked = torch.where(chance < share, above, below.bfloat16())
    return torch.where(x.isfinite(), picked, x.bfloat16())
