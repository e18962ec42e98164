"""The autocast tables: torch gives the same answers today, and they hold what the lesson says."""

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch
from torch import nn

from halfbits.autocast_table import AutocastError, autocast_rule, autocast_table, output_dtype
from halfbits.pictures.autocast_rules import autocast_rules

TOOL = Path(__file__).parents[1] / "tools" / "autocast_tables.py"
FP32, FP16, BF16, FP64 = torch.float32, torch.float16, torch.bfloat16, torch.float64
LOW = pytest.mark.parametrize("amp", [BF16, FP16], ids=str)
DEVICES = pytest.mark.parametrize("device", ["cpu", "cuda"])


@DEVICES
def test_torch_gives_the_same_table_today(device):
    command = [sys.executable, TOOL, "--stdout", device]  # of its own: the process may be aborted
    again = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    table = autocast_table(device)
    assert _worded_alike(again["ops"]) == _worded_alike(table["ops"])
    assert again["left_out"] == table["left_out"]
    assert again["torch"].split("+")[0] == table["torch"].split("+")[0]
    assert table["command"] == "python tools/autocast_tables.py" and table["date"] >= "2026-11-24"


def _worded_alike(operations: dict) -> dict:
    """That torch refuses is the same everywhere; its words are the processor's own kernels'."""
    text = json.dumps(operations)
    return json.loads(re.sub(r'"(\w+Error): (?:[^"\\]|\\.)*"', r'"\1"', text))


@DEVICES
def test_the_table_is_wide_and_every_row_complete(device):
    operations = autocast_table(device)["ops"]
    assert len(operations) > 90
    for entry in operations.values():
        count = len(entry["inputs"])
        for amp in ("bf16", "fp16"):
            assert {" ".join([d] * count) for d in ("fp32", "bf16", "fp16", "fp64")} <= set(
                entry[amp]
            )


# The facts that lessons state.


@LOW
@DEVICES
@pytest.mark.parametrize("op", ["matmul", "mm", "bmm", "addmm", "linear", "conv2d", "einsum"])
def test_matrix_products_are_16_bit_everywhere(op, device, amp):
    assert output_dtype(op, FP32, device, amp) == amp
    assert autocast_rule(op, device) == "16 bit"


@LOW
@pytest.mark.parametrize("op", ["softmax", "log_softmax", "layer_norm", "exp", "sum", "pow"])
def test_cpu_lets_pass_what_cuda_computes_in_fp32(op, amp):
    for dtype in (FP32, amp):
        assert output_dtype(op, dtype, "cpu", amp) == dtype
        assert output_dtype(op, dtype, "cuda", amp) == FP32


@LOW
@pytest.mark.parametrize("op", ["mean", "var", "relu", "gelu", "sqrt", "max_pool2d", "mul"])
def test_both_let_these_pass(op, amp):
    for device in ("cpu", "cuda"):
        assert [output_dtype(op, dtype, device, amp) for dtype in (FP32, amp)] == [FP32, amp]


@LOW
def test_mv_is_a_matrix_product_on_cuda_only(amp):
    assert output_dtype("mv", FP32, "cuda", amp) == amp
    assert output_dtype("mv", FP32, "cpu", amp) == FP32


@LOW
@pytest.mark.parametrize("op", ["cross_entropy", "nll_loss", "mse_loss", "l1_loss", "prod"])
def test_losses_and_products_are_fp32_on_both(op, amp):
    for device in ("cpu", "cuda"):
        assert output_dtype(op, amp, device, amp) == FP32


@LOW
def test_binary_cross_entropy_is_refused_on_cuda_only(amp):
    assert output_dtype("binary_cross_entropy", amp, "cpu", amp) == FP32
    with pytest.raises(AutocastError, match="unsafe to autocast"):
        output_dtype("binary_cross_entropy", amp, "cuda", amp)
    assert output_dtype("binary_cross_entropy_with_logits", amp, "cuda", amp) == FP32


@LOW
@DEVICES
def test_fp64_and_integers_are_left_alone(device, amp):
    operations = autocast_table(device)["ops"]
    names = {BF16: "bf16", FP16: "fp16"}
    for op, entry in operations.items():
        outcome = entry[names[amp]][" ".join(["fp64"] * len(entry["inputs"]))]
        assert outcome in ("fp64", "bool", "int64") or "Error" in outcome, op
    assert output_dtype("add", torch.int64, device, amp) == torch.int64


@LOW
@DEVICES
def test_mixed_inputs(device, amp):
    assert output_dtype("linear", (FP32, amp), device, amp) == amp
    assert output_dtype("add", (amp, FP32), device, amp) == FP32
    assert output_dtype("cat", (amp, FP32), device, amp) == FP32


@LOW
def test_a_real_network_agrees_with_the_table(amp):
    torch.manual_seed(0)
    x = torch.randn(2, 8)
    with torch.autocast("cpu", amp):
        hidden = nn.Linear(8, 8)(x)
        normed = nn.LayerNorm(8)(hidden)
        loss = nn.functional.cross_entropy(normed, torch.tensor([0, 1]))
    seen = output_dtype("linear", FP32, "cpu", amp)
    assert hidden.dtype == seen
    assert normed.dtype == output_dtype("layer_norm", seen, "cpu", amp)
    assert loss.dtype == output_dtype("cross_entropy", normed.dtype, "cpu", amp)


# Tables to read, and mistakes.


def test_the_rules_are_shown_side_by_side():
    shown = autocast_rules()
    rows = {
        row[0].text: ["".join(cell.itertext()) for cell in row[1:]]
        for row in ET.fromstring(shown.html).iterfind(".//tbody/tr")
    }
    assert rows["softmax"] == ["passes through", "fp32", "differs"]
    assert rows["linear"] == ["16 bit", "16 bit", ""]
    assert rows["binary_cross_entropy"] == ["fp32", "error", "differs"]
    assert rows["mv"] == ["passes through", "16 bit", "differs"]
    assert rows["mean"] == ["passes through", "passes through", ""]
    assert "without a GPU" in shown.text and "torch 2.13.0" in shown.text


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: output_dtype("lineal", FP32, "cpu", BF16), "no operation 'lineal'"),
        (lambda: output_dtype("mm", (FP32,), "cpu", BF16), r"was not run with \(fp32\)"),
        (lambda: output_dtype("mm", FP32, "cpu", FP32), "bfloat16 or torch.float16"),
        (lambda: output_dtype("mm", FP32, "mps", BF16), "'cpu' and 'cuda'"),
        (lambda: output_dtype("LSTM", FP32, "cpu", BF16), "depends on the CPU"),
        (lambda: output_dtype("fft", FP32, "cuda", BF16), "leaves out fft"),
    ],
)
def test_mistakes_are_named_in_one_line(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)
