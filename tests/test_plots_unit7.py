"""Pictures, tables and the widget of Unit 7: true numbers, in words too, in both themes."""

import math
import re
import xml.etree.ElementTree as ET
from functools import cache

import pytest
import torch
from pictures import assert_well_drawn

import halfbits as hb
from halfbits.benchmark.results import gpu_records, write_result
from halfbits.intervals import gap_in_errors, published, wilson
from halfbits.pictures.intervals import STEPS, examples_at
from halfbits.pictures.masks import mask_rows
from halfbits.pictures.transformer import transformer_record

DRAW = {
    "intervals": hb.accuracy_intervals,
    "ranges": hb.activation_ranges,
    "masks": hb.masks,
    "runs": hb.finetuning_runs,
}
every_picture = pytest.mark.parametrize("name", DRAW)


@cache
def picture(name):
    return DRAW[name]()


@every_picture
def test_pictures_are_well_drawn(name):
    assert_well_drawn(DRAW[name])


# Intervals.


@pytest.mark.parametrize(("share", "n"), [(0.92, 10_000), (0.0, 20), (1.0, 20), (0.5, 1)])
def test_wilsons_ends_are_where_the_score_test_turns(share, n):
    for end in wilson(share, n):
        if 0 < end < 1:
            z = (share - end) / math.sqrt(end * (1 - end) / n)
            assert abs(z) == pytest.approx(1.95996, abs=1e-4)


def test_bars_are_as_long_as_the_intervals():
    axes = hb.accuracy_intervals(n=2000).figure.axes[0]
    bars = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    for bar, share in zip(bars, published().values(), strict=True):
        assert list(bar) == pytest.approx([100 * end for end in wilson(share, 2000)])


def test_words_give_the_gaps():
    assert "fp16 and bf16: |z| = 1.83, not significant at 5 %" in picture("intervals").text
    assert "fp16 and bf16: |z| = 5.80, significant" in hb.accuracy_intervals(n=100_000).text
    assert str(hb.interval_explorer()) == picture("intervals").text


def test_significance_begins_at_about_11400():
    share = published()
    found = next(n for n in range(10_000, 20_000) if gap_in_errors(
        share["fp16"], share["bf16"], n) >= 1.959964)  # fmt: skip
    assert round(found, -2) == 11_400


def test_the_slider_goes_from_100_to_a_million():
    places = [examples_at(step) for step in range(STEPS + 1)]
    assert (places[0], places[20], places[-1]) == (100, 10_000, 1_000_000)
    assert places == sorted(set(places))


@pytest.mark.parametrize("arguments", [{"n": 0}, {"accuracies": {"fp32": 92.2}}])
def test_what_is_no_accuracy_is_refused(arguments):
    with pytest.raises(ValueError, match=r"accuracy is a share|test examples"):
        hb.accuracy_intervals(**arguments)
    with pytest.raises(ValueError, match="at least one"):
        hb.interval_explorer({})


# Masks.


def test_masks_are_what_torch_computes():
    rows = {(row.fill, row.situation): row.weights for row in mask_rows("fp16")}
    bare = torch.softmax(torch.tensor([1.0, 0.0], dtype=torch.float16), 0).tolist()
    for (fill, situation), weights in rows.items():
        dead = any(map(math.isnan, weights))
        if situation == "padding at the end":
            assert weights == [*bare, 0, 0]
        if situation == "every place masked":
            assert dead == (fill in ("lowest fp32", "−∞"))
        if situation == "every place, twice":
            assert dead == (fill != "−10⁴")
    assert not any(
        math.isnan(w)
        for row in mask_rows("bf16")
        if row.fill == "−10⁴"
        for w in row.weights
    )  # fmt: skip
    with pytest.raises(ValueError, match="choose fp16, bf16 or fp32"):
        hb.masks("fp8_e4m3fn")


# The audit.


def report(setting):
    low = {"32-true": "float32", "bf16-true": "bfloat16"}.get(setting)
    if low is None:
        raise RuntimeError("no such\nsetting")
    entries = ("weights", "outputs of Linear", "gradients")
    return {"precision": setting, **{name: [low] for name in entries}, "moments": []}


def test_the_audit_shows_what_it_got():
    shown = hb.dtype_audit(report, ["32-true", "bf16-true", "x"])
    lines = shown.text.splitlines()
    assert lines[1].split() == ["32-true", "32-true", "fp32", "fp32", "fp32", "none"]
    assert lines[3].split(maxsplit=1) == ["x", "raises RuntimeError: no such setting"]
    assert shown.html.count("border-bottom:3px") == 6
    ET.fromstring(shown.html)


def test_an_unsolved_audit_and_one_that_is_no_report_are_rows_too():
    def unsolved(setting):
        raise NotImplementedError

    assert hb.dtype_audit(unsolved, ["32-true"]).text.endswith("not attempted yet")
    assert "raises KeyError" in hb.dtype_audit(lambda _: {}, ["32-true"]).text
    assert "&lt;b&gt;" in hb.dtype_audit(lambda _: {"precision": "<b>"} | report("32-true") | {
        "precision": "<b>"}, ["32-true"]).html  # fmt: skip
    with pytest.raises(ValueError, match="at least one setting"):
        hb.dtype_audit(report, [])


# Records.


def test_records_say_where_they_come_from():
    about = transformer_record("minilm_activations")["provenance"]
    assert about["command"].startswith("python tools/record_finetuning.py")
    runs = transformer_record("finetuning")
    assert runs["command"].startswith("python benchmarks/finetuning.py") and runs["complete"]
    assert runs["commit"] and not runs["commit"].endswith("+") and not runs["quick"]
    assert all(re.match(r"\d{4}-\d\d-\d\d", each["date"]) for each in (about, runs))
    with pytest.raises(ValueError, match="recorded are"):
        transformer_record("scale_sweep")


def test_what_a_gpu_recorded_stands_beside_what_a_cpu_did(tmp_path):
    """The record is made up, says so, and is written here only."""
    record = transformer_record("finetuning") | {"device": "cuda", "about": "made up for a test"}
    record["machine"] = {"device": "A GPU that does not exist"}
    record["runs"] = [run | {"setting": "tf32"} for run in record["runs"][:1]]
    record["runs"] += [run | {"setting": "16-mixed", "right": 500} for run in record["runs"]]
    file = tmp_path / "below" / "finetuning_cuda.json"
    write_result(file, record)
    write_result(tmp_path / "finetuning_cuda_quick.json", record)
    assert gpu_records("finetuning", tmp_path) == [file]
    without, both = hb.finetuning_runs(records=[]), hb.finetuning_runs(records=[file])
    assert "does not exist" not in without.text and both.text.startswith(without.text)
    assert "16-mixed, seed 0: 50.0 % right" in both.text
    assert "recorded 2026-11-27, A GPU that does not exist" in both.text
    assert "A GPU that does not exist" in both.svg and "tf32" in both.svg
    file.write_text("{}")
    with pytest.raises(ValueError, match="is no record of benchmarks/finetuning"):
        hb.finetuning_runs(records=[file])


def test_the_runs_picture_names_every_run():
    record = transformer_record("finetuning")
    for run in record["runs"]:
        share = 100 * run["right"] / record["settings"]["test"]
        assert f"{run['setting']}, seed {run['seed']}: {share:.1f} % right" in picture("runs").text
