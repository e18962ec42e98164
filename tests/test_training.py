"""The training loop: the numbers of a hand-written one, a true record, nothing hidden."""

import itertools
import json
import math
import os
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from halfbits.data_sets import batches, load_digits
from halfbits.models import SmallGPT, mlp, text_loss
from halfbits.precision import SETTINGS, PrecisionError, setting
from halfbits.training import (
    CheckpointError,
    Run,
    TooLittleMemory,
    bench,
    class_loss,
    fit,
    matmul_ladder,
)
from halfbits.training import loop as loops
from halfbits.training.measure import Clock

ON_CPU = [name for name in SETTINGS if name != "tf32"]
SGD = torch.optim.SGD
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Nets this small wait for threads more than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows(steps=STEPS):
    data = load_digits()
    return batches(data.train_x, data.train_y, size=32, steps=steps)


def network(dropout=0.1):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(dropout), nn.Linear(32, 10))


def trained(precision="32-true", data=None, model=None, **options):
    model = model or network()
    run = fit(
        model, rows() if data is None else data, precision=precision, progress=False, **options
    )
    return model, run


def same(a, b):
    return all(
        torch.equal(p.nan_to_num(), q.nan_to_num()) and torch.equal(p.isnan(), q.isnan())
        for p, q in zip(a.parameters(), b.parameters(), strict=True)
    )


def by_hand(precision, clip=None, scale=2.0**16):
    """Write the loop as one writes it without a library."""
    dtype = {"64": torch.float64, "16": torch.float16, "bf": torch.bfloat16, "32": torch.float32}[
        precision[:2]
    ]
    mixed = precision.endswith("mixed")
    torch.manual_seed(0)
    model = network().to(torch.float32 if mixed else dtype).train()
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=scale, enabled=precision == "16-mixed")
    losses = []
    for x, y in rows():
        with torch.autocast("cpu", dtype if mixed else torch.bfloat16, enabled=mixed):
            logits = model(x if mixed else x.to(dtype))
            loss = F.cross_entropy(logits if dtype == torch.float64 else logits.float(), y)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        if clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        scaler.step(optimizer)
        scaler.update()
        losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("precision", ON_CPU)
def test_the_loop_is_what_one_writes_by_hand_bit_for_bit(precision, clip):
    model, run = trained(precision, clip=clip, stop_if_diverged=False)
    expected, losses = by_hand(precision, clip)
    assert same(model, expected)
    torch.testing.assert_close(run.losses, losses, rtol=0, atol=0, equal_nan=True)


def test_a_run_records_what_happened():
    data = load_digits()
    test = data.test_x, data.test_y
    _, run = trained("bf16-mixed", rows(60), mlp(64, 32, 10), test=test, test_every=25)
    assert [step for step, _ in run.accuracies] == [25, 50, 60]
    assert run.accuracy == run.accuracies[-1][1] > 0.3 and run.losses[-1] < run.losses[0]
    assert run.steps == 60 and run.batch == 32 and run.unit == "samples"
    assert len(run.step_ms) == 60 - run.warmup and run.per_second == 32e3 / run.median_ms
    low, high = run.quartiles_ms
    assert 0 < low <= run.median_ms <= high
    assert (run.skipped, run.scales, run.diverged, run.interrupted) == ([], [], None, False)
    assert str(run).startswith("bf16-mixed on cpu: 60 steps, last loss")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_operations_are_counted(precision):
    """A linear layer costs 2 b m n forward, for its weights and, after the first, for its input."""
    _, run = trained(precision, steps=4)
    assert run.flops == 2 * 32 * (2 * 64 * 32 + 3 * 32 * 10)
    assert run.flops_per_second == pytest.approx(run.flops / run.median_ms * 1e3)
    assert run.share_of_ceiling is None
    run.ceiling = 2 * run.flops_per_second
    assert run.share_of_ceiling == 0.5


