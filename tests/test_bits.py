"""The bit explorer's Python side; its page is tested in tests/browser/test_bits.py."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path

import pytest
import torch

import halfbits.pictures.bits
from halfbits.formats import Format
from halfbits.pictures.bits import explore
from halfbits.typed import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", Fraction(1, 10)),
        ("-2^-3", Fraction(-1, 8)),
        (" 1 + 2^-10 ", 1 + Fraction(1, 1024)),
        ("3*2^4/6", Fraction(8)),
        ("1e-8", Fraction(1, 10**8)),
        ("1e5-1", Fraction(99999)),
        ("−5", Fraction(-5)),
        ("∞", math.inf),
        ("-Infinity", -math.inf),
    ],
)
def test_parse_is_exact(text: str, value: Fraction | float) -> None:
    assert parse(text) == value


def test_parse_keeps_what_a_fraction_cannot() -> None:
    assert math.isnan(parse("nan"))
    assert math.copysign(1, parse("-0.0")) == -1
    assert math.copysign(1, parse("0") or 1.0) == 1


def test_text_form_shows_bits_and_values() -> None:
    assert str(explore("fp16", torch.bfloat16, value=0.1)) == (
        "0.1 as sign, exponent and fraction bits:\n"
        "fp16  0 01011 1001100110  = 0.0999755859375  normal\n"
        "bf16  0 01111011 1001101  = 0.10009765625  normal"
    )


def test_text_form_rounds_what_was_typed_and_not_a_float() -> None:
    above_tie = explore("fp16", value="1+2^-11+2^-90")
    assert above_tie.patterns == {"fp16": "0 01111 0000000001"}
    assert explore("fp16", value="1+2^-11").patterns == {"fp16": "0 01111 0000000000"}


def test_text_form_is_the_static_twin_in_the_mimebundle() -> None:
    widget = explore("fp8_e4m3fn", value=500)
    data, _ = widget._repr_mimebundle_()
    assert data["text/plain"] == str(widget)
    assert "0 1111 111" in data["text/plain"] and "nan" in data["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" in data


def test_setting_the_value_rounds_again() -> None:
    widget = explore("fp16")
    widget.value = "65520"
    assert widget.patterns == {"fp16": "0 11111 0000000000"}


def test_the_pages_own_bits_are_kept() -> None:
    widget = explore("fp16")
    widget.set_state({"value": "nan", "patterns": {"fp16": "0 11111 0000000001"}})
    assert widget.patterns == {"fp16": "0 11111 0000000001"}
    assert "nan" in str(widget)


REFUSED = ["", "one", "1 2", "1/0", "1e99999", "0^-1", "0x10", "1\n2", "9" * 300]


@pytest.mark.parametrize("text", REFUSED)
def test_bad_value_is_refused_in_one_line_and_changes_nothing(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        explore("fp16", value=text)
    assert "\n" not in str(caught.value)
    widget = explore("fp16")
    with pytest.raises(ValueError):
        widget.value = text
    assert widget.value == "0.1"


def test_bad_format_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="fp16, bf16") as caught:
        explore("fp17")
    assert "\n" not in str(caught.value)


def test_formats_of_ones_own_and_numbers_of_any_kind() -> None:
    widget = explore(Format("fp6", 3, 2), "fp16", "fp16", value=torch.tensor(0.5))
    assert list(widget.patterns) == ["fp6", "fp16"]
    assert explore(value=Fraction(1, 3)).value == "1/3"
    assert explore(value=float("-inf")).patterns["fp16"] == "1 11111 0000000000"


@pytest.mark.parametrize("name", ["pictures/bits", "quizzes/quiz"])
def test_every_style_stays_inside_its_widget(name: str) -> None:
    """Both stylesheets lie on one page, and share class names such as ``hb-status``."""
    css = (Path(halfbits.__file__).parent / f"{name}.css").read_text(encoding="utf-8")
    css = re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)
    heads = [head.strip() for head in re.findall(r"([^{};]+)\{", css)]
    selectors = [head for head in heads if not head.startswith("@")]
    assert len(selectors) > 30
    for selector in re.split(r",\s*(?![^()]*\))", ", ".join(selectors)):
        root = rf"(body\[[^]]+\] )?\.halfbits-{Path(name).name}\b"
        assert re.match(root, selector), selector


def test_page_is_self_contained() -> None:
    page = explore("fp16", value="1/3").to_html()
    assert "http" not in page
    assert "1/3" in page and "export function render" in page
