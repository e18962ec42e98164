"""What Unit 5 says and no cell of it computes; its answers where the checks do not reach."""

import math
import re

import jupytext
import pytest
import torch
import torch.nn.functional as F

from grader import adequacy
from grader.units import find_units
from halfbits.checking.checks import load_drivers
from halfbits.checking.codec import encode
from halfbits.data_sets import batches, load_digits
from halfbits.gradients import recorded_histogram
from halfbits.models import mlp
from halfbits.pictures.recorded import recording

UNIT = find_units(["05"])[0]
DRIVERS = load_drivers(UNIT.drivers)


@pytest.fixture(scope="module")
def answers():
    return {name: one.function for name, one in adequacy.lesson_answers(UNIT).items()}


@pytest.fixture(scope="module")
def prose():
    cells = jupytext.read(UNIT.notebook).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def scaler(**settings) -> torch.amp.GradScaler:
    return torch.amp.GradScaler("cpu", **settings)


def test_the_three_gradients_of_the_beginning():
    def gradient(scale):
        w = torch.ones((), requires_grad=True)
        ((w.half() * 0.0002).float() * 0.0001 * scale).backward()
        return w.grad.item() / scale

    assert gradient(1) == 0 and 2e-8 < 2.0**-25
    assert gradient(2.0**10) == pytest.approx(2e-8, rel=2e-3)
    assert 2.0**-24 < 2e-8 * 2**10 < 2.0**-14  # "it is subnormal"
    assert gradient(2.0**40) == math.inf and 0.0001 * 2**40 > 65504


def test_the_scaler_has_the_defaults_and_the_state_that_the_lesson_names(answers):
    state = scaler().state_dict()
    assert state == answers["LossScaler"]().state_dict()
    assert (state["scale"], state["growth_interval"]) == (65536.0, 2000)
    assert (state["growth_factor"], state["backoff_factor"]) == (2.0, 0.5)


def test_the_limits_for_minilm_and_where_they_come_from():
    limits = {}
    for kind in ("weights", "activations"):
        fates = {k: recorded_histogram(kind).report(2.0**k) for k in range(33)}
        low = min(k for k, fate in fates.items() if fate.flushed < 1e-4)
        limits[kind] = low, max(k for k, fate in fates.items() if fate.overflow == 0)
    (w_low, w_high), (a_low, a_high) = limits.values()
    assert a_low > w_low and a_high < w_high  # both from the activations
    assert a_high - a_low + 1 == 5


def test_the_sweep_has_the_plateau_that_the_lesson_describes():
    sweep = recording("scale_sweep")
    level = sweep["fp32"]["accuracy"]
    plateau = [p["log2_scale"] for p in sweep["points"] if abs(p["accuracy"] - level) < 0.01]
    assert 28 <= max(plateau) - min(plateau) <= 34
    points = {p["log2_scale"]: p for p in sweep["points"]}
    assert points[0]["zeros"] > 0.99 and points[44]["loss"] is None
    assert 0 < points[40]["bad"] < 0.001 and points[40]["loss"] is None  # a few are enough


def test_the_first_steps_of_the_digits_are_skipped_and_adam_does_not_count_them():
    counted = _steps_of_adam(init_scale=2.0**24, steps=7)
    assert counted == 2  # "the five batches that were skipped"
    assert _steps_of_adam(init_scale=2.0**16, steps=7) == 7  # "this network bears the default"


def _steps_of_adam(init_scale: float, steps: int) -> int:
    digits, one = load_digits(), scaler(init_scale=init_scale)
    torch.manual_seed(0)
    model = mlp(64, 64, 10)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for x, y in batches(digits.train_x, digits.train_y, size=64, steps=steps):
        adam.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            loss = F.cross_entropy(model(x), y)
        one.scale(loss).backward()
        one.step(adam)
        one.update()
    return int(adam.state[model[0].weight]["step"])


