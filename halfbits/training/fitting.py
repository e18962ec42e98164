"""Train in any precision setting, on any device, and record all that happens."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from halfbits.precision import Precision, setting
from halfbits.training.loop import Loop
from halfbits.training.measure import matmul_ceiling
from halfbits.training.run import Run
from halfbits.training.steps import class_loss
from halfbits.training.trouble import Loss, is_out_of_memory, too_little_memory

ADAM = functools.partial(torch.optim.Adam, lr=1e-3)
Batch = tuple[torch.Tensor, ...]


def fit(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    precision: str | Precision = "32-true",
    device: str | torch.device = "cpu",
    loss: Loss = class_loss,
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer] = ADAM,
    steps: int | None = None,
    test: Batch | None = None,
    test_every: int | None = None,
    clip: float | None = None,
    scaler: dict[str, Any] | None = None,
    unit: str = "samples",
    seed: int = 0,
    warmup: int = 3,
    watch: int = 1,
    stop_if_diverged: bool = True,
    compiled: Callable[..., Any] | None = None,
    ceiling: bool = False,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool | None = None,
    progress: bool = True,
) -> Run:
    """Train a model and record all that happens.

    A step is what one writes by hand: forward and loss under autocast if the setting has it, zero
    the gradients, backward, clip, update, the last three through a GradScaler if the setting has
    one. The numbers are the same, bit for bit.

    Parameters
    ----------
    model
        Changed in place: moved to the device, cast to the setting's dtype, trained.
    batches
        Gives tuples of tensors, for instance :func:`halfbits.data_sets.batches` or a DataLoader.
        Must give the same batches again if a run is to be resumed.
    precision
        A name in :data:`halfbits.precision.SETTINGS`, or a setting.
    device
        ``"cpu"``, ``"cuda"`` or ``"mps"``.
    loss
        Called as ``loss(model, *batch)``; gives a tensor with one element.
    optimizer
        Called with the parameters once they lie on the device.
    steps
        At most so many; by default as many as there are batches.
    test, test_every
        Inputs and classes for the accuracy at the end and every so many steps.
    clip
        Largest norm of the gradients, after unscaling.
    scaler
        Options of the GradScaler, for instance ``{"init_scale": 1024.0}``.
    unit
        ``"samples"``, or ``"tokens"`` to count every element of a batch's first tensor.
    seed
        Of torch's random numbers.
    warmup
        Steps at the start whose durations are not kept, at least 1: the first one is inspected.
    watch
        Look at the loss every so many steps. The device has to wait for that; a step at which
        nobody looked has no cause of divergence, only its number.
    stop_if_diverged
        Whether to end at the first loss that is not finite; a scaler skips that step and goes on.
    compiled
        What :func:`torch.compile` made of ``loss``, to be run instead of it from the second step.
    ceiling
        Whether to measure the device's fastest matrix product in the setting's format.
    checkpoint, checkpoint_every
        File, written every so many steps, at the end, and after Ctrl+C.
    resume
        Go on from the file: True: it must be there; None: if it is there; False: start anew.
    progress
        Show a progress bar.

    Raises
    ------
    PrecisionError
        If the setting is unknown or the device cannot run it as asked.
    CheckpointError
        If the checkpoint is missing, damaged or of another run.
    TooLittleMemory
        With what was asked for and what to lower.
    ValueError
        If ``warmup`` or ``watch`` is below 1, ``unit`` is another, or there are no batches.
    """
    if warmup < 1 or watch < 1 or unit not in ("samples", "tokens"):
        raise ValueError("warmup and watch are at least 1, unit is 'samples' or 'tokens'")
    plan = setting(precision).on(device)
    start = time.perf_counter()
    loop = None
    try:
        with plan.active():
            torch.manual_seed(seed)
            plan.place(model)
            loop = Loop(
                plan=plan,
                model=model,
                loss=loss,
                optimizer=optimizer(model.parameters()),
                scaler=plan.scaler(**scaler or {}),
                run=Run(plan.precision.name, plan.device.type, unit, warmup=warmup, hint=plan.hint),
                test=None if test is None else tuple(map(plan.move, test)),
                test_every=test_every,
                clip=clip,
                compiled=compiled,
                watch=watch,
                stop_if_diverged=stop_if_diverged,
                seed=seed,
                path=None if checkpoint is None else Path(checkpoint),
                path_every=checkpoint_every,
            )
            loop.train(batches, steps, resume, progress)
            loop.run.ceiling = matmul_ceiling(plan) if ceiling else loop.run.ceiling
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise too_little_memory(error, plan, loop and loop.run.batch) from error
    loop.run.seconds = time.perf_counter() - start
    return loop.run
