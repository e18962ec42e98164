"""Where the bytes of training go: what each parameter costs, and what is saved for backward."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

_DATA = Path(__file__).parent / "data" / "bytes_per_parameter.json"
_SIZES = {"fp32": 4, "16 bit": 2, None: 0}


class ParameterBytes(NamedTuple):
    """Bytes that training keeps for one parameter, by what they hold."""

    parameters: int
    gradients: int
    master: int
    moments: int

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


@functools.cache
def parameter_table() -> dict:
    """Read the formats of parameters, gradients, master weights and moments in each mode."""
    return json.loads(_DATA.read_text(encoding="utf-8"))


def parameter_bytes(mode: str, optimizer: str = "Adam") -> ParameterBytes:
    """Count the bytes that training keeps for one parameter.

    Parameters
    ----------
    mode
        ``"fp32"``, ``"torch AMP"`` (autocast over fp32 weights), ``"16 bit, fp32 master"``,
        ``"16 bit, fp32 master and gradients"`` or ``"pure 16 bit"``.
    optimizer
        ``"SGD"``, ``"SGD with momentum"`` or ``"Adam"``.

    Raises
    ------
    ValueError
        If there is no such mode or optimizer.
    """
    table = parameter_table()
    for name, known in ((mode, table["modes"]), (optimizer, table["moments"])):
        if name not in known:
            raise ValueError(f"no {name!r}; choose one of: {'; '.join(known)}")
    sizes = {part: _SIZES[fmt] for part, fmt in table["modes"][mode].items()}
    sizes["moments"] *= table["moments"][optimizer]
    return ParameterBytes(**sizes)


def training_bytes(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    master: Iterable[torch.Tensor] = (),
) -> ParameterBytes:
    """Count the bytes that a model, its gradients and its optimizer hold now, in all.

    Parameters
    ----------
    model
        Whose parameters and their ``.grad`` are counted.
    optimizer
        Its state's tensors are the moments, scalars such as Adam's step aside.
    master
        Master weights that are no parameters of the model.
    """
    parameters = list(model.parameters())
    state = [value for entry in optimizer.state.values() for value in entry.values()]
    moments = [value for value in state if torch.is_tensor(value) and value.dim() > 0]
    return ParameterBytes(
        parameters=_bytes(parameters),
        gradients=_bytes(p.grad for p in parameters if p.grad is not None),
        master=_bytes(master),
        moments=_bytes(moments),
    )


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Saved(NamedTuple):
    """One block of memory that autograd keeps for the backward pass."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    bytes: int


def saved_tensors(
    model: nn.Module, x: torch.Tensor, context: AbstractContextManager | None = None
) -> list[Saved]:
    """List what a forward pass saves for backward, in the order of saving.

    Every block of memory is listed once, however many views of it are saved. Parameters and
    buffers are left out, since they are there anyway; the 16-bit copies that autocast makes of
    weights are new memory and are listed.

    Parameters
    ----------
    model
        Called once, as ``model(x)``.
    x
        Its input, of any shape and dtype.
    context
        Entered around the call, for instance ``torch.autocast("cpu", torch.bfloat16)``.
    """
    with saving(model) as found, context or nullcontext():
        output = model(x)
    del output  # until here it held the graph
    return found


@contextmanager
def saving(model: nn.Module) -> Iterator[list[Saved]]:
    """Fill a list with what forward passes inside save; see :func:`saved_tensors`.

    Parameters
    ----------
    model
        Whose parameters and buffers are left out.
    """
    owned = [*model.parameters(), *model.buffers()]
    seen = {tensor.untyped_storage().data_ptr() for tensor in owned}
    found: list[Saved] = []
    alive: list[torch.Tensor] = []  # else a freed block's address could come back as another's

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            alive.append(tensor.detach())
            found.append(Saved(tuple(tensor.shape), tensor.dtype, storage.nbytes()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found


def saved_bytes(
    model: nn.Module, x: torch.Tensor, context: AbstractContextManager | None = None
) -> int:
    """Count the bytes that a forward pass saves for backward; see :func:`saved_tensors`."""
    return sum(each.bytes for each in saved_tensors(model, x, context))


def activation_bytes_of(
    batch: int, width: int, depth: int, activation: str = "GELU"
) -> dict[str, int]:
    """Compute what an MLP of ``depth`` square layers saves for backward, by format.

    Each layer is a Linear and an activation. A Linear saves its input; GELU saves its input, too,
    ReLU its output, which is the next Linear's input and counts once. Under autocast all
    of these have 16 bits, and the 16-bit copy of every weight but the first is saved besides (the
    first would be needed for the gradient of the network's input only).

    Returns
    -------
    dict of str to int
        ``"fp32"``; ``"autocast"``, of which ``"weight casts"``. In bytes.

    Raises
    ------
    ValueError
        If ``activation`` is neither ``"GELU"`` nor ``"ReLU"``.
    """
    if activation not in ("GELU", "ReLU"):
        raise ValueError(f"choose GELU or ReLU, not {activation!r}")
    tensors = 2 * depth if activation == "GELU" else depth + 1
    numbers, casts = tensors * batch * width, (depth - 1) * width**2
    return {"fp32": 4 * numbers, "autocast": 2 * (numbers + casts), "weight casts": 2 * casts}
