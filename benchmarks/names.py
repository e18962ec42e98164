"""Train a GPT on first names in five settings with three seeds each, and test it.

Losses, test loss, duration of a step, peak memory and skipped steps of each run; and how fast the
fused Adam is beside the default one.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import torch  # noqa: E402

from benchmarks.step import Measured, options, record  # noqa: E402
from halfbits.benchmark.measuring import summary  # noqa: E402
from halfbits.data_sets import batches, encode_names, load_names  # noqa: E402
from halfbits.models import SmallGPT, name_loss  # noqa: E402
from halfbits.precision import Plan, PrecisionError, setting  # noqa: E402
from halfbits.training import TooLittleMemory, fit  # noqa: E402

SETTINGS, SEEDS = ("32-true", "bf16-mixed", "16-mixed", "bf16-true", "16-true"), (0, 1, 2)
LONG = 1000  # steps in which a scaler's skipped steps are counted
RATE, BATCH, TRAINED = 3e-3, 64, 4600


def main() -> int:
    """Write the record."""
    return record("names", options(__doc__).parse_args(), leaderboard)


def leaderboard(device: torch.device, quick: bool) -> Measured:
    """Train every setting with every seed, the long run, and both Adams."""
    shape = {"width": 48, "layers": 2} if quick else {"width": 512, "layers": 8, "heads": 8}
    steps, rate = (10, RATE) if quick else (150, 3e-4)
    rows = encode_names(load_names())
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    data = rows[order[:TRAINED]], rows[order[TRAINED:]]
    one = functools.partial(run, shape, data, device, rate)
    runs: dict[str, Any] = {
        name: [one(name, seed, steps) for seed in SEEDS[: 1 if quick else None]]
        for name in SETTINGS
    }
    return {
        "shape": shape,
        "steps": steps,
        "batch": BATCH,
        "learning_rate": rate,
        "runs": runs,
        "long_16_mixed": one("16-mixed", 0, 2 * steps if quick else LONG),
        "adam": {
            str(fused): one("bf16-mixed", 0, steps, fused=fused or None) for fused in (False, True)
        },
    }


def run(
    shape: dict[str, int],
    data: tuple[torch.Tensor, torch.Tensor],
    device: torch.device,
    rate: float,
    name: str,
    seed: int,
    steps: int,
    fused: bool | None = None,
) -> Measured:
    """Train once, or say why it was not possible here."""
    try:
        plan = setting(name).on(device)
        torch.manual_seed(seed)
        model = SmallGPT(**shape)
        result = fit(
            model,
            batches(data[0], size=BATCH, steps=steps, seed=seed),
            precision=plan.precision,
            device=device,
            loss=name_loss,
            optimizer=functools.partial(torch.optim.Adam, lr=rate, fused=fused),
            seed=seed,
            watch=10 if device.type == "cuda" else 1,
            stop_if_diverged=False,
            progress=False,
        )
    except (PrecisionError, TooLittleMemory) as error:
        return {"not_measured": str(error)}
    return summary(result) | {"seed": seed, "test_loss": test(model, plan, data[1])}


@torch.no_grad()
def test(model: SmallGPT, plan: Plan, rows: torch.Tensor) -> float | None:
    """Mean loss on names that it was not trained on, None if it is not finite."""
    with plan.active(), plan.autocast():
        loss = name_loss(model.eval(), plan.move(rows)).item()
    return loss if abs(loss) < float("inf") else None


if __name__ == "__main__":
    sys.exit(main())
