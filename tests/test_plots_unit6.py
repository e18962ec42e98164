"""Pictures and the widget of Unit 6: true numbers, in words too, in both themes."""

import functools
import json
import math
import re
from functools import cache

import numpy as np
import pytest
import torch
from pictures import assert_well_drawn

import halfbits as hb
from halfbits.benchmark.results import FORMAT, published
from halfbits.data_sets import batches, load_digits
from halfbits.models import mlp
from halfbits.pictures.adam_steps import LAST_LOST, adam_step_lengths, first_stored
from halfbits.pictures.amdahl import amdahl_share, amdahl_speedup
from halfbits.pictures.dashboard import NO_RECORD, dashboard
from halfbits.pictures.matmul_errors import FORMATS, matmul_error
from halfbits.precision import PrecisionError
from halfbits.text import short
from halfbits.training import Run, fit


@cache
def some_runs():
    """Three settings that run on a CPU, one that diverges, one that is refused."""
    digits, runs = load_digits(), {}
    for mode in ("32-true", "tf32", "16-true", "16-mixed", "bf16-mixed"):
        torch.manual_seed(0)
        some = batches(digits.train_x, digits.train_y, size=32, steps=8)
        adam = functools.partial(torch.optim.Adam, lr=3e-3)
        options = {"precision": mode, "optimizer": adam, "test": digits[2:], "progress": False}
        try:
            runs[mode] = fit(mlp(64, 16, 10), some, **options)
        except PrecisionError as reason:
            runs[mode] = reason
    return runs


DRAW = {
    "adam": hb.adam_steps,
    "amdahl": hb.amdahl,
    "products": hb.matmul_errors,
    "curves": lambda: hb.loss_curves(some_runs()),
    "dashboard": lambda: hb.dashboard(some_runs(), records=[]),
}
every_picture = pytest.mark.parametrize("name", DRAW)


@cache
def picture(name):
    return DRAW[name]()


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name])


# Dashboard and curves.


def test_the_dashboard_says_what_was_measured_and_what_is_cited():
    said = picture("dashboard").text
    assert "Measured now, here" in said and "Cited, not measured here" in said
    assert "tf32: not possible here" in said and "diverged, step 1" in said
    run = some_runs()["32-true"]
    assert f"32-true: accuracy {run.accuracy:.2%}" in said
    for one in published()["runs"]:
        assert f"{one['setting']}, {one['source']}: accuracy {one['test_accuracy']:.2%}" in said
        assert f"{one['minutes']} min" in said
    assert NO_RECORD in said and NO_RECORD.split(":")[0] in picture("dashboard").svg


def test_a_diverged_run_shows_no_accuracy():
    [line] = re.findall(r"16-true: ([^;]*);", picture("dashboard").text)
    assert "accuracy" not in line and "diverged" in line


def test_a_recorded_gpu_is_shown_as_recorded(tmp_path):
    entry = {"step_ms": 50.0, "peak_bytes": 4_000_000_000, "skipped": [], "diverged": None}
    half = entry | {"step_ms": 12.5, "skipped": [0, 1]}
    settings = {"32-true": entry, "16-mixed": half, "64-true": {"not_measured": "too long"}}
    result = {
        "format": FORMAT,
        "date": "2026-01-02T03:04:05",
        "command": "c",
        "device": "cuda",
        "machine": {"device": "Some GPU"},
        "versions": {"torch": "2.13.0"},
        "matmul": {},
        "workloads": {"distilbert": {"settings": settings}},
    }
    path = tmp_path / "gpu.json"
    path.write_text(json.dumps(result))
    said = dashboard(some_runs(), records=[path]).text
    assert "Recorded, DistilBERT's shape: Some GPU, torch 2.13.0, 2026-01-02" in said
    assert "16-mixed: 12.5 ms, 4 GB, 2 skipped" in said and "64-true: not measured" in said
    assert NO_RECORD not in said
    rungs = {"fp32": entry, "bf16 autocast, and more": half} | {"+ compile": settings["64-true"]}
    precisions = ("32-true", "bf16-mixed", "bf16-mixed")
    ladder = {n: e | {"precision": p} for (n, e), p in zip(rungs.items(), precisions, strict=True)}
    tuned = result | {"workloads": {}, "tune": {"distilbert": {"rungs": ladder}}}
    other = tmp_path / "tune.json"
    other.write_text(json.dumps(tuned))
    both = dashboard(some_runs(), records=[path, other])
    assert both.text.startswith(said.partition(" Cited")[0])
    assert "what each change brought, DistilBERT's shape: Some GPU" in both.text
    assert "bf16 autocast, and more: 12.5 ms, 4 GB; + compile: not measured" in both.text
    path.write_text("{")
    with pytest.raises(ValueError, match="is damaged"):
        dashboard(some_runs(), records=[path])


def test_the_curves_say_how_far_they_are_apart():
    said = picture("curves").text
    base, mixed = (some_runs()[name].losses for name in ("32-true", "bf16-mixed"))
    apart = np.mean(np.abs(np.array(mixed) - base))
    found = re.search(r"bf16-mixed ends at ([\d.]+), on average ([\d.]+)×10⁻(.) from", said)
    assert float(found[1]) == pytest.approx(mixed[-1], abs=6e-4)
    power = "⁰¹²³⁴⁵⁶⁷⁸⁹".index(found[3])
    assert float(found[2]) * 10.0**-power == pytest.approx(apart, rel=0.05)
    assert "16-true has diverged: first non-finite value at step 0" in said


