"""The widget of Unit 7: its arithmetic in Chromium, and itself in a JupyterLab."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser.lab import Lab, write_notebook
from browser.play import call, load
from halfbits.intervals import gap_in_errors, wilson
from halfbits.pictures.intervals import STEPS, examples_at

pytestmark = pytest.mark.browser


def test_the_page_computes_intervals_as_python_does(browser_page: Page) -> None:
    cases = list(itertools.product((0.0, 0.5, 0.9223, 1.0), (1, 100, 10_000, 1_000_000)))
    load(browser_page, "intervals")
    ends = call(browser_page, "cases => cases.map(c => module.intervals.wilson(...c))", cases)
    np.testing.assert_allclose(ends, [wilson(*case) for case in cases], atol=1e-14)


def test_the_page_computes_gaps_as_python_does(browser_page: Page) -> None:
    cases = list(itertools.product((0.0, 0.92, 1.0), (0.0, 0.91, 1.0), (100, 10_000)))
    load(browser_page, "intervals")
    gaps = call(browser_page, "cases => cases.map(c => module.intervals.gapInErrors(...c))", cases)
    np.testing.assert_allclose(gaps, [gap_in_errors(*case) for case in cases], rtol=1e-12)


def test_the_slider_has_the_same_places(browser_page: Page) -> None:
    steps = list(range(STEPS + 1))
    load(browser_page, "intervals")
    places = call(browser_page, "steps => steps.map(module.intervals.examplesAt)", steps)
    assert places == [examples_at(step) for step in steps]


def test_the_widget_answers_in_jupyterlab(lab: Lab, tmp_path: Path) -> None:
    cell = "import halfbits as hb\nhb.interval_explorer()"
    lab.open_notebook(write_notebook(tmp_path / "widget.ipynb", cell))
    lab.run_all()
    assert lab.cell_errors() == []
    widget = lab.page.locator(".halfbits-play")
    said, tiles = widget.get_by_role("status"), widget.locator(".hb-tile")
    expect(said).to_have_text("With 10,000 test examples no gap is significant at the 5 % level.")
    expect(tiles).to_have_count(3)
    expect(tiles.nth(2)).to_contain_text("|z| = 1.83")
    slider = widget.get_by_label("test examples n", exact=True)
    slider.fill("22")
    expect(said).to_contain_text("With 16,000 test examples 1 of 3 gaps is significant")
    expect(tiles.nth(2)).to_contain_text("significant at 5 %")
    slider.fill("40")
    expect(said).to_contain_text("With 1,000,000 test examples 3 of 3 gaps are significant")
