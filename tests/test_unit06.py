"""What Unit 6 says and no cell of it computes; its answers where the checks do not reach."""

import contextlib
import functools
import math
import time

import jupytext
import pytest
import torch
import torch.nn.functional as F

from grader import adequacy
from grader.units import find_units
from halfbits.benchmark.results import published
from halfbits.checking.checks import load_drivers
from halfbits.data_sets import batches, load_digits
from halfbits.formats import FORMATS
from halfbits.models import mlp
from halfbits.pictures.amdahl import amdahl_share, amdahl_speedup, published_speedups
from halfbits.pictures.loss_curves import distance
from halfbits.precision import SETTINGS, PrecisionError, setting
from halfbits.rounding import round_to
from halfbits.training import accuracy, fit

UNIT = find_units(["06"])[0]
DRIVERS = load_drivers(UNIT.drivers)
ON_CPU = [name for name in SETTINGS if name != "tf32"]
DIGITS = load_digits()


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Nets this small wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def answers():
    return {name: one.function for name, one in adequacy.lesson_answers(UNIT).items()}


@pytest.fixture(scope="module")
def prose():
    cells = jupytext.read(UNIT.notebook).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


@functools.cache
def train_in(mode):
    """What the lesson's cell does on a CPU."""
    torch.manual_seed(0)
    some = batches(DIGITS.train_x, DIGITS.train_y, size=64, steps=130)
    adam = functools.partial(torch.optim.Adam, lr=3e-3)
    options = {"precision": mode, "optimizer": adam, "test": DIGITS[2:], "progress": False}
    return fit(mlp(64, 64, 10), some, **options)


# What a setting asks for.


def test_the_table_of_settings_is_the_librarys(prose):
    for name, one in SETTINGS.items():
        parameters = str(one.parameters).removeprefix("torch.")
        lower = f"to {str(one.autocast).removeprefix('torch.')}" if one.autocast else "off"
        cells = (f"`{name}`", parameters, lower, "on" if one.scaled else "off", one.matmul)
        assert f"| {' | '.join(cells)} |" in prose


@pytest.mark.parametrize("mode", ON_CPU)
def test_the_lessons_precision_is_the_librarys(answers, mode):
    one = SETTINGS[mode]
    with answers["make_precision"](mode, "cpu") as precision:
        assert precision.dtype == one.parameters
        assert precision.scaler.is_enabled() == one.scaled
        with precision.autocast:
            assert torch.is_autocast_enabled("cpu") == (one.autocast is not None)
            assert one.autocast in (None, torch.get_autocast_dtype("cpu"))


def test_the_driver_gives_back_what_it_changed(answers):
    outside = torch.get_float32_matmul_precision()
    there = torch.cuda.is_available()
    seen = DRIVERS["make_precision"](answers["make_precision"], "16-mixed", "cuda")
    assert seen["scaler"] == "on, for cuda" and seen["autocast"] == "to float16, on cuda"
    assert torch.get_float32_matmul_precision() == outside
    assert torch.cuda.is_available() == there and not torch.is_autocast_enabled("cuda")


def test_the_driver_tells_a_machine_with_cuda_from_one_without():
    @contextlib.contextmanager
    def for_cuda(mode, device):
        autocast = torch.autocast("cuda", dtype=torch.float16)
        scaler = torch.amp.GradScaler("cuda")
        yield DRIVERS["SimpleNamespace"](
            device=device, dtype=torch.float32, autocast=autocast, scaler=scaler
        )

    with pytest.warns(UserWarning, match="CUDA is not available"):
        seen = DRIVERS["make_precision"](for_cuda, "16-mixed", "cpu")
    assert (seen["scaler"], seen["autocast"]) == ("off", "off")
    seen = DRIVERS["make_precision"](for_cuda, "16-mixed", "cuda")
    assert (seen["scaler"], seen["autocast"]) == ("on, for cuda", "to float16, on cuda")


def test_tf32_is_refused_on_a_cpu_loudly():
    with pytest.raises(PrecisionError, match="tf32 is not possible on this CPU"):
        setting("tf32").on("cpu")


# The trainings.


