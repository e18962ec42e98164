"""Say what the device is: name, driver, memory, and which formats it computes in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent)]

import torch  # noqa: E402

from benchmarks.step import Measured, options, record  # noqa: E402
from halfbits.devices import abilities  # noqa: E402

NEEDED = 8e9  # bytes: GPT-2's shape in fp64 takes most of it


def main() -> int:
    """Write the record; a GPU that is nearly full is said, since steps will miss that memory."""
    return record("doctor", options(__doc__).parse_args(), examine)


def examine(device: torch.device, quick: bool) -> Measured:
    """Ask torch."""
    able = abilities(device)
    found: Measured = {"lacks": dict(able.lacks), "slow": dict(able.slow)}
    found["compiler"] = shutil.which("cc") or shutil.which("gcc")
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        found["free_bytes"] = free
        found["bf16"] = torch.cuda.is_bf16_supported(including_emulation=False)
        found["architectures"] = torch.cuda.get_arch_list()
        if free < NEEDED and not quick:
            said = f"{free / 1e9:.0f} of {total / 1e9:.0f} GB are free"
            print(f"doctor: {said}; end what else runs there, or some is left out", file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