def test_clipping_before_the_unscale_makes_steps_of_1_over_s():
    steps = {}
    for first in ("clip", "unscale"):
        w = torch.zeros(2, requires_grad=True)
        sgd, one = torch.optim.SGD([w], lr=1.0), scaler(init_scale=1024.0)
        one.scale((w * torch.tensor([0.3, 0.4])).sum()).backward()
        if first == "unscale":
            one.unscale_(sgd)
        torch.nn.utils.clip_grad_norm_([w], 1.0)
        one.step(sgd)
        steps[first] = w.detach().tolist()
    assert steps["unscale"] == pytest.approx([-0.3, -0.4])
    assert steps["clip"] == pytest.approx([-0.00059, -0.00078], abs=5e-6)
    assert math.hypot(*steps["clip"]) == pytest.approx(1 / 1024, rel=1e-4)


@pytest.mark.parametrize(("scale", "finite"), [(65536.0, False), (32768.0, True)])
def test_an_fp16_loss_makes_the_seed_of_the_backward_pass_infinite(scale, finite):
    logits = torch.tensor([[8.5, 0.0]], requires_grad=True)
    loss = F.cross_entropy(logits, torch.tensor([0])).half()
    assert loss.item() == pytest.approx(2e-4, rel=0.05)
    scaled = scaler(init_scale=scale).scale(loss)
    assert scaled.isfinite() and scaled.item() < 14
    scaled.backward()
    assert bool(logits.grad.isfinite().all()) is finite


def test_what_the_scaler_accepts_and_refuses():
    for dtype, error in ((torch.bfloat16, None), (torch.float16, ValueError)):
        w = torch.ones(1, dtype=dtype, requires_grad=True)
        sgd, one = torch.optim.SGD([w], lr=1.0), scaler(init_scale=4.0)
        one.scale(torch.ones(()))
        w.grad = torch.ones_like(w)
        if error:
            with pytest.raises(error):
                one.step(sgd)
        else:
            one.step(sgd)
            assert w.item() == 0.75


@pytest.mark.skipif(torch.cuda.is_available(), reason="run it where there is no GPU")
def test_a_scaler_for_a_gpu_that_is_not_there_is_disabled_with_a_warning():
    with pytest.warns(UserWarning, match="CUDA is not available"):
        assert not torch.amp.GradScaler("cuda").is_enabled()


def test_step_returns_none_when_it_skips():
    w = torch.zeros(1, requires_grad=True)
    sgd, one = torch.optim.SGD([w], lr=1.0), scaler()
    one.scale(torch.ones(()))
    w.grad = torch.tensor([math.inf])
    assert one.step(sgd) is None and w.item() == 0


def run_of_the_scale(steps: int, overflows: set[int]) -> float:
    """The scale after so many steps of PyTorch's scaler, overflows counted from 1."""
    optimizer, one = DRIVERS["Descent"](), scaler()
    one.scale(torch.ones(()))
    for step in range(1, steps + 1):
        optimizer.weights.grad.fill_(math.inf if step in overflows else 0.0)
        one.step(optimizer)
        one.update()
    return one.get_scale()


def test_the_answers_of_the_quiz():
    key = {q["id"]: q for q in UNIT.quiz.questions}
    assert run_of_the_scale(4300, {500}) == 65536.0 == float(key["after-4300"]["answers"][0])
    assert (
        run_of_the_scale(4500, {500}) == 131072.0
    )  # "the next doubling would come with step 4500"
    assert run_of_the_scale(2001, {2001}) == 65536.0  # a period of 2001 steps, one of them skipped
    assert key["price"]["answers"][0] == "1/2001" and abs(1 / 2001 - 0.0005) < 5e-6


def test_the_four_runs_say_what_the_lesson_says(answers):
    run = DRIVERS["underflow_experiment"]
    modes = {
        "fp32": (torch.float32, False),
        "fp16": (torch.float16, False),
        "fp16 + scaler": (torch.float16, True),
        "bf16": (torch.bfloat16, False),
    }
    function = answers["underflow_experiment"]
    seen = {name: run(function, 2.0**-18, *mode) for name, mode in modes.items()}
    assert 0.3 < seen["fp32"]["zero gradients"] < 0.34  # "a third"
    assert seen["fp16"]["zero gradients"] > 0.94  # "nearly all"
    assert seen["fp16"]["test accuracy"] < 0.5
    for name in ("fp16 + scaler", "bf16"):
        assert abs(seen[name]["test accuracy"] - seen["fp32"]["test accuracy"]) < 0.02
        assert abs(seen[name]["zero gradients"] - seen["fp32"]["zero gradients"]) < 0.02
    easy = run(function, 1.0, *modes["fp16"])  # "fp16 trains on them without a scale"
    assert abs(easy["test accuracy"] - seen["fp32"]["test accuracy"]) < 0.02


