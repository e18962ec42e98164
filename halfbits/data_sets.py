"""Small real data that need no download: handwritten digits and first names."""

from __future__ import annotations

import functools
import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

_DATA = Path(__file__).parent / "data"
_TEST_DIGITS = 360
END = 0  # the token that ends a name; a to z are 1 to 26


class Digits(NamedTuple):
    """Handwritten digits, split into a part to train on and a part to test on."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor


@functools.cache
def load_digits() -> Digits:
    """Load 1797 handwritten digits of 8 × 8 pixels.

    Returns
    -------
    Digits
        ``train_x`` of shape (1437, 64) and ``test_x`` of shape (360, 64), float32, ink from 0 to
        1; ``train_y`` and ``test_y``, int64, the digits. The split is always the same.

    Notes
    -----
    E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning
    Repository, 1998; the file is scikit-learn's.
    """
    with gzip.open(_DATA / "digits.csv.gz", "rt") as file:
        table = torch.from_numpy(np.loadtxt(file, delimiter=",", dtype=np.int64))
    order = torch.randperm(len(table), generator=torch.Generator().manual_seed(0))
    table = table[order]
    x, y = table[:, :64].float() / 16, table[:, 64]
    return Digits(x[_TEST_DIGITS:], y[_TEST_DIGITS:], x[:_TEST_DIGITS], y[:_TEST_DIGITS])


@functools.cache
def load_names() -> tuple[str, ...]:
    """Load 5163 first names of the US census of 1990: lower case, a to z, in alphabetical order."""
    return tuple((_DATA / "names.txt").read_text(encoding="utf-8").split())


def encode_names(names: tuple[str, ...] | list[str]) -> torch.Tensor:
    """Write names as rows of tokens: END, the letters as 1 to 26, and END up to the last column.

    Returns
    -------
    torch.Tensor
        int64, shape (names, 2 + length of the longest name).

    Raises
    ------
    ValueError
        If a name has other characters than a to z.
    """
    for name in names:
        if not (name.isascii() and name.isalpha() and name.islower()):
            raise ValueError(f"names have letters from a to z only, not {name!r}")
    rows = torch.full((len(names), 2 + max(map(len, names), default=0)), END)
    for row, name in zip(rows, names, strict=True):
        row[1 : len(name) + 1] = torch.tensor([ord(letter) - ord("a") + 1 for letter in name])
    return rows


def decode_name(tokens: torch.Tensor) -> str:
    """Read the first name in a row of tokens."""
    letters = "".join(chr(token + ord("a") - 1) if token else " " for token in tokens.tolist())
    return (letters.split() or [""])[0]


def batches(
    *tensors: torch.Tensor, size: int, steps: int | None = None, seed: int = 0
) -> Iterator[tuple[torch.Tensor, ...]]:
    """Draw batches of rows, each row once before any comes again.

    Parameters
    ----------
    tensors
        All with the same number of rows.
    size
        Rows in a batch; rows that do not fill one are left for the next shuffle.
    steps
        How many batches; without it there is no end.
    seed
        The same seed gives the same batches.

    Raises
    ------
    ValueError
        If the tensors' lengths differ or are smaller than a batch.
    """
    count = len(tensors[0])
    if any(len(each) != count for each in tensors):
        raise ValueError(f"the tensors have different lengths: {[len(t) for t in tensors]}")
    if not 1 <= size <= count:
        raise ValueError(f"choose a batch size from 1 to {count}, not {size}")
    return _draw(tensors, size, math.inf if steps is None else steps, seed)


def _draw(
    tensors: tuple[torch.Tensor, ...], size: int, steps: float, seed: int
) -> Iterator[tuple[torch.Tensor, ...]]:
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while True:
        order = torch.randperm(len(tensors[0]), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            if done >= steps:
                return
            yield tuple(each[order[start : start + size]] for each in tensors)
            done += 1
