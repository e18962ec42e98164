"""Train networks for the pictures that show recorded trainings, and write down what came out.

    python tools/record_experiments.py                    # both, some minutes
    python tools/record_experiments.py master_weights     # one of them

Writes halfbits/data/master_weights.json and halfbits/data/scale_sweep.json, with the machine, the
versions and the date.
"""

from __future__ import annotations

import json
import math
import platform
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.nn.functional as F

from halfbits.data_sets import batches, encode_names, load_digits, load_names
from halfbits.models import SmallGPT, mlp, name_loss
from halfbits.training import accuracy, train

DATA = Path(__file__).parents[1] / "halfbits" / "data"
BF16 = torch.bfloat16

# Names-GPT.
GPT_STEPS, GPT_BATCH, GPT_RATE, SEEDS = 400, 64, 1e-4, (0, 1, 2)
# Digits with a loss so small that its fp16 gradients need a scale.
SWEEP_STEPS, SWEEP_BATCH, SWEEP_RATE, SHRINK = 300, 64, 1e-3, 2.0**-20


def master_weights() -> dict:
    """Losses of the small GPT in fp32, under bf16 autocast with fp32 weights, and in pure bf16."""
    runs = {
        mode: [train_gpt(mode, seed) for seed in SEEDS] for mode in ("fp32", "mixed", "pure bf16")
    }
    about = f"SmallGPT on {len(load_names())} first names, Adam"
    settings = {"steps": GPT_STEPS, "batch": GPT_BATCH, "lr": GPT_RATE, "seeds": SEEDS}
    return {"about": about, "settings": settings, "runs": runs}


def train_gpt(mode: str, seed: int) -> dict:
    """Train once; ``unchanged`` is the share of weights that the last step left as they were."""
    torch.manual_seed(seed)
    model = SmallGPT()
    if mode == "pure bf16":
        model.to(BF16)
    optimizer = torch.optim.Adam(model.parameters(), lr=GPT_RATE)

    def step(model: SmallGPT, rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", BF16, enabled=mode == "mixed"):
            loss = name_loss(model, rows)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    rows = batches(encode_names(load_names()), size=GPT_BATCH, steps=GPT_STEPS, seed=seed)
    losses = train(model, rows, step, seed)
    before = torch.nn.utils.parameters_to_vector(model.parameters()).clone()
    optimizer.step()  # the last gradients once more
    after = torch.nn.utils.parameters_to_vector(model.parameters())
    unchanged = (before == after).float().mean().item()
    return {"losses": [round(loss, 4) for loss in losses], "unchanged": round(unchanged, 4)}


def scale_sweep() -> dict:
    """Accuracy on digits under fp16 autocast with a tiny loss, by the static loss scale."""
    points = [{"log2_scale": k, **train_digits(torch.float16, 2.0**k)} for k in range(0, 45, 2)]
    about = "MLP 64-64-64-10 on digits, fp16 autocast, loss × 2^-20, gradients divided by the scale"
    settings = {"steps": SWEEP_STEPS, "batch": SWEEP_BATCH, "lr": SWEEP_RATE, "shrink": SHRINK}
    settings |= {"optimizer": "Adam with eps 1e-30, so that the size of gradients does not matter"}
    return {"about": about, "settings": settings, "fp32": train_digits(None, 1.0), "points": points}


def train_digits(dtype: torch.dtype | None, scale: float) -> dict:
    """Train once; ``zeros`` and ``bad`` are shares of first-step gradients: 0, or inf and NaN."""
    torch.manual_seed(0)
    data = load_digits()
    model = mlp(64, 64, 64, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=SWEEP_RATE, eps=1e-30)
    first: list[torch.Tensor] = []

    def step(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype or torch.float16, enabled=dtype is not None):
            loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        (loss * SHRINK * scale).backward()
        first.append(torch.cat([p.grad.flatten() for p in model.parameters()])) if not first else 0
        for parameter in model.parameters():
            parameter.grad /= scale
        optimizer.step()
        return loss

    rows = batches(data.train_x, data.train_y, size=SWEEP_BATCH, steps=SWEEP_STEPS)
    losses = train(model, rows, step)
    return {
        "accuracy": round(accuracy(model, data.test_x, data.test_y), 4),
        "loss": round(losses[-1], 4) if math.isfinite(losses[-1]) else None,
        "zeros": round((first[0] == 0).float().mean().item(), 4),
        "bad": round((~first[0].isfinite()).float().mean().item(), 4),
    }


def record(name: str, experiment: Callable[[], dict]) -> None:
    """Run an experiment and write it down with its provenance."""
    start = time.perf_counter()
    result = experiment()
    provenance = {
        "command": f"python tools/record_experiments.py {name}",
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{processor()}, {torch.get_num_threads()} thread",
        "seconds": round(time.perf_counter() - start),
    }
    text = json.dumps({"provenance": provenance, **result}, indent=1)
    (DATA / f"{name}.json").write_text(join_numbers(text) + "\n", encoding="utf-8")


def processor() -> str:
    """Name of the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def join_numbers(text: str) -> str:
    """Put the numbers of a list on one line."""
    return re.sub(r"(?<=[\d,\[])\n\s+(?=[-\d\]])", "", text)


def main() -> None:
    torch.set_num_threads(1)  # so small, these nets gain nothing from more
    known = {"master_weights": master_weights, "scale_sweep": scale_sweep}
    for name in sys.argv[1:] or known:
        record(name, known[name])


if __name__ == "__main__":
    main()
