"""make formgrader: nbgrader's Formgrader on the class, with the written answer to be marked."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from graded import graded_class
from playwright.sync_api import Browser, Page, expect

from browser.lab import free_port
from grader import demo, engine
from grader.classroom import Classroom
from grader.pages.formgrader import NO_AUTOGRADE
from grader.units import Unit

pytestmark = pytest.mark.browser


@contextmanager
def formgrader(classroom: Classroom, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """URL and token of a running Formgrader."""
    port, token = free_port(), secrets.token_hex(8)
    options = [
        *("--no-browser", "--allow-root", f"--ServerApp.port={port}"),
        *("--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
    ]
    command = [sys.executable, "-m", "grader", "formgrader", "--classroom", str(classroom.root)]
    own = {f"JUPYTER_{k}_DIR": str(tmp_path / k) for k in ("CONFIG", "DATA", "RUNTIME")}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, "--", *options], env={**os.environ, **own}, stdout=log, stderr=log
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/api/status?token={token}")
        yield f"http://127.0.0.1:{port}", token
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(url: str, seconds: int = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "Formgrader did not start"
            time.sleep(0.5)


def open_first_submission(page: Page, base: str, token: str, unit: Unit) -> None:
    page.goto(f"{base}/tree?token={token}")  # the token is for Jupyter's own pages
    page.goto(f"{base}/formgrader/gradebook/{unit.name}/{unit.name}")
    row = page.locator("table tbody tr").first
    expect(row).to_contain_text("Submission", timeout=30_000)
    row.get_by_role("link").first.click()


def test_the_written_answer_waits_in_formgrader(browser: Browser, tmp_path: Path, unit: Unit):
    classroom = Classroom(tmp_path / "a class")
    perfect = demo.perfect_student(unit)
    demo.submit(classroom, unit, perfect, classroom.prepare(unit))
    [result] = engine.grade(classroom, [(perfect.name, unit)])
    assert result.needs == "answers to mark by hand: make formgrader"
    with formgrader(classroom, tmp_path) as (base, token):
        page = browser.new_page()
        open_first_submission(page, base, token, unit)
        expect(page.locator("body")).to_contain_text("bf16 has 8 exponent bits", timeout=30_000)
        expect(page.locator("input.score").first).to_be_visible()
        expect(page.locator(".hb-report").first).to_be_visible()
        page.close()


def test_nothing_that_a_student_wrote_runs_in_formgrader(
    browser: Browser, tmp_path: Path, unit: Unit
):
    """It would run in the instructor's Jupyter, and could do all that the instructor can."""
    with formgrader(graded_class(tmp_path / "a class", unit), tmp_path) as (base, token):
        page = browser.new_page()
        asked, dialogs = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: dialogs.append(dialog.message))
        open_first_submission(page, base, token, unit)
        expect(page.locator("input.score").first).to_be_visible(timeout=30_000)
        expect(page.locator("figure[role=img] svg").first).to_be_visible()
        page.wait_for_timeout(1000)
        assert page.evaluate("window.hacked") is None and not dialogs
        assert not [url for url in asked if "evil.example" in url]
        assert "/submissions/" in page.url
        page.close()


# A student's cover for the whole page: margins need no position, and opacity brings it forward.
COVER = "position:fixed;z-index:9;opacity:0.9;height:9000px;width:9000px;margin:-3000px -3000px"
CLICK_ALL = """() => {
  const all = [...document.querySelectorAll(":is(.rendered_html, .input_area) *")];
  for (const each of all.filter(one => !one.closest("a")))
    for (const kind of ["click", "change"]) each.dispatchEvent(new Event(kind, {bubbles: true}));
  return all.length;
}"""
COVERED = """() => {
  const hidden = [];
  for (const each of document.querySelectorAll(".full-credit, .no-credit, input.score")) {
    each.scrollIntoView({block: "center", behavior: "instant"});
    const {x, y, width, height} = each.getBoundingClientRect();
    const top = document.elementFromPoint(x + width / 2, y + height / 2);
    if (!each.contains(top)) hidden.push(top?.outerHTML.slice(0, 200) ?? "nothing");
  }
  return hidden;
}"""


def test_a_click_on_what_a_student_wrote_changes_no_grade(
    browser: Browser, tmp_path: Path, unit: Unit
):
    """Formgrader finds its cells and buttons by id and class; a student's page may have none.

    Its Autograde button runs nothing, and takes nothing away.
    """
    classroom = Classroom(tmp_path / "a class")
    student = demo.perfect_student(unit)
    release = classroom.prepare(unit)
    demo.submit(classroom, unit, student, release)
    path = classroom.path("submitted", student.name, unit) / f"{unit.name}.ipynb"
    notebook = nbformat.read(path, 4)
    graded = [c.metadata.nbgrader for c in notebook.cells if "nbgrader" in c.metadata]
    ids = "".join(f'<svg width="1" height="1" id="{each.grade_id}"></svg>' for each in graded)
    bait = (
        f'<div class="nbgrader_cell"><div class="full-credit">{ids}<p>Read my notes</p></div>'
        f'<div class="no-credit extra-credit" name="full-credit"><p>and these</p></div></div>'
    )
    first = next(i for i, c in enumerate(notebook.cells) if "nbgrader" in c.metadata)
    notebook.cells.insert(first + 1, nbformat.v4.new_markdown_cell(f'<p style="{COVER}">cover</p>'))
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell(bait))
    ran = tmp_path / "ran without a sandbox"
    shown = f"from IPython.display import HTML, display\ndisplay(HTML({bait!r}))"
    shown += f"\nopen({str(ran)!r}, 'w')"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(shown))
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-answer"):
            cell.source = "pass"
    nbformat.write(notebook, path)
    list(engine.grade(classroom, [(student.name, unit)]))
    graded_notebook = classroom.path("autograded", student.name, unit) / path.name

    def grades() -> list[tuple]:
        with classroom.gradebook() as gradebook:
            (found,) = gradebook.find_submission(unit.name, student.name).notebooks
            rows = [(g.name, g.auto_score, g.manual_score, g.extra_credit) for g in found.grades]
            return sorted(rows)

    before, page_before = grades(), graded_notebook.read_bytes()
    with formgrader(classroom, tmp_path) as (base, token):
        page = browser.new_page()
        open_first_submission(page, base, token, unit)
        expect(page.locator("input.score").first).to_be_visible(timeout=30_000)
        for words in ("Read my notes", "and these"):
            for place in page.get_by_text(words).all():
                place.click()
        assert page.evaluate(CLICK_ALL) > 100
        page.wait_for_timeout(1500)
        assert page.evaluate(COVERED) == []
        assert grades() == before and len(before) > 5
        page.goto(f"{base}/formgrader/manage_submissions/{unit.name}")
        page.locator("td.autograde a").first.click(timeout=30_000)
        expect(page.locator(".modal")).to_contain_text(NO_AUTOGRADE, timeout=30_000)
        page.close()
        said = autograde(base, token, unit, student.name)
        assert not said["success"] and said["error"].strip().endswith(NO_AUTOGRADE)
    assert grades() == before and graded_notebook.read_bytes() == page_before
    assert not ran.exists()


def autograde(base: str, token: str, unit: Unit, student: str) -> dict:
    """What the Autograde button does."""
    url = f"{base}/formgrader/api/submission/{unit.name}/{student}/autograde"
    headers = {"Authorization": f"token {token}"}
    request = urllib.request.Request(url, method="POST", headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)
