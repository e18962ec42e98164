"""Ask torch which dtype comes out of an operation under autocast, and write it down.

    python tools/autocast_tables.py            # writes halfbits/data/autocast_{cpu,cuda}.json
    python tools/autocast_tables.py --stdout cuda
    python tools/autocast_tables.py --confirm --device cuda --out found.json    # is it true there?

The CPU's table is made by running the operations. The CUDA table needs no GPU: FakeTensorMode runs
the same dispatcher, autocast included, on tensors that have a dtype and a device but no memory.
What only a GPU's own kernels can tell (whether they support a dtype) is left out, by name.
Gradients stay off: under fake CUDA autocast, a linear whose weight wants one aborts the process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
from benchmarks.step import options, record  # noqa: E402

DATA = ROOT / "halfbits" / "data"
DTYPES = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp64": torch.float64,
    "int64": torch.int64,
    "bool": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
AMP = ("bf16", "fp16")

# Shapes of the tensors whose dtype varies; an operation is written with these names.
SHAPES = {
    "a": (4, 4),
    "b": (4, 4),
    "c": (4, 4),
    "v": (4,),
    "u": (4,),
    "w": (4,),
    "batch": (2, 4, 4),
    "other": (2, 4, 4),
    "image": (2, 4, 8, 8),
    "kernel": (4, 4, 3, 3),
    "q": (2, 2, 4, 4),
    "k": (2, 2, 4, 4),
    "values": (2, 2, 4, 4),
}

OPERATIONS = {
    "matrix products": {
        "matmul": "a @ b",
        "mm": "torch.mm(a, b)",
        "addmm": "torch.addmm(c, a, b)",
        "bmm": "torch.bmm(batch, other)",
        "baddbmm": "torch.baddbmm(batch, batch, other)",
        "einsum": "torch.einsum('ij,jk->ik', a, b)",
        "linear": "F.linear(a, b)",
        "conv2d": "F.conv2d(image, kernel)",
        "conv_transpose2d": "F.conv_transpose2d(image, kernel)",
        "scaled_dot_product_attention": "F.scaled_dot_product_attention(q, k, values)",
        "mv": "torch.mv(a, v)",
        "addmv": "torch.addmv(u, a, v)",
        "dot": "torch.dot(v, u)",
        "outer": "torch.outer(v, u)",
        "LSTM": "nn.LSTM(4, 4)(batch)",
        "MultiheadAttention": "nn.MultiheadAttention(4, 1)(batch, batch, batch)",
    },
    "softmax and normalisation": {
        "softmax": "F.softmax(a, -1)",
        "log_softmax": "F.log_softmax(a, -1)",
        "logsumexp": "torch.logsumexp(a, -1)",
        "softmin": "F.softmin(a, -1)",
        "layer_norm": "F.layer_norm(a, (4,))",
        "rms_norm": "F.rms_norm(a, (4,))",
        "group_norm": "F.group_norm(image, 2)",
        "batch_norm": "F.batch_norm(image, None, None, training=True)",
        "normalize": "F.normalize(a, dim=-1)",
        "cosine_similarity": "F.cosine_similarity(a, b)",
    },
    "losses": {
        "cross_entropy": "F.cross_entropy(a, ids)",
        "nll_loss": "F.nll_loss(a, ids)",
        "mse_loss": "F.mse_loss(a, b)",
        "l1_loss": "F.l1_loss(a, b)",
        "smooth_l1_loss": "F.smooth_l1_loss(a, b)",
        "huber_loss": "F.huber_loss(a, b)",
        "kl_div": "F.kl_div(a, b, reduction='batchmean')",
        "poisson_nll_loss": "F.poisson_nll_loss(a, b)",
        "soft_margin_loss": "F.soft_margin_loss(a, b)",
        "binary_cross_entropy": "F.binary_cross_entropy(a, torch.ones_like(a))",
        "binary_cross_entropy_with_logits": (
            "F.binary_cross_entropy_with_logits(a, torch.ones_like(a))"
        ),
    },
    "pointwise": {
        "exp": "a.exp()",
        "expm1": "a.expm1()",
        "log": "a.log()",
        "log2": "a.log2()",
        "log10": "a.log10()",
        "log1p": "a.log1p()",
        "pow": "a.pow(2)",
        "rsqrt": "a.rsqrt()",
        "reciprocal": "a.reciprocal()",
        "acos": "a.acos()",
        "asin": "a.asin()",
        "cosh": "a.cosh()",
        "sinh": "a.sinh()",
        "tan": "a.tan()",
        "erfinv": "a.erfinv()",
        "softplus": "F.softplus(a)",
        "sqrt": "a.sqrt()",
        "sin": "a.sin()",
        "cos": "a.cos()",
        "abs": "a.abs()",
        "relu": "F.relu(a)",
        "gelu": "F.gelu(a)",
        "silu": "F.silu(a)",
        "leaky_relu": "F.leaky_relu(a)",
        "sigmoid": "a.sigmoid()",
        "tanh": "a.tanh()",
        "erf": "a.erf()",
        "clamp": "a.clamp(0, 1)",
        "dropout": "F.dropout(a, 0.5)",
        "add": "a + b",
        "sub": "a - b",
        "mul": "a * b",
        "div": "a / b",
        "where": "torch.where(ids > 0, a, b)",
        "addcmul": "torch.addcmul(a, b, c)",
        "addcdiv": "torch.addcdiv(a, b, c)",
        "isnan": "a.isnan()",
    },
    "reductions": {
        "sum": "a.sum()",
        "cumsum": "a.cumsum(0)",
        "prod": "a.prod()",
        "cumprod": "a.cumprod(0)",
        "norm": "a.norm()",
        "vector_norm": "torch.linalg.vector_norm(a)",
        "dist": "torch.dist(a, b)",
        "cdist": "torch.cdist(a, b)",
        "pdist": "F.pdist(a)",
        "mean": "a.mean()",
        "var": "a.var()",
        "std": "a.std()",
        "max": "a.max()",
        "argmax": "a.argmax()",
        "quantile": "a.quantile(0.5)",
        "trapezoid": "torch.trapezoid(a)",
    },
    "shapes, look-ups and the rest": {
        "cat": "torch.cat([a, b])",
        "stack": "torch.stack([a, b])",
        "embedding": "F.embedding(ids, a)",
        "transpose": "a.T",
        "reshape": "a.reshape(2, 8)",
        "index_put": "torch.zeros_like(a).index_put((ids,), b)",
        "scatter_add": "torch.scatter_add(v, 0, ids, u)",
        "max_pool2d": "F.max_pool2d(image, 2)",
        "avg_pool2d": "F.avg_pool2d(image, 2)",
        "adaptive_avg_pool2d": "F.adaptive_avg_pool2d(image, 1)",
        "interpolate": "F.interpolate(image, scale_factor=2, mode='bilinear')",
        "grid_sample": "F.grid_sample(image, image[:, :2].movedim(1, -1), align_corners=False)",
        "fft": "torch.fft.fft(a).real",
        "cholesky": "torch.linalg.cholesky(a)",
        "inv": "torch.linalg.inv(a)",
        "solve": "torch.linalg.solve(a, b)",
    },
}
TAKES_INTEGERS = {"exp", "sqrt", "pow", "relu", "add", "sub", "mul", "div", "where", "cat", "stack"}
TAKES_INTEGERS |= {"transpose", "reshape", "sum", "cumsum", "prod", "mean", "argmax"}

# oneDNN's kernels decide; without AVX-512 they refuse both 16-bit formats.
NEEDS_THIS_CPU = {"LSTM": "which 16-bit formats work depends on the CPU"}

# Fake tensors would answer, but only a GPU's kernels know.
WHICH_KERNEL = "which kernel runs, and in which dtype, depends on the GPU"
WHICH_DTYPES = "which dtypes the GPU's kernels support is not known to fake tensors"
NEEDS_A_GPU = {
    "LSTM": WHICH_KERNEL,
    "MultiheadAttention": WHICH_KERNEL,
    "scaled_dot_product_attention": WHICH_KERNEL,
    "batch_norm": WHICH_KERNEL,
    "grid_sample": WHICH_KERNEL,
    "index_put": WHICH_KERNEL,
    "fft": WHICH_DTYPES,
    "cholesky": WHICH_DTYPES,
    "inv": WHICH_DTYPES,
    "solve": WHICH_DTYPES,
    "quantile": WHICH_DTYPES,
}
LEFT_OUT = {"cpu": NEEDS_THIS_CPU, "cuda": NEEDS_A_GPU}


@contextlib.contextmanager
def autocast(device_type: str, amp: str, fake: bool = True) -> Iterator[None]:
    """Autocast without gradients, for CUDA on fake tensors: also where there is none."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if device_type == "cpu" or not fake:
            with torch.autocast(device_type, DTYPES[amp]):
                yield
            return
        torch.set_autocast_dtype("cuda", DTYPES[amp])
        torch.set_autocast_enabled("cuda", True)
        try:
            with FakeTensorMode():
                yield
        finally:
            torch.set_autocast_enabled("cuda", False)


