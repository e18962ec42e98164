"""The formats against every oracle at hand: torch, NumPy, ml_dtypes, gfloat and struct."""

import math
import struct
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from halfbits.formats import FORMATS, Fields, Format, get_format

FP16, BF16 = FORMATS["fp16"], FORMATS["bf16"]
E4M3, E5M2 = FORMATS["fp8_e4m3fn"], FORMATS["fp8_e5m2"]
SMALL = [FP16, BF16, E4M3, E5M2]
WITH_DTYPE = [each for each in FORMATS.values() if each.dtype]
ML_DTYPES = {
    "fp16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "fp8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}
GFLOAT = {
    "fp64": gfloat.formats.format_info_binary64,
    "fp32": gfloat.formats.format_info_binary32,
    "fp16": gfloat.formats.format_info_binary16,
    "bf16": gfloat.formats.format_info_bfloat16,
    "fp8_e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "fp8_e5m2": gfloat.formats.format_info_ocp_e5m2,
}


def by_name(formats):
    return pytest.mark.parametrize("fmt", formats, ids=lambda each: each.name)


def same_bits(ours, theirs):
    """Compare float64 arrays bit for bit, so that −0.0 ≠ 0.0, with all NaNs alike."""
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    nan = np.isnan(ours)
    np.testing.assert_array_equal(nan, np.isnan(theirs))
    np.testing.assert_array_equal(ours[~nan].view(np.int64), theirs[~nan].view(np.int64))


def midpoints(fmt):
    """Exact midpoints between all neighbouring finite magnitudes, with the lower pattern."""
    values = [Fraction(fmt.decode(p)) for p in range(fmt.encode(fmt.max) + 1)]
    return [((low + high) / 2, p) for p, (low, high) in enumerate(pairwise(values))]


# Every pattern.


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@by_name(SMALL)
def test_every_pattern_decodes_as_torch_and_ml_dtypes_do(fmt):
    patterns = np.arange(2**fmt.bits, dtype=f"uint{fmt.bits}")
    ours = [fmt.decode(int(p)) for p in patterns]
    same_bits(ours, torch.from_numpy(patterns).view(fmt.dtype).double())
    same_bits(ours, patterns.view(ML_DTYPES[fmt.name]).astype(np.float64))


@by_name(SMALL)
def test_encode_undoes_decode_for_every_pattern(fmt):
    quiet = fmt.encode(math.nan)
    assert fmt.kind(quiet) == "nan"
    for pattern in range(2**fmt.bits):
        expected = quiet if fmt.kind(pattern) == "nan" else pattern
        assert fmt.encode(fmt.decode(pattern)) == expected


@by_name(SMALL)
def test_kind_of_every_pattern_follows_torchs_view_of_its_value(fmt):
    values = torch.arange(2**fmt.bits).to(getattr(torch, f"uint{fmt.bits}")).view(fmt.dtype)
    magnitudes = values.double().abs()
    expected = {
        "zero": magnitudes == 0,
        "subnormal": (magnitudes > 0) & (magnitudes < torch.finfo(fmt.dtype).smallest_normal),
        "normal": (magnitudes >= torch.finfo(fmt.dtype).smallest_normal) & magnitudes.isfinite(),
        "infinity": magnitudes.isinf(),
        "nan": magnitudes.isnan(),
    }
    kinds = np.array([fmt.kind(p) for p in range(2**fmt.bits)])
    for kind, mask in expected.items():
        np.testing.assert_array_equal(kinds == kind, mask.numpy(), kind)


def test_how_many_patterns_are_special():
    def count(fmt, kind):
        return sum(fmt.kind(p) == kind for p in range(2**fmt.bits))

    assert (count(E4M3, "nan"), count(E4M3, "infinity")) == (2, 0)
    assert (count(E5M2, "nan"), count(E5M2, "infinity")) == (6, 2)
    assert count(FP16, "infinity") == 2
    assert count(FP16, "nan") == 2 * 1023


@by_name([E4M3, E5M2])
def test_fp8_agrees_with_gfloat(fmt):
    for pattern in range(256):
        theirs = gfloat.decode_float(GFLOAT[fmt.name], pattern)
        same_bits([fmt.decode(pattern)], [theirs.fval])
        kind = theirs.fclass.name.lower().replace("infinite", "infinity")
        assert fmt.kind(pattern) == kind


