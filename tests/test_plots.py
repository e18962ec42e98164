"""What pictures and tables say: true numbers, in words too, in both themes, without clashes."""

import re
import xml.etree.ElementTree as ET
from fractions import Fraction
from functools import cache

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from pictures import assert_well_drawn

from halfbits.formats import FORMATS, Format
from halfbits.pictures.figure import Picture, style
from halfbits.pictures.plots import number_line, range_vs_precision, spacing, split_explorer, splits
from halfbits.pictures.splits import all_splits
from halfbits.pictures.tables import compare
from halfbits.text import power, short

DRAW = {
    "number_line": number_line,
    "zoom": lambda: number_line(zoom=(0, 2)),
    "dense zoom": lambda: number_line("fp16", "fp32", zoom=(-(2**-12), 2**-12)),
    "spacing": spacing,
    "range": range_vs_precision,
    "splits": splits,
}


@cache
def picture(name):
    return DRAW[name]()


every_picture = pytest.mark.parametrize("name", DRAW)


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name])


def test_ids_of_different_pictures_do_not_clash():
    ids = [set(re.findall(r' id="([^"]+)"', picture(name).svg)) for name in DRAW]
    assert sum(map(len, ids)) == len(set().union(*ids)) > 0


def test_a_picture_is_html_for_notebooks_and_words_for_terminals():
    shown = picture("number_line")
    assert shown._repr_html_() == shown.html
    assert f'<figure role="img" aria-label="{shown!r}"' in shown.html


def test_a_picture_escapes_its_words_and_needs_some():
    with style():
        figure = Figure()
        figure.subplots().plot([1, 2])
    assert 'aria-label="a &lt;b&gt; &amp; &quot;c&quot;"' in Picture(figure, 'a <b> & "c"').html
    with pytest.raises(ValueError, match="say in alt"):
        Picture(figure, " ")


def test_a_pyplot_figure_is_closed_and_the_global_style_is_left_alone():
    import matplotlib.pyplot as plt

    before = dict(mpl.rcParams)
    figure, _ = plt.subplots()
    Picture(figure, "an empty plot")
    assert not plt.fignum_exists(figure.number)
    splits()
    assert dict(mpl.rcParams) == before


# True numbers.


def test_number_line_counts_what_torch_counts():
    for name, dtype in (("fp16", torch.float16), ("bf16", torch.bfloat16)):
        values = torch.arange(-(2**15), 2**15).short().view(dtype).double()
        values = values[values.isfinite()].unique()
        inside = int((values.abs() <= 1).sum())
        alt = number_line(name).text
        assert f"{len(values):,} finite numbers" in alt
        assert f"{inside:,} of them ({inside / len(values):.1%})" in alt
    assert "48.4%" in picture("number_line").svg and "49.8%" in picture("number_line").svg


def test_zoom_draws_every_number():
    values = FORMATS["fp8_e4m3fn"].finite_values()
    values = values[(values >= 0.5) & (values <= 2)]
    shown = number_line(zoom=(0.5, 2))
    drawn = [line.get_xdata()[::3] for line in shown.figure.axes[0].lines]
    np.testing.assert_array_equal(np.sort(np.concatenate(drawn)), values)
    said = f"{len(values)} of the 253 finite numbers of fp8_e4m3fn, from 0.5 to 2"
    assert said in shown.svg and "subnormal" not in shown.svg
    assert f"{said}; the gap is 2⁻⁴ next to 0.5 and grows to 2⁻³" in shown.text


@pytest.mark.parametrize("ends", [(0, 4), (-0.3, 0.26), (-99, 99), (20, 30), (-30, -0.07)])
def test_zoom_counts_the_numbers_in_sight(ends):
    tiny = Format("tiny", 3, 2)
    values = tiny.finite_values()
    inside = np.count_nonzero((ends[0] <= values) & (values <= ends[1]))
    assert f"{inside} of the 55 finite numbers of tiny, from" in number_line(tiny, zoom=ends).svg


def test_zoom_marks_the_subnormal_range_and_not_zero():
    tiny = Format("tiny", 3, 2)
    shown = number_line(tiny, zoom=(0, 4))
    (band,) = shown.figure.axes[0].patches
    assert (band.get_x(), band.get_width()) == (0, tiny.smallest_normal)
    _, tall = (line.get_xdata()[::3] for line in shown.figure.axes[0].lines)
    assert list(tall) == [2.0**e for e in range(-4, 3)]
    assert "> subnormal <" in shown.svg and "magnitudes below 0.25" in shown.text


def test_bars_begin_at_one_number_on_an_axis_that_says_logarithmic():
    shown = number_line("fp16")
    stairs = [each for each in shown.figure.axes[0].patches if hasattr(each, "get_data")]
    assert [each.get_data().baseline for each in stairs] == [0, 0]
    assert stairs[0].get_data().values.tolist() == list(range(10))
    assert set(stairs[1].get_data().values) == {10}
    assert "numbers per power of 2, logarithmic" in shown.svg


@pytest.mark.parametrize("draw", [range_vs_precision, lambda: split_explorer().children[1]])
def test_subnormals_are_hatched_which_is_true_in_both_themes(draw):
    shown = draw()
    html = shown.value if hasattr(shown, "value") else shown.html
    assert "hatched: subnormal" in html and "<pattern" in html and "light" not in html


def test_staircases_are_solid():
    lines = [line for axes in picture("spacing").figure.axes for line in axes.lines]
    assert {line.get_linestyle() for line in lines} <= {"-", "None"}


def test_axes_of_splits_say_what_they_are():
    said = "axis logarithmic in the exponent: each tick outward about triples the power of 10"
    assert said in picture("splits").svg and said in split_explorer().children[1].value


