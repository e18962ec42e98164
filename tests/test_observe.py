"""The codec loses nothing, refuses what is not plain, and observing never raises."""

import contextlib
import json
import math
import signal
import struct
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from halfbits.checking import observe as observing
from halfbits.checking.codec import NotPlain, decode, encode, items, length
from halfbits.checking.observe import NotAttempted, observe

scalars = st.none() | st.booleans() | st.integers() | st.text() | st.floats()
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(plain)
def test_plain_data_survive_with_types_and_bits(value):
    through_json = json.loads(json.dumps(encode(value)))
    back = decode(through_json)
    assert repr(back) == repr(
        value
    )  # repr tells −0.0 from 0.0, 1 from 1.0 and True, and NaN is NaN


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int8, torch.bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4)])
def test_tensors_keep_dtype_shape_and_bytes(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    back = decode(json.loads(json.dumps(encode(tensor))))
    assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)


def test_numpy_numbers_are_numbers():
    assert encode(np.float32(0.5)) == encode(0.5)
    assert encode(np.int64(3)) == encode(3)


def test_a_long_list_of_floats_is_one_short_piece():
    values = [0.0, -0.0, math.inf, -math.inf, 5e-324, 0.1, *map(float, range(100))]
    packed = encode(values)
    assert list(map(str, decode(packed))) == list(map(str, values))
    assert packed == encode([np.float64(value) for value in values])
    assert len(json.dumps(packed)) < len(json.dumps(items(packed))) / 2
    assert items(packed) == [encode(value) for value in values]
    assert encode([*values, struct.unpack("d", b"\1" * 6 + b"\xf8\x7f")[0]]) == encode(
        [*values, math.nan]
    )
    assert items(encode([*values, 1])) == [encode(value) for value in [*values, 1]]


def test_a_long_list_of_integers_is_one_short_piece():
    values = [-(2**63), 2**63 - 1, 0, -1, signal.SIGINT.value, *range(60_000, 60_100)]
    packed = encode(values)
    assert decode(json.loads(json.dumps(packed))) == values
    assert {type(value) for value in decode(packed)} == {int}
    assert packed == encode([np.int64(value) for value in values])
    assert packed == encode(
        [signal.SIGINT if value == signal.SIGINT else value for value in values]
    )
    assert len(json.dumps(packed)) < 12 * len(values)
    assert items(packed) == values and length(packed) == len(values)


@pytest.mark.parametrize("other", [2**63, True, 1.0, "1"])
def test_one_other_item_makes_it_an_ordinary_list(other):
    values = [*range(100), other]
    assert items(encode(values)) == [encode(value) for value in values]
    assert str(decode(encode(values))) == str(values)


def test_dtypes_and_ranges():
    assert decode(encode([torch.bfloat16, range(3, 9, 2)])) == [torch.bfloat16, range(3, 9, 2)]


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0, open, 1j])
def test_other_objects_are_refused_with_their_class(value):
    with pytest.raises(NotPlain, match=type(value).__name__):
        encode(value)


def test_deep_nesting_is_refused():
    nested: list = []
    for _ in range(50):
        nested = [nested]
    with pytest.raises(NotPlain, match="16 levels"):
        encode(nested)


@pytest.mark.parametrize(
    "junk",
    [{"float": 1}, {"dtype": "nn"}, {"x": 1}, {"tuple": 3}, {"floats": 2}, {"integers": [1]}, 1.5],
)
def test_junk_is_refused(junk):
    with pytest.raises(ValueError, match="not encoded data"):
        decode(junk)


def cases(*args):
    return [{"args": encode(one), "sweep": False} for one in args]


def test_an_exception_is_an_observation_and_the_next_case_still_runs():
    observations, _ = observe(lambda x: 1 / x, cases((0,), (4,)))
    assert observations[0].problem == "raised ZeroDivisionError: division by zero"
    assert decode(observations[1].output) == 0.25


def test_exit_is_an_observation():
    observations, _ = observe(lambda: sys.exit(3), cases(()))
    assert observations[0].problem.startswith("raised SystemExit")


def test_a_stub_is_not_attempted():
    def stub():
        raise NotImplementedError

    with pytest.raises(NotAttempted):
        observe(stub, cases(()))


def test_prints_and_warnings_are_caught():
    def chatty():
        print("to stdout")
        print("to stderr", file=sys.stderr)
        warnings.warn("careful", stacklevel=1)
        return math.inf

    observations, printed = observe(chatty, cases(()))
    assert decode(observations[0].output) == math.inf
    assert "to stdout" in printed and "to stderr" in printed and "careful" in printed


def test_a_sweep_calls_once_for_each_item():
    case = {"args": encode((range(3), 10)), "sweep": True}
    observations, _ = observe(lambda x, y: x + y, [case])
    assert decode(observations[0].output) == [10, 11, 12]


def test_only_computing_counts_where_others_keep_the_machine_busy(monkeypatch):
    monkeypatch.setattr(observing, "CASE_SECONDS", 0.2)
    monkeypatch.setattr(observing, "PATIENCE", 10_000)
    observations, _ = observe(lambda x: time.sleep(0.5) or x, cases((1,)))
    assert decode(observations[0].output) == 1
    monkeypatch.setattr(observing, "PATIENCE", 1)
    observations, _ = observe(lambda x: time.sleep(600), cases((1,)))
    assert "does every loop end?" in observations[0].problem


def test_a_loop_without_end_is_stopped_and_said(monkeypatch):
    monkeypatch.setattr(observing, "CASE_SECONDS", 0.2)

    def endless(x):
        while x:
            with contextlib.suppress(Exception):
                x += 1
        return "done"

    observations, _ = observe(endless, cases((0,), (1,), (0,)))
    assert decode(observations[0].output) == "done"
    assert "does every loop end?" in observations[1].problem
    assert "not tried" in observations[2].problem