def inputs_of(call: str) -> list[str]:
    """Names of the tensors whose dtype varies, in the order in which a call mentions them."""
    words = re.findall(r"[a-z_]+", re.sub(r"'[^']*'|\.\w+|\w+=", "", call))
    return [name for name in dict.fromkeys(words) if name in SHAPES]


def combinations(count: int, integers: bool, doubles: bool) -> list[tuple[str, ...]]:
    """Choose the input dtypes to try: all alike, and a few that mix two, with fp64 or without."""
    alike = ["fp32", "bf16", "fp16", "fp64"] + ["int64"] * integers
    every = [(name,) * count for name in alike]
    if count > 1:
        pairs = [("fp32", low) for low in AMP] + [(low, "fp32") for low in AMP]
        pairs += [("fp16", "bf16")]
        pairs += [("fp64", "fp32"), ("fp32", "fp64")] if doubles else []
        pairs += [("int64", "fp32"), ("int64", "fp16")] if integers else []
        every += [(first,) + (rest,) * (count - 1) for first, rest in pairs]
    return every


def make(device: str, name: str, dtype: str) -> torch.Tensor:
    """Make an input; matrices are positive definite and all entries lie between 0 and 1."""
    shape = SHAPES[name]
    values = torch.full(shape, 0.1, device=device)
    if len(shape) > 1:
        values = values + 0.5 * torch.eye(*shape[-2:], device=device)
    return values.to(DTYPES[dtype])