def test_spacing_is_numpys():
    x, gap = spacing("fp16").figure.axes[0].lines[0].get_data()
    starts = np.float16(x[::2])
    np.testing.assert_array_equal(gap[::2], np.spacing(starts).astype(float))
    assert starts[0] == np.float16(2**-24) and x[-1] == 65504
    assert "0.125" in spacing("fp8_e4m3fn").text and "448" in spacing("fp8_e4m3fn").text


def test_range_vs_precision_says_the_limits():
    alt = range_vs_precision(torch.float16).text
    assert "5 exponent and 10 fraction bits" in alt and "65504" in alt and "3.3 decimal" in alt
    assert "fp8_e5m2" in picture("range").text and "fp64" not in picture("range").text


def test_formats_of_ones_own_are_drawn_too():
    mine = Format("e3m4", 3, 4)
    for draw in (number_line, spacing, range_vs_precision):
        assert "e3m4" in draw(mine).text


def test_splits_contain_the_real_formats():
    every = all_splits(16)
    assert every[5] is FORMATS["fp16"] and every[8] is FORMATS["bf16"]
    assert list(every) == list(range(2, 12)) and all(f.bits == 16 for f in every.values())
    assert all_splits(8)[5] is FORMATS["fp8_e5m2"] and all_splits(8)[4].max == 240
    assert "fp16 (E = 5): max 65504, eps 9.77×10⁻⁴" in picture("splits").text


# The slider.


def test_the_slider_changes_the_picture_and_the_words():
    slider, output = split_explorer().children
    seen = {}
    for slider.value in (5, 8, 2, 11, 5):
        seen.setdefault(slider.value, output.value)
        assert output.value == seen[slider.value], "the same split, the same picture"
        ET.fromstring(f"<div>{output.value}</div>")
    assert len(set(seen.values())) == 4
    assert "<b>fp16</b>: max 65504" in seen[5] and "10 fraction bits" in seen[5]
    assert "<b>bf16</b>: max 3.39×10³⁸" in seen[8] and "eps 2⁻⁷" in seen[8]


def test_every_width_has_a_slider():
    for bits in (6, 8, 32):
        slider, output = split_explorer(bits).children
        slider.value = slider.max
        assert f"{bits} bits with {slider.max} exponent" in output.value


# Tables.


def test_compare_holds_exact_values():
    rows = {row.fmt.name: row for row in compare("0.1").rows}
    assert rows["fp16"].stored == float(np.float16(0.1))
    assert rows["fp16"].error == Fraction(float(np.float16(0.1))) - Fraction(1, 10)
    assert rows["fp16"].ulps == abs(rows["fp16"].error) * 2**14 == Fraction(2, 5)
    assert rows["bf16"].stored == torch.tensor(0.1).bfloat16().item()
    assert all(row.ulps <= Fraction(1, 2) for row in rows.values())


def test_compare_shows_pi_alike_in_fp16_and_bf16():
    table = compare(np.pi, "fp16", "bf16")
    assert repr(table).count("3.140625") == table.html.count(">3.140625<") == 2


def test_text_is_exact_and_floats_are_what_they_are():
    (text,), (number,) = compare("0.1", "fp64").rows, compare(0.1, "fp64").rows
    assert text.error == Fraction(0.1) - Fraction(1, 10) != 0
    assert number.error == 0


def test_compare_says_what_became_of_numbers_out_of_range():
    notes = [row.note for row in compare("1e5", "fp16", "fp8_e4m3fn", "fp32").rows]
    assert notes == ["overflow", "", ""]
    assert "∞ (overflow)" in repr(compare("1e5", "fp16")) and "NaN" in repr(compare("nan"))
    assert "−0 (underflow)" in repr(compare("-1e-8", "fp16"))
    assert "(subnormal)" in repr(compare("1e-6", "fp16"))
    assert compare(0, "fp16").rows[0].relative is None


def test_a_table_is_accessible_and_themed():
    root = ET.fromstring(compare("1/3").html)
    assert root.find(".//caption").text == "1/3 in 6 formats"
    assert [each.text for each in root.iterfind(".//tbody//th[@scope='row']")] == [
        name for name in FORMATS if name != "fp64"
    ]
    assert all(each.get("scope") == "col" for each in root.iterfind(".//thead//th"))
    bits = ["".join(td.itertext()) for td in root.iterfind(".//tbody/tr/td[1]")]
    assert bits[2] == "0 01101 0101010101"
    assert "--jp-border-color2" in compare("1/3").html


# Mistakes.


@pytest.mark.parametrize(
    "draw", [number_line, spacing, range_vs_precision, lambda which: compare(1, which)]
)
def test_unknown_formats_are_named_in_one_line(draw):
    with pytest.raises(ValueError, match="no format 'fp17'; choose one of fp64") as caught:
        draw("fp17")
    assert "\n" not in str(caught.value)


def test_other_mistakes():
    with pytest.raises(ValueError, match="smaller end first"):
        number_line(zoom=(2, 0))
    with pytest.raises(ValueError, match="from 6 to 32 bits, not 4"):
        splits(4)
    with pytest.raises(ValueError, match="is not a number"):
        compare("a tenth")


def test_numbers_in_words():
    assert power(2, -14) == "2⁻¹⁴"
    assert [short(x) for x in (65504, 0.125, -0.5, 1e6, 3.3895e38, 2**-24)] == [
        "65504",
        "0.125",
        "−0.5",
        "1.00×10⁶",
        "3.39×10³⁸",
        "5.96×10⁻⁸",
    ]
