"""What a device can do in which format: asked of torch, or described by hand, as tests do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

_AMPERE = (8, 0)
_NO_TF32 = "tf32 is a mode of NVIDIA's tensor cores since Ampere"


class PrecisionError(ValueError):
    """A device or a setting that does not exist, or a setting that a device cannot run as asked."""


@dataclass(frozen=True)
class Abilities:
    """What a device can do.

    Attributes
    ----------
    device, name
        ``torch.device("cuda")``, ``"NVIDIA A100-SXM4-40GB"``.
    lacks
        For a format that it cannot compute in: why.
    slow
        For a format that it computes in without special hardware: a hint.
    """

    device: torch.device
    name: str
    lacks: Mapping[str, str] = field(default_factory=dict)
    slow: Mapping[str, str] = field(default_factory=dict)


def default_device() -> str:
    """A GPU if torch sees one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def abilities(device: str | torch.device) -> Abilities:
    """Ask torch what a device can do.

    Raises
    ------
    PrecisionError
        If the device is unknown or not there.
    """
    try:
        device = torch.device(device)
    except RuntimeError:
        raise PrecisionError(f"no device {str(device)!r}; choose cpu, cuda or mps") from None
    if device.type == "cpu":
        return of_cpu(bf16=_has_products("bf16"), fp16=_has_products("fp16"))
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise PrecisionError("torch sees no CUDA GPU here; choose cpu, or see make doctor")
        if (device.index or 0) >= (count := torch.cuda.device_count()):
            raise PrecisionError(f"there is no {device}: torch sees {count} CUDA GPU(s)")
        capability = torch.cuda.get_device_capability(device)
        amd = torch.version.hip is not None
        return of_cuda(device, torch.cuda.get_device_name(device), capability, amd)
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise PrecisionError("torch sees no Apple GPU (mps) here; choose cpu")
        return of_mps(device, bf16=torch.backends.mps.is_macos_or_newer(14, 0))
    raise PrecisionError(f"no device {str(device)!r}; choose cpu, cuda or mps")


def _has_products(name: str) -> bool:
    """Whether oneDNN is there and has matrix products in a format for this CPU."""
    try:
        return getattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported")()
    except (AttributeError, RuntimeError):  # a build without oneDNN
        return False


def of_cpu(bf16: bool, fp16: bool) -> Abilities:
    """Describe a CPU by whether oneDNN multiplies bf16 and fp16 matrices on it."""
    slow = {
        name: f"this CPU has no {name} matrix products of its own: much slower than fp32"
        for name, fast in (("bf16", bf16), ("fp16", fp16))
        if not fast
    }
    return Abilities(torch.device("cpu"), "this CPU", {"tf32": _NO_TF32}, slow)


def of_cuda(
    device: torch.device, name: str, capability: tuple[int, int], amd: bool = False
) -> Abilities:
    """Describe a CUDA GPU by its compute capability, (8, 0) for Ampere's A100."""
    if amd:
        return Abilities(device, name, {"tf32": _NO_TF32})
    if capability >= _AMPERE:
        return Abilities(device, name)
    emulated = "its tensor cores have no bf16, torch would emulate it; take 16-mixed"
    return Abilities(device, name, {"tf32": _NO_TF32, "bf16": emulated})


def of_mps(device: torch.device, bf16: bool) -> Abilities:
    """Describe an Apple GPU; bf16 came with macOS 14."""
    lacks = {"tf32": _NO_TF32, "fp64": "Metal has no fp64; choose cpu"}
    return Abilities(device, "the Apple GPU", lacks | ({} if bf16 else {"bf16": "needs macOS 14"}))
