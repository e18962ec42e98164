"""Products of 8-bit numbers: how fast by recipe and size, what scaling costs, and how sums round.

E4M3 by ``torch.nn.functional.scaled_mm`` with one scale for a tensor, one for each row, or one for
each 1 × 128 block; INT8 by ``torch._int_mm``; beside bf16. What a device or a torch lacks is in the
record as the error that it gives.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from benchmarks.step import Measured, options, record, tried  # noqa: E402
from halfbits.training import bench  # noqa: E402

E4M3, E5M2 = torch.float8_e4m3fn, torch.float8_e5m2
TOP = {E4M3: 448.0, E5M2: 57344.0}


def main() -> int:
    """Write the record."""
    return record("eight bits", options(__doc__).parse_args(), measure)


def measure(device: torch.device, quick: bool) -> Measured:
    """Time each recipe at each size, and look at sums."""
    sizes = (64, 256) if quick else (1024, 2048, 4096, 8192)
    return {
        "has_scaled_mm": hasattr(F, "scaled_mm"),
        "speed": {str(size): speeds(size, device) for size in sizes},
        "pairs": {
            f"{a} times {b}": tried(lambda a=a, b=b: error_of(a, b, device))
            for a in TOP
            for b in TOP
        },
        "sums": sums(device, 512 if quick else 4096),
    }


def speeds(size: int, device: torch.device) -> Measured:
    """Median ms of a square product in each recipe, of the scaling before it, and its error."""
    torch.manual_seed(0)
    x, w = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    exact = x.float() @ w.float().T
    integers = torch.randint(-127, 128, (size, size), device=device, dtype=torch.int8)
    found: Measured = {
        "bf16": tried(lambda: timed(lambda: x @ w.T, device)),
        "int8": tried(lambda: timed(lambda: torch._int_mm(integers, integers.T), device)),
    }
    for recipe, scaled in RECIPES.items():

        def once(scaled: Callable = scaled) -> Measured:
            a, b = scaled(x), scaled(w)
            product = multiply(a, b, recipe)  # noqa: B023
            error = ((product.float() - exact).norm() / exact.norm()).item()
            product_ms = timed(lambda: multiply(a, b, recipe), device)  # noqa: B023
            return {"error": error, "scaling": timed(lambda: scaled(x), device)} | product_ms

        found[recipe] = tried(once)
    return found


def timed(call: Callable[[], torch.Tensor], device: torch.device) -> Measured:
    """Median of several durations, in ms."""
    inner = 10 if device.type == "cuda" else 1
    times = sorted(bench(call, device, warmup=3, repeats=9, inner=inner))
    return {"ms": times[len(times) // 2], "fastest_ms": times[0]}


Scaled = tuple[torch.Tensor, torch.Tensor]


def by_tensor(x: torch.Tensor, dtype: torch.dtype = E4M3) -> Scaled:
    """One scale for all; returns the tensor in 8 bits and what to multiply it by."""
    scale = x.abs().amax().float() / TOP[dtype]
    return (x.float() / scale).to(dtype), scale.reshape(1, 1)


def by_row(x: torch.Tensor) -> Scaled:
    """One scale for each row."""
    scale = x.abs().amax(1, keepdim=True).float() / TOP[E4M3]
    return (x.float() / scale).to(E4M3), scale


def by_block(x: torch.Tensor) -> Scaled:
    """One scale for every 128 neighbours of a row."""
    blocks = x.float().unflatten(1, (-1, min(128, x.shape[1])))
    scale = blocks.abs().amax(-1) / TOP[E4M3]
    # cuBLAS takes the scales of blocks with rows as the fast dimension.
    return (blocks / scale[..., None]).to(E4M3).flatten(1), scale.T.contiguous().T


RECIPES = {"TensorWise": by_tensor, "RowWise": by_row, "BlockWise1x128": by_block}


def multiply(a: Scaled, b: Scaled, recipe: str, fast: bool = False) -> torch.Tensor:
    """Multiply scaled tensors, a @ b.T, in bf16."""
    kind = getattr(F.ScalingType, recipe)
    scale = b[1] if recipe == "BlockWise1x128" else b[1].T
    options = {"output_dtype": torch.bfloat16, "use_fast_accum": fast}
    return F.scaled_mm(a[0], b[0].T, a[1], kind, scale, kind, **options)


def error_of(left: torch.dtype, right: torch.dtype, device: torch.device) -> float:
    """Relative error of a product of two 8-bit dtypes; some pairs are refused."""
    torch.manual_seed(0)
    x, w = (torch.randn(64, 64, device=device) for _ in range(2))
    near = multiply(by_tensor(x, left), by_tensor(w, right), "TensorWise").float()
    return ((near - x @ w.T).norm() / (x @ w.T).norm()).item()


def sums(device: torch.device, count: int) -> Measured:
    """Error of sums of ``count`` products, beside exact ones of the same 8-bit numbers."""
    found: Measured = {"count": count}
    for name, draw in {"normal": torch.randn, "uniform": torch.rand}.items():
        torch.manual_seed(1)
        a, b = (
            by_tensor(draw(128, count, device=device)),
            by_tensor(draw(128, count, device=device)),
        )
        exact = (a[0].double() * a[1]) @ (b[0].double() * b[1]).T
        for fast in (False, True):

            def error(fast: bool = fast) -> float:
                kind = F.ScalingType.TensorWise
                options = {"output_dtype": torch.float32, "use_fast_accum": fast}
                near = F.scaled_mm(a[0], b[0].T, a[1], kind, b[1], kind, **options)  # noqa: B023
                return ((near.double() - exact).norm() / exact.norm()).item()  # noqa: B023

            found[f"{name}, use_fast_accum={fast}"] = tried(error)
    return found


if __name__ == "__main__":
    sys.exit(main())
