"""A widget's JavaScript module in a plain page: imported, rendered, called and operated."""

from __future__ import annotations

import json

from playwright.sync_api import Locator, Page

from halfbits.pictures.page import page_module
from halfbits.pictures.widget import TextWidget

IMPORT = """async source => {
    const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    window.module = await import(url);
}"""
FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
MOUNT = """([state, css]) => {
    const el = document.createElement("div");
    const style = Object.assign(document.createElement("style"), { textContent: css });
    document.body.replaceChildren(style, el);
    window.state = state;
    const set = (key, value) => { state[key] = value; };
    const model = { get: key => state[key], set, save_changes() {} };
    module.default.render({ model, el });
}"""


def load_source(page: Page, source: str) -> None:
    """Import a JavaScript module; it is ``module`` in the page."""
    page.evaluate(IMPORT, source)


def load(page: Page, name: str, *functions: str) -> None:
    """Import a widget's module; ``module`` has these functions of it, too."""
    load_source(page, f"{page_module(name)}\nexport {{ {', '.join(functions)} }};")


def mount(page: Page, widget: TextWidget, name: str) -> Locator:
    """Render a widget without a notebook; ``state`` is what it keeps."""
    load(page, name)
    own = set(widget.trait_names(sync=True)) - set(TextWidget.class_trait_names(sync=True))
    state = {key: getattr(widget, key) for key in own - {"_esm", "_css"}}
    page.evaluate(MOUNT, [state, widget._css])
    page.evaluate(FRAMES)  # it takes its width in the next one
    return page.locator(".halfbits-play")


def call(page: Page, function: str, *arguments: object) -> list:
    """Call a JavaScript function; JSON travels fast, and Infinity and NaN become words."""
    code = f"""text => JSON.stringify(({function})(...JSON.parse(text)),
        (_, x) => typeof x === "number" && !Number.isFinite(x) ? String(x) : x)"""
    return json.loads(page.evaluate(code, json.dumps(arguments)))


def said(widget: Locator) -> str:
    """What a widget tells of its state."""
    return widget.get_by_role("status").inner_text().replace("\n", " ")


def press(widget: Locator, label: str, *keys: str) -> None:
    """Press keys, one after the other, on the slider with this label."""
    slider = widget.get_by_role("slider", name=label)
    slider.focus()
    for key in keys:
        slider.press(key)
