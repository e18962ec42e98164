"""The first unit in JupyterLab: solve, click, save, and see it in the progress table."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browser.lab import Lab, LabServer
from grader.build import lesson_solutions
from grader.units import COURSE, find_units

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def start(lab_server: LabServer) -> str:
    """The whole course in a folder of its own; path of its first notebook."""
    folder = lab_server.add(COURSE, name="whole course")
    return f"{folder}/00_start_here/00_start_here.ipynb"


def set_source(lab: Lab, cell_id: str, source: str) -> None:
    lab.page.evaluate(
        """([id, source]) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.widgets.find(c => c.model.id === id).model.sharedModel.setSource(source);
        }""",
        [cell_id, source],
    )


def test_what_is_solved_clicked_and_saved_is_counted(lab: Lab, start: str):
    unit = find_units(["00"])[0]
    lab.open_notebook(start)
    lab.set_theme("JupyterLab Dark")
    set_source(lab, "model_bytes-answer", lesson_solutions(unit)["model_bytes-answer"])
    lab.run_all()
    assert lab.cell_errors() == []
    lab.page.get_by_role("button", name="The weights take half the memory.").click()
    expect(lab.page.get_by_text("Half the bits, half the bytes.")).to_be_visible()
    lab.command("docmanager:save")
    said = lab.run_code("hb.progress()")
    first, second, *_ = (
        line for line in said.splitlines() if "minutes" not in line and " of " in line
    )
    assert first.startswith("Start here") and first.count("1 of 1") == 2
    assert second.startswith("Unit 1") and "0 of 5" in second and "0 of 6" in second
    picture = lab.page.locator("figure[aria-label*='1 of 1 exercises pass']").last
    picture.scroll_into_view_if_needed()
    expect(picture).to_be_visible()
