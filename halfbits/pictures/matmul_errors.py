"""How exact a matrix product is in each format: relative errors, measured here and now."""

from __future__ import annotations

from collections.abc import Callable

import torch
from matplotlib.figure import Figure

from halfbits.formats import Which, get_format
from halfbits.pictures.figure import SMALL, WIDTH, Picture, style
from halfbits.pictures.theme import FORMAT_COLORS
from halfbits.rounding import round_to
from halfbits.text import power, short

FORMATS = ("fp32", "tf32", "fp16", "bf16")
Round = Callable[[torch.Tensor], torch.Tensor]


def matmul_error(
    fmt: Which, size: int = 256, seed: int = 0, rounding: Round | None = None
) -> float:
    """Measure the relative error of a product of two random matrices, against float64.

    The entries of both are rounded to the format, the products are summed in float32, as tensor
    cores do; fp16 and bf16 store the result in 16 bits, TF32 in 32.

    Parameters
    ----------
    fmt
        ``"fp32"``, ``"tf32"``, ``"fp16"`` or ``"bf16"``.
    size
        Of the square matrices, whose entries are normally distributed.
    seed
        Of the entries.
    rounding
        Rounds a float32 tensor to the format; by default to nearest, ties to even.

    Returns
    -------
    float
        Norm of the error over norm of the product (Frobenius).

    Raises
    ------
    ValueError
        If the format is another.
    """
    name = get_format(fmt).name
    if name not in FORMATS:
        raise ValueError(f"products are compared in {', '.join(FORMATS)}, not {name}")
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, size, size, generator=generator)
    true = a.double() @ b.double()
    rounded = rounding or (lambda x: x if name == "fp32" else round_to(x, name))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        product = rounded(a) @ rounded(b)
    finally:
        torch.set_float32_matmul_precision(before)
    stored = rounded(product) if name in ("fp16", "bf16") else product
    return ((stored.double() - true).norm() / true.norm()).item()


@style()
def matmul_errors(tf32_round: Round | None = None, size: int = 256) -> Picture:
    """Draw the relative errors of a matrix product in fp32, TF32, fp16 and bf16.

    Parameters
    ----------
    tf32_round
        Your function that rounds to TF32; by default the library's. One that raises is left out.
    size
        Of the square matrices.
    """
    errors = {name: _measure(name, size, tf32_round) for name in FORMATS}
    figure = Figure(figsize=(WIDTH, 2.7))
    axes = figure.subplots()
    for row, (name, error) in enumerate(errors.items()):
        if isinstance(error, str):
            axes.text(1.3e-8, row, error, va="center", fontsize=SMALL)
            continue
        ink = FORMAT_COLORS[name]
        axes.barh(row, error, height=0.6, color=ink, alpha=0.35, linewidth=0)
        axes.barh(row, error, height=0.6, fill=False, edgecolor=ink)
        unit = get_format(name).eps / 2
        axes.text(max(error, unit) * 1.15, row, short(error, 2), va="center")
        axes.plot([unit, unit], [row - 0.36, row + 0.36], color="black", linewidth=1.6, ls="solid")
    axes.set_xscale("log")
    axes.set(xlim=(1e-8, 2e-2), ylim=(len(FORMATS) - 0.5, -0.5))
    axes.set_yticks(range(len(FORMATS)), FORMATS)
    axes.set_xticks([10.0**k for k in range(-8, -1)], [power(10, k) for k in range(-8, -1)])
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"relative error of a product of {size} × {size} matrices; stroke: half of eps")
    return Picture(figure, f"Relative errors of a {size} × {size} product: {_describe(errors)}.")


def _measure(name: str, size: int, tf32_round: Round | None) -> float | str:
    if name != "tf32" or tf32_round is None:
        return matmul_error(name, size)
    try:
        return matmul_error(name, size, rounding=tf32_round)
    except NotImplementedError:
        return "tf32_round is not attempted yet"
    except Exception as error:
        return f"tf32_round raises {type(error).__name__}"


def _describe(errors: dict[str, float | str]) -> str:
    return ", ".join(
        f"{name}: {error}" if isinstance(error, str) else f"{name} {short(error, 2)}"
        for name, error in errors.items()
    )
