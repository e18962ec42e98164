"""What a submission may use, and what came of running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, takewhile

from grader.running.frames import Frames
from grader.running.inside.late import ASKS


@dataclass(frozen=True)
class Limits:
    """What one submission may use; all of it is configurable."""

    wall: float = 120.0  # seconds
    memory: int = 4 << 30  # bytes, of all its processes
    processes: int = 64
    disk: int = 256 << 20  # bytes
    output: int = 64 << 20  # bytes of everything that it reports


@dataclass
class Ran:
    """What came of one submission.

    Attributes
    ----------
    frames
        What its process has reported, in order; anything may be in them.
    fault
        What ended it early, as a sentence for the feedback.
    usage
        Seconds and bytes.
    lost
        Whether the sandbox or its process was ended from somewhere, by whoever's doing.
    """

    frames: list[dict] = field(default_factory=list)
    fault: str = ""
    usage: dict[str, float] = field(default_factory=dict)
    lost: bool = False

    @property
    def of_cells(self) -> list[dict]:
        """The frames from before the hidden cases came."""
        return list(takewhile(lambda frame: frame != ASKS, self.frames))

    @property
    def reached(self) -> int:
        """The first cell that has not reported."""
        told = (frame.get("cell") for frame in self.of_cells)
        reported = {number for number in told if isinstance(number, int)}  # it may be anything
        return next(number for number in count() if number not in reported)

    @property
    def of_hidden(self) -> list[dict]:
        """Those from behind: nothing in them may be shown."""
        return self.frames[len(self.of_cells) + 1 :]


def fault(event: dict | None, limits: Limits, reader: Frames) -> str:
    """What ended a submission before its last cell, as a sentence for the feedback."""
    if event is None:
        return "it ended the sandbox that it ran in, or stopped it"
    struck = {
        "time": f"it ran longer than {limits.wall:g} s",
        "memory": f"it used more than {limits.memory / 2**30:g} GB of memory",
        "processes": f"it started more than {limits.processes} processes",
    }
    if event["limit"]:
        return f"{struck[event['limit']]} and was stopped there"
    if reader.asked and not reader.complete:  # a number could tell a hidden case
        return "its process ended while the hidden cases were tried"
    if event["exit"] < 0:
        return f"its process was ended by signal {-event['exit']}"
    if event["exit"] or not reader.complete:
        return f"its process ended by itself (exit status {event['exit']})"
    return ""
