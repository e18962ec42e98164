"""Checkpoints of a training run: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import nn

from halfbits.training.run import Run

_FORMAT = "halfbits training checkpoint 1"


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged, or of another run."""


def save(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
    run: Run,
    seed: int,
    last_batch: str,
) -> None:
    """Write a checkpoint; the file is replaced in one go, so that a crash leaves the old one.

    Parameters
    ----------
    path
        Where to.
    model, optimizer, scaler, run
        As they are between two steps.
    seed
        Of the run.
    last_batch
        Its :func:`fingerprint`: on resuming, the data must be the same up to there.
    """
    content = {
        "format": _FORMAT,
        "precision": run.precision,
        "seed": seed,
        "last batch": last_batch,
        "run": run.to_dict() | {"losses": run.losses},
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler else None,
        "random": random_state(),
    }
    part = path.with_name(path.name + ".part")
    torch.save(content, part)
    os.replace(part, path)


def load(path: Path, precision: str, seed: int) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain data only: a file cannot run code.

    Raises
    ------
    CheckpointError
        If there is none, it is damaged, or it is of another setting or seed.
    """
    if not path.exists():
        raise CheckpointError(f"no checkpoint {path}; train with checkpoint={str(path)!r} first")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever bytes can bring about in unpickling
        content = None
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{path} is damaged or no checkpoint of this loop; delete it")
    for name, wanted in (("precision", precision), ("seed", seed)):
        if content[name] != wanted:
            found = content[name]
            raise CheckpointError(f"{path} has {name} {found!r}, not {wanted!r}: another run's")
    return content


def restore(
    content: dict[str, Any],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler | None,
) -> Run:
    """Put a checkpoint's state into model, optimizer and scaler, and give its record.

    Raises
    ------
    CheckpointError
        If it is of another model or optimizer.
    """
    try:
        model.load_state_dict(content["model"])
        optimizer.load_state_dict(content["optimizer"])
    except (RuntimeError, ValueError, KeyError) as error:
        said = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the checkpoint is of another model or optimizer: {said}") from None
    if scaler:
        scaler.load_state_dict(content["scaler"])
    return Run.from_dict(content["run"])


def random_state() -> dict[str, Any]:
    """Give the state of torch's random numbers, on the CPU and on every GPU."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    if torch.backends.mps.is_available():
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set what :func:`random_state` gave, for the devices that are there."""
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
    if "mps" in state and torch.backends.mps.is_available():
        torch.mps.set_rng_state(state["mps"])


def fingerprint(batch: tuple[torch.Tensor, ...]) -> str:
    """Hash the bytes, shapes and dtypes of a batch."""
    digest = hashlib.sha256()
    for tensor in batch:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
