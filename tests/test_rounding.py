"""Rounding against torch's casts, ml_dtypes, gfloat and exact fractions."""

from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise

import gfloat
import gfloat.formats
import ml_dtypes
import numpy as np
import pytest
import torch

from halfbits.formats import FORMATS, Format
from halfbits.rounding import MODES, round_to, rounder

F16 = ("fp16", "bf16")
F8 = ("fp8_e4m3fn", "fp8_e5m2")
GFLOAT = {
    "fp16": gfloat.formats.format_info_binary16,
    "bf16": gfloat.formats.format_info_bfloat16,
    "fp8_e4m3fn": gfloat.formats.format_info_ocp_e4m3,
    "fp8_e5m2": gfloat.formats.format_info_ocp_e5m2,
}
RULES = {
    "nearest": gfloat.RoundMode.TiesToEven,
    "ties_away": gfloat.RoundMode.TiesToAway,
    "toward_zero": gfloat.RoundMode.TowardZero,
}


def neighbourhoods(name: str) -> torch.Tensor:
    """Every number of a format, every midpoint and all their float32 neighbours: float32."""
    fmt = FORMATS[name]
    numbers = np.append(fmt.finite_values(), fmt.max + fmt.ulp(fmt.max)).astype(np.float64)
    middles = (numbers[1:] + numbers[:-1]) / 2
    with np.errstate(over="ignore"):
        places = np.concatenate([numbers, middles, -middles]).astype(np.float32)
        above = np.nextafter(places, np.float32(np.inf))
        below = np.nextafter(places, np.float32(-np.inf))
    special = np.float32([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, -1e-45])
    return torch.from_numpy(np.concatenate([places, above, below, special]))


def assert_same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal values, signs of zero included; NaN equals NaN."""
    ours, theirs = ours.double(), theirs.double()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    numbers = ~theirs.isnan()
    assert torch.equal(ours.signbit()[numbers], theirs.signbit()[numbers])


@pytest.mark.parametrize("name", F16)
def test_nearest_is_torchs_cast(name):
    x = neighbourhoods(name)
    assert len(x) > 500_000
    assert_same(round_to(x, name), x.to(FORMATS[name].dtype))


def test_nearest_to_fp32_is_numpys_cast():
    generator = torch.Generator().manual_seed(0)
    bits = torch.randint(-(2**31), 2**31, (20_000,), generator=generator).int()
    numbers = bits.view(torch.float32).double()
    upper = torch.from_numpy(np.nextafter(numbers.float().numpy(), np.float32(np.inf))).double()
    middles = (numbers + upper) / 2  # exact in float64
    near = [torch.from_numpy(np.nextafter(middles.numpy(), to)) for to in (np.inf, -np.inf)]
    x = torch.cat([numbers, middles, *near, torch.tensor([3.5e38, 1e-46, -1e-46, -0.0]).double()])
    with np.errstate(over="ignore", invalid="ignore"):
        assert_same(round_to(x, "fp32"), torch.from_numpy(x.numpy().astype(np.float32)))


def test_float64_is_rounded_once_unlike_torchs_cast():
    x = torch.tensor([1 + 2**-11 + 2**-40], dtype=torch.float64)
    assert round_to(x, "fp16").item() == 1 + 2**-10 == np.float64(x.item()).astype(np.float16)
    assert x.half().item() == 1


@pytest.mark.parametrize("name", F8)
def test_nearest_to_fp8_is_ml_dtypes(name):
    x = neighbourhoods(name)
    dtype = {"fp8_e4m3fn": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}[name]
    assert_same(round_to(x, name), torch.from_numpy(x.numpy().astype(dtype).astype(np.float32)))


@pytest.mark.parametrize("mode", RULES)
@pytest.mark.parametrize("name", GFLOAT)
def test_every_rule_is_gfloats(name, mode):
    x = neighbourhoods(name)
    if name in F16:
        x = torch.cat([x[:: len(x) // 3000], x[-9:]])
    theirs = [gfloat.round_float(GFLOAT[name], float(v), RULES[mode], sat=False) for v in x]
    fmt = FORMATS[name]
    ours = round_to(x, name, mode)
    beyond = (x.abs() > fmt.max) & x.isfinite()
    if mode == "toward_zero":  # finite numbers stay finite (IEEE 754-2019, 7.4)
        assert (ours[beyond].abs() == fmt.max).all()
    kept = ~beyond if mode == "toward_zero" else torch.ones_like(beyond)
    assert_same(ours[kept], torch.tensor(theirs, dtype=torch.float64)[kept])


def by_fractions(x: float, numbers: list[float], mode: str) -> set[float]:
    """What a rule may give for a float between a format's numbers, from exact distances."""
    place = bisect_right(numbers, x)
    low, high = numbers[place - 1], numbers[place] if x != numbers[place - 1] else x
    if low == x or mode == "stochastic":
        return {low, high}
    down, up = Fraction(x) - Fraction(low), Fraction(high) - Fraction(x)
    outward, inward = (high, low) if x > 0 else (low, high)
    if mode == "toward_zero":
        return {inward}
    if down != up:
        return {low if down < up else high}
    even = {low: (place - 1), high: place}
    zero = numbers.index(0.0)  # numbers are counted from zero: an even count, an even last bit
    return {outward} if mode == "ties_away" else {n for n, k in even.items() if (k - zero) % 2 == 0}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fmt", [FORMATS["fp8_e5m2"], Format("tiny", 3, 2), Format("e4m5", 4, 5)])
