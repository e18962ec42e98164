"""The record of a training run."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from halfbits.training.trouble import Divergence


@dataclass
class Run:
    """What :func:`halfbits.training.fit` has seen.

    Attributes
    ----------
    precision, device
        ``"16-mixed"`` on ``"cuda"``.
    unit, batch
        What a batch has of: ``"samples"`` or ``"tokens"``, and how many.
    losses
        Of every step; a NaN stays a NaN.
    accuracies
        Pairs of steps done and test accuracy, 0 to 1.
    step_ms
        Duration of every step after the warm-up, in ms.
    warmup
        Steps whose duration was not kept, after the start and after each resumption.
    scales
        Loss scale of every step and, at the end, the one after the last; empty without a scaler.
    peak_bytes, peak_kind
        Memory, and how it was found: the allocator's peak on CUDA, elsewhere counted.
    flops
        Floating-point operations of a step's matrix products, None if not counted.
    ceiling
        FLOP/s that the device reached in matrix products of the same format, None if not measured.
    diverged
        The first non-finite value, None if there was none.
    interrupted
        Whether Ctrl+C ended the run.
    resumed_at
        Steps that came from a checkpoint, None if none was there.
    hint
        Why the setting is slow on the device, ``""`` if it is not.
    seconds
        Of the whole call, evaluation included; of the last call if it was resumed.
    """

    precision: str
    device: str
    unit: str = "samples"
    batch: int = 0
    losses: list[float] = field(default_factory=list)
    accuracies: list[tuple[int, float]] = field(default_factory=list)
    step_ms: list[float] = field(default_factory=list)
    warmup: int = 0
    scales: list[float] = field(default_factory=list)
    peak_bytes: int | None = None
    peak_kind: str = ""
    flops: int | None = None
    ceiling: float | None = None
    diverged: Divergence | None = None
    interrupted: bool = False
    resumed_at: int | None = None
    hint: str = ""
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps that were taken."""
        return len(self.losses)

    @property
    def accuracy(self) -> float | None:
        """The last test accuracy, None without test data."""
        return self.accuracies[-1][1] if self.accuracies else None

    @property
    def skipped(self) -> list[int]:
        """Numbers of the steps, from 0, that the scaler left out: the scale fell."""
        pairs = zip(self.scales, self.scales[1:], strict=False)
        return [step for step, (now, after) in enumerate(pairs) if after < now]

    @property
    def median_ms(self) -> float | None:
        """Median duration of a step; None if no step came after the warm-up."""
        return statistics.median(self.step_ms) if self.step_ms else None

    @property
    def quartiles_ms(self) -> tuple[float, float] | None:
        """The durations between which the middle half of the steps lies."""
        if len(self.step_ms) < 2:
            return None
        low, _, high = statistics.quantiles(self.step_ms, n=4, method="inclusive")
        return low, high

    @property
    def per_second(self) -> float | None:
        """Samples or tokens per second, from the median step."""
        return 1e3 * self.batch / self.median_ms if self.median_ms else None

    @property
    def flops_per_second(self) -> float | None:
        """Achieved FLOP/s, from the median step."""
        return 1e3 * self.flops / self.median_ms if self.flops and self.median_ms else None

    @property
    def share_of_ceiling(self) -> float | None:
        """Achieved FLOP/s over those of the device's fastest matrix product in the format."""
        if not self.ceiling or self.flops_per_second is None:
            return None
        return self.flops_per_second / self.ceiling

    def to_dict(self) -> dict[str, Any]:
        """Write the record as plain data for JSON, which has no NaN: those become None."""
        return asdict(self) | {
            "losses": [loss if math.isfinite(loss) else None for loss in self.losses]
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Run:
        """Read what :meth:`to_dict` wrote."""
        diverged = data["diverged"]
        return cls(
            **data
            | {
                "losses": [math.nan if loss is None else loss for loss in data["losses"]],
                "accuracies": [tuple(pair) for pair in data["accuracies"]],
                "diverged": Divergence(**diverged) if diverged else None,
            }
        )

    def __str__(self) -> str:
        parts = [f"{self.precision} on {self.device}: {self.steps} steps"]
        parts += [f"resumed at {self.resumed_at}"] if self.resumed_at is not None else []
        parts += ["interrupted"] if self.interrupted else []
        parts += [f"last loss {self.losses[-1]:.4g}"] if self.losses else []
        parts += [f"test accuracy {self.accuracy:.1%}"] if self.accuracy is not None else []
        parts += [f"{self.median_ms:.3g} ms a step"] if self.median_ms else []
        parts += [f"{len(self.skipped)} steps skipped"] if self.skipped else []
        parts += [f"diverged: {self.diverged}"] if self.diverged else []
        return ", ".join(parts)
