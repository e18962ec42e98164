"""Quizzes in a real JupyterLab: clicked, typed, restored, and honest about what is saved."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from browser.lab import Lab, write_notebook
from grader.build import files
from grader.units import Unit

pytestmark = pytest.mark.browser

KEYS = ("a", "b", "d", "d", "x", "m", "0", "0", "c", "v", "Delete", "j", "k")
SAVED = re.compile("^saved")


@pytest.fixture
def folder(lab: Lab, unit: Unit, request: pytest.FixtureRequest) -> Path:
    """A folder on the server with Unit 1's quiz, and a notebook that shows all of it, opened."""
    target = release(lab, unit, request.node.name)
    questions = [f'hb.quiz("{question["id"]}")' for question in unit.quiz.questions]
    write_notebook(target / "quiz.ipynb", "import halfbits as hb", *questions, "hb.check_quiz()")
    open_and_run(lab, target)
    return target


def release(lab: Lab, unit: Unit, name: str) -> Path:
    """A folder on the server with what students get of a unit."""
    target = lab.server.notebooks / name
    target.mkdir()
    for each, content in files(unit).items():
        (target / each).write_bytes(content)
    return target


def open_and_run(lab: Lab, folder: Path) -> None:
    lab.open_notebook(f"{folder.name}/quiz.ipynb")
    lab.run_all()
    assert lab.cell_errors() == []


def question(lab: Lab, name: str) -> Locator:
    return lab.page.locator(f'.halfbits-quiz[data-question="{name}"]')


def option(lab: Lab, name: str, letter: str) -> Locator:
    return question(lab, name).locator(f'[data-option="{letter}"]')


def status(lab: Lab, name: str) -> Locator:
    return question(lab, name).get_by_role("status")


def expect_saved(lab: Lab, name: str) -> None:
    expect(question(lab, name).locator(".hb-saved")).to_have_text(SAVED)


def answers(folder: Path) -> dict:
    return json.loads((folder / "answers.json").read_text())["answers"]


def test_click_feedback_and_try_again(lab: Lab, folder: Path):
    assert question(lab, "limits").get_by_role("group").count() == 1  # the fieldset
    expect(status(lab, "limits")).to_have_text("not answered yet")
    told = "Right for float16, much too low for float32"
    assert told not in lab.page.content()

    option(lab, "limits", "b").click()
    expect(status(lab, "limits")).to_contain_text(told)
    expect(status(lab, "limits")).to_contain_text("Not right yet")
    expect_saved(lab, "limits")
    expect(option(lab, "limits", "b")).to_have_attribute("aria-pressed", "true")
    assert answers(folder) == {"limits": "b"}
    assert "no further than 65 thousand" not in lab.page.content()  # the right option's, not chosen
    expect(question(lab, "overflow").locator(".hb-left")).to_have_text(
        "Answer all questions to proceed: 5 of 6 questions open"
    )

    option(lab, "limits", "c").click()
    expect(status(lab, "limits")).to_contain_text("Right.")
    expect(option(lab, "limits", "b")).to_have_attribute("aria-pressed", "false")
    assert answers(folder) == {"limits": "c"}

    option(lab, "overflow", "b").click()
    expect(status(lab, "overflow")).to_contain_text("something is missing")
    option(lab, "overflow", "c").click()
    expect(status(lab, "overflow")).to_contain_text("✓ Right.")
    option(lab, "overflow", "b").click()
    expect(status(lab, "overflow")).to_contain_text("Not right yet")
    assert answers(folder)["overflow"] == ["c"]

    name = "A: float32 from −2.1 × 10^9 to 2.1 × 10^9, float16 from −32768 to 32767"
    expect(option(lab, "limits", "a")).to_have_accessible_name(name)

    # TeX is drawn without a network: as MathML, and no dollar sign is left.
    expect(option(lab, "limits", "d").locator("math")).to_have_count(3)
    assert "$" not in question(lab, "limits").inner_text()