@by_name(SMALL)
def test_fields_and_bit_string_rebuild_the_pattern(fmt):
    for pattern in range(0, 2**fmt.bits, 37 if fmt.bits == 16 else 1):
        sign, exponent, fraction = fmt.fields(pattern)
        assert sign << fmt.bits - 1 | exponent << fmt.man_bits | fraction == pattern
        words = fmt.bit_string(pattern).split()
        assert [len(word) for word in words] == [1, fmt.exp_bits, fmt.man_bits]
        assert int("".join(words), 2) == pattern


def test_the_bits_of_one():
    assert FP16.bit_string(0x3C00) == "0 01111 0000000000"
    assert BF16.fields(0x3F80) == Fields(sign=0, exponent=127, fraction=0)


# Rounding.


@pytest.mark.parametrize("sign", [1, -1])
def test_every_fp16_midpoint_rounds_as_numpy_does(sign):
    """float64 holds each midpoint and the float64 next to it exactly; numpy casts in one step."""
    exact = np.array([float(mid) for mid, _ in midpoints(FP16)]) * sign
    for xs in (exact, np.nextafter(exact, -np.inf), np.nextafter(exact, np.inf)):
        theirs = xs.astype(np.float16).view(np.uint16)
        assert [FP16.encode(x) for x in xs.tolist()] == theirs.tolist()


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@by_name([BF16, E4M3, E5M2])
def test_midpoints_round_as_ml_dtypes_does_from_float32(fmt):
    exact = np.array([float(mid) for mid, _ in midpoints(fmt)], np.float32)
    for xs in (exact, np.nextafter(exact, np.float32(-1)), np.nextafter(exact, np.float32(1e39))):
        theirs = xs.astype(ML_DTYPES[fmt.name]).view(f"uint{fmt.bits}")
        assert [fmt.encode(x) for x in xs.tolist()] == theirs.tolist()


@by_name([E4M3, E5M2])
def test_exact_midpoints_go_to_even_and_the_slightest_push_decides(fmt):
    push = Fraction(1, 10**400)
    for mid, lower in midpoints(fmt):
        assert fmt.encode(mid) == lower + lower % 2
        assert fmt.encode(mid - push) == lower
        assert fmt.encode(mid + push) == lower + 1
        assert fmt.encode(-mid - push) == lower + 1 + 2 ** (fmt.bits - 1)


@by_name([FP16, BF16, E5M2])
def test_random_float32_round_as_torch_does(fmt):
    generator = torch.Generator().manual_seed(1)
    bits = torch.randint(-(2**31), 2**31, (5000,), generator=generator).to(torch.int32)
    near = torch.randn(5000, generator=generator) * 10 ** torch.empty(5000).uniform_(
        -9, 6, generator=generator
    )
    xs = torch.cat([bits.view(torch.float32), near])
    same_bits([fmt.round(x) for x in xs.tolist()], xs.to(fmt.dtype).double())


def test_one_rounding_where_torch_takes_two():
    x = 1 + 2**-11 + 2**-40
    assert FP16.round(x) == np.float16(x) == 1 + 2**-10
    assert torch.tensor(x, dtype=torch.float64).half().item() == 1.0


def test_overflow():
    assert FP16.round(65519.99) == 65504 and FP16.round(65520) == math.inf
    assert FP16.round(-(10**400)) == -math.inf
    assert BF16.round(FORMATS["fp32"].max) == math.inf
    assert E5M2.round(61439.9) == 57344 and E5M2.round(61440) == math.inf


def test_e4m3fn_overflows_to_nan_like_ml_dtypes_where_torch_saturates():
    assert E4M3.round(464) == 448
    above = np.nextafter(np.float32(464), np.float32(math.inf))
    assert np.isnan(float(above.astype(ml_dtypes.float8_e4m3fn)))
    assert math.isnan(E4M3.round(above)) and math.isnan(E4M3.round(math.inf))
    assert E4M3.encode(-math.inf) == 0xFF
    inside = torch.linspace(-448, 448, 4001)
    same_bits([E4M3.round(x) for x in inside.tolist()], inside.to(E4M3.dtype).double())
    assert torch.tensor([500.0, math.inf]).to(E4M3.dtype).tolist() == [448, 448]


