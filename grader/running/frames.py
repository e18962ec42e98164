"""What a submission's process reports: frames, each a length and a JSON object."""

from __future__ import annotations

import json
import struct
from typing import Any

from grader.running.inside.late import ASKS

MOST = 10_000  # frames of one submission: a notebook has at most 2,000 cells
LONGEST = 16 << 20  # bytes of one frame
PIECES = 1_000_000  # of one frame, by its commas and brackets
DEEPEST = 100


class Frames:
    """Takes bytes that a student's process may have written and keeps what are frames.

    Attributes
    ----------
    frames
        Those that came, in order.
    fault
        Why no more are taken, as a sentence for the feedback; empty while they are.
    """

    def __init__(self, limit: int) -> None:
        self.frames: list[dict[str, Any]] = []
        self.fault = ""
        self._limit, self._total = limit, 0
        self._rest, self._damaged = bytearray(), 0

    @property
    def asked(self) -> bool:
        """Whether all cells have run, so that the hidden cases may come."""
        return ASKS in self.frames

    @property
    def complete(self) -> bool:
        """Whether the last frame says that the submission came to its end."""
        return bool(self.frames) and self.frames[-1] == {"end": True}

    def take(self, piece: bytes) -> bool:
        """Take more bytes; False when the limit is passed."""
        self._total += len(piece)
        if self._total > self._limit:
            self.fault = f"it showed more than {self._limit >> 20} MB and was stopped there"
            return False
        self._rest += piece
        start = 0
        while len(self._rest) >= start + 4:
            (length,) = struct.unpack_from(">I", self._rest, start)
            if length > min(self._limit, LONGEST) or len(self.frames) + self._damaged >= MOST:
                self.fault = "what it reported cannot be read"
                return False
            end = start + 4 + length
            if len(self._rest) < end:
                break
            self._keep(self._rest[start + 4 : end])
            start = end
        del self._rest[:start]
        return True

    def _keep(self, body: bytearray) -> None:
        frame = _plain(body)
        if isinstance(frame, dict):
            self.frames.append(frame)
        else:
            self._damaged += 1


def _plain(body: bytearray) -> Any:
    """The value, if it can be written again, is not too deep and has not too many pieces."""
    if sum(map(body.count, b"{[,")) > PIECES:
        return None
    try:
        value = json.loads(body.decode())
        if b"\\u" in body:  # perhaps a lone surrogate, which is a ValueError, too
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if _depth(value) <= DEEPEST else None


def _depth(value: Any) -> int:
    depth, level = 0, [value] if isinstance(value, dict | list) else []
    while level and depth <= DEEPEST:
        depth += 1
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [x for one in inner for x in one if isinstance(x, dict | list)]
    return depth