def test_an_explorer_on_the_same_page_leaves_the_quiz_readable(
    lab: Lab, unit: Unit, request: pytest.FixtureRequest
):
    folder = release(lab, unit, request.node.name)
    cells = ['hb.explore("fp16")', 'hb.quiz("limits")', 'hb.check("ulp")']
    write_notebook(folder / "quiz.ipynb", "import halfbits as hb", *cells)
    open_and_run(lab, folder)
    option(lab, "limits", "b").click()
    expect(status(lab, "limits")).to_contain_text("Not right yet")
    for shown in (status(lab, "limits"), question(lab, "limits").locator(".hb-feedback")):
        box = shown.bounding_box()
        assert box["width"] > 100 and box["height"] > 20
    mark = option(lab, "limits", "b").locator(".hb-mark")
    assert mark.evaluate("e => getComputedStyle(e).position") == "static"

    # The explorer's own line for screen readers stays hidden, and its panels keep their layout.
    explorer = lab.page.locator(".halfbits-bits")
    explorer.get_by_role("textbox").fill("1/3")
    explorer.get_by_role("textbox").press("Enter")
    expect(explorer.get_by_role("status")).to_contain_text("fp16: 0.33325")
    assert explorer.get_by_role("status").bounding_box()["width"] <= 1
    assert explorer.locator(".hb-head").evaluate("e => getComputedStyle(e).display") == "flex"
    report = lab.page.locator(".hb-report .hb-head")
    assert report.evaluate("e => getComputedStyle(e).display") == "block"


def test_typing_a_number(lab: Lab, folder: Path):
    box = question(lab, "small-format").get_by_role("textbox")
    problem = question(lab, "small-format").locator('[role="alert"]')
    box.fill("many")
    box.press("Enter")
    expect(problem).to_contain_text("NOT SAVED: 'many' is not a number")
    assert not (folder / "answers.json").exists()
    box.fill("480")
    box.press("Enter")
    expect(status(lab, "small-format")).to_contain_text("Too high by a factor of 2")
    expect(problem).to_be_empty()
    box.fill("(2-2^-3)")
    box.press("Enter")
    expect(problem).to_contain_text("NOT SAVED")
    box.fill("2^8 - 16")
    question(lab, "small-format").get_by_role("button", name="Answer").click()
    expect(status(lab, "small-format")).to_contain_text("✓ Right.")
    assert answers(folder) == {"small-format": "2^8 - 16"}


def test_keyboard_alone_and_no_key_reaches_the_notebook(lab: Lab, folder: Path):
    keys, cells = lab.page.keyboard, lab.cell_count()
    option(lab, "limits", "a").focus()
    keys.press("Tab")
    keys.press("Tab")
    expect(option(lab, "limits", "c")).to_be_focused()
    keys.press("Space")
    expect(status(lab, "limits")).to_contain_text("Right.")
    expect(option(lab, "limits", "c")).to_be_focused()
    for key in KEYS:
        keys.press(key)
    assert lab.cell_count() == cells
    keys.press("Shift+Tab")
    keys.press("Enter")
    expect(status(lab, "limits")).to_contain_text("much too low")
    question(lab, "small-format").get_by_role("textbox").focus()
    keys.type("dd240")
    for _ in range(5):
        keys.press("ArrowLeft")
    keys.press("Delete")
    keys.press("Delete")
    keys.press("Enter")
    expect(status(lab, "small-format")).to_contain_text("✓ Right.")
    assert lab.cell_count() == cells and lab.cell_errors() == []
    assert answers(folder) == {"limits": "b", "small-format": "240"}


def test_reopening_rerunning_and_restarting_restore_the_choice(lab: Lab, folder: Path):
    option(lab, "finfo-min", "c").click()
    expect_saved(lab, "finfo-min")
    lab.run_all()
    expect(option(lab, "finfo-min", "c")).to_have_attribute("aria-pressed", "true")
    expect(status(lab, "finfo-min")).to_contain_text("Every format with a sign")
    assert question(lab, "finfo-min").count() == 1

    kernel = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    lab.page.evaluate(f"() => {kernel}.restart()")
    lab.run_all()
    expect(option(lab, "finfo-min", "c")).to_have_attribute("aria-pressed", "true")

    lab.server.end_sessions()
    open_and_run(lab, folder)
    expect(option(lab, "finfo-min", "c")).to_have_attribute("aria-pressed", "true")
    option(lab, "finfo-min", "b").click()
    expect(status(lab, "finfo-min")).to_contain_text("✓ Right.")
    assert answers(folder) == {"finfo-min": "b"}
    assert "quiz: 1 of 6 answered, 0 right; unanswered" in lab.output_text(lab.cell_count() - 1)


