"""What students send is looked at before anything is computed from it, and costs them alone."""

import base64
import contextlib
import io
import json
import lzma
import os
import struct
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import demo, engine, hostile
from grader.classroom import Classroom
from grader.exchange.archive import opened
from grader.exchange.entries import Refused
from grader.lateness import _timestamp
from grader.pages.sanitize import OWN, clean
from grader.reading import Unreadable
from grader.units import Unit
from halfbits.checking.codec import NotPlain, decode, encode
from halfbits.checking.differences import as_text
from halfbits.checking.judge import MAX_NAMES, parts
from halfbits.quizzes.answers import Damaged, parse_answers
from halfbits.typed import parse

UNIT = Unit(hostile.FOLDER / "97_hostile")
EXAMPLES = int(os.environ.get("HALFBITS_FUZZ", "150"))
bounded = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["dict", "tensor", "tuple", "float", "range", "dtype", "x"]),
                      inner, max_size=3),
    max_leaves=20,
)  # fmt: skip


def tensor(shape: list, content: bytes = b"", dtype: str = "float32") -> dict:
    fields = {"dtype": dtype, "shape": shape, "bytes": base64.b64encode(content).decode()}
    return {"tensor": fields}


def test_a_number_of_a_million_digits_is_none_at_once():
    for text in ("1" * 900_000 + "x", "1+" * 400_000, " " * 10**6 + "-"):
        with pytest.raises(ValueError, match="too long for a number"):
            parse(text)
    assert parse(" 2^-24 ") == 2**-24


@pytest.mark.parametrize(
    "shape", [[10**9, 0], [0, 10**7], [10**4000] * 400, [1] * 65, [1000, 1001, 0, 1], [-1], [True]]
)
def test_a_shape_that_no_answer_has_is_refused_before_anything_is_made_of_it(shape):
    with pytest.raises(ValueError, match="dtype or shape is none"):
        decode(tensor(shape))


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
    for fields in ([0, 10**18, 1], [0, 1, 0], [0, 10**4000, 10**3999]):
        with pytest.raises(ValueError):
            decode({"range": fields})
    with pytest.raises(NotPlain, match="items"):
        encode(range(10**12))


def test_parts_are_named_no_longer_than_anybody_reads():
    value = {"dict": [["a", {"dict": [["b", 1], ["c", 2]]}], ["d", 3]]}
    assert list(parts(value).items()) == [("a.b", 1), ("a.c", 2), ("d", 3)]
    long = {"dict": [["k" * 12_000, {"dict": [[n, 0] for n in range(3000)]}]]}
    with pytest.raises(ValueError, match="too many parts"):
        parts(long)
    fits = {"dict": [[f"{n}", 0] for n in range(1000)]}
    assert len(parts(fits)) == 1000 and sum(map(len, parts(fits))) < MAX_NAMES


@pytest.mark.parametrize("text", ["24:00" + "9" * 32 + "J10:00:00", "\x00", "9" * 999, "soon"])
def test_a_timestamp_that_is_none_raises_nothing(tmp_path, text):
    (tmp_path / "timestamp.txt").write_text(text)
    assert _timestamp(tmp_path) is None


def test_answers_may_begin_with_a_mark():
    text = json.dumps({"unit": "01", "answers": {"limits": "a"}})
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
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
    assert len(found["aaa"]) == 450
    assert sum("would unpack to too much" in str(each) for each in found["aaa"]) == 445


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@given(data=st.data())
@settings(bounded, max_examples=EXAMPLES // 3)
def test_a_damaged_zip_costs_its_author_alone(tmp_path_factory, method, data):
    content = bytearray(packed(500, method))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = read_all(outer(tmp_path_factory.mktemp("zip"), aaa=bytes(content), bbb=packed()))
    assert found["bbb"] == [20]


def test_lzma_errors_are_among_what_is_foreseen():
    from grader.exchange.entries import DAMAGED

    assert issubclass(lzma.LZMAError, DAMAGED)


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


# Anything.


@given(PLAIN)
@bounded
def test_whatever_comes_back_is_decoded_or_refused(data):
    try:
        decode(data)
        parts(data)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        pass  # what grader.scores foresees


@given(st.binary(max_size=200) | PLAIN.map(lambda data: json.dumps(data).encode()))
@bounded
def test_whatever_answers_say_they_are_read_or_damaged(content):
    with contextlib.suppress(Damaged):
        parse_answers(content, "01")


@given(st.text(max_size=60) | st.from_regex(r"[0-9T:J. +-]{1,40}", fullmatch=True))
@bounded
def test_whatever_a_timestamp_says_nothing_is_raised(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("when")
    (folder / "timestamp.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    _timestamp(folder)