# Products.


def test_fp32_errs_as_the_processors_order_of_summing_lets_it():
    assert 1e-7 < matmul_error("fp32") < 5e-7


@pytest.mark.parametrize(("name", "error"), [("tf32", 3.0e-4), ("fp16", 3.6e-4), ("bf16", 2.9e-3)])
def test_errors_of_products(name, error):
    assert matmul_error(name) == pytest.approx(error, rel=0.1)
    assert matmul_error(name, seed=1) == pytest.approx(error, rel=0.1)


def test_a_16_bit_product_is_torchs_own():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 64, 64, generator=generator)
    true = a.double() @ b.double()
    for name, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        product = (a.to(dtype) @ b.to(dtype)).double()
        error = ((product - true).norm() / true.norm()).item()
        assert matmul_error(name, size=64) == pytest.approx(error, rel=0.02)


def test_bf16_is_eight_times_coarser_than_fp16():
    assert matmul_error("bf16") / matmul_error("fp16") == pytest.approx(8, rel=0.02)


def test_products_use_the_students_function():
    def unsolved(x):
        raise NotImplementedError

    assert "tf32: tf32_round is not attempted yet" in hb.matmul_errors(unsolved).text
    coarse = hb.matmul_errors(lambda x: x.bfloat16().float()).text
    assert re.search(r"tf32 2\.\d×10⁻³", coarse)
    assert "tf32_round raises TypeError" in hb.matmul_errors(lambda: 0).text


def test_the_matmul_precision_stays_as_it_was():
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        matmul_error("fp32", size=8)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert set(FORMATS) == {"fp32", "tf32", "fp16", "bf16"}


# Adam.


def test_lengths_of_adams_steps():
    gradients = np.array([1e-4, 1e-3, 5e-3, 0.5])
    steps = functools.partial(adam_step_lengths, gradients=gradients)
    np.testing.assert_allclose(steps(torch.float32, 1e-8, False, 1), 1, rtol=1e-3)
    assert np.isinf(steps(torch.float16, 1e-8, False, 1)).tolist() == [True, True, True, False]
    assert steps(torch.float16, 1e-7, False, 1)[2] == pytest.approx(5e-3 / 2.0**-23, rel=0.01)
    late = steps(torch.float16, 1e-8, True, 100)
    assert all(6 < each < 7 for each in late[:3]) and late[3] == pytest.approx(1, rel=0.05)
    assert first_stored() == pytest.approx(0.00546, rel=0.01)


def test_where_adam_loses_its_second_moment_among_all_gradients_of_fp16():
    every = torch.arange(1, 0x3C01, dtype=torch.int16).view(torch.float16).double().numpy()
    assert every[-1] == 1
    lost = ~np.isfinite(adam_step_lengths(torch.float16, 1e-8, False, 1, every))
    assert (lost == (every < first_stored())).all() and every[lost][-1] == LAST_LOST
    lengths = adam_step_lengths(torch.float16, 1e-4, False, 1, every)
    assert every[lengths.argmax()] == LAST_LOST and f"{lengths.max():.0f}" == "55"
    assert (lengths[every < 8e-5] < 0.9).all() and (lengths[lost & (every > 1.2e-4)] > 1.1).all()
    assert (abs(lengths[~lost] - 1) < 1 / 3).all()
    said = picture("adam").text
    assert f"infinite up to a gradient of {short(LAST_LOST, 2)}" in said


# Amdahl.


def test_amdahls_law():
    assert amdahl_speedup(0, 16) == 1 and amdahl_speedup(1, 16) == 16
    for share in (0.1, 0.5, 0.71, 1.0):
        for factor in (1.5, 16, 64):
            assert amdahl_share(amdahl_speedup(share, factor), factor) == pytest.approx(share)
    assert amdahl_share(1, 1) == 1 and math.isclose(amdahl_share(2, 4), 2 / 3)
    assert str(hb.amdahl_explorer()) == picture("amdahl").text
    assert "cannot be reached" in hb.amdahl(share=0.9, factor=2).text
    assert "without limit" in hb.amdahl(share=1.0, factor=2).text


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: amdahl_speedup(1.2, 8), "from 0 to 1, not 1.2"),
        (lambda: amdahl_speedup(0.5, 0.5), "at least 1, not 0.5"),
        (lambda: amdahl_speedup(0.5, math.nan), "at least 1, not nan"),
        (lambda: amdahl_share(17, 16), "from 1 to it, not 17"),
        (lambda: hb.amdahl(0.5, 100), "a factor of 64, not 100"),
        (lambda: hb.amdahl_explorer(-1, 8), "from 0 to 1, not -1"),
        (lambda: matmul_error("fp64"), "compared in fp32, tf32, fp16, bf16, not fp64"),
        (lambda: hb.loss_curves({}), "give its run, too"),
        (lambda: hb.loss_curves({"32-true": Run("32-true", "cpu")}), "give its run, too"),
        (lambda: hb.dashboard({}), "give runs by setting"),
        (lambda: hb.dashboard({"8-true": "x"}), "give runs by setting"),
    ],
)
def test_mistakes_are_named_in_one_line(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
