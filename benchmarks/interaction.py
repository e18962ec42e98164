"""How long a click takes in JupyterLab: p50 and p95 of 50 clicks for each kind of widget.

    python benchmarks/interaction.py [CLICKS]

Measured in the page, from the event to the change of the element that shows the result; the
picture's next frame comes up to 17 ms later. The last line is one JSON object.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser.lab import (  # noqa: E402
    CHROMIUM_FLAGS,
    NO_CHROMIUM,
    Lab,
    LabServer,
    write_notebook,
)
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from benchmarks.machine import measured_here  # noqa: E402
from grader.build import files  # noqa: E402
from grader.tables import table  # noqa: E402
from grader.units import find_units  # noqa: E402
from halfbits.environment import find_chromium  # noqa: E402

PACKAGES = ("jupyterlab", "ipykernel", "anywidget", "ipywidgets", "matplotlib", "torch")
CELLS = (
    "import halfbits as hb",
    'hb.quiz("limits")',
    'hb.explore("fp16", "bf16", value="6.25")',
    "hb.split_explorer(bits=16)",
)

# The course's interactive pictures that the browser draws: the cell, and its name in the page.
PLAYGROUNDS = (
    ('hb.sum_explorer("0.01")', "Running sums"),
    ('hb.step_explorer("fp16", w=1)', "A step on the number line"),
    ('hb.stochastic_explorer("bf16", x="1+2^-10")', "Stochastic rounding"),
    ("hb.cancellation_explorer()", "Cancellation microscope"),
    ("hb.softmax_explorer()", "Softmax step by step"),
    ("hb.gradient_explorer()", "Gradients under a loss scale"),
    ("hb.overflow_explorer()", "Where infinities and NaN arise in a network"),
    ("hb.variance_explorer()", "Variance in three ways"),
    ("hb.dtype_explorer()", "Dtypes in a network under autocast"),
    ("hb.activation_explorer()", "Bytes saved for backward"),
    ("hb.scaler_explorer()", "Dynamic loss scale"),
    ("hb.clip_explorer()", "Clip before or after the unscale"),
)
SLIDES = ("low", "high")  # a slider goes to one quarter of its way, then to three quarters

# What is measured, the element that changes, what is done to it in turn, and the limit for p95.
WIDGETS = (
    (
        "quiz: click to feedback",
        ".halfbits-quiz .hb-feedback",
        [("click", f'.halfbits-quiz [data-option="{letter}"]') for letter in "bc"],
        100,
    ),
    (
        "bit explorer: click to value",
        ".halfbits-bits .hb-exact",
        [("click", ".halfbits-bits .hb-bit >> nth=9")],
        100,
    ),
    (
        "slider to matplotlib picture",
        ".widget-html-content:has(figure)",
        [(key, ".noUi-handle") for key in ("ArrowRight", "ArrowLeft")],
        250,
    ),
)

MEASURE = """([element, action, result]) => new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error("nothing changed in 10 s")), 10000);
    let start = 0;
    new MutationObserver((_, observer) => {
        observer.disconnect();
        clearTimeout(late);
        resolve(performance.now() - start);
    }).observe(result, { childList: true, subtree: true, characterData: true });
    element.focus();
    start = performance.now();
    if (action === "click") element.click();
    else if (action === "low" || action === "high") {
        const [min, max] = [Number(element.min), Number(element.max)];
        element.value = min + (max - min) * (action === "low" ? 0.25 : 0.75);
        element.dispatchEvent(new Event("input", { bubbles: true }));
    }
    else element.dispatchEvent(new KeyboardEvent("keydown", { key: action, bubbles: true }));
})"""


def main() -> int:
    """Measure, print a table, and one JSON object as the last line; 1 if a limit is missed."""
    clicks = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    chromium = find_chromium()
    if chromium is None:
        print(NO_CHROMIUM, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home, sync_playwright() as driver:
        server = LabServer(Path(home))
        server.start()
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 2000})
            results = _measure_all(page, server, clicks)
            chromium_version = browser.version
        finally:
            browser.close()
            server.stop()
    rows = [(r["name"], r["p50_ms"], r["p95_ms"], r["max_ms"], r["limit_ms"]) for r in results]
    print(table(("what", "p50 ms", "p95 ms", "max ms", "limit for p95"), rows))
    missed = [r["name"] for r in results if r["p95_ms"] >= r["limit_ms"]]
    print(f"\nover the limit: {', '.join(missed) or 'nothing'}")
    figures = {"benchmark": "interaction", "clicks": clicks, "results": results}
    provenance = measured_here(*PACKAGES)
    provenance["versions"]["chromium"] = chromium_version
    print(json.dumps(figures | provenance))
    return 1 if missed else 0


def _measure_all(page: Page, server: LabServer, clicks: int) -> list[dict]:
    unit = find_units(["01"])[0]
    folder = server.notebooks / unit.name
    folder.mkdir()
    for name, content in files(unit).items():
        (folder / name).write_bytes(content)
    write_notebook(folder / "clicks.ipynb", *CELLS, *(code for code, _ in PLAYGROUNDS))
    lab = Lab(page, server)
    lab.open_notebook(f"{unit.name}/clicks.ipynb")
    lab.run_all()
    if errors := lab.cell_errors():
        raise SystemExit(f"the notebook fails: {errors[0]}")
    return [
        _measure(page, *widget, clicks) for widget in (*WIDGETS, *map(_playground, PLAYGROUNDS))
    ]


def _playground(cell: tuple[str, str]) -> tuple:
    """How a picture is measured: its first slider is moved, or its first buttons are pressed."""
    code, name = cell
    here = f'.halfbits-play[aria-label="{name}"]'
    actions = [(slide, f"{here} input[type=range] >> nth=0") for slide in SLIDES]
    if code == "hb.dtype_explorer()":
        actions = [("click", f"{here} .hb-choice >> nth=0 >> button >> nth={k}") for k in (1, 0)]
    return f"{name}: {code.split('(')[0][3:]}", f"{here} .hb-status", actions, 100


def _measure(
    page: Page, name: str, result: str, actions: list[tuple[str, str]], limit: int, clicks: int
) -> dict:
    changes = page.locator(result).first.element_handle()
    times = []
    for number in range(clicks + 4):
        action, target = actions[number % len(actions)]
        element = page.locator(target).first.element_handle()
        times.append(page.evaluate(MEASURE, [element, action, changes]))
        page.wait_for_timeout(50)  # nobody clicks faster, and the kernel ends its turn
    times = times[4:]  # the first ones load what is loaded lazily
    return {
        "name": name,
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
        "max_ms": round(max(times), 1),
        "limit_ms": limit,
    }


if __name__ == "__main__":
    sys.exit(main())
