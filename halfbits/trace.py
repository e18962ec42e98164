"""Record what flows through a PyTorch model: dtype, size, infinities, NaN and zeros of each output.

:func:`record` hangs forward hooks on the modules for one call and takes them off again. The model
computes what it always computes, in whatever autocast or no_grad context the caller has set.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)  # their last child says the same


@dataclass(frozen=True)
class Row:
    """What one module has given in one call.

    Attributes
    ----------
    name
        The module's name in the model, ``"encoder.0.linear"``; one of several outputs has its
        place behind it, ``"lstm[1][0]"``. A module used twice has two rows.
    kind
        The module's class, ``"Linear"``.
    dtype, shape
        Of the output.
    largest
        The largest finite magnitude, NaN if there is none.
    infs, nans, zeros
        How many elements are infinite, NaN, and exactly 0.
    """

    name: str
    kind: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    largest: float
    infs: int
    nans: int
    zeros: int

    @property
    def count(self) -> int:
        """How many elements the output has."""
        return math.prod(self.shape)

    @property
    def finite(self) -> bool:
        """Whether every element is a finite number."""
        return self.infs == self.nans == 0


def record(model: nn.Module, *inputs: Any, **options: Any) -> list[Row]:
    """Call a model and record the output of every module in it, in the order in which they end.

    Parameters
    ----------
    model
        Any module. The model itself is recorded only if it has no modules inside, and pure
        containers (``nn.Sequential``) are not.
    inputs, options
        What the model is called with.

    Returns
    -------
    list of Row
        One for each tensor in each module's output: tuples, lists and dicts are opened.

    Raises
    ------
    TypeError
        If ``model`` is not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"record wants a torch.nn.Module, not {type(model).__name__}")
    rows: list[Row] = []
    hooks = [
        module.register_forward_hook(_keep(rows, name, module))
        for name, module in model.named_modules()
        if _is_step(model, module)
    ]
    try:
        model(*inputs, **options)
    finally:
        for hook in hooks:
            hook.remove()
    return rows


def row_of(name: str, kind: str, tensor: torch.Tensor) -> Row:
    """Describe one tensor as a row."""
    values = tensor.detach().to(torch.float64)  # float8 can do little by itself
    finite = values[values.isfinite()].abs()
    return Row(
        name=name,
        kind=kind,
        dtype=tensor.dtype,
        shape=tuple(tensor.shape),
        largest=finite.max().item() if len(finite) else math.nan,
        infs=int(values.isinf().sum()),
        nans=int(values.isnan().sum()),
        zeros=int((values == 0).sum()),
    )


def _is_step(model: nn.Module, module: nn.Module) -> bool:
    if module is model:
        return not any(True for _ in model.children())
    return not isinstance(module, _CONTAINERS)


def _keep(rows: list[Row], name: str, module: nn.Module) -> Any:
    kind = type(module).__name__

    def hook(_module: nn.Module, _inputs: tuple, output: Any) -> None:
        rows.extend(row_of(name + place, kind, tensor) for place, tensor in _tensors(output))

    return hook


def _tensors(output: Any, place: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor of an output and its place, ``""`` for the output itself."""
    if isinstance(output, torch.Tensor):
        yield place, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from _tensors(value, f"{place}.{key}")
    elif isinstance(output, (tuple, list)):
        for i, value in enumerate(output):
            yield from _tensors(value, f"{place}[{i}]")
