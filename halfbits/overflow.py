"""A small network that is driven out of its format's range, and what happens on the way.

The network is real: its layers and its data are in fp16, bf16 or fp32, torch rounds after each
step, and :mod:`halfbits.trace` counts infinities, NaN and zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from halfbits.formats import Format, Which, get_format
from halfbits.text import power, short
from halfbits.trace import Row, record, row_of

ENDINGS = ("softmax", "stable softmax", "log-softmax")
CHOICES = ("fp16", "bf16", "fp32")
POWERS = range(-16, 17)  # exponents of the input's scales

_BACK = ("it grew too large on the way back", "∞ met 0 or ∞ on the way back")

# The steps by name: how they are called, what they compute, why ∞ and why NaN may appear there.
STEPS = {
    "scale": ("input", "x · scale", "x times the scale is too large", ""),
    "linear1": ("linear 1", "W₁x", "its sums are too large", "∞ − ∞ in its sums"),
    "square": ("ReLU²", "max(x, 0)²", "the squares are too large", ""),
    "linear2": ("linear 2", "W₂x", "its sums are too large", "∞ − ∞ in its sums"),
    "shift": ("− max", "z − max z", "z − max z is too large", "∞ − ∞"),
    "exp": ("exp", "exp(z)", "exp of these is too large", ""),
    "sum": ("sum", "Σ exp(z)", "the sum is too large", ""),
    "divide": ("÷ sum", "p = exp(z) ÷ Σ", "", "∞ ÷ ∞"),
    "log": ("− log sum", "log p = z − log Σ", "log 0", "∞ − ∞"),
    "loss": ("loss", "mean of −log p", "a probability was flushed to 0, and −log 0 is ∞", ""),
    "grad2": ("gradient of W₂", "∂loss ÷ ∂W₂", *_BACK),
    "grad1": ("gradient of W₁", "∂loss ÷ ∂W₁", *_BACK),
}


class Step(nn.Module):
    """A function as a module, so that hooks can see it."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor | float) -> torch.Tensor:
        """Apply the function."""
        return self.function(*inputs)


