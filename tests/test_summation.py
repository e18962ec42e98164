"""Sums in a format against torch's own loops, for bits, and against math.fsum, for errors."""

import math
import time
from fractions import Fraction

import pytest
import torch

from halfbits.formats import FORMATS, Format
from halfbits.summation import kahan, pairwise, running_sum, terms_of

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}


def torch_loop(values: list[float], dtype: torch.dtype) -> list[float]:
    """Partial sums by torch's scalar additions."""
    total, sums = torch.zeros((), dtype=dtype), []
    for value in torch.tensor(values, dtype=torch.float64).to(dtype):
        total = total + value
        sums.append(total.item())
    return sums


def draws(count: int, seed: int, spread: int = 12) -> list[float]:
    """Signed float32 numbers of many magnitudes."""
    generator = torch.Generator().manual_seed(seed)
    powers = torch.randint(-spread, spread, (count,), generator=generator)
    return (torch.randn(count, generator=generator) * 2.0**powers).double().tolist()


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("seed", range(3))
def test_running_sums_have_torchs_bits(name, seed):
    values = [*draws(1500, seed), 6e4, 6e4, -1e5, 1e-7, 6e-8, 3e-8]
    sums = running_sum(values, None, name).tolist()
    assert list(map(repr, sums)) == list(map(repr, torch_loop(values, DTYPES[name])))


@pytest.mark.parametrize("name", DTYPES)
def test_subnormal_sums_have_torchs_bits(name):
    tiny = FORMATS[name].smallest_subnormal
    generator = torch.Generator().manual_seed(3)
    steps = torch.randint(-3000, 3000, (800,), generator=generator).tolist()
    values = [k * tiny for k in steps]
    assert running_sum(values, None, name).tolist() == torch_loop(values, DTYPES[name])


@pytest.mark.parametrize("name", ["tf32", "fp8_e4m3fn", "fp8_e5m2", "fp32"])
def test_every_sum_is_the_exact_sum_of_two_numbers_rounded_once(name):
    fmt = FORMATS[name]
    values = [fmt.round(x) for x in draws(400, 4, spread=4)]
    total = 0.0
    for value, ours in zip(values, running_sum(values, None, name).tolist(), strict=True):
        if not math.isfinite(total):
            break
        total = fmt.round(Fraction(total) + Fraction(value))
        assert ours == total or (ours != ours and total != total)


def test_fp64_is_pythons_own_addition():
    values = draws(500, 5)
    assert running_sum(values, None, "fp64")[-1].item() == sum_in_order(values)


def sum_in_order(values):
    total = 0.0
    for value in values:
        total += value
    return total


def test_adding_a_hundredth_ten_thousand_times():
    for name, end, last in (
        ("fp32", 100.0029525756836, None),
        ("fp16", 32.0, 2798),
        ("bf16", 4.0, 350),
    ):
        sums = running_sum("0.01", 10_000, name)
        assert sums.shape == (10_000,) and sums[-1] == end
        changed = (sums.diff() != 0).nonzero()
        assert last is None or changed.max() + 2 == last
    thousand = [running_sum("0.01", 1000, name)[-1].item() for name in ("fp32", "fp16", "bf16")]
    assert [round(x, 6) for x in thousand] == [10.000134, 9.953125, 4.0]


@pytest.mark.parametrize("name, lost, end", [("bf16", 65, 5.0625), ("fp16", 513, 7.0859375)])
def test_the_harmonic_series_freezes(name, lost, end):
    sums = running_sum("1/k", 10_000, name)
    assert sums[lost - 2] == sums[lost - 1] == sums[-1] == end
    assert sums[lost - 3] != end


def test_the_harmonic_terms_are_the_fractions_rounded_once():
    terms = terms_of("1/k", 10_000)
    for name in ("fp32", "fp16", "bf16", "fp8_e4m3fn"):
        fmt = FORMATS[name]
        some = range(1, 10_001, 7)
        assert all(fmt.round(terms[k - 1]) == fmt.round(Fraction(1, k)) for k in some)