def outcome(
    device_type: str, amp: str, call: str, dtypes: dict[str, str], fake: bool = True
) -> str:
    """Name the dtype that a call gives under autocast, or say how it fails."""
    with autocast(device_type, amp, fake):
        tensors = {name: make(device_type, name, dtype) for name, dtype in dtypes.items()}
        ids = torch.arange(4, device=device_type)
        try:
            result = eval(call, {"torch": torch, "nn": nn, "F": F, "ids": ids, **tensors})
        except Exception as error:
            said = str(error).split("\n")[0].split(". ")[0]
            return f"{type(error).__name__}: {said}"
    result = result[0] if isinstance(result, tuple) else result
    return NAMES[result.dtype]


def tabulate(device_type: str, fake: bool = True) -> dict:
    """Run every operation with every combination of dtypes."""
    operations = {}
    for kind, calls in OPERATIONS.items():
        for name, call in calls.items():
            if name in LEFT_OUT[device_type]:
                continue
            inputs = inputs_of(call)
            # Fake matrix products do not mind unequal dtypes; real ones do.
            doubles = device_type == "cpu" or kind != "matrix products"
            rows = combinations(len(inputs), name in TAKES_INTEGERS, doubles)
            operations[name] = {"kind": kind, "call": call, "inputs": inputs} | {
                amp: {
                    " ".join(row): outcome(
                        device_type, amp, call, dict(zip(inputs, row, strict=True)), fake
                    )
                    for row in rows
                }
                for amp in AMP
            }
    return operations


def document(device_type: str) -> dict:
    how = {
        "cpu": "ran under torch.autocast('cpu')",
        "cuda": "dispatched under CUDA autocast on fake tensors, without a GPU",
    }
    return {
        "device_type": device_type,
        "torch": torch.__version__,
        "date": datetime.now(UTC).date().isoformat(),
        "command": "python tools/autocast_tables.py",
        "how": how[device_type],
        "left_out": LEFT_OUT[device_type],
        "ops": tabulate(device_type),
    }


def to_text(table: dict) -> str:
    """Write JSON with a line for each operation and autocast dtype, to keep changes readable."""
    operations = []
    for name, entry in table["ops"].items():
        about = {key: entry[key] for key in ("kind", "call", "inputs")}
        lines = [json.dumps(about)[:-1], *(f'"{amp}": {json.dumps(entry[amp])}' for amp in AMP)]
        operations.append(f'"{name}": ' + ",\n ".join(lines) + "}")
    head = json.dumps({key: table[key] for key in table if key != "ops"}, indent=1)[:-2]
    return head + ',\n "ops": {\n' + ",\n".join(operations) + "\n }\n}\n"


def confirm(device: torch.device, _quick: bool) -> dict:
    """Run every operation on the device itself and tell where the table says something else."""
    table = json.loads((DATA / f"autocast_{device.type}.json").read_text(encoding="utf-8"))["ops"]
    differences, count = [], 0
    for name, entry in tabulate(device.type, fake=False).items():
        for amp in AMP:
            for dtypes, found in entry[amp].items():
                said = table[name][amp].get(dtypes, "nothing")
                fails = ":" in found and ":" in said  # how an error is worded does not matter
                count += 1
                if found != said and not fails:
                    differences.append(f"{name} of {dtypes} under {amp}: {found}, not {said}")
    print(*differences, sep="\n", end="\n" * bool(differences))
    print(f"{device}: {count - len(differences)} of {count} outcomes are as the table says")
    return {"outcomes": count, "differences": differences}


def main() -> int:
    torch.set_num_threads(1)  # tiny tensors: more threads wait for each other
    logging.disable()  # fake tensors log every error that we note
    if "--confirm" in sys.argv:
        parser = options(__doc__)
        parser.add_argument("--confirm", action="store_true", help="compare with a real device")
        return record("autocast", parser.parse_args(), confirm)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--stdout", choices=("cpu", "cuda"), help="print one table, write nothing")
    if chosen := parser.parse_args().stdout:
        print(to_text(document(chosen)), end="")
        return 0
    for device_type in ("cpu", "cuda"):  # each in a process of its own: one may die
        command = [sys.executable, __file__, "--stdout", device_type]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        (DATA / f"autocast_{device_type}.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