def test_underflow_and_signed_zero():
    assert FP16.encode(2**-25) == 0 and FP16.encode(1.01 * 2**-25) == 1
    for zero in (-0.0, Decimal("-0"), -(2.0**-26), Fraction(-1, 10**99)):
        assert FP16.encode(zero) == 0x8000
    assert FP16.encode(0) == FP16.encode(Fraction(0)) == 0


def test_values_of_every_numeric_type():
    tenth = 0b0_01011_1001100110
    for value in (0.1, Fraction(1, 10), Decimal("0.1"), np.float64(0.1), torch.tensor(0.1)):
        assert FP16.encode(value) == tenth
    assert FP16.encode(np.int64(3)) == FP16.encode(3) == FP16.encode(3.0)
    assert FP16.kind(FP16.encode(Decimal("NaN"))) == "nan"
    assert FP16.round(Decimal("-Infinity")) == -math.inf


@pytest.mark.parametrize(("name", "code", "word"), [("fp32", "f", "I"), ("fp64", "d", "Q")])
@given(data=st.data())
def test_wide_formats_agree_with_struct(name, code, word, data):
    fmt = FORMATS[name]
    pattern = data.draw(st.integers(0, 2**fmt.bits - 1))
    (theirs,) = struct.unpack(code, struct.pack(word, pattern))
    same_bits([fmt.decode(pattern)], [theirs])
    if theirs == theirs:
        assert fmt.encode(theirs) == pattern


# Properties.

formats = st.sampled_from(list(FORMATS.values()))
reals = st.floats(allow_nan=False, allow_infinity=False) | st.fractions()


@given(formats, reals, reals)
def test_rounding_never_reorders(fmt, a, b):
    low, high = (fmt.round(x) for x in sorted((a, b)))
    assert low <= high or math.isnan(low) or math.isnan(high)


@given(formats, reals)
@example(FP16, 65504.0)
@example(FP16, 2.0**-24)
def test_rounding_errs_by_half_an_ulp_at_most(fmt, x):
    if abs(x) <= fmt.max:
        assert abs(Fraction(x) - Fraction(fmt.round(x))) <= Fraction(fmt.ulp(x)) / 2


@given(formats, st.data())
def test_neighbours_bracket_with_nothing_in_between(fmt, data):
    value = fmt.round(data.draw(st.floats(-fmt.max, fmt.max)))
    below, above = fmt.neighbours(fmt.encode(value))
    assert below < value < above or math.isnan(below) or math.isnan(above)
    for other in (below, above):
        middle = (Fraction(value) + Fraction(other)) / 2 if math.isfinite(other) else value
        assert fmt.round(middle) in (value, other)


@given(formats, st.data())
def test_ulp_is_the_gap_to_the_next_magnitude(fmt, data):
    value = fmt.round(data.draw(st.floats(0, fmt.max)))
    _, above = fmt.neighbours(fmt.encode(value))
    gap = Fraction(fmt.ulp(value))
    assert fmt.ulp(-value) == gap
    if math.isfinite(above):
        assert Fraction(above) - Fraction(value) == gap


# Neighbours and spacing, by hand.


@by_name(SMALL)
def test_neighbours_walk_through_all_finite_values(fmt):
    values = fmt.finite_values().tolist()
    assert values == sorted(set(values)) and len(values) == 2 * fmt.encode(fmt.max) + 1
    for below, value, above in list(zip(values, values[1:], values[2:], strict=False))[:: fmt.bits]:
        assert fmt.neighbours(fmt.encode(value)) == (below, above)


def test_neighbours_at_the_ends():
    tiny = 2.0**-24
    assert FP16.neighbours(0x0000) == FP16.neighbours(0x8000) == (-tiny, tiny)
    assert FP16.neighbours(0x7BFF) == (65472, math.inf)
    assert FP16.neighbours(0x7C00) == (65504, math.inf)
    assert FP16.neighbours(0xFC00) == (-math.inf, -65504)
    assert all(map(math.isnan, FP16.neighbours(0x7E00)))
    below, above = E4M3.neighbours(0x7E)
    assert below == 416 and math.isnan(above)


