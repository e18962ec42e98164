"""What a submission's process reports, whatever bytes it writes."""

import json
import struct

from grader.running.frames import MOST, Frames

LIMIT = 1 << 20


def frame(value) -> bytes:
    body = json.dumps(value).encode()
    return struct.pack(">I", len(body)) + body


def test_frames_come_in_pieces_of_any_size():
    sent = [{"cell": n, "text": "x" * n} for n in range(50)] + [{"end": True}]
    stream = b"".join(map(frame, sent))
    for size in (1, 3, 1000, len(stream)):
        reader = Frames(LIMIT)
        assert all(reader.take(stream[i : i + size]) for i in range(0, len(stream), size))
        assert reader.frames == sent and reader.complete and reader.fault == ""


def test_what_is_no_object_is_left_out_and_the_rest_kept():
    reader = Frames(LIMIT)
    stream = frame([1]) + struct.pack(">I", 3) + b"}{x" + frame({"cell": 1}) + b"\0\0"
    assert reader.take(stream) and reader.frames == [{"cell": 1}] and not reader.complete


def test_garbage_floods_and_endless_frames_are_refused():
    for flood, said in (
        (b"\xff" * 100, "cannot be read"),
        (b"\0" * 4 * (MOST + 1), "cannot be read"),
        (frame({}) * (MOST + 1), "cannot be read"),
        (b"\0" * (LIMIT + 1), "more than 1 MB"),
    ):
        reader = Frames(LIMIT)
        assert not reader.take(flood) and said in reader.fault and not reader.complete
