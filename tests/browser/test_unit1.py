"""Unit 1 in a real JupyterLab: its explorer in the lesson, and the Validate button."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from browser.lab import Lab, LabServer
from browser.test_units import solve
from grader.units import COURSE, Unit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def released(lab_server: LabServer, unit: Unit) -> str:
    """Path of the released notebook in the server."""
    return f"{lab_server.add(COURSE / unit.name)}/{unit.name}.ipynb"


def test_bits_are_clicked_and_typed(lab: Lab, released: str):
    lab.open_notebook(released)
    lab.run_all()
    fp16 = lab.page.locator('[data-format="fp16"]').first
    fp16.scroll_into_view_if_needed()
    bits = fp16.locator(".hb-bit")
    expect(bits).to_have_text(list("0100011001000000"))
    bits.first.click()
    expect(fp16.locator(".hb-exact")).to_contain_text("−6.25")
    field = lab.page.get_by_role("textbox", name="decimal value").first
    field.fill("65520")
    field.press("Enter")
    expect(fp16.locator(".hb-kind")).to_have_text("+∞")


def test_validate_says_what_is_not_attempted(lab: Lab, released: str, unit: Unit):
    lab.open_notebook(released)
    said = lab.validate()
    for name in unit.exercises:
        assert f"{name}: not attempted yet" in said
    assert "Traceback" not in said


def test_validate_passes_the_solved_notebook(lab: Lab, lab_server: LabServer, unit: Unit):
    solve(unit, lab_server.notebooks / "validated")
    lab.open_notebook(f"validated/{unit.name}.ipynb")
    assert "Success! Your notebook passes all the tests." in lab.validate()