def test_nothing_is_called_saved_when_the_kernel_is_gone(lab: Lab, folder: Path):
    option(lab, "limits", "b").click()
    expect_saved(lab, "limits")
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    option(lab, "limits", "c").click()
    problem = question(lab, "limits").locator('[role="alert"]')
    expect(problem).to_contain_text("NOT SAVED: run this cell again", timeout=4000)
    expect(question(lab, "limits").locator(".hb-saved")).to_be_empty()
    assert "Right." not in status(lab, "limits").inner_text()
    assert answers(folder) == {"limits": "b"}


def test_a_busy_kernel_is_waited_for_and_then_it_is_saved(lab: Lab, folder: Path):
    """The page warns after two seconds and takes it back when the kernel has saved after all."""
    lab.page.evaluate(
        """() => {
            const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
            kernel.requestExecute({ code: "import time; time.sleep(4)" });
        }"""
    )
    option(lab, "limits", "c").click()
    expect(status(lab, "limits")).to_contain_text("✓ Right.", timeout=15_000)
    expect_saved(lab, "limits")
    expect(question(lab, "limits").locator('[role="alert"]')).to_be_empty()
    assert answers(folder) == {"limits": "c"}


def test_answers_from_code_appear_in_the_page(lab: Lab, folder: Path):
    said = lab.run_code('hb.quiz.answer("limits", "a")')
    assert "Too low for both" in said
    expect(option(lab, "limits", "a")).to_have_attribute("aria-pressed", "true")
    assert lab.run_code('hb.quiz("limit")') == ""
    assert lab.cell_errors()[0].startswith("QuizProblem: there is no question 'limit' here")


def test_a_graded_quiz_gives_no_feedback(lab: Lab, folder: Path, unit: Unit):
    quiz = json.loads((folder / "quiz.json").read_text())
    for each in quiz["questions"]:
        for name in ("feedback", "answers", "tolerance", "wrong"):
            each.pop(name, None)
        for one in each.get("options", ()):
            del one["feedback"], one["right"]
    (folder / "quiz.json").write_text(json.dumps(quiz | {"mode": "graded"}))
    lab.run_all()
    option(lab, "limits", "c").click()
    expect(status(lab, "limits")).to_have_text("saved · feedback comes with your grade")
    assert answers(folder) == {"limits": "c"}


def test_both_themes_are_readable(lab: Lab, folder: Path):
    option(lab, "limits", "b").click()
    option(lab, "finfo-min", "b").click()
    expect_saved(lab, "finfo-min")
    texts = (".hb-text", ".hb-place", ".hb-verdict", ".hb-reason", ".hb-saved", ".hb-words")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.set_theme(theme)
        for name in ("limits", "finfo-min"):
            for text in texts:
                ratio = contrast(question(lab, name).locator(text).first)
                assert ratio >= 4.5, f"{text} of {name} in {theme}: {ratio:.1f}"


def contrast(text: Locator) -> float:
    """WCAG contrast of a text against what is painted behind it."""
    return text.evaluate(
        """element => {
            const context = document.createElement("canvas").getContext("2d");
            const paint = colour => { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); };
            const luminance = () => {
                const part = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
                const [r, g, b] = context.getImageData(0, 0, 1, 1).data;
                return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
            };
            const behind = [];
            for (let e = element; e; e = e.parentElement) {
                behind.unshift(getComputedStyle(e).backgroundColor);
            }
            paint("white");
            behind.forEach(paint);
            const paper = luminance();
            paint(getComputedStyle(element).color);
            const [dark, light] = [paper, luminance()].sort((a, b) => a - b);
            return (light + 0.05) / (dark + 0.05);
        }"""
    )
