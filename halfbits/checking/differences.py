"""How a report shows a value, and how far one is from another, in the unit that tells most."""

from __future__ import annotations

import math
from typing import Any

import torch

from halfbits.checking.codec import decode, encode
from halfbits.checking.compare import EXACT, agree, disagreeing
from halfbits.formats import get_format

LONGEST = 80  # characters of a value that a report shows
MISSING = object()


class Said(str):
    """Words in place of a value, shown without quotes."""


def show(encoded: Any, unit: str = "value") -> str:
    """A value as a report prints it: bit patterns by their fields, everything else as text."""
    if encoded is MISSING:
        return "nothing"
    if isinstance(encoded, Said):
        return str(encoded)
    value = decode(encoded)
    if unit != "value" and type(value) is int:
        form = get_format(unit)
        return form.bit_string(value) if 0 <= value < 2**form.bits else repr(value)
    return as_text(value)


def as_text(value: Any, longest: int = LONGEST) -> str:
    """``repr``, but a tensor takes one line with its dtype, and what is long is cut."""
    return cut(_one_line(value), longest)


def cut(text: str, longest: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _one_line(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return _tensor_line(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_one_line, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_one_line, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_one_line(entry)}' for key, entry in value.items())}}}"
    return repr(value)


_DIGITS = {torch.float16: 5, torch.bfloat16: 4, torch.float32: 9}  # enough to tell neighbours


def _tensor_line(tensor: torch.Tensor) -> str:
    dtype = str(tensor.dtype).removeprefix("torch.")
    if not tensor.numel() and tensor.dim() > 1:  # its list may be long all the same
        return f"tensor([], {dtype}, {' × '.join(map(str, tensor.shape))} values)"
    if tensor.numel() <= 12:
        return f"tensor({_elements(tensor.tolist(), tensor.dtype)}, {dtype})"
    first = _elements(tensor.flatten()[:4].tolist(), tensor.dtype)[:-1]
    return f"tensor({first}, …], {dtype}, {' × '.join(map(str, tensor.shape))} values)"


def _elements(values: Any, dtype: torch.dtype) -> str:
    if isinstance(values, list):
        return f"[{', '.join(_elements(x, dtype) for x in values)}]"
    return f"{values:.{_DIGITS[dtype]}g}" if dtype in _DIGITS else repr(values)


def difference(expected: Any, got: Any, unit: str = "value", rule: dict[str, Any] = EXACT) -> str:
    """How far ``got`` is from ``expected``, both encoded: in ulps, bits, a factor, or in words."""
    if MISSING in (expected, got):
        return "missing" if got is MISSING else "there should be none"
    want, have = decode(expected), decode(got)
    if type(want) is not type(have):
        return f"{_a(have)}, where {_a(want)} is asked for{_way_out(want, have)}"
    if unit != "value" and type(want) is int:
        return _pattern_difference(want, have, unit)
    if isinstance(want, float):
        return _float_difference(want, have)
    if isinstance(want, torch.Tensor):
        return _tensor_difference(want, have, rule)
    if isinstance(want, list | tuple):
        return _list_difference(want, have, rule)
    if isinstance(want, str):
        return _text_difference(want, have)
    return "different"


def _way_out(want: Any, have: Any) -> str:
    """How a number leaves a tensor, where one is asked for."""
    lone = isinstance(have, torch.Tensor) and have.numel() == 1
    return ": `.item()` takes it out" if lone and isinstance(want, bool | int | float) else ""


def _a(value: Any) -> str:
    name = type(value).__name__.lower()
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _pattern_difference(want: int, have: int, unit: str) -> str:
    form = get_format(unit)
    flipped = (want ^ have).bit_count()
    bits = f"{flipped} bit{'s' if flipped > 1 else ''} differ{'' if flipped > 1 else 's'}"
    if not 0 <= have < 2**form.bits:
        return f"not a {form.bits}-bit pattern"
    if form.fields(want).sign != form.fields(have).sign:
        return f"{bits}, the sign among them"
    if "nan" in (form.kind(want), form.kind(have)):
        return bits
    step = have - want
    return f"{abs(step)} ulp too {'large' if step > 0 else 'small'}; {bits}"


def _float_difference(want: float, have: float) -> str:
    if want == -have:
        return "the sign"
    if have == 0 and math.isfinite(want):
        return "zero, should not be"
    if want == 0 or not (math.isfinite(want) and math.isfinite(have)):
        return f"{_kind(have)}, should be {_kind(want)}"
    ratio = have / want
    if ratio < 0:
        return f"the sign; × {-ratio:.6g}"
    relative = abs(ratio - 1)
    return f"× {ratio:.6g}" if relative >= 1e-5 else f"off by {relative:.1e} of it"


def _kind(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite"
    return "zero" if value == 0 else "finite"


def _tensor_difference(want: torch.Tensor, have: torch.Tensor, rule: dict[str, Any]) -> str:
    if want.dtype != have.dtype:
        names = (str(t.dtype).removeprefix("torch.") for t in (have, want))
        return "{}, where {} is asked for".format(*names)
    if want.shape != have.shape:
        return f"shape {tuple(have.shape)}, where {tuple(want.shape)} is asked for"
    wrong = disagreeing(want, have, rule)
    if not wrong:
        return "the bits of a NaN"
    place = [int(i) for i in torch.unravel_index(torch.tensor(wrong[0]), want.shape)]
    pair = (_elements(t.flatten()[wrong[0]].item(), t.dtype) for t in (have, want))
    first = "{}, should be {}".format(*pair)
    if want.numel() == 1:
        return first
    return f"{len(wrong)} of {want.numel()} differ, first at {place}: {first}"


def _text_difference(want: str, have: str) -> str:
    """Of clauses between semicolons, those that should read otherwise."""
    clauses = have.split("; ")
    other = [clause for clause in clauses if clause not in want.split("; ")]
    return "; ".join(other) if len(other) < len(clauses) else "different"


def _list_difference(want: list | tuple, have: list | tuple, rule: dict[str, Any]) -> str:
    """The first item that disagrees; one that differs within the tolerance is not worth a word."""
    if len(want) != len(have):
        return f"{'1 item' if len(have) == 1 else f'{len(have)} items'}, should be {len(want)}"
    for number, (w, h) in enumerate(zip(want, have, strict=True)):
        if not agree(encode(w), encode(h), rule):
            return f"item {number}: {as_text(h, 40)}, should be {as_text(w, 40)}"
    return "different"
