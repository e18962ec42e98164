"""What students send is looked at before anything is computed from it, and costs them alone."""

import base64
import io
import json
import struct
import zipfile

import pytest
import torch

from grader import demo, engine, hostile
from grader.classroom import Classroom
from grader.exchange import archive
from grader.exchange.archive import opened
from grader.exchange.entries import Budget, Refused
from grader.exchange.whose import safe_id
from grader.exercise import Exercise, case
from grader.lateness import _timestamp
from grader.pages.sanitize import OWN, clean
from grader.plain import grade_plain
from grader.reading import Unreadable
from grader.scores import _report
from grader.units import Unit
from halfbits.checking.codec import NotPlain, decode, encode
from halfbits.checking.differences import as_text
from halfbits.checking.judge import MAX_NAMES, judge, parts
from halfbits.checking.observe import Observation
from halfbits.checking.report import Report
from halfbits.quizzes.answers import parse_answers
from halfbits.typed import parse

UNIT = Unit(hostile.FOLDER / "97_hostile")
REFUSED = "would unpack to too much in all: ask for fewer files"


def tensor(shape: list, content: bytes = b"", dtype: str = "float32") -> dict:
    fields = {"dtype": dtype, "shape": shape, "bytes": base64.b64encode(content).decode()}
    return {"tensor": fields}


def test_a_number_of_a_million_digits_is_none_at_once():
    for text in ("1" * 900_000 + "x", "1+" * 400_000, " " * 10**6 + "-"):
        with pytest.raises(ValueError, match="too long for a number"):
            parse(text)
    assert parse(" 2^-24 ") == 2**-24


@pytest.mark.parametrize("text", ["11+" * 66 + "x", "1.5*" * 49 + "-", "12" * 99 + "x"])
def test_a_text_is_matched_in_one_way_only(text):
    """Two ways for each of 66 numbers were 2⁶⁶ in all: this test would not end."""
    with pytest.raises(ValueError, match="is not a number"):
        parse(text)


def test_exponents_are_added_up_before_anything_is_raised_to_them():
    with pytest.raises(ValueError, match="too large to compute with"):
        parse("*".join(["999^9999"] * 22))
    assert parse("2^-9999*2^9999") == 1 == parse("1e9999/1e9999")


@pytest.mark.parametrize(
    "shape", [[10**9, 0], [0, 10**7], [10**4000] * 400, [1] * 65, [1000, 1001, 0, 1], [-1], [True]]
)
def test_a_shape_that_no_answer_has_is_refused_before_anything_is_made_of_it(shape):
    with pytest.raises(ValueError, match="dtype or shape is none"):
        decode(tensor(shape))


@pytest.mark.parametrize(
    "data", [10**4000, {"floats": "A" * 12_000_000}, {"integers": "A" * 12_000_000}]
)
def test_numbers_that_no_answer_has_are_refused(data):
    with pytest.raises(ValueError, match="longer than any answer's"):
        decode(data)


def test_empty_tensors_stay_what_they_are():
    for shape in ((0,), (3, 0), (0, 2, 2)):
        empty = torch.empty(shape)
        assert decode(encode(empty)).shape == shape
    assert as_text(torch.empty(1000, 0)) == "tensor([], float32, 1000 × 0 values)"
    assert as_text(torch.empty(0)) == "tensor([], float32)"
    with pytest.raises(NotPlain, match="shape is 1000000000 × 0"):
        encode(torch.empty(10**9, 0))


def test_a_range_is_as_long_as_an_answer_may_be():
    assert decode(encode(range(5, 1, -2))) == range(5, 1, -2)
    assert decode(encode(range(0, -(10**12)))) == range(0)
    for fields in ([0, 10**18, 1], [0, 10**30, 1], [0, 1, 0], [0, 10**4000, 10**3999]):
        with pytest.raises(ValueError):
            decode({"range": fields})
    with pytest.raises(NotPlain, match="items"):
        encode(range(10**12))
    with pytest.raises(NotPlain, match="huge numbers"):
        encode(range(0, 1, 10**4000))


def test_parts_are_named_no_longer_than_anybody_reads():
    value = {"dict": [["a", {"dict": [["b", 1], ["c", 2]]}], ["d", 3]]}
    assert list(parts(value).items()) == [("a.b", 1), ("a.c", 2), ("d", 3)]
    long = {"dict": [["k" * 12_000, {"dict": [[n, 0] for n in range(3000)]}]]}
    with pytest.raises(ValueError, match="too many parts"):
        parts(long)
    fits = {"dict": [[f"{n}", 0] for n in range(1000)]}
    assert len(parts(fits)) == 1000 and sum(map(len, parts(fits))) < MAX_NAMES


def test_a_report_of_a_short_answer_is_short():
    """Names stood once for each entry below them, and once more in each row to fill its column."""
    one = Exercise("f", points=(1, 1))
    one.reference(lambda x: {"a": x})
    one.visible(case(1), case(2))
    spec = one.visible_spec
    key, words = "k" * 2000, "; ".join("w" * 50 for _ in range(500))
    extra = [[f"{n}", n] for n in range(4)] + [["n" * 3000, 0], ["w", words]]
    answers = [
        {"dict": [["a", 1], *extra, [key, {"dict": [["x", 0]]}]]},
        {"dict": [["a", 2], *([f"{n}", n] for n in range(2000))]},
    ]
    for seen in ([Observation(one) for one in answers], [Observation(problem="p" * 10**6)] * 2):
        report = Report("f", judge(spec, seen))
        assert not report.passed
        assert sum(len(text) for text in report._repr_mimebundle_().values()) < 100_000
    none = "what came back is not what a function returns"
    many = {"observations": [[{"dict": [["k" * 9000, {"dict": [["a", 0], ["b", 0]]}]]}, None]] * 2}
    assert _report(spec, {"state": "observed"} | many, "").defect == none
    odd = {"observations": [[tensor([], b"0", "quint8"), None]] * 2}  # torch's RuntimeError
    assert _report(spec, {"state": "observed"} | odd, "").defect == none


