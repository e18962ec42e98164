"""Pictures and widgets of Units 4 and 5: true numbers, in words too, in both themes."""

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import assert_well_drawn
from torch import nn

import halfbits as hb
from halfbits.formats import get_format
from halfbits.memory import activation_bytes_of
from halfbits.pictures.clipping import clip_orders
from halfbits.pictures.dtypes import NETWORK, network_dtypes
from halfbits.pictures.loss_scale import OVERFLOW, scale_trace
from halfbits.pictures.memory_plots import crossing_batch
from halfbits.pictures.recorded import final_losses, recording
from halfbits.trace import record

DRAW = {
    "bytes": hb.bytes_per_parameter,
    "activations": hb.activation_bytes,
    "dtypes": hb.dtype_diagram,
    "master": hb.master_weight_curves,
    "sweep": hb.scale_sweep,
    "scaler": hb.scaler_trace,
    "clipping": hb.clipping,
}
every_picture = pytest.mark.parametrize("name", DRAW)


@cache
def picture(name):
    return DRAW[name]()


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name])


# Dtypes.


class Network(nn.Module):
    """The network of the diagram, for real."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8), nn.LayerNorm(8), nn.GELU(), nn.Linear(8, 4)])
        self.softmax = nn.Softmax(-1)
        self.loss = nn.CrossEntropyLoss()

    def forward(self, x, y):
        for layer in self.layers:
            x = layer(x)
        return self.softmax(x), self.loss(x, y)


@pytest.mark.parametrize("dtype", ["bf16", "fp16", None])
def test_the_diagram_shows_what_a_real_network_gives_on_cpu(dtype):
    amp = get_format(dtype or "bf16").dtype
    with torch.autocast("cpu", amp, enabled=dtype is not None):
        rows = record(Network(), torch.randn(2, 8), torch.tensor([0, 1]))
    assert [get_format(row.dtype).name for row in rows] == network_dtypes("cpu", dtype)
    assert [row.kind for row in rows][:4] == [layer.name for layer in NETWORK][:4]


def test_the_diagram_of_cuda_differs_where_the_lesson_says():
    assert network_dtypes("cuda", "fp16") == ["fp16", "fp32", "fp32", "fp16", "fp32", "fp32"]
    assert (
        "CUDA, autocast to fp16: Linear fp16, LayerNorm fp32"
        in hb.dtype_diagram("cuda", "fp16").text
    )
    assert len(str(hb.dtype_explorer()).splitlines()) == 4
    states = hb.dtype_explorer("cuda").states
    assert states["cuda bf16"] == network_dtypes("cuda") and set(states["cpu off"]) == {"fp32"}


# Bytes.


def test_bars_are_as_long_as_the_bytes():
    shown = hb.bytes_per_parameter("SGD with momentum")
    ends = {}
    for bar in shown.figure.axes[0].patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert list(ends.values()) == [12, 12, 12, 14, 6]
    assert "torch AMP: 16 bytes (weights 4, gradients 4, moments 8)" in picture("bytes").text
    assert "pure 16 bit: 8 bytes" in picture("bytes").text


def test_activation_curves_cross_where_they_say():
    crossing = crossing_batch(256, 5)
    assert round(crossing) == 102 and "equal at batch 102" in picture("activations").svg
    below, above = (activation_bytes_of(b, 256, 5) for b in (102, 103))
    assert below["autocast"] > below["fp32"] and above["autocast"] < above["fp32"]
    said = "at batch 64 fp32 keeps 655 kB, bf16 autocast 852 kB; at batch 1024 fp32 keeps 10.5 MB"
    assert said in picture("activations").text and said in str(hb.activation_explorer())


# Recorded trainings.


@pytest.mark.parametrize("name", ["master_weights", "scale_sweep"])
def test_recordings_say_where_and_when(name):
    recorded = recording(name)
    assert recorded["provenance"]["command"] == f"python tools/record_experiments.py {name}"
    assert {"date", "torch", "machine"} <= set(recorded["provenance"])
    shown = picture({"master_weights": "master", "scale_sweep": "sweep"}[name])
    for place in (shown.svg, shown.text):
        assert f"Recorded {recorded['provenance']['date']}, torch 2.13.0" in place


def test_pure_bf16_stalls_and_master_weights_do_not():
    fp32, mixed, pure = map(final_losses, ("fp32", "mixed", "pure bf16"))
    assert all(abs(a - b) < 0.01 for a, b in zip(fp32, mixed, strict=True))
    assert all(bad - good > 0.4 for bad, good in zip(pure, mixed, strict=True))
    runs = recording("master_weights")["runs"]
    assert all(len(run["losses"]) == 400 for mode in runs.values() for run in mode)
    assert min(run["unchanged"] for run in runs["pure bf16"]) > 0.8
    assert max(run["unchanged"] for run in runs["mixed"]) < 0.01


def test_the_sweep_has_a_plateau_between_zeros_and_nan():
    recorded = recording("scale_sweep")
    points = {point["log2_scale"]: point for point in recorded["points"]}
    assert points[0]["zeros"] == 1 and points[0]["accuracy"] < 0.2
    for k in range(8, 38, 2):
        assert abs(points[k]["accuracy"] - recorded["fp32"]["accuracy"]) < 0.02
    assert points[44]["loss"] is None and points[44]["bad"] > 0.5
    assert "2^0 12.2%" in picture("sweep").text and "2^44 NaN" in picture("sweep").text


@pytest.fixture(scope="module")
def tool():
    path = Path(__file__).parents[1] / "tools" / "record_experiments.py"
    spec = importlib.util.spec_from_file_location("record_experiments", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("mode", ["fp32", "mixed", "pure bf16"])
def test_the_recorded_training_starts_as_it_does_today(tool, monkeypatch, mode):
    monkeypatch.setattr(tool, "GPT_STEPS", 3)
    losses = recording("master_weights")["runs"][mode][1]["losses"][:3]
    # Another machine's kernels sum in another order; bf16 keeps 8 bits.
    assert tool.train_gpt(mode, 1)["losses"] == pytest.approx(losses, abs=0.02)


def test_the_recorded_gradients_are_todays(tool, monkeypatch):
    monkeypatch.setattr(tool, "SWEEP_STEPS", 1)
    points = {point["log2_scale"]: point for point in recording("scale_sweep")["points"]}
    for k in (0, 6, 20, 44):
        today = tool.train_digits(torch.float16, 2.0**k)
        assert today["zeros"] == pytest.approx(points[k]["zeros"], abs=0.01)
        assert today["bad"] == pytest.approx(points[k]["bad"], abs=0.01)


def test_unknown_recordings_are_named():
    with pytest.raises(ValueError, match="'master_weights' and 'scale_sweep', not 'x'"):
        recording("x")
    with pytest.raises(ValueError, match="fp32, mixed, pure bf16, not 'fp8'"):
        final_losses("fp8")


# The dynamic loss scale.


def torch_trace(events: list[bool], **settings) -> list[tuple[float, bool]]:
    """What torch's own scaler does; ``events`` says in which steps there is an inf."""
    scaler = torch.amp.GradScaler("cpu", **settings)
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1)
    trace = []
    for bad in events:
        before = weight.item()
        scale = scaler.scale(torch.ones(1)).item()
        weight.grad = torch.tensor([torch.inf if bad else scale])
        scaler.step(optimizer)
        scaler.update()
        trace.append((scale, weight.item() == before))
    return trace