@by_name([FORMATS["fp64"], FORMATS["fp32"], FP16])
def test_ulp_agrees_with_numpys_spacing(fmt):
    kind = {"fp64": np.float64, "fp32": np.float32, "fp16": np.float16}[fmt.name]
    for k in range(fmt.min_exponent - fmt.man_bits, fmt.max_exponent):
        for x in (kind(2.0**k), np.nextafter(kind(2.0**k), kind(0))):
            assert fmt.ulp(float(x)) == fmt.ulp(-float(x)) == float(np.spacing(x))
    assert fmt.ulp(0) == fmt.ulp(-0.0) == fmt.smallest_subnormal


def test_ulp_beside_a_power_of_two_and_beyond_the_format():
    assert FP16.ulp(1) == 2**-10 and FP16.ulp(1 - Fraction(1, 10**30)) == 2**-11
    assert FP16.ulp(1e9) == FP16.ulp(65504) == 32
    assert FP16.ulp(-math.inf) == math.inf and math.isnan(FP16.ulp(math.nan))


# Limits.


@by_name(WITH_DTYPE)
def test_limits_agree_with_torch_finfo(fmt):
    info = torch.finfo(fmt.dtype)
    assert (fmt.bits, fmt.max, fmt.min) == (info.bits, info.max, info.min)
    assert (fmt.smallest_normal, fmt.eps) == (info.smallest_normal, info.eps)


@by_name(WITH_DTYPE)
def test_smallest_subnormal_agrees_with_numpy_and_gfloat(fmt):
    kinds = {"fp64": np.float64, "fp32": np.float32, **ML_DTYPES}
    info = ml_dtypes.finfo(kinds[fmt.name])
    assert fmt.smallest_subnormal == float(info.smallest_subnormal)
    assert fmt.smallest_subnormal == GFLOAT[fmt.name].smallest_subnormal


def test_tf32_is_fp32s_range_with_fp16s_precision():
    tf32 = FORMATS["tf32"]
    assert tf32.bits == 19 and tf32.dtype is None
    assert tf32.eps == FP16.eps and tf32.smallest_normal == FORMATS["fp32"].smallest_normal
    assert tf32.max == (2 - 2**-10) * 2.0**127


def test_how_many_numbers():
    assert len(FP16.finite_values()) == 63_487
    assert len(BF16.finite_values()) == 65_279
    share = np.mean(np.abs(FP16.finite_values()) <= 1)
    assert round(100 * share, 1) == 48.4
    assert round(100 * np.mean(np.abs(BF16.finite_values()) <= 1), 1) == 49.8


# Looking formats up, and mistakes.


def test_get_format_takes_names_dtypes_and_formats():
    assert list(FORMATS) == ["fp64", "fp32", "tf32", "fp16", "bf16", "fp8_e4m3fn", "fp8_e5m2"]
    assert get_format("bf16") is get_format(torch.bfloat16) is get_format(BF16) is BF16


@pytest.mark.parametrize("which", ["fp17", torch.int8, None])
def test_an_unknown_format_is_one_line_that_lists_the_names(which):
    with pytest.raises(ValueError, match=r"choose one of fp64, fp32, .*fp8_e5m2") as caught:
        get_format(which)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["decode", "fields", "kind", "neighbours", "bit_string"])
def test_bad_patterns_are_refused(method):
    for bad in (-1, 2**16):
        with pytest.raises(ValueError, match=f"fp16 has patterns from 0 to 0xffff, not {bad}"):
            getattr(FP16, method)(bad)
    with pytest.raises(TypeError, match="an int such as 0x3C00, not a float"):
        getattr(FP16, method)(1.0)


def test_values_that_are_not_numbers_are_refused():
    for method in (FP16.encode, FP16.round, FP16.ulp):
        with pytest.raises(TypeError, match="expected a real number, not a str"):
            method("0.1")


def test_formats_that_do_not_fit_in_fp64_are_refused():
    with pytest.raises(ValueError, match="use 2–11 exponent and 1–52 fraction bits"):
        Format("wide", 13, 2)
    with pytest.raises(ValueError, match="too many to list"):
        FORMATS["fp32"].finite_values()
