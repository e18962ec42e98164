"""make formgrader: nbgrader's Formgrader on the class, with the written answer to be marked."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from graded import graded_class
from playwright.sync_api import Browser, Page, expect

from browser.lab import free_port
from grader import demo, engine
from grader.classroom import Classroom
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