def test_the_operations_of_attention_are_counted_on_a_cpu_too():
    tokens = torch.randint(27, (2, 17))
    model = SmallGPT(context=16, width=8, layers=1, heads=2)
    _, run = trained(model=model, data=[(tokens,)] * 4, loss=text_loss, unit="tokens")
    matrices = (
        3
        * 2
        * 2
        * 16
        * sum(
            m.weight.numel()
            for m in model.modules()
            if hasattr(m, "bias") and isinstance(m, nn.Linear)
        )
    )
    product = 2 * 2 * 2 * 16 * 16 * 4  # batch, heads, tokens squared, width of a head
    assert run.flops == matrices + 7 * product  # two forward; backward computes one again
    assert run.batch == 2 * 17


def test_memory_is_counted_where_no_allocator_tells():
    sizes = {name: trained(name, steps=2, stop_if_diverged=False)[1] for name in ON_CPU}
    assert sizes["64-true"].peak_bytes > 1.9 * sizes["32-true"].peak_bytes
    assert sizes["16-true"].peak_bytes == sizes["bf16-true"].peak_bytes
    assert sizes["16-true"].peak_bytes < 0.6 * sizes["32-true"].peak_bytes
    assert sizes["32-true"].peak_kind.startswith("counted: weights, gradients, optimizer state")


def test_skipped_steps_and_the_scale_are_recorded():
    _, run = trained("16-mixed", scaler={"init_scale": 2.0**20, "growth_interval": 4})
    assert run.scales[0] == 2.0**20 and len(run.scales) == run.steps + 1
    assert run.skipped[:2] == [0, 1]
    changes = [after / now for now, after in itertools.pairwise(run.scales)]
    assert [step for step, change in enumerate(changes) if change == 0.5] == run.skipped
    assert changes[5] == 2, "it grows after four steps"
    assert f"{len(run.skipped)} steps skipped" in str(run)


def test_a_data_loader_and_batches_of_one_tensor_will_do():
    data = load_digits()
    loader = DataLoader(TensorDataset(data.train_x[:96], data.train_y[:96]), batch_size=32)
    assert trained(data=loader)[1].steps == 3
    squares = lambda model, x: model(x).square().mean()  # noqa: E731
    assert trained(data=[data.train_x[:8]] * 2, loss=squares)[1].batch == 8


# Checkpoints.


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-true", "16-mixed", "bf16-mixed"])
def test_a_resumed_run_is_the_uninterrupted_one(precision, tmp_path):
    data, options = load_digits(), {"scaler": {"init_scale": 2.0**28, "growth_interval": 3}}
    options |= {"test": (data.test_x, data.test_y), "test_every": 4}
    straight, whole = trained(precision, **options)
    file = tmp_path / "run.pt"
    for steps in (5, 8, None):
        model, run = trained(precision, steps=steps, checkpoint=file, **options)
    assert same(model, straight) and run.losses == whole.losses and run.scales == whole.scales
    assert run.resumed_at == 8 and whole.resumed_at is None
    assert [pair for pair in run.accuracies if pair[0] % 4 == 0] == whole.accuracies
    assert (run.flops, run.peak_bytes) == (whole.flops, whole.peak_bytes)
    assert "resumed at 8" in str(run)
    again = trained(precision, checkpoint=file, **options)[1]
    assert again.steps == STEPS and again.losses == whole.losses, "nothing is left to do"


def test_a_checkpoint_is_written_on_the_way(tmp_path):
    file = tmp_path / "run.pt"

    def breaks():
        yield from rows(7)
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        trained(data=breaks(), checkpoint=file, checkpoint_every=3)
    model, run = trained(checkpoint=file)
    assert run.resumed_at == 6 and same(model, trained()[0])
    assert [each.name for each in tmp_path.iterdir()] == ["run.pt"]


