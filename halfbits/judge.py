"""Judge observations: compare plain data with what was expected, and name the misconception.

A *spec* is what an exercise's definition becomes when the course is built: plain data with

``exercise``
    name of the function that the student writes;
``unit``
    how values and differences are shown: ``"value"``, or the name of a format whose bit patterns
    the answers are, such as ``"fp16"``;
``cases``
    each with ``kind``, ``call`` (as a student would type it), ``args`` and ``expected``, which in
    hidden cases is *sealed*: digests that tell whether an output is right, but not what is;
``hints``
    for each known wrong answer ``says``, and ``outputs``: digests of what it gives, by case and
    part, wherever that is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from halfbits.formats import get_format
from halfbits.observe import Observation, decode


@dataclass(frozen=True)
class Row:
    """One comparison: a case, or one entry of a case whose answer is a dict."""

    kind: str
    call: str
    expected: str
    got: str
    difference: str
    passed: bool


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
    """Compare each observation with its case's expected output.

    Two outputs agree when their encodings do: same types, floats equal bit for bit except that
    NaN equals NaN. So −0.0 is not 0.0, and the integer 65504 is not the float 65504.0.
    """
    rows = [
        _row(spec["unit"], case, name, expected, got, seen.problem, passed)
        for case, seen in zip(spec["cases"], observations, strict=True)
        for name, expected, got, passed in _compare(case, seen)
    ]
    return Verdict(tuple(rows), _best_hint(spec["hints"], wrong_outputs(spec, observations)))


def wrong_outputs(spec: dict, observations: Sequence[Observation]) -> dict[str, str]:
    """Digests of the outputs that differ from what is expected, by case and part."""
    return {
        f"{number}/{name}": digest(got)
        for number, (case, seen) in enumerate(zip(spec["cases"], observations, strict=True))
        for name, _, got, passed in _compare(case, seen)
        if not passed and got is not MISSING
    }


def seal(encoded: Any) -> Any:
    """Replace an expected output by digests of its parts."""
    if isinstance(encoded, dict) and "dict" in encoded:
        return {"dict": [[key, seal(value)] for key, value in encoded["dict"]]}
    return {"digest": digest(encoded)}


def digest(encoded: Any) -> str:
    """A short fingerprint of an encoded output."""
    return hashlib.sha256(json.dumps(encoded).encode()).hexdigest()[:16]


MISSING = object()
LONGEST = 80  # characters of a value that a report shows


def parts(encoded: Any, name: str = "") -> dict[str, Any]:
    """Split a dict's encoding into named parts (``"float16.max"``); other data is one part."""
    if not (isinstance(encoded, dict) and "dict" in encoded):
        return {name: encoded}
    found: dict[str, Any] = {}
    for key, value in encoded["dict"]:
        found |= parts(value, f"{name}.{key}".lstrip("."))
    return found


def _compare(case: dict, seen: Observation) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield part name, expected, got (or MISSING), and whether they agree."""
    expected = parts(case["expected"])
    got = {} if seen.problem else parts(seen.output)
    if seen.problem or not expected.keys() & got.keys():  # nothing to compare part by part
        whole = MISSING if seen.problem else seen.output
        yield "", case["expected"], whole, _agree(case["expected"], whole)
        return
    for name in [*expected, *(extra for extra in got if extra not in expected)]:
        want, have = expected.get(name, MISSING), got.get(name, MISSING)
        yield name, want, have, _agree(want, have)


def _agree(expected: Any, got: Any) -> bool:
    if MISSING in (expected, got):
        return False
    return seal(got) == expected if _sealed(expected) else got == expected


def _sealed(expected: Any) -> bool:
    return isinstance(expected, dict) and "digest" in expected


def _best_hint(hints: Sequence[dict], wrong: dict[str, str]) -> str | None:
    """The sentence of the wrong answer whose mistakes are all here; of several, the one with most.

    More may be wrong than that: one misconception is named even beside another mistake.
    """
    found = [hint for hint in hints if hint["outputs"].items() <= wrong.items()]
    best = max(found, key=lambda hint: len(hint["outputs"]), default=None)
    return best["says"] if best else None


def _row(
    unit: str, case: dict, name: str, expected: Any, got: Any, problem: str | None, passed: bool
) -> Row:
    call = case["call"] + "".join(f"[{key!r}]" for key in name.split(".") if key)
    if case["sweep"] and not problem:
        call, expected, got = _one_of_sweep(call, expected, got)
    sealed = _sealed(expected)
    return Row(
        kind=case["kind"],
        call=call,
        expected="hidden" if sealed else show(expected, unit),
        got=problem or show(got, unit),
        difference="" if passed or problem or sealed else difference(expected, got, unit),
        passed=passed,
    )


def _one_of_sweep(call: str, expected: Any, got: Any) -> tuple[str, Any, Any]:
    """What a row shows of a sweep: the first item that differs, else how many there are."""
    if not _sealed(expected):
        for number, (want, have) in enumerate(zip(expected, got, strict=True)):
            if want != have:
                return f"{call}, item {number}", want, have
    return call, expected if _sealed(expected) else f"{len(got)} values", f"{len(got)} values"


def show(encoded: Any, unit: str = "value") -> str:
    """A value as a report prints it: bit patterns by their fields, everything else by repr."""
    if encoded is MISSING:
        return "nothing"
    value = decode(encoded)
    if unit != "value" and type(value) is int:
        form = get_format(unit)
        return form.bit_string(value) if 0 <= value < 2**form.bits else repr(value)
    text = repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def difference(expected: Any, got: Any, unit: str = "value") -> str:
    """How far ``got`` is from ``expected``, in the unit that tells most: ulps, bits, a factor."""
    if MISSING in (expected, got):
        return "missing" if got is MISSING else "not asked for"
    want, have = decode(expected), decode(got)
    if have is None:
        return "None: does every branch return a value?"
    if type(want) is not type(have):
        return f"{_a(have)}, where {_a(want)} is asked for"
    if unit != "value" and type(want) is int:
        return _pattern_difference(want, have, unit)
    if isinstance(want, float):
        return _float_difference(want, have)
    return "different"


def _a(value: Any) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _pattern_difference(want: int, have: int, unit: str) -> str:
    form = get_format(unit)
    flipped = (want ^ have).bit_count()
    bits = f"{flipped} bit{'s' if flipped > 1 else ''} differ{'' if flipped > 1 else 's'}"
    if not 0 <= have < 2**form.bits:
        return f"not a {form.bits}-bit pattern"
    if form.fields(want).sign != form.fields(have).sign:
        return f"{bits}, the sign among them"
    if "nan" in (form.kind(want), form.kind(have)):
        return bits
    step = have - want
    return f"{abs(step)} ulp too {'large' if step > 0 else 'small'}; {bits}"


def _float_difference(want: float, have: float) -> str:
    if math.isnan(want) or math.isnan(have) or math.isinf(have):
        return f"{_kind(have)}, should be {_kind(want)}"
    if want == -have:
        return "the sign"
    if 0 in (want, have) or math.isinf(want):
        return f"{_kind(have)}, should be {_kind(want)}"
    ratio = have / want
    if ratio < 0:
        return f"the sign; × {-ratio:.6g}"
    relative = abs(ratio - 1)
    return f"× {ratio:.6g}" if relative >= 1e-5 else f"off by {relative:.1e} of it"


def _kind(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinite"
    return "zero" if value == 0 else "not zero"