def test_a_typed_term_is_rounded_once():
    typed = "1+2^-11+2^-60"  # in fp64 that is the tie 1 + 2^-11
    assert running_sum(typed, 1, "fp16").item() == 1 + 2**-10


@pytest.mark.parametrize("name", ["fp16", "bf16", "fp32"])
def test_kahans_error_does_not_grow(name):
    fmt = FORMATS[name]
    for count in (100, 1000, 10_000):
        values = [fmt.round(0.01)] * count
        exact = math.fsum(values)
        unit = fmt.eps / 2
        # Goldberg 1991, theorem 8: |error| ≤ (2u + O(n u²)) Σ|x|, u being eps in his notation.
        assert abs(kahan(values, name) - exact) <= (4 * unit + 4 * count * unit**2) * exact
    assert abs(running_sum(values, None, name)[-1] - exact) > 3 * abs(kahan(values, name) - exact)


def test_kahan_in_bf16():
    values = [FORMATS["bf16"].round(0.01)] * 10_000
    assert round(math.fsum(values), 3) == 100.098
    assert kahan(values, "bf16") == 99.0


def kahan_in_torch(values, dtype):
    total = lost = torch.zeros((), dtype=dtype)
    for value in torch.tensor(values, dtype=torch.float64).to(dtype):
        corrected = value - lost
        new = total + corrected
        lost = (new - total) - corrected
        total = new
    return total.item()


def pairwise_in_torch(x):
    if len(x) < 2:
        return x.sum()
    middle = len(x) // 2
    return pairwise_in_torch(x[:middle]) + pairwise_in_torch(x[middle:])


@pytest.mark.parametrize("name", DTYPES)
def test_kahan_and_pairwise_have_torchs_bits(name):
    for count in (0, 1, 2, 3, 7, 500):
        values = draws(count, count, spread=5)
        assert kahan(values, name) == kahan_in_torch(values, DTYPES[name])
        tensor = torch.tensor(values, dtype=torch.float64).to(DTYPES[name])
        assert pairwise(values, name) == pairwise_in_torch(tensor).item()


@pytest.mark.parametrize("name", DTYPES)
def test_pairwise_error_grows_with_the_logarithm(name):
    fmt = FORMATS[name]
    for count in (10, 100, 1000, 4099):
        values = [fmt.round(abs(x)) for x in draws(count, 9, spread=1)]
        exact = math.fsum(values)
        depth = math.ceil(math.log2(count)) * fmt.eps / 2
        bound = depth / (1 - depth) * exact  # Higham 2002, Accuracy and Stability, section 4.2
        assert abs(pairwise(values, name) - exact) <= bound


def test_ten_thousand_terms_in_four_formats_take_well_under_a_second():
    best = math.inf
    for _ in range(3):
        start = time.process_time()
        for name in ("fp32", "fp16", "bf16", "fp8_e5m2"):
            running_sum("1/k", 10_000, name)
        best = min(best, time.process_time() - start)
    assert best < 0.7


def test_what_is_added():
    assert terms_of("0.1", 2) == [Fraction(1, 10)] * 2
    assert terms_of(0.5, 0) == []
    assert terms_of("1 / k", 3) == [1.0, 1 / 2, 1 / 3]
    assert terms_of(torch.tensor([1.0, 2.0, 3.0]), 2) == [1.0, 2.0]


def test_bad_input_is_told_in_one_line():
    with pytest.raises(ValueError, match="is not a number: try"):
        running_sum("1/n", 10, "fp16")
    with pytest.raises(ValueError, match="say how many terms: count=1000"):
        running_sum("0.1", None, "fp16")
    with pytest.raises(ValueError, match="0 or more, not -1"):
        running_sum("0.1", -1, "fp16")
    with pytest.raises(ValueError, match="there are 2 values, fewer than count=3"):
        running_sum([1.0, 2.0], 3, "fp16")
    with pytest.raises(ValueError, match="24 fraction bits and in fp64, not with 40"):
        running_sum("0.1", 3, Format("wide", 11, 40))
    with pytest.raises(ValueError, match="no format 'half'"):
        kahan([1.0], "half")