def test_a_checkpoint_of_something_else_is_refused_in_one_line(tmp_path):
    file = tmp_path / "run.pt"
    trained(steps=3, checkpoint=file)
    wrong = {
        "has precision '32-true', not '64-true': another run's": {"precision": "64-true"},
        "has seed 0, not 1: another run's": {"seed": 1},
        "of another model or optimizer": {"model": mlp(64, 10)},
        "trained on other batches": {"data": [*rows()][1:]},
    }
    for sentence, options in wrong.items():
        with pytest.raises(CheckpointError, match=sentence) as found:
            trained(checkpoint=file, **options)
        assert "\n" not in str(found.value)
    assert trained(data=[*rows()][1:], checkpoint=file, resume=False)[1].resumed_at is None


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "foreign", "code"])
def test_a_damaged_checkpoint_is_refused_and_runs_nothing(damage, tmp_path):
    file, marker = tmp_path / "run.pt", tmp_path / "ran"

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    trained(steps=3, checkpoint=file)
    content = file.read_bytes()
    if damage in ("foreign", "code"):
        torch.save({"model": Code() if damage == "code" else {}}, file)
    else:
        file.write_bytes({"cut": content[: len(content) // 2], "text": b"hello"}.get(damage, b""))
    with pytest.raises(CheckpointError, match="is damaged or no checkpoint of this loop"):
        trained(checkpoint=file)
    assert not marker.exists()


def test_a_checkpoint_that_must_be_there(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint .*missing\.pt"):
        trained(checkpoint=tmp_path / "missing.pt", resume=True)


# Ctrl+C.


def pressing(times, at):
    """A loss during whose computation Ctrl+C is pressed at a step."""
    count = 0

    def loss(model, x, y):
        nonlocal count
        count += 1
        for _ in range(times if count == at else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return class_loss(model, x, y)

    return loss


def test_ctrl_c_ends_the_step_and_keeps_everything(tmp_path):
    file, before = tmp_path / "run.pt", signal.getsignal(signal.SIGINT)
    data = load_digits()
    _, run = trained(loss=pressing(1, at=5), checkpoint=file, test=(data.test_x, data.test_y))
    assert run.interrupted and run.steps == 5 and "interrupted" in str(run)
    assert run.accuracy is not None and signal.getsignal(signal.SIGINT) == before
    model, resumed = trained(checkpoint=file)
    assert same(model, trained()[0]) and not resumed.interrupted and resumed.resumed_at == 5


def test_a_second_ctrl_c_interrupts_at_once_and_saves_no_half_step(tmp_path):
    file = tmp_path / "run.pt"
    _, run = trained(loss=pressing(2, at=5), checkpoint=file, checkpoint_every=2)
    assert run.interrupted and run.steps == 4
    assert trained(checkpoint=file)[1].resumed_at == 4


def test_ctrl_c_while_a_batch_is_fetched():
    def impatient():
        yield from rows(3)
        raise KeyboardInterrupt

    run = trained(data=impatient())[1]
    assert run.interrupted and run.steps == 3


# Divergence.


def diverged(precision="32-true", **options):
    run = trained(precision, **options)[1]
    assert "\n" not in str(run.diverged) and f"diverged: {run.diverged}" in str(run)
    return run


def test_the_update_of_adam_in_fp16_is_found():
    run = diverged("16-true")
    found = run.diverged
    assert (found.step, found.kind, found.name) == (0, "parameter", "0.weight")
    assert run.steps == 2 and math.isnan(run.losses[1]), "the loss that is NaN is in the record"
    data = load_digits()
    on = diverged("16-true", stop_if_diverged=False, test=(data.test_x, data.test_y))
    assert on.steps == STEPS and on.diverged == found and on.accuracy == 0


def test_the_layer_that_overflows_is_found():
    class Square(nn.Module):
        def forward(self, x):
            return (1e3 * x).square()

    model = nn.Sequential(nn.Linear(64, 8), Square(), nn.Linear(8, 10))
    found = diverged("16-true", model=model).diverged
    assert (found.step, found.kind, found.name) == (0, "output", "1")
    assert "(Square, float16)" in found.detail


def test_the_gradient_that_is_infinite_is_found():
    def loss(model, x, y):  # √0 has an infinite slope
        return class_loss(model, x, y) + (model[0].bias * 0).abs().sum().sqrt()

    found = diverged(loss=loss, optimizer=lambda p: SGD(p, lr=0.1)).diverged
    assert (found.step, found.kind, found.name) == (0, "gradient", "0.bias")


def test_a_batch_a_weight_or_a_loss_that_is_not_finite_is_found():
    data = list(rows())
    data[3] = (data[3][0] * math.inf, data[3][1])
    found = diverged(data=data).diverged
    assert (found.step, found.kind, found.name) == (3, "input", "input 0")
    big = network()
    nn.init.constant_(big[3].weight, 1e5)
    found = diverged("16-true", model=big).diverged
    assert (found.step, found.kind, found.name) == (0, "start", "3.weight")
    late = lambda model, x, y: class_loss(model, x, y) * math.inf  # noqa: E731
    assert diverged(loss=late).diverged.kind == "loss"


def test_a_step_at_which_nobody_looked_is_named_without_a_cause():
    data = list(rows())
    data[3] = (data[3][0] * math.nan, data[3][1])
    found = diverged(data=data, watch=5).diverged
    assert (found.step, found.kind) == (3, "unknown")
    assert diverged(data=data[:5], watch=5).diverged == found, "also if the run ends before"


def test_a_scaler_goes_on_and_the_record_says_so():
    data = list(rows())
    data[3] = (data[3][0] * math.nan, data[3][1])
    run = diverged("16-mixed", data=data)
    assert run.steps == STEPS and run.skipped == [3] and run.diverged.step == 3
    assert math.isnan(run.losses[3]) and math.isfinite(run.losses[-1])


# What is refused.


def test_too_little_memory_says_how_much_was_asked_for_and_what_to_lower():
    class Huge(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 10)

        def forward(self, x):
            return self.layer(x) + torch.empty(2**57, dtype=torch.uint8).sum()

    with pytest.raises(TooLittleMemory) as found:
        trained(model=Huge())
    said = str(found.value)
    assert "torch asked for 1.44e+08 GB more; lower the batch size (now 32)" in said
    assert said.endswith("or take a 16-bit setting") and "\n" not in said


def test_a_gpus_error_is_read_too():
    def loss(model, x, y):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has")

    with pytest.raises(TooLittleMemory, match=r"for 16-mixed: torch asked for 20.00 MiB more"):
        trained("16-mixed", loss=loss)


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        trained(model=mlp(3, 10))
    with pytest.raises(PrecisionError, match="no setting"):
        trained("fp8")
    with pytest.raises(ValueError, match="no batches"):
        trained(data=[])
    for wrong in ({"warmup": 0}, {"watch": 0}, {"unit": "words"}):
        with pytest.raises(ValueError, match="at least 1"):
            trained(**wrong)


# The record and the clock.


def test_a_record_survives_json():
    for name in ("16-true", "16-mixed"):
        run = trained(name)[1]
        text = json.dumps(run.to_dict(), allow_nan=False)
        again = Run.from_dict(json.loads(text))
        assert str(again) == str(run) and again.diverged == run.diverged
        torch.testing.assert_close(again.losses, run.losses, rtol=0, atol=0, equal_nan=True)


def test_a_clock_on_cuda_waits_only_at_the_end(monkeypatch):
    log = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            log.append("record")

        def elapsed_time(self, end):
            return 2.5

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: log.append("wait"))
    clock = Clock(torch.device("cuda"))
    for _ in range(2):
        with clock:
            log.append("work")
    assert clock.take() == [2.5, 2.5] and log == ["record", "work", "record"] * 2 + ["wait"]
    assert clock.take() == []


def test_bench_leaves_the_warm_up_out(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    calls = []
    assert bench(lambda: calls.append(1), torch.device("cpu"), 3, 4, inner=2) == [500.0] * 4
    assert len(calls) == 3 + 4 * 2


def test_the_ladder_of_products():
    steps = matmul_ladder(setting("bf16-mixed").on("cpu"), sizes=(8, 16))
    assert [step["size"] for step in steps] == [8, 16]
    assert all(step["flops_per_second"] > 0 and "@" in step["product"] for step in steps)


def test_the_bar_is_shown_when_asked_for(monkeypatch):
    seen = []
    real = loops.tqdm
    monkeypatch.setattr(loops, "tqdm", lambda **options: seen.append(options) or real(**options))
    fit(network(), list(rows(3)), progress=True)
    assert seen[0]["total"] == 3 and not seen[0]["disable"]
