"""Gradients in fp16: reports against real casts, the histogram against both, the recording."""

import math

import pytest
import torch

from halfbits.gradients import (
    FILE,
    KINDS,
    GradientReport,
    Histogram,
    recorded_from,
    recorded_gradients,
    recorded_histogram,
    report,
)
from halfbits.pictures.gradient_explorer import describe, percent

ANY_POWER = pytest.mark.parametrize("power", [0, 1, 3, 10, 11, 16, 24, 32])


def edges() -> torch.Tensor:
    """Places at which fp16 decides, their float32 neighbours on both sides, zeros and extremes."""
    middles = torch.tensor([2.0**-25, 2.0**-24, 2.0**-14 - 2.0**-25, 2.0**-14, 65504, 65520, 2e5])
    near = [torch.nextafter(middles, torch.tensor(to)) for to in (0.0, math.inf)]
    positive = torch.cat([middles, *near, torch.tensor([0.0, 1e-45, 1e-39, 3e38, 3e-8, 2.9e-8])])
    return torch.cat([positive, -positive])


def by_casting(g: torch.Tensor, scale: float) -> GradientReport:
    """Every gradient on its own, in plain Python."""
    count = dict.fromkeys(GradientReport.__dataclass_fields__, 0)
    for value in g:
        kept = abs((value * scale).half().item())
        if value == 0:
            count["zero"] += 1
        elif kept == 0:
            count["flushed"] += 1
        elif kept < 2**-14:
            count["subnormal"] += 1
        else:
            count["normal" if kept <= 65504 else "overflow"] += 1
    return GradientReport(**{name: n / len(g) for name, n in count.items()})


@ANY_POWER
def test_a_report_is_what_casting_each_gradient_gives(power):
    g = torch.cat([edges() * 2.0**-power, edges(), recorded_gradients()[:500]])
    assert report(g, 2.0**power) == by_casting(g, 2.0**power)


def test_boundaries_of_fp16():
    def of(x, scale=1):
        found = report(torch.tensor([x]), scale)
        return next(name for name in found.__dataclass_fields__ if getattr(found, name) == 1)

    assert (of(2.0**-25), of(2.0**-25 * 1.0001), of(2.9e-8), of(3e-8)) == (
        "flushed",
        "subnormal",
        "flushed",
        "subnormal",
    )
    assert (of(-(2.0**-15)), of(2.0**-14), of(65519.0), of(65520.0)) == (
        "subnormal",
        "normal",
        "normal",
        "overflow",
    )
    assert (of(0.0, 2.0**30), of(1e-30, 2.0**16), of(math.nan)) == ("zero", "flushed", "overflow")


def test_a_report_keeps_the_shape_open_and_the_input_as_it_is():
    g = torch.randn(3, 4, 5) * 1e-7
    before = g.clone()
    assert report(g, 3.0) == report(g.flatten(), 3.0) == by_casting(g.flatten(), 3.0)
    assert torch.equal(g, before)


@ANY_POWER
def test_the_histogram_reports_like_the_cast_of_all_numbers(power):
    g = torch.cat([edges() * 2.0**-power, edges(), recorded_gradients()])
    histogram = Histogram.of(g[g.isfinite()])
    assert histogram.report(2.0**power) == report(g[g.isfinite()], 2.0**power)


def test_the_histogram_counts_by_power_of_two():
    histogram = Histogram.of(torch.tensor([0.0, -0.0, 1.0, -1.5, 2.0, 1.9999, 0.3]))
    assert (histogram.total, histogram.zeros) == (7, 2)
    assert histogram.rows() == {-2: [1, 0, 0, 0], 0: [3, 1, 1, 1], 1: [1, 1, 0, 0]}


def test_bad_input_is_refused_in_one_line():
    with pytest.raises(ValueError, match="the tensor is empty"):
        report(torch.tensor([]))
    for scale in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="the loss scale is a positive number"):
            report(torch.ones(1), scale)
    with pytest.raises(ValueError, match="powers of two, not 3"):
        recorded_histogram().report(3)
    with pytest.raises(ValueError, match="weights or activations are recorded, not of 'moments'"):
        recorded_histogram("moments")


# The recording.


def test_the_recording_is_small_and_says_where_it_is_from():
    assert FILE.stat().st_size < 700_000
    about = recorded_from()
    assert {"model", "package", "transformers", "torch", "seed", "text", "command"} <= set(about)
    assert "MiniLM" in about["model"]


def test_the_sample_is_float32_and_agrees_with_all_gradients():
    g = recorded_gradients()
    assert (g.dtype, g.shape) == (torch.float32, (100_000,))
    part, whole = report(g), recorded_histogram("weights").report()
    for name in GradientReport.__dataclass_fields__:
        expected = getattr(whole, name)
        error = math.sqrt(expected * (1 - expected) / len(g))  # of a random sample
        assert abs(getattr(part, name) - expected) <= 4 * error
    g.zero_()
    assert recorded_gradients().any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_lesson_says_of_the_recording(kind):
    histogram = recorded_histogram(kind)
    plain, scaled = histogram.report(1), histogram.report(2.0**16)
    assert histogram.total > 10**7
    assert plain.zero == scaled.zero > 0.4  # no scale brings them back
    assert plain.subnormal > 0.4 and plain.normal < 0.05
    assert scaled.flushed < plain.flushed / 10 and scaled.normal > 0.45
    assert histogram.report(2.0**32).overflow > 0.01
    assert sum(vars(plain).values()) == pytest.approx(1)


def test_percentages():
    shares = [0, 1, 0.5214789, 0.0300640, 0.00173, 0.0000355, 5.5e-8]
    assert [percent(x) for x in shares] == [
        "0%", "100%", "52.1%", "3%", "0.17%", "0.0036%", "0.0000055%",
    ]  # fmt: skip
    assert describe("weights", 1).startswith("loss scale 1: 52.1% exactly 0")