@pytest.mark.parametrize("seed", range(12))
def test_the_trace_is_torchs_in_lock_step(seed):
    rng = np.random.default_rng(seed)
    settings = {
        "init_scale": float(2.0 ** rng.integers(-3, 17)) * float(rng.choice([1, 1.1])),
        "growth_factor": float(rng.choice([2, 1.5, 4, 1.0001])),
        "backoff_factor": float(rng.choice([0.5, 0.25, 0.9])),
        "growth_interval": int(rng.integers(1, 6)),
    }
    events = (rng.random(60) < rng.choice([0.05, 0.2, 0.5])).tolist()
    overflows = [number for number, bad in enumerate(events) if bad]
    ours = [tuple(step) for step in scale_trace(60, overflows, **settings)]
    assert ours == torch_trace(events, **settings)


def test_the_scale_never_becomes_infinite():
    trace = scale_trace(5, init_scale=2.0**126, growth_interval=1)
    assert [step.scale for step in trace] == [2.0**126, *[2.0**127] * 4]
    settings = {"init_scale": 2.0**126, "growth_interval": 1}
    assert [scale for scale, _ in torch_trace([False] * 5, **settings)] == [s.scale for s in trace]


def test_overflow_begins_where_fp16s_infinity_does():
    assert torch.tensor(float(OVERFLOW)).half().isinf()
    assert torch.tensor(np.nextafter(np.float32(OVERFLOW), np.float32(0))).half() == 65504
    trace = scale_trace(3, init_scale=2.0, growth_interval=1, largest_gradient=OVERFLOW / 4)
    assert [tuple(step) for step in trace] == [(2, False), (4, True), (2, False)]
    trace = scale_trace(3, init_scale=2.0, growth_interval=1, largest_gradient=OVERFLOW / 4.001)
    assert [step.skipped for step in trace] == [False, False, True]