@pytest.mark.parametrize("mode", ON_CPU)
def test_the_lessons_loop_is_fit_bit_for_bit(answers, mode):
    torch.manual_seed(0)
    some = list(batches(DIGITS.train_x, DIGITS.train_y, size=64, steps=12))
    with answers["make_precision"](mode, "cpu") as precision:
        found = answers["train_digits"](mlp(64, 64, 10), some, DIGITS[2:], precision)
    run = train_in(mode)
    if SETTINGS[mode].parameters.itemsize > 2:  # fit raises 16-bit logits to fp32 for the loss
        assert found["losses"] == run.losses[: len(found["losses"])]
    else:
        assert found["losses"][0] == pytest.approx(run.losses[0], rel=1e-2)


def test_five_settings_learn_and_one_does_not():
    runs = {mode: train_in(mode) for mode in ON_CPU}
    learned = [run.accuracy for mode, run in runs.items() if mode != "16-true"]
    assert min(learned) >= 0.88
    assert max(learned) - min(learned) < 0.02  # "a few images"
    failed = runs["16-true"]
    assert failed.diverged is not None and failed.accuracy == 0 and failed.steps == 2
    assert (failed.diverged.step, failed.diverged.kind) == (0, "parameter")  # not a gradient
    assert not runs["16-mixed"].skipped
    assert f"{1 / len(DIGITS.test_y):.2%}" == "0.28%"


def test_the_distances_of_the_curves_are_in_the_order_of_the_digits():
    base = train_in("32-true")
    apart = {mode: distance(train_in(mode), base) for mode in ("64-true", "16-mixed", "bf16-mixed")}
    assert 1e-8 < apart["64-true"] < 1e-6
    assert 300 < apart["16-mixed"] / apart["64-true"] < 10_000  # "a thousand times"
    assert apart["bf16-mixed"] > 4 * apart["16-mixed"]
    steps = [abs(a - b) for a, b in zip(base.losses, base.losses[1:], strict=False)]
    assert apart["bf16-mixed"] < sum(steps) / len(steps)


def test_memory_is_double_half_and_a_little_less():
    bytes_in = {mode: train_in(mode).peak_bytes for mode in ON_CPU}
    base = bytes_in["32-true"]
    assert bytes_in["64-true"] / base == pytest.approx(2, rel=0.02)
    assert bytes_in["16-true"] / base == pytest.approx(0.5, rel=0.05)
    for mode in ("16-mixed", "bf16-mixed"):
        assert 0.75 < bytes_in[mode] / base < 1


def test_the_cited_figures_stand_in_the_lesson(prose):
    runs = {(run["source"], run["setting"]): run for run in published()["runs"]}
    for name in ("32-true", "16-mixed", "bf16-mixed"):
        run = runs["course", name]
        assert f"| `{name}` | {run['minutes']} | {100 * run['test_accuracy']:.2f} % |" in prose
    blog = {name: run for (source, name), run in runs.items() if source == "blog"}
    assert f"{blog['32-true']['gigabytes']} GB for `32-true`" in prose
    assert f"{blog['16-mixed']['gigabytes']} for `16-mixed`" in prose
    assert f"{blog['16-true']['gigabytes']} for `16-true`" in prose
    assert f"{100 * blog['16-true']['test_accuracy']:.2f} %" in prose
    assert f"not {100 * blog['32-true']['test_accuracy']:.2f} %" in prose
    gap = blog["16-mixed"]["test_accuracy"] - blog["32-true"]["test_accuracy"]
    assert f"{100 * gap:.1f} points" in prose
    twice = runs["course", "32-true"]["test_accuracy"] - blog["32-true"]["test_accuracy"]
    assert twice > gap  # "two runs of one setting lay further apart"


def test_argmax_of_nan_is_the_first_class():
    assert torch.full((3, 10), torch.nan).argmax(-1).tolist() == [0, 0, 0]


# Adam in fp16.


def test_what_vanishes_in_adam(answers):
    report = answers["adam_fp16_report"]
    assert report(0.001, 1e-8, False, 1) == {
        "eps": 0.0,
        "second moment": 0.0,
        "weight": -math.inf,
        "verdict": "not finite",
    }
    assert math.isnan(report(0.0, 1e-8, False, 1)["weight"])
    assert report(0.001, 1e-7, False, 1)["weight"] == pytest.approx(-7.39, abs=0.01)
    assert report(0.001, 1e-7, False, 1)["eps"] == 2.0**-23
    assert report(0.0054, 1e-8, False, 1)["second moment"] == 0  # "up to 0.0055"
    assert report(0.0056, 1e-8, False, 1)["second moment"] > 0


