"""What a submission's process reports: frames, each a length and a JSON object."""

from __future__ import annotations

import json
import struct
from typing import Any


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
        self._limit, self._total, self._rest = limit, 0, b""

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
        while len(self._rest) >= 4:
            (length,) = struct.unpack(">I", self._rest[:4])
            if length > self._limit:
                self.fault = "what it reported cannot be read"
                return False
            if len(self._rest) < 4 + length:
                break
            body, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            try:
                frame = json.loads(body)
            except (ValueError, RecursionError):
                continue
            if isinstance(frame, dict):
                self.frames.append(frame)
        return True
