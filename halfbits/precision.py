"""Precision settings: what each asks of plain PyTorch, and whether a device can do it as asked.

PyTorch and Lightning fall back in silence where a device lacks something: ``GradScaler("cuda")``
is switched off on a machine without CUDA, and ``16-mixed`` becomes ``bf16-mixed`` on a CPU. Here
the setting runs as it was asked for, or a :class:`PrecisionError` says why it cannot.

>>> plan = setting("bf16-mixed").on("cpu")
>>> model = plan.place(torch.nn.Linear(4, 2))
>>> with plan.active(), plan.autocast():
...     model(plan.move(torch.ones(1, 4))).dtype
torch.bfloat16
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from halfbits.devices import Abilities, PrecisionError, abilities


@dataclass(frozen=True)
class Precision:
    """A precision setting, on no device yet.

    Attributes
    ----------
    name
        As Lightning spells it: ``"16-mixed"``.
    parameters
        Dtype of parameters, buffers and floating-point inputs.
    format
        In which matrix products are computed: ``"fp64"``, ``"fp32"``, ``"tf32"``, ``"fp16"``,
        ``"bf16"``.
    autocast
        Dtype that autocast lowers to, None without autocast.
    scaled
        Whether the loss is scaled.
    """

    name: str
    parameters: torch.dtype
    format: str
    autocast: torch.dtype | None = None
    scaled: bool = False

    @property
    def matmul(self) -> str:
        """What ``torch.set_float32_matmul_precision`` gets: ``"high"`` for tf32."""
        return "high" if self.format == "tf32" else "highest"

    def on(self, device: str | torch.device | Abilities) -> Plan:
        """Prepare the setting for a device.

        Raises
        ------
        PrecisionError
            If the device is not there or cannot run the setting as asked.
        """
        able = device if isinstance(device, Abilities) else abilities(device)
        if reason := able.lacks.get(self.format):
            raise PrecisionError(f"{self.name} is not possible on {able.name}: {reason}")
        return Plan(self, able.device, able.slow.get(self.format, ""))


_FP16, _BF16 = torch.float16, torch.bfloat16
SETTINGS: dict[str, Precision] = {
    each.name: each
    for each in (
        Precision("32-true", torch.float32, "fp32"),
        Precision("tf32", torch.float32, "tf32"),
        Precision("64-true", torch.float64, "fp64"),
        Precision("16-true", _FP16, "fp16"),
        Precision("bf16-true", _BF16, "bf16"),
        Precision("16-mixed", torch.float32, "fp16", autocast=_FP16, scaled=True),
        Precision("bf16-mixed", torch.float32, "bf16", autocast=_BF16),
    )
}


def setting(name: str | Precision) -> Precision:
    """Look a setting up by its name.

    Raises
    ------
    PrecisionError
        If there is none of that name; the message lists those that there are.
    """
    if isinstance(name, Precision):
        return name
    if name not in SETTINGS:
        raise PrecisionError(f"no setting {name!r}; choose one of: {', '.join(SETTINGS)}")
    return SETTINGS[name]


@dataclass(frozen=True)
class Plan:
    """A setting on a device: made by :meth:`Precision.on`, used by a training loop.

    Attributes
    ----------
    precision, device
        What runs where.
    hint
        Why it will be slow here, or ``""``. It runs as asked all the same.
    """

    precision: Precision
    device: torch.device
    hint: str = ""

    def place(self, model: nn.Module) -> nn.Module:
        """Move a model to the device and its parameters to the setting's dtype, in place."""
        return model.to(device=self.device, dtype=self.precision.parameters)

    def move(self, tensor: torch.Tensor) -> torch.Tensor:
        """Move an input to the device; floats take the parameters' dtype, integers stay."""
        dtype = self.precision.parameters if tensor.is_floating_point() else None
        return tensor.to(device=self.device, dtype=dtype, non_blocking=True)

    def autocast(self) -> AbstractContextManager:
        """Give the context for the forward pass: autocast, or one that does nothing."""
        if self.precision.autocast is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.precision.autocast)

    def scaler(self, **options: Any) -> torch.amp.GradScaler | None:
        """Make a GradScaler for the device, None if the setting does not scale the loss.

        Parameters
        ----------
        options
            Of :class:`torch.amp.GradScaler`, for instance ``init_scale``.

        Raises
        ------
        PrecisionError
            If torch would switch the scaler off.
        """
        if not self.precision.scaled:
            return None
        scaler = torch.amp.GradScaler(self.device.type, **options)
        if not scaler.is_enabled():
            raise PrecisionError(f"torch switched the GradScaler off: no {self.device.type} here")
        return scaler

    @contextmanager
    def active(self) -> Iterator[Plan]:
        """Set torch's global precision of fp32 products; give back what was set before."""
        cudnn = torch.backends.cudnn
        before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
        torch.set_float32_matmul_precision(self.precision.matmul)
        cudnn.allow_tf32 = self.precision.format == "tf32"  # True by default: convolutions
        try:
            yield self
        finally:
            torch.set_float32_matmul_precision(before[0])
            cudnn.allow_tf32 = before[1]
