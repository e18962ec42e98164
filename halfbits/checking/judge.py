"""Judge observations: compare plain data with what was expected, and name the misconception.

A *spec* is what an exercise's definition becomes when the course is built: plain data with

``exercise``
    name of the function that the student writes;
``unit``
    how values and differences are shown: ``"value"``, or the name of a format whose bit patterns
    the answers are, such as ``"fp16"``;
``compare``
    the rule by which outputs agree, see :mod:`halfbits.checking.compare`;
``driven``
    whether the unit's ``drivers.py`` observes the function in a way of its own;
``hidden``
    whether students must not see inputs and expected values;
``cases``
    each with ``kind``, ``call`` (as a student would type it), ``args`` and ``expected``. Hidden
    cases under the exact rule are *sealed*: digests tell whether an output is right, but not what
    is. A tolerance needs the value itself;
``hints``
    for each known wrong answer ``says``, and ``outputs``: what it gives, by case and part, wherever
    that is wrong; digests under the exact rule.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from halfbits.checking.codec import items, length
from halfbits.checking.compare import EXACT, agree
from halfbits.checking.differences import MISSING, Said, cut, difference, show
from halfbits.checking.observe import Observation

MAX_NAMES = 10_000  # characters of all names of one answer's parts together
MAX_EXTRA = 50  # parts that nobody asked for and that a report shows, of each case
LONGEST = 500  # characters of one cell of a report


@dataclass(frozen=True)
class Row:
    """One comparison: a case, or one entry of a case whose answer is a dict.

    ``call`` ends in ``part``: how the entry is asked for, ``"['max']"``, or named, ``": sum"``.
    """

    kind: str
    call: str
    expected: str
    got: str
    difference: str
    passed: bool
    part: str = ""


@dataclass(frozen=True)
class Verdict:
    """The rows of every case, and the sentence of the wrong answer that the outputs match."""

    rows: tuple[Row, ...]
    hint: str | None = None

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    def failures_by_kind(self) -> dict[str, tuple[int, int]]:
        """Failed and total comparisons of each kind of case, in the order of the cases."""
        total = Counter(row.kind for row in self.rows)
        failed = Counter(row.kind for row in self.rows if not row.passed)
        return {kind: (failed[kind], count) for kind, count in total.items()}


def judge(spec: dict, observations: Sequence[Observation]) -> Verdict:
    """Compare each observation with its case's expected output, by the spec's rule.

    Under the exact rule two outputs agree when their encodings do: same types, floats equal bit for
    bit except that NaN equals NaN. So −0.0 is not 0.0, and the integer 65504 is not the float
    65504.0.
    """
    compared = _compare_all(spec, observations)
    rows = [
        _row(spec, case, part, seen.problem)
        for case, seen, found in zip(spec["cases"], observations, compared, strict=True)
        for part in found
    ]
    return Verdict(tuple(rows), _best_hint(spec, _wrong_parts(compared)))


def wrong_outputs(spec: dict, observations: Sequence[Observation]) -> dict[str, Any]:
    """The outputs that differ from what is expected, by case and part, as ``hints`` hold them."""
    wrong = _wrong_parts(_compare_all(spec, observations))
    return {name: digest(got) for name, got in wrong.items()} if _is_exact(spec) else wrong


def _compare_all(spec: dict, observations: Sequence[Observation]) -> list[list[_Part]]:
    """For each case its comparisons."""
    cases = zip(spec["cases"], observations, strict=True)
    return [list(_compare(spec, case, seen)) for case, seen in cases]


def _wrong_parts(compared: list[list[_Part]]) -> dict[str, Any]:
    """What came instead of what was expected, by case and part."""
    return {
        f"{number}/{part.name}": part.got
        for number, found in enumerate(compared)
        for part in found
        if not part.passed and part.got is not MISSING
    }


def _is_exact(spec: dict) -> bool:
    return spec["compare"] == EXACT


def seal(encoded: Any) -> Any:
    """Replace an expected output by digests of its parts."""
    if isinstance(encoded, dict) and "dict" in encoded:
        return {"dict": [[key, seal(value)] for key, value in encoded["dict"]]}
    return {"digest": digest(encoded)}


def digest(encoded: Any) -> str:
    """A short fingerprint of an encoded output."""
    return hashlib.sha256(json.dumps(encoded).encode()).hexdigest()[:16]


def parts(encoded: Any) -> dict[str, Any]:
    """Split a dict's encoding into named parts (``"float16.max"``); other data is one part.

    Raises
    ------
    ValueError
        If their names are longer together than anybody reads: each repeats those above it.
    """
    found: dict[str, Any] = {}
    left, long = [("", encoded)], 0
    while left:
        name, value = left.pop()
        if not (isinstance(value, dict) and "dict" in value):
            found[name] = value
            continue
        for key, inner in reversed(value["dict"]):
            long += len(name) + len(str(key)) + 1
            if long > MAX_NAMES:
                raise ValueError("what came back has too many parts, or too long names for them")
            left.append((f"{name}.{key}".lstrip("."), inner))
    return found


@dataclass(frozen=True)
class _Part:
    """One comparison: what was expected and what came, encoded or MISSING."""

    name: str
    expected: Any
    got: Any
    passed: bool


def _compare(spec: dict, case: dict, seen: Observation) -> Iterator[_Part]:
    expected = parts(case["expected"])
    got = {} if seen.problem else parts(seen.output)
    if seen.problem or not expected.keys() & got.keys():  # nothing to compare part by part
        whole = MISSING if seen.problem else seen.output
        yield _Part("", case["expected"], whole, _agree(spec, case["expected"], whole))
        return
    extra = [name for name in got if name not in expected]
    for name in [*expected, *extra[:MAX_EXTRA]]:
        want, have = expected.get(name, MISSING), got.get(name, MISSING)
        yield _Part(name, want, have, _agree(spec, want, have))


def _agree(spec: dict, expected: Any, got: Any) -> bool:
    if MISSING in (expected, got):
        return False
    if spec["hidden"] and _is_exact(spec):
        return seal(got) == expected
    return agree(expected, got, spec["compare"])


def _best_hint(spec: dict, wrong: dict[str, Any]) -> str | None:
    """The sentence of the wrong answer whose mistakes are all here; of several, the one with most.

    More may be wrong than that: one misconception is named even beside another mistake.
    """

    def is_here(name: str, output: Any) -> bool:
        if name not in wrong:
            return False
        if _is_exact(spec):
            return marks[name] == output
        return agree(output, wrong[name], spec["compare"])

    marks = {name: digest(got) for name, got in wrong.items()} if _is_exact(spec) else {}

    found = [h for h in spec["hints"] if all(is_here(*item) for item in h["outputs"].items())]
    best = max(found, key=lambda hint: len(hint["outputs"]), default=None)
    return best["says"] if best else None


def _row(spec: dict, case: dict, part: _Part, problem: str | None) -> Row:
    suffix = _suffix(spec, part.name)
    call, expected, got = case["call"] + suffix, part.expected, part.got
    unit, hidden = spec["unit"], spec["hidden"]
    if case["sweep"] and not problem:
        call, expected, got = _one_of_sweep(spec, call, expected, got)
    none = cut(f"no {part.name}", LONGEST) if expected is MISSING else None
    return Row(
        kind=case["kind"],
        call=call,
        expected="hidden" if hidden else none or show(expected, unit),
        got=cut(problem, LONGEST) if problem else show(got, unit),
        difference="" if problem or hidden else cut(_told(spec, expected, got, part), LONGEST),
        passed=part.passed,
        part=suffix,
    )


def _told(spec: dict, expected: Any, got: Any, part: _Part) -> str:
    """What a row says of the difference; one within the tolerance is said to be that."""
    if part.passed:
        return "" if _is_exact(spec) or expected == got else "near enough"
    if got is None and not part.name:
        return "None: does every branch return a value?"
    return difference(expected, got, spec["unit"], spec["compare"])


def _suffix(spec: dict, name: str) -> str:
    """How a part is asked for: of a dict by its keys, of what a driver observed by its name."""
    if spec["driven"]:
        return cut(f": {name}", LONGEST) if name else ""
    return cut("".join(f"[{key!r}]" for key in name.split(".") if key), LONGEST)


def _one_of_sweep(spec: dict, call: str, expected: Any, got: Any) -> tuple[str, Any, Any]:
    """What a row shows of a sweep: the first item that disagrees, else how many there are."""
    count = Said(f"{length(got):,} values")
    if spec["hidden"]:
        return call, expected, count
    for number, (want, have) in enumerate(zip(items(expected), items(got), strict=True)):
        if not agree(want, have, spec["compare"]):
            return f"{call}, item {number}", want, have
    return call, count, count
