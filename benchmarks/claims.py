"""Try on the device itself what lessons say of CUDA: casts at the edges, the scaler, autocast.

Nothing is judged here: the record says what happened, beside what the CPU gives.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import torch  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.step import Measured, options, record, tried  # noqa: E402
from halfbits.precision import setting  # noqa: E402

_INF, _NAN = float("inf"), float("nan")
EDGES = {  # values around the last finite number, ties, and the smallest ones
    torch.float16: (65504.0, 65519.0, 65520.0, 1e6, 2.0**-24, 2.0**-25, 1.5 * 2.0**-25),
    torch.bfloat16: (3.3895e38, 3.4e38, 2.0**-133, 2.0**-134, 257.0, 259.0),
    torch.float8_e4m3fn: (448.0, 464.0, 464.1, 480.0, 1e6, 2.0**-9, 2.0**-10, 17.0, 19.0),
    torch.float8_e5m2: (57344.0, 61440.0, 65536.0, 1e6, 2.0**-16, 2.0**-17, 9.0, 11.0),
}
FROM = (torch.float32, torch.bfloat16, torch.float16)


def main() -> int:
    """Write the record."""
    return record("claims", options(__doc__).parse_args(), examine)


def examine(device: torch.device, _quick: bool) -> Measured:
    """Try everything."""
    return {
        "casts": casts(device),
        "scaler": {str(dtype): scaler(device, dtype) for dtype in FROM},
        "stale_cache": stale_cache(device),
        "layers": layers(device),
        "adam_in_fp16": adam(device, torch.float16),
        "adam_in_bf16": adam(device, torch.bfloat16),
        "products": products(device),
    }


def casts(device: torch.device) -> Measured:
    """Cast edges, infinities and NaN, here and on the CPU."""
    found: Measured = {}
    for to, edges in EDGES.items():
        for start in (dtype for dtype in FROM if dtype != to):
            values = torch.tensor([*edges, _INF, -_INF, _NAN]).to(start)
            here, cpu = (
                tried(lambda place=place: names(values.to(place).to(to)))  # noqa: B023
                for place in (device, "cpu")
            )
            found[f"{start} to {to}"] = {"of": names(values), "gives": here, "on_the_cpu": cpu}
    return found


def names(values: torch.Tensor) -> list[Any]:
    """Numbers, and ``"inf"``, ``"-inf"`` or ``"nan"``, which JSON does not have."""
    every = values.cpu().double().tolist()
    return [value if abs(value) < _INF else str(value) for value in every]


def scaler(device: torch.device, dtype: torch.dtype) -> Measured:
    """Let a GradScaler unscale and step gradients of a dtype: which does it take?"""

    def step() -> Measured:
        weight = torch.ones(4, device=device, dtype=dtype, requires_grad=True)
        sgd = torch.optim.SGD([weight], lr=0.5)
        scaling = torch.amp.GradScaler(device.type, init_scale=8.0)
        scaling.scale(weight.float().sum()).backward()
        scaling.unscale_(sgd)
        gradient = names(weight.grad)
        scaling.step(sgd)
        scaling.update()
        scale = scaling.get_scale()
        return {"gradient": gradient, "weight": names(weight.detach()), "scale": scale}

    return {"result": tried(step)}


def stale_cache(device: torch.device) -> Measured:
    """Train with autocast around the whole loop: does the loss of one batch move?"""

    def losses(around: bool | None) -> list[float]:
        torch.manual_seed(0)
        model = nn.Linear(8, 1, bias=False).to(device)
        x = torch.ones(4, 8, device=device)
        sgd = torch.optim.SGD(model.parameters(), lr=0.01)
        found = []

        def step() -> None:
            sgd.zero_grad()
            loss = (model(x) - 1).square().mean()
            loss.backward()
            sgd.step()
            found.append(loss.item())

        if around is None:  # as one should: autocast for each step
            for _ in range(5):
                with torch.autocast(device.type, torch.bfloat16):
                    step()
            return found
        with torch.autocast(device.type, torch.bfloat16, enabled=around):
            for _ in range(5):
                with torch.autocast(device.type, torch.bfloat16):
                    step()
        return found

    return {
        "autocast in each step": tried(lambda: losses(None)),
        "around the loop, too": tried(lambda: losses(True)),
        "around the loop, switched off": tried(lambda: losses(False)),
    }


def layers(device: torch.device) -> Measured:
    """Dtype that comes out of layers whose CUDA kernels fake tensors do not know."""
    makers = {
        "LSTM": lambda: nn.LSTM(8, 8).to(device)(torch.ones(2, 2, 8, device=device))[0],
        "MultiheadAttention": lambda: nn.MultiheadAttention(8, 1).to(device)(
            *3 * [torch.ones(2, 2, 8, device=device)]
        )[0],
        "BatchNorm": lambda: nn.BatchNorm1d(8).to(device)(torch.randn(4, 8, device=device)),
        "LayerNorm": lambda: nn.LayerNorm(8).to(device)(torch.ones(2, 8, device=device)),
    }
    found: Measured = {}
    for amp in (torch.float16, torch.bfloat16):
        with torch.no_grad(), torch.autocast(device.type, amp):
            found[str(amp)] = {
                name: tried(lambda make=make: str(make().dtype)) for name, make in makers.items()
            }
    return found


def adam(device: torch.device, dtype: torch.dtype) -> Measured:
    """Train weights of a 16-bit dtype with Adam: do they stay finite, do they move?"""
    torch.manual_seed(0)
    model = nn.Linear(16, 4).to(device, dtype)
    before = model.weight.detach().clone()
    x = torch.randn(8, 16, device=device).to(dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train() -> Measured:
        for _ in range(5):
            optimizer.zero_grad()
            (1e-3 * model(x).float().square().mean()).backward()
            optimizer.step()
        moved = (model.weight != before).double().mean().item()
        finite = model.weight.isfinite().double().mean().item()
        return {"finite": finite, "moved": moved}

    return {"result": tried(train)}


def products(device: torch.device) -> Measured:
    """Error of a product of 512 × 512 normals in each format, beside fp64."""
    torch.manual_seed(0)
    a, b = torch.randn(512, 512), torch.randn(512, 512)
    exact = a.double() @ b.double()

    def error(name: str) -> float:
        plan = setting(name).on(device)
        with plan.active():
            near = a.to(device, plan.precision.parameters) @ b.to(device, plan.precision.parameters)
        return ((near.cpu().double() - exact).norm() / exact.norm()).item()

    every = ("32-true", "tf32", "16-true", "bf16-true")
    return {name: tried(lambda name=name: error(name)) for name in every}


if __name__ == "__main__":
    sys.exit(main())
