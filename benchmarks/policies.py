"""FSDP2's mixed-precision policies on one rank: which dtype is where, and a GradScaler with fp16.

One rank sends nothing; what two GPUs would tell is not measured here.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402

from benchmarks.step import Measured, options, record, tried  # noqa: E402

F32, F16, B16 = torch.float32, torch.float16, torch.bfloat16
POLICIES = {
    "none": {},
    "bf16": {"param_dtype": B16},
    "bf16, reduce fp32": {"param_dtype": B16, "reduce_dtype": F32},
    "bf16, output fp32": {"param_dtype": B16, "reduce_dtype": F32, "output_dtype": F32},
    "reduce bf16": {"reduce_dtype": B16},
    "fp16": {"param_dtype": F16},
    "bf16, inputs not cast": {"param_dtype": B16, "cast_forward_inputs": False},
}


def main() -> int:
    """Write the record."""
    return record("policies", options(__doc__).parse_args(), examine)


def examine(device: torch.device, _quick: bool) -> Measured:
    """Make a group of one rank and try every policy."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    except (RuntimeError, ValueError) as error:
        said = str(error).splitlines()[0][:200]
        return {"not_measured": f"no group of ranks with {backend}: {said}"}
    try:
        every = {name: tried(lambda p=p: dtypes(p, device)) for name, p in POLICIES.items()}
        norm = tried(lambda: dtypes(POLICIES["bf16"], device, norm=nn.BatchNorm1d))
        scaled = tried(lambda: scaler(device))
        return {"backend": backend, "policies": every, "batch_norm": norm, "scaler": scaled}
    finally:
        dist.destroy_process_group()


def dtypes(policy: dict, device: torch.device, norm: type[nn.Module] = nn.LayerNorm) -> Measured:
    """Train a step under a policy and note every dtype."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    torch.manual_seed(0)
    seen: Measured = {}
    model = nn.Sequential(nn.Linear(8, 8), norm(8)).to(device)
    for name, layer in zip(("linear", "norm"), model, strict=True):
        layer.register_forward_hook(
            lambda layer, given, result, name=name: seen.update(
                {f"{name} in": str(given[0].dtype), f"{name} weight": str(layer.weight.dtype)}
            )
        )
    fully_shard(model, mp_policy=MixedPrecisionPolicy(**policy))
    adam = torch.optim.Adam(model.parameters())
    start = time.perf_counter()
    result = model(torch.ones(4, 8, device=device))
    result.float().square().sum().backward()
    adam.step()
    weight = model[0].weight
    return seen | {
        "output": str(result.dtype),
        "parameter": str(weight.dtype),
        "gradient": str(weight.grad.dtype),
        "adam": str(adam.state[weight]["exp_avg"].dtype),
        "seconds": time.perf_counter() - start,
    }


def scaler(device: torch.device) -> Measured:
    """Scale an fp16 loss too much, then step: the scaler skips and backs off."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    model = nn.Linear(4, 4, bias=False).to(device)
    fully_shard(model, mp_policy=MixedPrecisionPolicy(F16, F32))
    before = model.weight.full_tensor().clone()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    scaling = torch.amp.GradScaler(device.type, init_scale=2.0**40)
    scales = []
    for _ in range(2):
        sgd.zero_grad()
        scaling.scale(model(torch.ones(1, 4, device=device)).float().sum()).backward()
        scaling.step(sgd)
        scaling.update()
        scales.append(scaling.get_scale())
    moved = not torch.equal(before, model.weight.full_tensor())
    return {"scales": scales, "moved": moved}


if __name__ == "__main__":
    sys.exit(main())