def test_the_lesson_drives_as_many_series_as_it_says(prose):
    said = re.search(r"the same (\d+) series of (\d+) random events", prose)
    cases = [case.args[1] for _, case in UNIT.exercises["LossScaler"].hidden_cases]
    seeds = [seed for events in cases if isinstance(events, tuple) for seed in events[1]]
    assert len(seeds) == int(said[1]) >= 200 and len(set(seeds)) == len(seeds)
    assert len(DRIVERS["random_events"]("two optimizers", 0)) == int(said[2])


def test_random_events_hold_what_they_are_for():
    every = [e for seed in range(130, 200) for e in DRIVERS["random_events"]("wrong order", seed)]
    assert {e[0] for e in every} == {"backward", "unscale_", "step", "update", "save and load"}
    gradients = {str(g) for e in every if e[0] == "backward" for g in e[1:]}
    assert gradients >= {"inf", "-inf", "nan", "1.0", "None"}
    oracle, settings = UNIT.exercises["LossScaler"].oracle, {"growth_interval": 1}
    run = DRIVERS["LossScaler"](oracle, settings, ("wrong order", range(130, 200)))
    errors = {(k.split(", ")[1], error) for series in run["event"] for k, error in series.items()}
    assert errors == {
        ("step", "RuntimeError"),
        ("unscale_", "RuntimeError"),
        ("update", "AssertionError"),
    }
    assert all(len(set(scales)) > 1 for scales in run["scale"])


def test_the_lessons_scaler_agrees_with_pytorchs_on_series_that_no_check_uses(answers):
    drive = DRIVERS["LossScaler"]
    settings = {"init_scale": 128.0, "growth_interval": 2}
    seeds = range(10_000, 10_040)
    for kind in ("one optimizer", "two optimizers", "wrong order", "saved"):
        oracle = drive(UNIT.exercises["LossScaler"].oracle, settings, (kind, seeds))
        mine = drive(answers["LossScaler"], settings, (kind, seeds))
        assert encode(mine) == encode(oracle)  # encoded, NaN equals NaN


def test_checkpoints_go_from_pytorchs_scaler_to_the_students_and_back(answers):
    mine, torchs = answers["LossScaler"](init_scale=4.0, growth_interval=7), scaler()
    torchs.load_state_dict(mine.state_dict())
    assert torchs.state_dict() == mine.state_dict()
    other = answers["LossScaler"]()
    other.load_state_dict(torchs.state_dict())
    assert other.state_dict() == torchs.state_dict()


def test_a_training_with_the_lessons_scaler_is_pytorchs_bit_for_bit(answers):
    digits, weights = load_digits(), []
    for make in (answers["LossScaler"], scaler):
        torch.manual_seed(0)
        model, one = mlp(64, 16, 10), make(init_scale=2.0**26, growth_interval=4)
        adam = torch.optim.Adam(model.parameters(), lr=3e-3)
        for x, y in batches(digits.train_x, digits.train_y, size=64, steps=25):
            answers["train_step"](model, x, y, _loss_in_fp16, adam, one, 1.0)
        weights.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach())
    assert torch.equal(*weights) and weights[0].isfinite().all()


def test_accumulating_is_one_large_batch(answers):
    generator = torch.Generator().manual_seed(0)
    microbatches = [(torch.randn(n, 2, generator=generator), torch.ones(n, 1)) for n in (5, 3, 1)]
    whole = tuple(torch.cat(parts) for parts in zip(*microbatches, strict=True))
    drive, start = DRIVERS["accumulate"], [0.5, -1.0]
    parts = drive(answers["accumulate"], start, [microbatches], 256.0)
    large = drive(answers["accumulate"], start, [[whole]], 256.0)
    assert (parts["most examples in memory"], large["most examples in memory"]) == (5, 9)
    for key in ("weights after each step", "returned"):
        torch.testing.assert_close(torch.tensor(parts[key]), torch.tensor(large[key]))


def _loss_in_fp16(model, x, y):
    with torch.autocast("cpu", dtype=torch.float16):
        return F.cross_entropy(model(x), y)