def test_the_picture_marks_skipped_steps():
    shown = hb.scaler_trace(30, overflows=[4, 9], largest_gradient=0)
    crosses = shown.figure.axes[0].lines[1]
    assert list(crosses.get_xdata()) == [4, 9] and list(crosses.get_ydata()) == [2**16, 2**15]
    assert "2 steps are skipped (4, 9)" in shown.text
    assert "8 steps are skipped" in picture("scaler").text == str(hb.scaler_explorer())


# Clipping.


@pytest.mark.parametrize("gradient", [(0.3, 0.4), (0.9, -1.2), (0.0, 0.0), (-1e-3, 2e-3)])
@pytest.mark.parametrize("scale", [1.0, 1024.0, 65536.0])
def test_both_orders_are_torchs(gradient, scale):
    def clipped(values):
        weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        weight.grad = values.clone()
        nn.utils.clip_grad_norm_([weight], 1.0)
        return weight.grad

    true = torch.tensor(gradient, dtype=torch.float64)
    right, wrong = (
        torch.tensor(each, dtype=torch.float64) for each in clip_orders(gradient, scale, 1.0)
    )
    torch.testing.assert_close(right, clipped(true), rtol=1e-12, atol=0)
    torch.testing.assert_close(wrong, clipped(true * scale) / scale, rtol=1e-12, atol=0)


def test_clipping_says_the_lengths():
    assert clip_orders((0.3, 0.4), 1024.0, 1.0).clip_first == pytest.approx(
        (0.000586, 0.000781), rel=1e-3
    )
    assert (
        "Clipped first, at length 1536, then unscaled, 9.77×10⁻⁴ is left"
        in picture("clipping").text
    )
    assert str(hb.clip_explorer()) == picture("clipping").text


# Mistakes.


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: hb.bytes_per_parameter("Lion"), "no 'Lion'; choose one of"),
        (lambda: hb.activation_bytes(activation="tanh"), "GELU or ReLU"),
        (lambda: hb.activation_explorer(width=100), "width is a power of two"),
        (lambda: hb.activation_explorer(depth=0), "from 1 to 24 layers, not 0"),
        (lambda: hb.dtype_diagram("mps"), "'cpu' or 'cuda', not 'mps'"),
        (lambda: hb.dtype_explorer(dtype="fp8"), "'bf16', 'fp16' or None, not 'fp8'"),
        (lambda: hb.scaler_trace(0), "at least one step"),
        (lambda: hb.scaler_trace(growth_factor=1), "growth_factor must be above 1"),
        (lambda: hb.scaler_trace(backoff_factor=1), "between 0 and 1, not 1"),
        (lambda: hb.scaler_trace(growth_interval=0), "at least 1 step, not 0"),
        (lambda: hb.scaler_trace(init_scale=float("inf")), "positive fp32 number"),
        (lambda: hb.scaler_explorer(init_scale=3), "init_scale is a power of two"),
        (lambda: hb.scaler_explorer(largest_gradient=32), "largest_gradient is a power of two"),
        (lambda: hb.clipping((1, float("nan"))), "pair of finite numbers"),
        (lambda: hb.clipping(scale=0), "scale and max_norm are positive"),
        (lambda: hb.clip_explorer(scale=1000), "a power of two from 1 to 2\\*\\*16"),
        (lambda: hb.clip_explorer((3, 0)), "from −2 to 2"),
        (lambda: hb.autocast_rules("lineal"), "no operation 'lineal'"),
    ],
)
def test_mistakes_are_named_in_one_line(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
