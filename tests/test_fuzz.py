"""Whatever is sent, what reads it says one of the few things that it is documented to say.

``HALFBITS_FUZZ=20000 pytest tests/test_fuzz.py`` tries that many instead of some hundred.
"""

import base64
import contextlib
import encodings.aliases
import io
import json
import os
import zipfile

from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import OKPKey

from grader.awards.verify import verify
from grader.exchange.archive import opened
from grader.exchange.entries import Item
from grader.exercise import Exercise, case, sweep
from grader.lateness import MAX_TIMESTAMP, TIMESTAMP, _timestamp
from grader.reading import MAX_NOTEBOOK, Unreadable
from grader.scores import _report
from halfbits.checking.codec import decode, encode
from halfbits.checking.compare import EXACT, within_ulps
from halfbits.quizzes.answers import Damaged, parse_answers
from halfbits.quizzes.questions import mark_quiz
from halfbits.typed import parse

EXAMPLES = int(os.environ.get("HALFBITS_FUZZ", "200"))
FORESEEN = ValueError, TypeError, OverflowError, RuntimeError  # by grader.scores
LONGEST = 100_000  # characters of a report of an answer of a few hundred

fuzzed = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None)

KINDS = ["float", "floats", "integers", "dtype", "range", "tensor", "tuple", "dict"]
WORDS = st.sampled_from(["0x1p+0", "nan", "AAAAAAAA8D8=", "float32", "cpu", "1/3", "2^-24", "inf"])
NUMBERS = st.from_regex(r"([0-9]{0,3}[-+*/^.e ]{1,2}){0,60}[0-9x]", fullmatch=True)
BYTES = st.integers(0, 255)
ENCODINGS = sorted({*encodings.aliases.aliases, *encodings.aliases.aliases.values(), "idna"})
KEY = OKPKey.generate_key("Ed25519")
OPTIONS = [{"id": letter, "right": letter == "a", "feedback": {}} for letter in "abc"]
QUIZ = {
    "questions": [
        {"id": "one", "kind": "one", "points": 1, "options": OPTIONS},
        {"id": "many", "kind": "several", "points": 1, "options": OPTIONS},
        {"id": "size", "kind": "number", "points": 1, "answers": ["2^-24"], "tolerance": "1e-9"}
        | {"feedback": {}, "wrong": [{"below": "0", "feedback": {}}, {"feedback": {}}]},
    ]
}
SIZES = st.integers(-1, 5) | st.sampled_from([10**6, 10**9, 10**4000])
TENSORS = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["float32", "bfloat16", "bool", "complex64", "quint8", "nn"]),
        "shape": st.lists(SIZES, max_size=4),
        "bytes": st.binary(max_size=16).map(lambda raw: base64.b64encode(raw).decode()),
    }
)
LEAVES = st.none() | st.booleans() | SIZES | st.floats() | WORDS | st.text(max_size=9)
ANY = st.recursive(
    LEAVES | TENSORS.map(lambda fields: {"tensor": fields}),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(st.tuples(WORDS, inner).map(list), max_size=3).map(lambda pairs: {"dict": pairs})
        | st.dictionaries(st.sampled_from(KINDS) | st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=12,
)


def written(data: object) -> bytes:
    return json.dumps(data).encode()


def specs() -> list[dict]:
    """Of exercises by either rule, visible and hidden; the answer of one has parts."""
    found = []
    for rule in (EXACT, within_ulps(1, why="")):
        one = Exercise("f", (1, 1), compare=rule)
        one.reference(lambda x: {"a": x, "b": {"c": [float(x)] * 20}})
        one.visible(case(1), case(2))
        one.hidden("all", case(3), sweep([1, 2, 3]))
        found += [one.visible_spec, one.hidden_spec]
    return found


SPECS = specs()


@given(ANY)
@fuzzed
def test_what_is_decoded_can_be_encoded(data):
    with contextlib.suppress(*FORESEEN):
        encode(decode(data))


@given(st.sampled_from(SPECS), ANY, st.none() | st.text(max_size=9))
@fuzzed
def test_whatever_is_observed_becomes_a_report_of_bounded_length(spec, output, problem):
    frame = {"state": "observed", "observations": [[output, problem]] * len(spec["cases"])}
    report = _report(spec, frame, "")
    assert not report.passed
    assert sum(len(str(shown)) for shown in report._repr_mimebundle_().values()) < LONGEST


@given(st.binary(max_size=99) | ANY.map(written))
@fuzzed
def test_answers_are_read_or_damaged(content):
    with contextlib.suppress(Damaged):
        assert isinstance(parse_answers(content, "01"), dict)


@given(st.dictionaries(st.sampled_from(["one", "many", "size"]), ANY | NUMBERS))
@fuzzed
def test_answers_are_marked_whatever_they_are(answers):
    found = parse_answers(written({"unit": "01", "answers": answers}), "01")
    assert len(mark_quiz(QUIZ, found)) == 3


@given(NUMBERS)
@fuzzed
def test_a_typed_number_is_one_or_is_told_to_be_none(text):
    with contextlib.suppress(ValueError):
        parse(text)


@given(st.text(max_size=MAX_TIMESTAMP) | st.from_regex(r"[0-9T:J.,WZ+ -]{1,60}", fullmatch=True))
@fuzzed
def test_a_timestamp_is_a_time_or_nothing(tmp_path_factory, text):
    folder = tmp_path_factory.getbasetemp()
    (folder / TIMESTAMP).write_bytes(text.encode("utf-8", "surrogatepass"))
    found = _timestamp(folder)
    assert found is None or found.tzinfo is None


def packed(method: int) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as made:
        for name in ("00.ipynb", "answers.json"):
            made.writestr(name, b"{}" * 500)
    return content.getvalue()


ZIPS = [packed(method) for method in (0, 8, 12, 14)]  # stored, deflated, bzip2, LZMA


@given(st.sampled_from(ZIPS), st.lists(st.tuples(st.integers(0), BYTES), min_size=1, max_size=4))
@fuzzed
def test_a_damaged_zip_costs_its_author_alone(tmp_path_factory, content, damages):
    damaged = bytearray(content)
    for place, value in damages:
        damaged[place % len(damaged)] = value
    path = tmp_path_factory.getbasetemp() / "class.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("ada/work.zip", bytes(damaged))
        made.writestr("bob/00.ipynb", b"{}")
    with opened(path) as found:
        for item in found:
            if isinstance(item, Item):
                with contextlib.suppress(Unreadable):
                    assert len(item.read(MAX_NOTEBOOK)) <= MAX_NOTEBOOK
        assert found[-1].parts == ("bob", "00.ipynb") and found[-1].read(9) == b"{}"


@given(st.binary(max_size=2000) | st.sampled_from(ZIPS))
@fuzzed
def test_a_class_s_zip_is_one_or_is_told_to_be_none(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "class.zip"
    path.write_bytes(content[: len(content) - len(content) % 7])
    with contextlib.suppress(Unreadable), opened(path) as found:
        assert isinstance(found, list)


@given(st.sampled_from(ENCODINGS) | st.text(st.characters(codec="ascii"), max_size=12))
@fuzzed
def test_a_picture_in_any_encoding_is_no_badge(encoding):
    content = f'<?xml version="1.0" encoding="{encoding}"?><svg/>'.encode()
    assert verify(content, KEY).text.startswith("not a badge: ")
