"""The table of what a function gives: results, errors, and stubs."""

import math

import pytest
import torch

from halfbits.pictures.results import results


def test_a_row_for_each_call():
    shown = results(math.sqrt, {"of 4": (4.0,), "of 2": (2.0,)})
    assert str(shown).splitlines() == ["sqrt  result", "of 4  2", "of 2  1.414"]
    assert shown.html.count("<tr>") == 3


def test_a_stub_is_not_attempted_yet_and_an_error_is_named():
    def stub(x):
        if x:
            raise ValueError("use\nless")
        raise NotImplementedError

    text = str(results(stub, {"a": (0,), "b": (1,)}))
    assert "not attempted yet" in text and "raises ValueError: use less" in text


def test_dicts_with_the_same_keys_take_a_column_each():
    shown = results(lambda x: {"half": x / 2, "double": x * 2}, {"1": (1.0,), "3": (3.0,)})
    assert str(shown).splitlines()[0].split() == ["<lambda>", "half", "double"]
    assert "<lambda>" not in shown.html
    assert str(results(lambda x: {x: 0.0}, {"1": ("a",), "3": ("b",)})).count("result") == 1


def test_tensors_show_few_digits_infinities_and_their_dtype():
    x = torch.tensor([[1 / 3, math.inf], [-math.inf, math.nan]], dtype=torch.float16)
    assert "[[0.3333, ∞], [−∞, NaN]]  (float16)" in str(results(lambda: x, {"it": ()}))


def test_no_call_is_an_error():
    with pytest.raises(ValueError, match="at least one call"):
        results(math.sqrt, {})
