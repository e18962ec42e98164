"""Plain data as JSON: what may cross the line between a student's process and a judge.

None, booleans, integers, strings, floats by their bits, dtypes by name, tensors as dtype, shape
and bytes, and lists, tuples and dicts of these; a long list of floats or of integers in one piece.
Nothing is ever pickled.
"""

from __future__ import annotations

import base64
import contextlib
import math
from typing import Any

import numpy as np
import torch

MAX_DEPTH = 16
MAX_ITEMS = 1_000_000
MAX_DIMENSIONS = 64  # as torch
MANY = 16  # numbers: a list of so many is written as one piece, twenty times faster and shorter
MAX_BITS = 10_000  # of an integer: Python refuses to write much longer ones


class NotPlain(TypeError):
    """An answer holds something that is not plain data."""


def encode(value: Any, depth: int = 0) -> Any:
    """Turn plain data into what ``json.dumps`` takes, losing neither bits nor types.

    Parameters
    ----------
    value
        None, bool, int, str, float, torch.dtype, tensor, NumPy scalar or array,
        or lists, tuples and dicts of these, at most 16 levels deep.

    Raises
    ------
    NotPlain
        For anything else, with a sentence that names its class.
    """
    if depth > MAX_DEPTH:
        raise NotPlain(f"it is nested more than {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        return encode(value.item(), depth)
    if isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise NotPlain(f"it is an integer of more than {MAX_BITS:,} bits")
        return int(value)
    if isinstance(value, float):
        return {"float": float(value).hex()}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, range):
        if not _is_short(value):
            raise NotPlain(f"the range has more than {MAX_ITEMS:,} items, or huge numbers")
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, torch.Tensor | np.ndarray):
        return {"tensor": _encode_tensor(torch.as_tensor(value))}
    if isinstance(value, list | tuple | dict) and len(value) > MAX_ITEMS:
        raise NotPlain(f"it has {len(value):,} items, more than {MAX_ITEMS:,}")
    if isinstance(value, list):
        return _encode_numbers(value) or [encode(item, depth + 1) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encode(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        pairs = value.items()
        return {"dict": [[encode(k, depth + 1), encode(v, depth + 1)] for k, v in pairs]}
    raise NotPlain(f"an object of class {type(value).__name__} is not plain data")


def decode(data: Any) -> Any:
    """Undo :func:`encode`.

    Raises
    ------
    ValueError
        If ``data`` is not what ``encode`` writes.
    """
    if isinstance(data, int) and data.bit_length() > MAX_BITS:
        raise ValueError("an integer is longer than any answer's")
    if data is None or isinstance(data, bool | int | str):
        return data
    if isinstance(data, list):
        return [decode(item) for item in data]
    match data:
        case {"float": str(text)}:
            return float.fromhex(text)
        case {"floats": str(text)}:
            return _decode_numbers(text, np.float64)
        case {"integers": str(text)}:
            return _decode_numbers(text, np.int64)
        case {"dtype": str(name)} if isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        case {"range": [int(start), int(stop), int(step)]}:
            if not _is_short(found := range(start, stop, step)):
                raise ValueError("a range is longer than any answer's")
            return found
        case {"tensor": dict(fields)}:
            return _decode_tensor(fields)
        case {"tuple": list(items)}:
            return tuple(decode(item) for item in items)
        case {"dict": list(pairs)}:
            return {decode(key): decode(value) for key, value in pairs}
    raise ValueError(f"not encoded data: {str(data)[:80]}")


def length(encoded: Any) -> int:
    """How many items an encoded list has."""
    match encoded:
        case {"floats": str(text)} | {"integers": str(text)}:
            return (3 * len(text) // 4 - text[-2:].count("=")) // 8  # without decoding it
    return len(decode(encoded) if isinstance(encoded, dict) else encoded)


def items(encoded: Any) -> list:
    """The encoded items of an encoded list."""
    many = isinstance(encoded, dict) and encoded.keys() & {"floats", "integers"}
    return [encode(value) for value in decode(encoded)] if many else encoded


def _encode_numbers(values: list) -> dict[str, str] | None:
    """A long list of nothing but floats, by their bits, or of 64-bit integers, else None."""
    if len(values) < MANY:
        return None
    kinds = set(map(type, values))
    if kinds not in ({float}, {int}):
        values = [value.item() if isinstance(value, np.generic) else value for value in values]
        kinds = {_kind(value) for value in values}
    if kinds == {float}:
        array = np.array(values, np.float64)
        array[np.isnan(array)] = math.nan  # one NaN: payloads mean nothing
        return {"floats": base64.b64encode(array.tobytes()).decode()}
    if kinds == {int}:
        with contextlib.suppress(OverflowError):
            array = np.array(list(map(int, values)), np.int64)
            return {"integers": base64.b64encode(array.tobytes()).decode()}
    return None


def _decode_numbers(text: str, kind: type) -> list:
    if len(text) > 11 * MAX_ITEMS:  # eight bytes each, in base64
        raise ValueError("a list of numbers is longer than any answer's")
    return np.frombuffer(base64.b64decode(text), kind).tolist()


def _is_short(numbers: range) -> bool:
    """Whether a range may be an answer; ``len`` of a longer one is an OverflowError."""
    start, stop, step = numbers.start, numbers.stop, numbers.step
    bits = max(map(int.bit_length, (start, stop, step)))
    return bits <= MAX_BITS and (stop - start) // step <= MAX_ITEMS


def _kind(value: Any) -> type:
    if isinstance(value, float):
        return float
    return int if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _encode_tensor(tensor: torch.Tensor) -> dict[str, Any]:
    if tensor.numel() > MAX_ITEMS:
        raise NotPlain(f"the tensor has {tensor.numel():,} elements, more than {MAX_ITEMS:,}")
    if not _is_shape(list(tensor.shape)):  # without elements it may have any size
        raise NotPlain(f"the tensor's shape is {' × '.join(map(str, tensor.shape))}")
    plain = tensor.detach().cpu().contiguous()
    if plain.dtype.is_floating_point and plain.dtype.itemsize > 1:
        plain = plain.masked_fill(plain != plain, math.nan)  # one NaN: payloads mean nothing
    flat = plain.reshape(-1).view(torch.uint8)
    return {
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "shape": list(tensor.shape),
        "bytes": base64.b64encode(flat.numpy().tobytes()).decode(),
    }


def _decode_tensor(fields: dict[str, Any]) -> torch.Tensor:
    dtype, shape = getattr(torch, str(fields.get("dtype")), None), fields.get("shape")
    if not (isinstance(dtype, torch.dtype) and _is_shape(shape)):
        raise ValueError("a tensor's dtype or shape is none")
    raw = bytearray(base64.b64decode(str(fields.get("bytes"))))
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError("a tensor's bytes do not fit its dtype and shape")
    if not raw:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(raw, dtype=torch.uint8).view(dtype).reshape(shape)


def _is_shape(shape: Any) -> bool:
    """Whether a tensor may have it: also without elements it must be one that can be written out.

    Each size is looked at before any product is formed of them.
    """
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        return False
    items = 1
    for size in shape:
        if type(size) is not int or not 0 <= size <= MAX_ITEMS:
            return False
        items *= size or 1
        if items > MAX_ITEMS:
            return False
    return True
