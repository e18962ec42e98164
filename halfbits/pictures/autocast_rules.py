"""The autocast rules of CPU and CUDA side by side, as a table to read."""

from __future__ import annotations

import html

from halfbits.autocast_table import autocast_rule, autocast_table
from halfbits.pictures.shown import Shown
from halfbits.pictures.theme import FORMAT_COLORS

SHOWN = ["linear", "matmul", "conv2d", "mv"]
SHOWN += ["softmax", "log_softmax", "layer_norm", "exp", "pow", "sum"]
SHOWN += ["cross_entropy", "mse_loss", "binary_cross_entropy"]
SHOWN += ["mean", "var", "relu", "gelu", "sqrt"]
_CELL = "padding:3px 12px 3px 0;text-align:left;border-bottom:1px solid var(--jp-border-color2, "
_CELL += "#8884);"
_COLORS = {"16 bit": FORMAT_COLORS["bf16"], "fp32": FORMAT_COLORS["fp32"], "error": "currentColor"}


def autocast_rules(*ops: str) -> Shown:
    """Show what autocast does to operations on CPU and on CUDA, and mark where the two differ.

    Parameters
    ----------
    ops
        Names in the tables of :mod:`halfbits.autocast_table`; by default those that the course
        talks about.

    Raises
    ------
    ValueError
        If a table does not have an operation.
    """
    rows = [(op, autocast_rule(op, "cpu"), autocast_rule(op, "cuda")) for op in ops or SHOWN]
    cpu, cuda = autocast_table("cpu"), autocast_table("cuda")
    caption = (
        f"What autocast does, torch {cpu['torch'].split('+')[0]}. CPU: {cpu['how']}; CUDA: "
        f"{cuda['how']} ({cuda['date']})."
    )
    differ = ["differs" if on_cpu != on_cuda else "" for _, on_cpu, on_cuda in rows]
    return Shown(_to_html(rows, differ, caption), _to_text(rows, differ, caption))


def _to_html(rows: list[tuple[str, str, str]], differ: list[str], caption: str) -> str:
    heads = "".join(
        f'<th scope="col" style="{_CELL}">{head}</th>' for head in ("operation", "CPU", "CUDA", "")
    )
    body = "".join(
        f'<tr><th scope="row" style="{_CELL}">{html.escape(op)}</th>{_rule(on_cpu)}{_rule(on_cuda)}'
        f'<td style="{_CELL}"><b>{mark}</b></td></tr>'
        for (op, on_cpu, on_cuda), mark in zip(rows, differ, strict=True)
    )
    return (
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;color:inherit;'
        'font-size:var(--jp-ui-font-size1, 13px)"><caption style="text-align:left;color:inherit;'
        f'max-width:44em;white-space:normal">{html.escape(caption)}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _rule(rule: str) -> str:
    color = _COLORS.get(rule)
    line = f"border-bottom:3px solid {color}" if color else ""
    return f'<td style="{_CELL}"><span style="{line}">{rule}</span></td>'


def _to_text(rows: list[tuple[str, str, str]], differ: list[str], caption: str) -> str:
    width = max(len(op) for op, *_ in rows)
    lines = [
        f"{op:<{width}}  {on_cpu:<14}  {on_cuda:<14}  {mark}".rstrip()
        for (op, on_cpu, on_cuda), mark in zip(rows, differ, strict=True)
    ]
    return "\n".join([caption, f"{'operation':<{width}}  {'CPU':<14}  CUDA", *lines])
