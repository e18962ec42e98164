"""The recorder of what flows through a model, and the network that is driven out of its range."""

import math

import pytest
import torch
from torch import nn

from halfbits.formats import get_format
from halfbits.overflow import CHOICES, ENDINGS, POWERS, STEPS, Network, trace
from halfbits.trace import Row, record, row_of


def test_rows_name_the_modules_in_the_order_in_which_they_end():
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    rows = record(model, torch.ones(5, 3))
    assert [(row.name, row.kind, row.shape) for row in rows] == [
        ("0", "Linear", (5, 4)),
        ("1.0", "ReLU", (5, 4)),
        ("1.1", "Linear", (5, 2)),
    ]


def test_a_row_counts():
    tensor = torch.tensor(
        [[1.0, -7.0, 0.0], [math.inf, -math.inf, math.nan], [-0.0, 2.0, math.nan]]
    )
    row = row_of("x", "input", tensor)
    assert row == Row("x", "input", torch.float32, (3, 3), 7.0, 2, 2, 2)
    assert row.count == 9 and not row.finite
    assert math.isnan(row_of("x", "input", torch.tensor([math.nan, math.inf])).largest)
    empty = row_of("x", "input", torch.empty(0, 2))
    assert math.isnan(empty.largest) and empty.finite and empty.count == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.int64, torch.bool, torch.float8_e4m3fn])
def test_every_dtype_can_be_recorded(dtype):
    class Cast(nn.Module):
        def forward(self, x):
            return x.to(dtype)

    (row,) = record(Cast(), torch.tensor([0.0, 1.0, 1.0]))  # a model without modules inside
    assert (row.name, row.dtype, row.largest, row.zeros) == ("", dtype, 1, 1)


def test_several_outputs_have_a_row_each():
    lstm = record(nn.LSTM(2, 3), torch.ones(4, 1, 2))
    assert [(row.name, row.shape) for row in lstm] == [
        ("[0]", (4, 1, 3)),
        ("[1][0]", (1, 1, 3)),
        ("[1][1]", (1, 1, 3)),
    ]

    class Both(nn.Module):
        def forward(self, x):
            return {"logits": x, "hidden": [x, None]}

    rows = record(nn.Sequential(Both()), torch.ones(2))
    assert [row.name for row in rows] == ["0.logits", "0.hidden[0]"]


def test_a_shared_module_has_a_row_for_each_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.again = self.layer

        def forward(self, x):
            return self.again(self.layer(x))

    assert [row.name for row in record(Twice(), torch.ones(1, 2))] == ["layer", "layer"]


def test_attention_inside_a_transformer_layer_is_seen():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    names = [row.name for row in record(layer, torch.ones(1, 3, 8))]
    assert "self_attn[0]" in names and names.index("linear1") < names.index("linear2")


def test_the_callers_contexts_hold_and_results_stay_the_same():
    model = nn.Sequential(nn.Linear(4, 4), nn.Softmax(-1))
    x = torch.randn(2, 4)
    before = model(x)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        linear, softmax = record(model, x)
    assert (linear.dtype, softmax.dtype) == (torch.bfloat16, torch.bfloat16)
    assert torch.equal(model(x), before)


def test_hooks_are_taken_off_also_after_an_error():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    model = nn.Sequential(nn.Linear(2, 2), Broken())
    with pytest.raises(RuntimeError, match="broken"):
        record(model, torch.ones(1, 2))
    record(model[:1], torch.ones(1, 2))
    assert all(not module._forward_hooks for module in model.modules())
    with pytest.raises(TypeError, match=r"wants a torch\.nn\.Module, not function"):
        record(lambda x: x, torch.ones(1))


# The network.


def by_hand(power: int, ending: str) -> dict[str, torch.Tensor]:
    """Forward in fp16 with torch's own operations, except that dot products are summed in fp32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, x, y = Network(ending), torch.randn(8, 16), torch.randint(4, (8, 1))
    w1, w2 = (layer.weight.detach().half().float() for layer in (network.linear1, network.linear2))
    found = {"scale": x.half() * 2.0**power}
    found["linear1"] = (found["scale"].float() @ w1.T).half()
    found["square"] = found["linear1"].relu().square()
    z = found["linear2"] = (found["square"].float() @ w2.T).half()
    if ending != "softmax":
        z = found["shift"] = z - z.max(-1, keepdim=True).values
    found["exp"] = z.exp()
    total = found["sum"] = found["exp"].sum(-1, keepdim=True)
    if ending == "log-softmax":
        found["log"] = z - total.log()
        found["loss"] = -found["log"].gather(1, y).mean()
    else:
        found["divide"] = found["exp"] / total
        found["loss"] = -found["divide"].gather(1, y).log().mean()
    return found


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("power", [-12, 0, 3, 6, 9, 16])
def test_the_trace_is_what_torch_computes(power, ending):
    expected = by_hand(power, ending)
    rows = {row.name: row for row in trace(power, "fp16", ending).rows}
    assert list(rows) == [*expected, "grad2", "grad1"]
    for name, tensor in expected.items():
        wanted = row_of(name, rows[name].kind, tensor)
        assert (rows[name].infs, rows[name].nans) == (wanted.infs, wanted.nans)
        assert rows[name].largest == pytest.approx(wanted.largest, rel=4e-3, nan_ok=True)
        assert abs(rows[name].zeros - wanted.zeros) <= 2  # sums in another order
        assert rows[name].dtype == torch.float16


def said(power, ending, fmt="fp16"):
    return trace(power, fmt, ending).said


def test_what_the_sentences_tell():
    assert "First ∞ in exp: 7 of 32" in said(3, "softmax")
    assert "First NaN in ÷ sum: 7 of 32, ∞ ÷ ∞." in said(3, "softmax")
    assert "The loss is NaN; NaN in 512 of 512 gradients of W₁." in said(3, "softmax")
    assert "First ∞ in loss: 1 of 1, a probability was flushed to 0" in said(3, "stable softmax")
    assert said(3, "log-softmax").startswith("Everything is finite: the loss is 14.9.")
    assert all("First ∞ in ReLU²" in said(8, ending) for ending in ENDINGS)
    assert all("∞ − ∞ in its sums" in said(8, ending) for ending in ENDINGS)
    assert "256 of 256 squares are 0 and the gradient of W₁ is exactly 0" in said(-16, "softmax")
    assert "Everything is finite" in said(8, "log-softmax", "bf16")


@pytest.mark.parametrize("fmt", CHOICES)
def test_sentences_and_rows_never_contradict(fmt):
    for ending in ENDINGS:
        for power in POWERS:
            found = trace(power, fmt, ending)
            bad = found.first_bad
            assert found.said.startswith("Everything is finite") == (bad is None)
            if bad:
                assert f"in {STEPS[bad.name][0]}: " in found.said.split(",")[0]
            assert all(row.dtype == get_format(fmt).dtype for row in found.rows)


def test_the_networks_arguments_are_checked():
    with pytest.raises(ValueError, match="runs in fp16, bf16, fp32, not in fp64"):
        trace(0, "fp64", "softmax")
    with pytest.raises(ValueError, match="ends in softmax, stable softmax, log-softmax, not in"):
        trace(0, "fp16", "sigmoid")
    with pytest.raises(ValueError, match="a power of two from"):
        trace(17, "fp16", "softmax")
