"""One submission after another in the same sandbox."""

import pytest

from grader.sandbox import Sandbox
from grader.ways import best_way

LOOK = """
word = "".join(["ANOTHER", "-", "SECRET"])
found = 0
for line in open("/proc/self/maps"):
    place, rights = line.split()[:2]
    if rights.startswith("rw") and "[v" not in line:
        first, last = (int(x, 16) for x in place.split("-"))
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(first)
            try:
                found += memory.read(last - first).count(word.encode() + b"-42")
            except OSError:
                pass
print("found", found)
"""


@pytest.fixture
def box():
    box = Sandbox(way=best_way())
    yield box
    box.close()


def job(*sources: str) -> dict:
    cells = [{"role": "run", "source": source, "draws": True} for source in sources]
    return {"files": {}, "cells": cells, "seed": 1}


def shown(ran) -> str:
    return "".join(one.get("text", "") for f in ran.frames for one in f.get("outputs", ()))


def test_nobody_finds_the_submission_before_in_memory(box):
    secret = "x = 'ANOTHER-SECRET-42'\n" * 3000
    own = box.run(job(secret, LOOK))
    assert int(shown(own).split()[1]) > 0  # the search finds what is there
    assert shown(box.run(job(LOOK))) == "found 0\n"