class Linear(nn.Linear):
    """A linear layer without bias: sums in fp32, rounded once, as tensor cores do it.

    Written out, because no library's choice of order or threads then changes a count.
    """

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__(features_in, features_out, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x Wᵀ in the dtype of x."""
        return (x.float().unsqueeze(-2) * self.weight.float()).sum(-1).to(x.dtype)


class Network(nn.Module):
    """Two linear layers, a squared ReLU between them, and one of three ways to a loss.

    Parameters
    ----------
    ending
        ``"softmax"``: exp(z) ÷ Σ exp(z), then −log; ``"stable softmax"`` the same after the
        maximum is subtracted; ``"log-softmax"``: z − max − log Σ exp(z − max).
    """

    def __init__(self, ending: str) -> None:
        super().__init__()
        self.ending = ending
        self.scale = Step(torch.mul)
        self.linear1 = Linear(16, 32)
        self.square = Step(lambda x: x.relu() ** 2)
        self.linear2 = Linear(32, 4)
        if ending != "softmax":
            self.shift = Step(lambda z: z - z.amax(-1, keepdim=True))
        self.exp = Step(torch.exp)
        self.sum = Step(lambda e: e.sum(-1, keepdim=True))
        if ending == "log-softmax":
            self.log = Step(lambda z, total: z - total.log())
            self.loss = Step(lambda log_p, y: -log_p.gather(1, y).mean())
        else:
            self.divide = Step(torch.div)
            self.loss = Step(lambda p, y: -p.gather(1, y).log().mean())

    def forward(self, x: torch.Tensor, scale: float, y: torch.Tensor) -> torch.Tensor:
        """Loss of inputs (n, 16) times a scale for classes (n, 1)."""
        z = self.linear2(self.square(self.linear1(self.scale(x, scale))))
        if self.ending != "softmax":
            z = self.shift(z)
        e = self.exp(z)
        total = self.sum(e)
        result = self.log(z, total) if self.ending == "log-softmax" else self.divide(e, total)
        return self.loss(result, y)


@dataclass(frozen=True)
class Trace:
    """One pass through the network: its rows, the loss, and what happened in one sentence."""

    rows: list[Row]
    said: str

    @property
    def first_bad(self) -> Row | None:
        """The first row that holds an infinity or NaN."""
        return next((row for row in self.rows if not row.finite), None)


@cache
def trace(power_of_scale: int, fmt: Which = "fp16", ending: str = "softmax") -> Trace:
    """Run the network forward and backward on inputs times 2 to a power, and record every step.

    Raises
    ------
    ValueError
        If the format or the ending is not one of those shown, or the power is beyond ±16.
    """
    fmt = get_format(fmt)
    if fmt.name not in CHOICES:
        raise ValueError(f"the network runs in {', '.join(CHOICES)}, not in {fmt.name}")
    if ending not in ENDINGS:
        raise ValueError(f"the network ends in {', '.join(ENDINGS)}, not in {ending!r}")
    if power_of_scale not in POWERS:
        raise ValueError("the scale is a power of two from 2**-16 to 2**16")
    network, x, y = _made(ending, fmt)
    network.zero_grad()
    losses: list[torch.Tensor] = []
    hook = network.register_forward_hook(lambda module, inputs, loss: losses.append(loss))
    with torch.enable_grad():
        rows = record(network, x, 2.0**power_of_scale, y)
        losses[0].backward()
    hook.remove()
    for name, layer in (("grad2", network.linear2), ("grad1", network.linear1)):
        rows.append(row_of(name, "gradient", layer.weight.grad))
    return Trace(rows, _tell(rows, fmt))


@cache
def _made(ending: str, fmt: Format) -> tuple[Network, torch.Tensor, torch.Tensor]:
    """The network with its seeded weights, eight inputs and their classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network, x, y = Network(ending), torch.randn(8, 16), torch.randint(4, (8, 1))
    return network.to(fmt.dtype), x.to(fmt.dtype), y


def _tell(rows: list[Row], fmt: Format) -> str:
    """Say what happened: the first infinity, where it becomes NaN, what is left to learn from."""
    row = {each.name: each for each in rows}
    first_inf = next((each for each in rows if each.infs), None)
    first_nan = next((each for each in rows if each.nans), None)
    if first_inf is None and first_nan is None:
        return _tell_finite(row, fmt)
    told = []
    if first_inf and (first_nan is None or rows.index(first_inf) <= rows.index(first_nan)):
        why = STEPS[first_inf.name][2]
        told.append(f"First ∞ in {_called(first_inf)}: {_share(first_inf, 'infs')}, {why}.")
    if first_nan:
        why = STEPS[first_nan.name][3]
        if first_nan.name == "divide" and not row["sum"].infs:
            why = "0 ÷ 0"
        told.append(f"First NaN in {_called(first_nan)}: {_share(first_nan, 'nans')}, {why}.")
    loss, grad = row["loss"], row["grad1"]
    value = "NaN" if loss.nans else "∞" if loss.infs else short(loss.largest)
    told.append(f"The loss is {value}; NaN in {grad.nans} of {grad.count} gradients of W₁.")
    return " ".join(told)


def _tell_finite(row: dict[str, Row], fmt: Format) -> str:
    if row["grad1"].zeros == row["grad1"].count:
        return (
            f"Everything is finite, but {row['square'].zeros} of {row['square'].count} squares "
            "are 0 and the gradient of W₁ is exactly 0: it learns nothing."
        )
    top = max(row.values(), key=lambda each: each.largest)
    return (
        f"Everything is finite: the loss is {short(row['loss'].largest)}. The largest magnitude is "
        f"{short(top.largest)}, in {_called(top)}; {fmt.name} has room for "
        f"{short(fmt.max / top.largest, 2)} times as much."
    )


def _called(row: Row) -> str:
    return STEPS[row.name][0]


def _share(row: Row, what: str) -> str:
    return f"{getattr(row, what)} of {row.count}"


def scale_name(power_of_scale: int) -> str:
    """Write a scale: ``"2⁻³"``, ``"1"``."""
    return power(2, power_of_scale) if power_of_scale else "1"
