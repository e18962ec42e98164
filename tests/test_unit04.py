"""Unit 4: facts in its prose that no cell computes, and the trust that its checks need."""

import copy
import itertools
import random

import jupytext
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from grader.units import find_units
from halfbits.autocast_table import autocast_rule, autocast_table, output_dtype
from halfbits.data_sets import batches, load_digits
from halfbits.memory import activation_bytes_of, parameter_bytes
from halfbits.models import mlp
from halfbits.pictures.recorded import recording

FP32, FP16, BF16 = torch.float32, torch.float16, torch.bfloat16


@pytest.fixture(scope="module")
def unit():
    return find_units(["04"])[0]


@pytest.fixture(scope="module")
def drivers(unit):
    return unit.exercises["MiniAutocast"].drive.__globals__


@pytest.fixture(scope="module")
def prose(unit):
    cells = jupytext.read(unit.notebook).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


# The reference of MiniAutocast


def outcome(unit, drivers, device, code, first, second, amp):
    program = [("with", amp, True, [("run", code, first, second)])]
    reference = unit.exercises["MiniAutocast"].oracle
    return next(iter(drivers["MiniAutocast"](reference, program, "", device).values()))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_reference_gives_the_dtypes_of_the_tables(unit, drivers, device):
    compared = 0
    for op, codes in drivers["CALLS"].items():
        inputs = len(autocast_table(device)["ops"][op]["inputs"])
        for code, amp, first, second in itertools.product(
            codes, (BF16, FP16), (FP32, FP16, BF16), (FP32, FP16, BF16)
        ):
            if (first, second) == (BF16, FP16):
                continue  # the tables have fp16, bf16 only
            seen = outcome(unit, drivers, device, code, first, second, amp)
            if seen.startswith("raises"):
                assert op == "mv" and device == "cpu" and first != second
                continue
            if code == "a * 2":
                second = first
            wanted = output_dtype(op, (first, second)[:inputs], device, amp)
            assert seen.split(",")[0] == str(wanted).removeprefix("torch."), (code, first, second)
            compared += 1
    assert compared > 500


def test_the_drivers_lists_are_those_of_the_lesson(drivers):
    for device, lists in drivers["LISTS"].items():
        assert "cross_entropy" in lists["fp32"] and "linear" in lists["16 bit"]
        assert all(autocast_rule(op, device) == r for r, ops in lists.items() for op in ops)


def test_as_many_programs_as_the_lesson_says(unit, prose):
    hidden = [one for _, one in unit.exercises["MiniAutocast"].hidden_cases]
    counts = {"cpu": 0, "cuda": 0}
    for one in hidden:
        counts["cuda" if one.args[-1] == "cuda" else "cpu"] += len(one.args[0])
    assert counts == {"cpu": 240, "cuda": 30}
    assert "the same 240 random programs" in prose and "Thirty more programs" in prose


def test_programs_nest_raise_and_use_every_operation(drivers):
    made = [
        str(drivers["make_program"](random.Random(f"{kind} {n}"), kind))
        for kind in ("flat", "nested", "exceptions", "other dtypes", "everything")
        for n in range(40)
    ]
    text = "\n".join(made)
    assert all(any(repr(code) in text for code in codes) for codes in drivers["CALLS"].values())
    assert "'raise', 2" in text and "float64" in text and "int64" in text and "False" in text


def test_running_a_program_leaves_the_number_of_threads(drivers):
    before = torch.get_num_threads()
    drivers["MiniAutocast"](lambda *_: torch.autocast("cpu"), 0, "flat")
    assert torch.get_num_threads() == before