def test_fused_adam_is_right_once_and_six_times_too_far_after_a_hundred_steps(answers):
    report = answers["adam_fp16_report"]
    assert report(0.001, 1e-8, True, 1)["verdict"] == "sane"
    late = report(0.001, 1e-8, True, 100)
    assert late["verdict"] == "too far" and 6 < (1 - late["weight"]) / 0.1 < 7
    assert report(0.5, 1e-8, True, 100)["verdict"] == "sane"


# TF32, and the stopwatch.


def test_the_lessons_tf32_is_the_formats_on_a_million_patterns(answers):
    generator = torch.Generator().manual_seed(11)
    size = (1_000_000,)
    x = torch.randint(-(2**31), 2**31, size, generator=generator).int().view(torch.float32)
    mine, ours = answers["tf32_round"](x), round_to(x, FORMATS["tf32"])
    torch.testing.assert_close(mine, ours, rtol=0, atol=0, equal_nan=True)


def test_the_stopwatch_measures_real_time_too(answers):
    assert 20 <= answers["bench"](lambda: time.sleep(0.02), 1, 3, "cpu") < 2000


def test_the_clock_of_the_check_is_put_back():
    names = DRIVERS["bench"].__globals__["CLOCKS"]
    clocks = [getattr(time, name) for name in names]
    waiting = torch.cuda.synchronize

    def broken(fn, warmup, iters, device):
        fn()
        raise ArithmeticError("on purpose")

    seen = DRIVERS["bench"](broken, [1.0], 0, 1, "cuda")
    assert seen == {"raised": "ArithmeticError: on purpose"}
    assert len(clocks) == 6 and [getattr(time, name) for name in names] == clocks
    assert torch.cuda.synchronize is waiting


def test_an_imported_clock_is_the_checks_as_well():
    space = {}
    exec(
        "from time import perf_counter\n"
        "def timed(fn, warmup, iters, device):\n"
        "    start = perf_counter(); fn(); return 1000 * (perf_counter() - start)",
        space,
    )
    assert DRIVERS["bench"](space["timed"], [7.0], 0, 1, "cpu")["result"] == 7.0
    assert space["perf_counter"] is time.perf_counter


# Amdahl's law, and the quiz.


def test_the_shares_that_the_lesson_names():
    fp16, bf16 = (amdahl_share(s, 16) for s in published_speedups().values())
    assert (f"{fp16:.0%}", f"{bf16:.0%}") == ("71%", "69%")
    assert [f"{s:.2f}" for s in published_speedups().values()] == ["2.99", "2.84"]
    assert 312 / 19.5 == 16
    speedup = published_speedups()[next(iter(published_speedups()))]
    for faster, rest, of_new_time in ((16, "29%", "87%"), (8, "24%", "72%")):
        left = 1 - amdahl_share(speedup, faster)
        assert (f"{left:.0%}", f"{left * speedup:.0%}") == (rest, of_new_time)


def test_the_answers_of_the_quiz():
    key = {q["id"]: q for q in UNIT.quiz.questions}
    assert key["amdahl"]["answers"] == ["10/3"]
    assert amdahl_speedup(0.8, 8) == pytest.approx(10 / 3)
    cases = key["amdahl"]["wrong"][:-1]
    wrong = [(float(case["from"]), float(case["below"])) for case in cases]
    slips = (0.8 * 8, 8, 1 / (1 - 0.8), 0.8 * 8 + 0.2, 0.3)
    assert all(low <= slip < high for slip, (low, high) in zip(slips, wrong, strict=True))


def sgd(mode):
    torch.manual_seed(0)
    one = SETTINGS[mode]
    model = mlp(64, 64, 10).to(one.parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    for x, y in batches(DIGITS.train_x, DIGITS.train_y, size=64, steps=2000):
        optimizer.zero_grad()
        F.cross_entropy(model(x.to(one.parameters)), y).backward()
        optimizer.step()
    return accuracy(model, DIGITS.test_x.to(one.parameters), DIGITS.test_y)


def test_small_updates_are_lost_in_pure_bf16_as_the_quiz_says():
    assert sgd("32-true") == pytest.approx(0.55, abs=0.03)
    assert sgd("bf16-true") == pytest.approx(0.15, abs=0.03)
    w = torch.ones((), dtype=torch.bfloat16)
    assert w - 2.0**-9 == 1 and w - 2.0**-8 < 1  # "less than about 1/512 of a weight"
