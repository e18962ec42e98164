"""The widget of Unit 6: its arithmetic in Chromium, and all of it in a JupyterLab."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from browser.lab import Lab, write_notebook
from browser.play import call, load
from halfbits.pictures.amdahl import amdahl_share, amdahl_speedup, published_speedups

pytestmark = pytest.mark.browser


def test_the_page_computes_as_python_does(browser_page: Page) -> None:
    load(browser_page, "amdahl")
    cases = list(itertools.product((0, 0.25, 0.8, 1), (1, 2, 16, 64)))
    found = call(browser_page, "cases => cases.map(c => module.amdahl.speedupOf(...c))", cases)
    np.testing.assert_allclose(found, [amdahl_speedup(*case) for case in cases], rtol=1e-14)
    cases = [(1, 1), (2, 4), (2.99, 16), (2.84, 64), (16, 16)]
    code = "cases => cases.map(c => module.amdahl.shareFor(...c))"
    found = call(browser_page, code, cases)
    np.testing.assert_allclose(found, [amdahl_share(*case) for case in cases], rtol=1e-14)
    assert call(browser_page, code, [(3, 2)]) == [None]


def test_the_widget_answers_in_jupyterlab(lab: Lab, tmp_path: Path) -> None:
    cell = "import halfbits as hb\nhb.amdahl_explorer(share=0.8, factor=8)"
    lab.open_notebook(write_notebook(tmp_path / "widget.ipynb", cell, "str(_)"))
    lab.run_all()
    assert lab.cell_errors() == []
    widget = lab.page.locator(".halfbits-play")
    said = widget.get_by_role("status")
    expect(said).to_contain_text("3.33 times faster; 5 is the limit")
    expect(widget.locator(".hb-target")).to_have_count(len(published_speedups()))
    widget.get_by_label("their speed-up", exact=True).fill("4")
    expect(said).to_contain_text(f"{amdahl_speedup(0.8, 16):.2f} times faster")
    expect(said).to_contain_text("2.99 (16-mixed) takes a share of 71%")
    widget.get_by_label("products' share", exact=True).fill("50")
    expect(said).to_contain_text(f"{amdahl_speedup(0.5, 16):.2f} times faster; 2 is the limit")
    widget.get_by_label("their speed-up", exact=True).fill("1")
    expect(said).to_contain_text("2.99 (16-mixed) cannot be reached")
    dot = widget.locator(".hb-dot").get_attribute("cy")
    widget.get_by_label("products' share", exact=True).press("ArrowRight")
    assert widget.locator(".hb-dot").get_attribute("cy") != dot
