"""Fixtures for tests in a browser: ``browser_page`` (plain Chromium) and ``lab`` (JupyterLab)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="pip install -r requirements.lock")

from browser.lab import CHROMIUM_FLAGS, NO_CHROMIUM, Lab, LabServer  # noqa: E402
from halfbits.environment import find_chromium  # noqa: E402

Browser, Page = playwright.Browser, playwright.Page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One headless Chromium for the session; without one the tests are skipped."""
    path = find_chromium()
    if path is None:
        pytest.skip(NO_CHROMIUM)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def browser_page(browser: Browser) -> Iterator[Page]:
    """A page without a server, for JavaScript modules and static files; it must log no error."""
    context = browser.new_context(viewport={"width": 1000, "height": 900}, offline=True)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    context.close()
    assert problems == []


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """One JupyterLab for the session."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def lab(browser: Browser, lab_server: LabServer) -> Iterator[Lab]:
    """A page in JupyterLab; afterwards its kernels end and its errors fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    steered = Lab(context.new_page(), lab_server)
    yield steered
    context.close()
    lab_server.end_sessions()
    assert steered.problems == []
