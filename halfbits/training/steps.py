"""The smallest training loop, where a step is the caller's; a loss and an accuracy for classes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import nn


def train(
    model: nn.Module,
    batches: Iterable[tuple[torch.Tensor, ...]],
    step: Callable[..., torch.Tensor],
    seed: int = 0,
) -> list[float]:
    """Call ``step(model, *batch)`` for every batch and collect the losses that it returns.

    Parameters
    ----------
    model
        Put into training mode.
    batches
        For instance :func:`halfbits.data_sets.batches`.
    step
        Computes the loss, steps the optimizer and returns the loss, a tensor with one element.
    seed
        Of torch's random numbers during training (dropout, stochastic rounding).
    """
    torch.manual_seed(seed)
    model.train()
    losses = [step(model, *batch).detach() for batch in batches]
    return [loss.item() for loss in losses]


@torch.no_grad()
def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Share of rows, 0 to 1, whose largest output is the right one; NaN outputs count as wrong.

    ``x`` and ``y`` may lie on any device: they are taken to the model's.
    """
    model.eval()
    device = next((parameter.device for parameter in model.parameters()), x.device)
    outputs = model(x.to(device))
    right = (outputs.argmax(-1) == y.to(device)) & outputs.isfinite().all(-1)
    return right.float().mean().item()


def class_loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of classes, in nats; logits of 16 bits are raised to fp32 first."""
    logits = model(x)
    return F.cross_entropy(logits.float() if logits.element_size() == 2 else logits, y)