@pytest.mark.parametrize(
    "text", ["24:00" + "9" * 32 + "J10:00:00", "\x00", "9" * 199, "1" * 201, "soon"]
)
def test_a_timestamp_that_is_none_raises_nothing(tmp_path, text):
    (tmp_path / "timestamp.txt").write_text(text)
    assert _timestamp(tmp_path) is None


def test_answers_may_begin_with_a_mark():
    text = json.dumps({"unit": "01", "answers": {"limits": "a"}})
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):  # utf-16 writes one
        assert parse_answers(text.encode(encoding), "01") == {"limits": "a"}


def test_nothing_of_a_student_s_has_a_name_that_others_have():
    text = (
        '<div class="nbgrader_cell hb-report"><div class="full-credit" name="a" data-x="b">'
        '<svg id="limits-hidden"><clipPath id="c"></clipPath><path clip-path="url(#c)"/>'
        '<rect style="fill:url(#c)"/><use href="#c"/></svg></div></div><a href="#c" id="d">x</a>'
    )
    cleaned = clean(text)
    assert "nbgrader_cell" not in cleaned and "full-credit" not in cleaned
    assert 'class="hb-report"' in cleaned and "name=" not in cleaned and "data-x" not in cleaned
    assert cleaned.count("id=") == 2 == cleaned.count(f'id="{OWN}')
    assert cleaned.count("#") == 4 == cleaned.count(f"#{OWN}")  # and all references go along


# Zips.


def outer(tmp_path, **students: bytes):
    path = tmp_path / "class.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in students.items():
            archive.writestr(f"{name}/work.zip", content)
    return path


def packed(size: int = 10, method: int = zipfile.ZIP_DEFLATED, count: int = 1) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", method) as archive:
        for number in range(count):
            archive.writestr(f"{number}.ipynb", b"{}" * size)
    return found.getvalue()


def read_all(path) -> dict[str, list]:
    found: dict[str, list] = {}
    with opened(path) as items:
        for item in items:
            if isinstance(item, Refused):
                found.setdefault(item.parts[0], []).append(item.reason)
                continue
            try:
                found.setdefault(item.parts[0], []).append(len(item.read(20 << 20)))
            except Unreadable as problem:
                found.setdefault(item.parts[0], []).append(str(problem))
    return found


def test_a_zip_that_claims_to_be_huge_costs_its_author_alone(tmp_path):
    bomb = bytearray(packed(2000, count=450))
    place = bomb.find(b"PK\x01\x02")
    while place >= 0:  # the table of contents: each claims twenty million bytes, packed to 50,000
        bomb[place + 20 : place + 28] = struct.pack("<II", 50_000, 20 << 20)
        place = bomb.find(b"PK\x01\x02", place + 4)
    found = read_all(outer(tmp_path, aaa=bytes(bomb), bbb=packed()))
    assert found["bbb"] == [20]
    assert found["aaa"] == [4000] * 450  # what is really there counts, and is taken


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_what_cannot_be_unpacked_bit_by_bit_is_not_unpacked(tmp_path, method):
    found = read_all(outer(tmp_path, aaa=packed(method=method), bbb=packed()))
    assert found == {"aaa": ["is packed in an unusual way: ask for an ordinary zip"], "bbb": [20]}


def test_what_a_zip_really_unpacks_to_is_counted_for_its_author(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_STUDENTS_TOTAL", 100_000)
    found = read_all(outer(tmp_path, aaa=packed(20_000, count=4), bbb=packed(20_000)))
    assert found["aaa"] == [40_000] * 2 + [REFUSED] * 2 and found["bbb"] == [40_000]
    around = Budget(100)
    with pytest.raises(Unreadable, match="collect the class in parts"):
        Budget(1000, around).spend(101)


def test_a_name_longer_than_a_disk_takes_costs_its_author_alone(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        for name in ("-" * 60_000, "語" * 80):
            made.writestr(f"{name}.ipynb", b"{}")
    found = read_all(outer(tmp_path, aaa=content.getvalue(), bbb=packed()))
    assert found["bbb"] == [20]
    assert sorted(map(str, found["aaa"])) == ["2", "has a name longer than a file's can be"]
    assert len(safe_id("🙂a" * 90).encode()) <= 240


# A link.


def test_a_link_to_somebody_else_s_work_is_refused_and_others_are_graded(tmp_path):
    classroom = Classroom(tmp_path / "class")
    release = classroom.prepare(UNIT)
    perfect = demo.packed_class(UNIT)[0]
    for name in ("ada", "eve"):
        demo.submit(classroom, UNIT, demo.renamed(perfect, name), release)
    eve = classroom.path("submitted", "eve", UNIT)
    eve.rename(tmp_path / "away")
    eve.symlink_to(classroom.path("submitted", "ada", UNIT))
    results = {r.student: r for r in engine.grade(classroom, [("ada", UNIT), ("eve", UNIT)])}
    assert results["ada"].score == 7
    assert results["eve"].score == 0 and "is a link" in results["eve"].needs
    said = next(grade_plain(classroom, [("eve", UNIT)])).needs
    assert said.startswith(f"{UNIT.name} is a link: put the files themselves there")
