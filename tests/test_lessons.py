"""Every lesson keeps the course's promises: opening, closing, rhythm, words, and true numbers."""

import re
import statistics
from fractions import Fraction

import jupytext
import pytest
import torch

from grader.units import ROOT, units
from halfbits.formats import FORMATS, Format

LESSONS = {unit.name: jupytext.read(unit.notebook) for unit in units()}


@pytest.fixture(params=LESSONS)
def lesson(request):
    return LESSONS[request.param]


def prose(lesson) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def numbered(text: str) -> list[str]:
    return re.findall(r"^\d+\. (.*)$", text, re.M)


def section(lesson, heading: str) -> str:
    return prose(lesson).split(heading, 1)[1].split("\n## ", 1)[0]


def test_the_opening_says_what_one_does_needs_and_how_long_it_takes(lesson):
    opening = lesson.cells[0].source
    for promise in ("**What you will do**", "**What you need**", "**Time**: about", "**Points**:"):
        assert promise in opening


def test_the_closing_answers_the_opening_item_by_item(lesson):
    promised = numbered(lesson.cells[0].source)
    assert len(promised) >= 3
    assert len(numbered(section(lesson, "## Look back"))) == len(promised)
    assert "## In practice" in prose(lesson) and "## References" in prose(lesson)


def test_the_points_that_the_opening_names_are_those_of_the_cells(lesson):
    said = int(re.search(r"\*\*Points\*\*: (\d+)", lesson.cells[0].source)[1])
    assert said == sum(c.metadata.get("nbgrader", {}).get("points", 0) for c in lesson.cells)


def test_no_word_talks_down_to_the_reader(lesson):
    assert not re.findall(r"\b(simply|just|obviously|of course)\b", prose(lesson), re.I)


def test_cells_are_short(lesson):
    sizes = [len(c.source.splitlines()) for c in lesson.cells if c.cell_type == "code"]
    assert statistics.median(sizes) <= 6 and max(sizes) <= 25


def test_every_lesson_ends_with_progress(lesson):
    assert any(cell.source == "hb.progress()" for cell in lesson.cells)


def test_the_map_and_the_readme_list_every_unit_with_its_minutes():
    start = prose(LESSONS["00_start_here"])
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, lesson in LESSONS.items():
        opening = lesson.cells[0].source
        title = re.search(r"^# (?:Unit \d+ · )?(.*)$", opening, re.M)[1]
        minutes = re.search(r"about (\d+) minutes", opening)[1]
        row = rf"\| {int(name[:2])} · {re.escape(title)} \|.*\| {minutes} \|"
        assert re.search(row, start) and re.search(row, readme), name


# The numbers in Unit 1's prose that no cell of it computes.


def test_facts_of_unit_1():
    fp16, bf16 = FORMATS["fp16"], FORMATS["bf16"]
    assert fp16.encode(6.25) == 0b0_10001_1001000000
    assert (fp16.bias, bf16.bias) == (15, 127)
    assert (2 - 2.0**-10) * 2.0 ** (30 - 15) == 65504 == fp16.max
    assert f"{fp16.smallest_normal:.2e}" == "6.10e-05"
    assert f"{fp16.smallest_subnormal:.2e}" == "5.96e-08" and fp16.smallest_subnormal == 2.0**-24
    assert f"{fp16.eps:.6f}" == "0.000977"
    assert bf16.eps / fp16.eps == 8
    assert fp16.smallest_subnormal / 2 > 1e-8  # 10⁻⁸ is below 2⁻²⁵
    assert fp16.ulp(2048) == 2 and bf16.ulp(256) == 2
    squares = torch.tensor([1e6, 1e-12])
    assert squares.bfloat16().isfinite().all() and (squares.bfloat16() > 0).all()
    assert squares.half().tolist() == [float("inf"), 0.0]


def test_the_worked_example_of_encoding_one_tenth():
    tenth = Fraction(1, 10)
    assert Fraction(1, 16) <= tenth < Fraction(1, 8)
    ulps = tenth / (Fraction(1, 16) / 1024)
    assert float(ulps) == 1638.4 and round(ulps) == 1638 == 1024 + 0b1001100110
    assert -4 + 15 == 0b01011
    assert FORMATS["fp16"].encode(0.1) == 0b0_01011_1001100110


def test_the_worked_example_of_a_carry():
    fp16 = FORMATS["fp16"]
    assert fp16.ulp(2047.9999) == 1 and round(2047.9999) == 2048
    assert fp16.encode(2047.0) == 0b0_11001_1111111111
    assert fp16.encode(2047.9999) == 0b0_11010_0000000000 == fp16.encode(2047.0) + 1


def test_the_tiny_format():
    tiny = Format("tiny", 3, 2)
    assert len(tiny.finite_values()) == 55 and tiny.smallest_normal == 0.25
    assert tiny.round(0.3125) == 0.3125 and tiny.smallest_subnormal == 0.3125 - 0.25 == 0.0625


def test_numbers_between_powers_of_two():
    values = FORMATS["fp16"].finite_values()
    for low in (1, 2, 2**14):
        assert ((values >= low) & (values < 2 * low)).sum() == 1024
    halves = [FORMATS[name].finite_values() for name in ("fp16", "bf16")]
    shares = [100 * (abs(v) <= 1).mean() for v in halves]
    assert [f"{share:.1f}" for share in shares] == ["48.4", "49.8"]
