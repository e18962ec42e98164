"""What can go wrong in training: values that are not finite, too little memory, Ctrl+C."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

import torch
from torch import nn

from halfbits.precision import Plan
from halfbits.trace import Row, record, row_of

Loss = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class Divergence:
    """Where the first value that is not finite appeared.

    Attributes
    ----------
    step
        From 0.
    kind
        ``"start"``: a parameter before the first update, ``"input"``, ``"output"`` of a module,
        ``"loss"``, ``"gradient"``, ``"parameter"`` after the step's update; ``"unknown"`` if nobody
        looked at that step.
    name
        Of the module or parameter, as ``named_modules`` has it.
    detail
        ``"3 inf, 5 NaN of 640 (LayerNorm, float16)"``.
    """

    step: int
    kind: str
    name: str = ""
    detail: str = ""

    def __str__(self) -> str:
        place = {
            "start": f"in {self.name!r} before the first update",
            "input": f"in the batch ({self.name})",
            "output": f"in the output of {self.name!r}",
            "loss": "in the loss",
            "gradient": f"in the gradient of {self.name!r}",
            "parameter": f"in {self.name!r} after the update",
            "unknown": "in the loss, whose causes were not looked for at this step",
        }[self.kind]
        detail = f": {self.detail}" if self.detail else ""
        return f"first non-finite value at step {self.step}, {place}{detail}"


class Watched(nn.Module):
    """A loss as a module, so that hooks reach the model and the loss's inputs are its inputs."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *batch: torch.Tensor) -> torch.Tensor:
        """Compute the loss."""
        return self.loss(self.model, *batch)


def locate(
    model: nn.Module, loss: Loss, batch: tuple[torch.Tensor, ...], plan: Plan, step: int
) -> Divergence:
    """Find where a non-finite loss comes from; call it before gradients are zeroed.

    The forward pass is repeated with hooks, so the random numbers must be what they were.

    Parameters
    ----------
    model, loss, batch, plan
        As in the step whose loss is not finite. Gradients are those of the step before.
    step
        Number of that step.
    """
    named = list(model.named_parameters())
    if bad := _first((name, p) for name, p in named):
        if step == 0:
            return Divergence(0, "start", *bad)
        gradients = [(name, p.grad) for name, p in reversed(named) if p.grad is not None]
        if not plan.precision.scaled and (cause := _first(gradients)):
            return Divergence(step - 1, "gradient", *cause)  # a scaler would have left it out
        return Divergence(step - 1, "parameter", *bad)
    if bad := _first((f"input {i}", each) for i, each in enumerate(batch)):
        return Divergence(step, "input", *bad)
    with torch.no_grad(), plan.autocast():
        rows = record(Watched(model, loss), *batch)
    for row in rows:
        if not row.finite:
            name = row.name.removeprefix("model").removeprefix(".") or row.kind
            return Divergence(step, "output", name, _count(row))
    return Divergence(step, "loss")


def _first(tensors: Iterable[tuple[str, torch.Tensor]]) -> tuple[str, str] | None:
    """Name and count of the first tensor that is not finite."""
    for name, tensor in tensors:
        if tensor.is_floating_point() and not tensor.isfinite().all():
            return name, _count(row_of(name, "", tensor))
    return None


def _count(row: Row) -> str:
    kind = f"{row.kind}, " if row.kind else ""
    dtype = str(row.dtype).removeprefix("torch.")
    return f"{row.infs} inf, {row.nans} NaN of {row.count} ({kind}{dtype})"


class TooLittleMemory(MemoryError):
    """Training wanted more memory than there is; the message says how much and what to lower."""


_ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+) ?(\w+)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not allocate; only on GPUs it has an error of its own for that."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def too_little_memory(error: BaseException, plan: Plan, batch: int | None) -> TooLittleMemory:
    """Say in one line what torch asked for and what to lower."""
    found = _ASKED.search(str(error))
    asked = "more than there is"
    if found:
        size, unit = found.groups()
        asked = f"{int(size) / 1e9:.3g} GB more" if unit == "bytes" else f"{size} {unit} more"
    lower = "the size of the model"
    if batch is not None:
        lower = f"the batch size (now {batch}), the length of sequences or the size of the model"
    wide = plan.precision.parameters.itemsize >= 4 and plan.precision.autocast is None
    narrow = ", or take a 16-bit setting" if wide else ""
    return TooLittleMemory(
        f"too little memory on {plan.device} for {plan.precision.name}: torch asked for {asked}; "
        f"lower {lower}{narrow}"
    )


class Interrupts:
    """Lets a step end before Ctrl+C takes effect, so that model and optimizer stay in step.

    Attributes
    ----------
    asked : bool
        Whether Ctrl+C was pressed; pressed again it interrupts at once.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> Self:
        try:
            self._before = signal.signal(signal.SIGINT, self._ask)
        except ValueError:  # only the main thread gets signals
            self._before = None
        return self

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_error: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