def test_an_error_that_pytorch_would_not_raise_is_shown_with_its_message(drivers):
    class Forgetful(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            return func(*args, **kwargs)

    program = [("with", BF16, True, [("run", "a.exp()", FP32, FP32)])]
    (said,) = drivers["MiniAutocast"](lambda *_: Forgetful(), program).values()
    assert said.startswith("raises TypeError: ") and "argument after ** must be a mapping" in said


def test_pairs_of_a_trace_may_be_lists(unit, drivers):
    def as_lists(*given):
        return [list(pair) for pair in unit.exercises["dtype_trace"].oracle(*given)]

    kind = "one ReLU, called twice"
    seen = drivers["dtype_trace"](as_lists, kind, "cpu", BF16)
    assert seen["4. relu"] == FP32 and "trace" not in seen


# Numbers in the prose


def test_the_rules_that_the_lesson_says_by_heart():
    for op in ("softmax", "layer_norm", "exp", "pow", "sum"):
        assert autocast_rule(op, "cpu") == "passes through" and autocast_rule(op, "cuda") == "fp32"
    for op in ("mean", "var", "relu", "gelu"):
        assert {autocast_rule(op, device) for device in ("cpu", "cuda")} == {"passes through"}
    assert (
        autocast_rule("mv", "cpu") == "passes through" and autocast_rule("mv", "cuda") == "16 bit"
    )
    assert autocast_rule("binary_cross_entropy", "cuda") == "error"
    assert autocast_rule("binary_cross_entropy_with_logits", "cuda") == "fp32"


def test_autocast_for_another_device_type_leaves_the_cpu_alone():
    with torch.autocast("cuda", dtype=FP16, enabled=torch.cuda.is_available()):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == FP32


def test_the_dtypes_that_autocast_takes_by_itself():
    assert (torch.get_autocast_dtype("cpu"), torch.get_autocast_dtype("cuda")) == (BF16, FP16)


@pytest.mark.skipif(torch.cuda.is_available(), reason="run it where there is no GPU")
def test_autocast_for_cuda_without_a_gpu_warns_and_casts_nothing():
    with pytest.warns(UserWarning, match="CUDA is not available"), torch.autocast("cuda"):
        assert not torch.is_autocast_enabled("cuda")


def test_the_worked_example_of_master_weights():
    master, parameter, alone = (
        torch.ones(()),
        torch.ones((), dtype=BF16),
        torch.ones((), dtype=BF16),
    )
    seen = {}
    for step in range(1, 101):
        master = master - 1e-4
        parameter.copy_(master)
        alone = alone - torch.tensor(1e-4, dtype=BF16)
        seen[step] = (f"{master.item():.4f}", parameter.item(), alone.item())
    assert seen[1] == ("0.9999", 1.0, 1.0) and seen[19] == ("0.9981", 1.0, 1.0)
    assert seen[20] == ("0.9980", 0.99609375, 1.0) and seen[100] == ("0.9900", 0.98828125, 1.0)


def test_the_ratio_at_which_an_update_is_lost():
    for dtype, ratio in ((FP16, 2048), (BF16, 256)):
        w = torch.ones((), dtype=dtype)
        assert w + 1 / ratio == w and w + 2 / ratio != w


def test_bytes_for_seven_billion_parameters():
    modes = ("fp32", "torch AMP", "16 bit, fp32 master")
    assert {parameter_bytes(mode, "Adam").total * 7 for mode in modes} == {112}


def test_saved_bytes_that_the_lesson_and_the_quiz_name():
    cost = activation_bytes_of(64, 256, 5)
    assert (cost["fp32"], cost["autocast"]) == (655_360, 851_968)
    assert 4 * 512 * 4 * 384 == 4 * 512 * 2 * 384 + 3 * 512 * 512 * 2  # the quiz


def test_most_weights_of_the_recorded_bf16_run_stand_still():
    assert min(run["unchanged"] for run in recording("master_weights")["runs"]["pure bf16"]) > 0.5
    assert recording("master_weights")["settings"]["lr"] == 1e-4


def test_a_bf16_network_learns_with_master_weights_only(unit):
    digits = load_digits()

    def loss(model, dtype=FP32):
        outputs = model(digits.train_x.to(dtype)).float()
        return F.cross_entropy(outputs, digits.train_y).item()

    def train(model, stepper, steps, dtype=FP32):
        for x, y in batches(digits.train_x, digits.train_y, size=64, steps=steps):
            model.zero_grad()
            F.cross_entropy(model(x.to(dtype)).float(), y).backward()
            stepper.step()

    torch.manual_seed(0)
    trained = mlp(64, 64, 10)
    train(trained, torch.optim.SGD(trained.parameters(), lr=0.1), 200)
    assert loss(trained) == pytest.approx(0.47, abs=0.01)
    ends = {}
    for name, make, dtype in (
        ("plain", torch.optim.SGD, BF16),
        ("master", unit.exercises["MasterSGD"].oracle, BF16),
        ("fp32", torch.optim.SGD, FP32),
    ):
        model = copy.deepcopy(trained).to(dtype)
        train(model, make(model.parameters(), lr=0.01), 400, dtype)
        ends[name] = loss(model, dtype)
    assert ends["plain"] > 0.44 and ends["master"] == pytest.approx(ends["fp32"], abs=0.005)
    assert ends["fp32"] < 0.39


# What the quiz says


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_residual_stream_stays_float32(device):
    linear = output_dtype("linear", [FP32, FP32], device, BF16)
    added = output_dtype("add", [FP32, linear], device, BF16)
    assert (linear, output_dtype("relu", [added], device, BF16)) == (BF16, FP32)


def test_a_layer_norm_behind_a_linear():
    assert output_dtype("layer_norm", [BF16], "cuda", BF16) == FP32
    assert output_dtype("layer_norm", [BF16], "cpu", BF16) == BF16
