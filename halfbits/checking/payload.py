"""Hidden cases and a quiz's key as one line of text in a notebook's cell."""

from __future__ import annotations

import base64
import binascii
import json
import zlib

from halfbits.checking import CheckFailed


def pack(spec: dict) -> str:
    """A spec as one line of text, small enough to stand in a notebook cell."""
    return base64.b85encode(zlib.compress(json.dumps(spec).encode(), 9)).decode()


def unpack(payload: str) -> dict:
    """Undo :func:`pack`."""
    try:
        return json.loads(zlib.decompress(base64.b85decode(payload)))
    except (ValueError, zlib.error, binascii.Error):
        raise CheckFailed("the hidden cases are damaged: build the course again") from None