def test_every_rule_is_what_exact_distances_say(fmt, mode):
    numbers = fmt.finite_values().tolist()
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(3000, dtype=torch.float64, generator=generator) * 2 - 1
    x = torch.cat([x * fmt.max, x * fmt.smallest_normal * 3, torch.tensor(numbers[:-1])])
    middles = [(a + b) / 2 for a, b in pairwise(numbers)]
    x = torch.cat([x, torch.tensor(middles, dtype=torch.float64)])
    rounded = round_to(x, fmt, mode, generator)
    for value, result in zip(x.tolist(), rounded.tolist(), strict=True):
        assert result in by_fractions(value, numbers, mode), value


def test_school_rounding_differs_at_ties_alone():
    x = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 - 2**-20])
    assert round_to(x, "bf16").tolist() == [1.0, 1.015625, -1.0, 1.0]
    assert round_to(x, "bf16", "ties_away").tolist() == [1.0078125, 1.015625, -1.0078125, 1.0]
    assert round_to(x, "bf16", "toward_zero").tolist() == [1.0, 1.0078125, -1.0, 1.0]


@pytest.mark.parametrize("name", [*F16, *F8, "fp32"])
def test_stochastic_is_unbiased(name):
    count = 20_000
    fmt = FORMATS[name]
    for place in (1.0, -1.0, 3 * fmt.smallest_subnormal):
        gap = fmt.ulp(place)
        for share in (0.125, 0.5, 0.9):
            x = torch.full((count,), place + np.sign(place) * share * gap, dtype=torch.float64)
            rounded = round_to(x, name, "stochastic", torch.Generator().manual_seed(7))
            assert set(rounded.tolist()) == {place, place + np.sign(place) * gap}
            error = 5 * gap * (share * (1 - share) / count) ** 0.5
            assert abs(rounded.mean() - x[0]) < error


@pytest.mark.parametrize("name", [*F16, *F8])
def test_every_rule_leaves_the_formats_numbers_alone(name):
    fmt = FORMATS[name]
    x = torch.from_numpy(fmt.finite_values())
    x = torch.cat([x, torch.tensor([-0.0, np.nan])])
    x = torch.cat([x, torch.tensor([np.inf, -np.inf])]) if fmt.infinities else x
    for mode in MODES:
        assert_same(round_to(x, name, mode), x)


def test_stochastic_repeats_with_its_generator_and_leaves_the_global_one_alone():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(2))
    state = torch.get_rng_state()
    first, second = (
        round_to(x, "bf16", "stochastic", torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(first, second) and torch.equal(torch.get_rng_state(), state)
    other = round_to(x, "bf16", "stochastic", torch.Generator().manual_seed(4))
    assert not torch.equal(first, other)


def test_stochastic_beyond_the_largest_number():
    x = torch.full((4000,), 65504 + 8.0)
    rounded = round_to(x, "fp16", "stochastic", torch.Generator().manual_seed(5))
    assert set(rounded.tolist()) == {65504.0, np.inf}
    assert abs((rounded == np.inf).double().mean() - 0.25) < 5 * (0.25 * 0.75 / 4000) ** 0.5
    assert round_to(torch.tensor([65536.0]), "fp16", "stochastic").item() == np.inf


def test_shape_and_dtype_stay():
    for dtype in (torch.float32, torch.float64):
        for shape in ((), (0,), (2, 3)):
            x = torch.full(shape, 0.1, dtype=dtype)
            for mode in MODES:
                rounded = round_to(x, torch.bfloat16, mode)
                assert (rounded.dtype, rounded.shape) == (dtype, x.shape)


@pytest.mark.parametrize("name", FORMATS)
def test_the_fast_rounder_is_the_formats_own(name):
    fmt, fast = FORMATS[name], rounder(name)
    generator = torch.Generator().manual_seed(6)
    wide = (1074, 1023) if name == "fp64" else (160, 140)
    powers = torch.randint(-wide[0], wide[1], (4000,), generator=generator).double()
    x = (torch.randn(4000, dtype=torch.float64, generator=generator) * powers.exp2()).tolist()
    ends = [fmt.max, fmt.smallest_subnormal / 2, fmt.smallest_subnormal * 1.5, 1 + fmt.eps / 2]
    ends += [0.0, np.inf, np.nan, 1 + 1.5 * fmt.eps]
    if name != "fp64":
        ends += [fmt.max + fmt.ulp(fmt.max) / 2, np.nextafter(fmt.max + fmt.ulp(fmt.max) / 2, 0)]
    for value in [*x, *ends, *(-e for e in ends)]:
        assert repr(float(fast(float(value)))) == repr(fmt.round(value))


def test_bad_input_is_told_in_one_line():
    x = torch.ones(2)
    with pytest.raises(ValueError, match="no rounding mode 'up'; choose one of nearest, ties_away"):
        round_to(x, "fp16", "up")
    with pytest.raises(TypeError, match="float32 or float64 tensor, not torch"):
        round_to(x.half(), "fp16")
    with pytest.raises(TypeError, match="float32 or float64 tensor, not list"):
        round_to([1.0], "fp16")
    with pytest.raises(ValueError, match="no format 'fp17'"):
        round_to(x, "fp17")
