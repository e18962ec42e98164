"""A feedback page made from a hostile notebook, opened in a browser."""

from __future__ import annotations

import re

import pytest
from graded import graded_class
from playwright.sync_api import Browser

from grader.pages.feedback import write_feedback

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_path(tmp_path_factory, unit):
    classroom = graded_class(tmp_path_factory.mktemp("a class"), unit)
    [(_, _, path)] = write_feedback(classroom, [unit])
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("guarded", [True, False], ids=["as it is", "without its own policy"])
def test_nothing_runs_and_nothing_is_asked_for(
    browser: Browser, page_path, tmp_path, scheme: str, guarded: bool
):
    """Also where the page's policy is taken away: the cleaning alone must do."""
    path = page_path
    if not guarded:
        text = page_path.read_text(encoding="utf-8")
        text, count = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", text)
        assert count == 1
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
    context = browser.new_context(offline=True, color_scheme=scheme)
    page = context.new_page()
    asked, problems = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.goto(path.as_uri())
    for summary in page.locator("summary").all():
        summary.click()
    page.wait_for_timeout(500)
    assert [url for url in asked if not url.startswith("data:image/")] == [path.as_uri()]
    assert problems == []
    assert page.url == path.as_uri() and page.evaluate("window.hacked") is None
    assert page.locator("script, iframe, form, object, embed, base, link").count() == 0
    colors = page.evaluate(
        "() => [getComputedStyle(document.body).color, getComputedStyle(document.body).background]"
    )
    assert ("rgb(228, 228, 228)" in colors[0]) == (scheme == "dark")
    context.close()


def test_the_page_can_be_read(browser: Browser, page_path):
    context = browser.new_context(offline=True, viewport={"width": 420, "height": 800})
    page = context.new_page()
    page.goto(page_path.as_uri())
    assert page.locator("h1").first.inner_text() == "13 of 26 points"
    picture = page.locator("figure[role=img] svg").first
    assert picture.bounding_box()["width"] > 200
    assert page.locator("math").first.bounding_box()["width"] > 5
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.get_by_role("link", name="decode, more cases").click()
    assert page.locator("#part-decode-hidden").is_visible()
    context.close()
