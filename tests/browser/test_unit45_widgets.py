"""The widgets of Units 4 and 5: their arithmetic in Chromium, and all of them in a JupyterLab."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from torch import nn

from browser.lab import Lab, write_notebook
from browser.play import call, load
from halfbits.memory import activation_bytes_of
from halfbits.pictures.clipping import clip_orders
from halfbits.pictures.dtypes import network_dtypes
from halfbits.pictures.loss_scale import scale_trace

pytestmark = pytest.mark.browser


def test_the_pages_scale_is_torchs_in_lock_step(browser_page: Page) -> None:
    rng = np.random.default_rng(0)
    runs = []
    for _ in range(50):
        settings = {
            "init": int(rng.integers(0, 25)),
            "growth": float(rng.choice([2, 1.5, 4])),
            "backoff": float(rng.choice([0.5, 0.25, 0.9])),
            "interval": int(rng.integers(1, 6)),
            "gradient": -140,  # too small to overflow by itself
        }
        runs.append((settings, (rng.random(60) < 0.15).tolist()))
    code = """runs => runs.map(([settings, events]) => {
        let scaler = module.scaling.startScaler(settings);
        return events.map(bad => {
            const before = scaler.scale;
            const { skipped, after } = module.scaling.stepScaler(scaler, settings, bad);
            scaler = after;
            return [before, skipped];
        });
    })"""
    load(browser_page, "scaler")
    traces = call(browser_page, code, runs)
    for (settings, events), trace in zip(runs, traces, strict=True):
        ours = [(float(scale), skipped) for scale, skipped in trace]
        assert ours == torch_trace(settings, events)


def torch_trace(settings: dict, events: list[bool]) -> list[tuple[float, bool]]:
    scaler = torch.amp.GradScaler(
        "cpu",
        init_scale=2.0 ** settings["init"],
        growth_factor=settings["growth"],
        backoff_factor=settings["backoff"],
        growth_interval=settings["interval"],
    )
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1)
    trace = []
    for bad in events:
        before, scale = weight.item(), scaler.scale(torch.ones(1)).item()
        weight.grad = torch.tensor([torch.inf if bad else scale])
        scaler.step(optimizer)
        scaler.update()
        trace.append((scale, weight.item() == before))
    return trace


def test_the_page_overflows_where_python_does(browser_page: Page) -> None:
    code = """(settings, count) => {
        let scaler = module.scaling.startScaler(settings);
        return Array.from({ length: count }, () => {
            const before = scaler.scale;
            const { skipped, after } = module.scaling.stepScaler(scaler, settings, false);
            scaler = after;
            return [before, skipped];
        });
    }"""
    settings = {"init": 16, "growth": 2, "backoff": 0.5, "interval": 3, "gradient": -4}
    load(browser_page, "scaler")
    trace = call(browser_page, code, settings, 50)
    ours = scale_trace(50, growth_interval=3, largest_gradient=2.0**-4)
    assert [tuple(step) for step in trace] == [tuple(step) for step in ours]


def test_the_page_counts_bytes_as_python_does(browser_page: Page) -> None:
    cases = list(itertools.product((1, 64, 4096), (32, 256, 4096), (1, 5, 24), ("GELU", "ReLU")))
    code = "cases => cases.map(c => Object.values(module.activations.savedBytes(...c)))"
    load(browser_page, "activations")
    counts = call(browser_page, code, cases)
    assert counts == [list(activation_bytes_of(*case).values()) for case in cases]


def test_the_page_clips_as_python_does(browser_page: Page) -> None:
    cases = list(itertools.product(((0.3, 0.4), (-2, 1.5), (0, 0)), (1, 1024, 65536), (0.1, 1, 2)))
    code = "cases => cases.map(c => Object.values(module.clips.clipOrders(...c)))"
    load(browser_page, "clipping")
    kept = call(browser_page, code, cases)
    np.testing.assert_allclose(kept, [clip_orders(*case) for case in cases], rtol=1e-14)


# In JupyterLab.

CELLS = (
    "import halfbits as hb\nhb.dtype_explorer()",
    "hb.activation_explorer()",
    "hb.scaler_explorer()",
    "hb.clip_explorer()",
)


def slide(widget: Locator, label: str, value: float) -> None:
    widget.get_by_label(label, exact=True).fill(str(value))


def test_the_widgets_answer_in_jupyterlab(lab: Lab, tmp_path: Path) -> None:
    lab.open_notebook(write_notebook(tmp_path / "widgets.ipynb", *CELLS))
    lab.run_all()
    assert lab.cell_errors() == []
    widgets = lab.page.locator(".halfbits-play")
    expect(widgets).to_have_count(4)
    dtypes, activations, scaler, clip = widgets.all()

    formats = dtypes.locator(".hb-layer:not(.hb-input) .hb-format")
    expect(formats).to_have_text(network_dtypes("cpu", "bf16"))
    dtypes.get_by_role("button", name="CUDA").click()
    dtypes.get_by_role("button", name="to fp16").click()
    expect(formats).to_have_text(network_dtypes("cuda", "fp16"))
    expect(dtypes.get_by_role("status")).to_contain_text("LayerNorm, GELU and softmax give another")
    dtypes.get_by_role("button", name="off").click()
    expect(formats).to_have_text(["fp32"] * 6)

    expect(activations.get_by_role("status")).to_contain_text("fp32 655 kB, bf16 autocast 852 kB")
    slide(activations, "batch size", 10)
    expect(activations.get_by_role("status")).to_contain_text(
        "Batch 1024: fp32 10.5 MB, bf16 autocast 5.77 MB: autocast keeps 55% of that"
    )

    said = scaler.get_by_role("status")
    scaler.get_by_role("button", name="10 steps").click()
    expect(said).to_contain_text("Scale 2¹⁷. Step 10 was the last of 10 good ones in a row")
    scaler.get_by_role("button", name="inject an inf").click()
    expect(said).to_contain_text("Scale 2¹⁶. Step 11 was skipped: it met the injected inf")
    scaler.get_by_role("button", name="100 steps").click()
    expect(said).to_contain_text("Skipped so far: 7 of 111")
    expect(scaler.locator(".hb-cross")).to_have_count(7)
    slide(scaler, "initial scale", 3)
    expect(said).to_contain_text("Scale 2³. Take some steps")

    said = clip.get_by_role("status")
    expect(said).to_contain_text("Clipping first makes this step 1024 times too small")
    slide(clip, "loss scale", 0)
    expect(said).to_contain_text("Both orders give the same here: a scale of 1 changes nothing")
    box = clip.locator(".hb-plane svg").first.bounding_box()
    lab.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.25)
    lab.page.mouse.down()
    lab.page.mouse.up()
    assert clip.get_by_label("gradient of weight 1", exact=True).input_value() != "0.9"
