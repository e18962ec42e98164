"""Hidden cases come late: sealed with the job, and the key when no cell can show them any more.

Students' code runs in the process that meets them, so whatever it may do with them, it does when
what its cells have shown is with the engine, which takes no more of it.
"""

from __future__ import annotations

import base64
import json
import os
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

ASKS = {"asks": True}  # the frame after the last cell's: behind it nothing counts as shown
NONCE = bytes(12)  # a key seals one thing only
LONGEST = 1000  # bytes of a line with a key


def new_key() -> bytes:
    """For one job."""
    return ChaCha20Poly1305.generate_key()


def seal(cases: Any, key: bytes) -> str:
    """Plain data as text that says nothing without the key."""
    sealed = ChaCha20Poly1305(key).encrypt(NONCE, json.dumps(cases).encode(), None)
    return base64.b64encode(sealed).decode()


def unseal(sealed: str, key: bytes) -> Any:
    """What was sealed.

    Raises
    ------
    cryptography.exceptions.InvalidTag
        If the key is not the one.
    """
    return json.loads(ChaCha20Poly1305(key).decrypt(NONCE, base64.b64decode(sealed), None))


def key_line(job: str, key: bytes) -> bytes:
    """What the engine sends, once it is asked."""
    return f"{job} {key.hex()}\n".encode()


def wait_for_key(fd: int, job: str) -> bytes:
    """The key of this job; what is left of another one's is passed over.

    Raises
    ------
    ValueError
        If what comes is no key.
    """
    line = b""
    os.set_blocking(fd, True)  # whatever a cell has done to it
    while piece := os.read(fd, 1):  # no further than the line: nothing else may be lost
        line += piece
        if line.endswith(b"\n") or len(line) > LONGEST:
            whose, _, key = line.decode().partition(" ")
            if whose == job:
                return bytes.fromhex(key)
            line = b""
    raise ValueError("no key came")
