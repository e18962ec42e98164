"""Feedback pages say all that helps, and nothing in them runs, loads or tells a hidden case."""

import json
import re
import time
from html.parser import HTMLParser

import nbformat
import pytest
from graded import HOSTILE_HTML, graded_class
from nbformat import v4

from grader.build import source_notebook
from grader.pages import feedback, sanitize
from grader.pages.cells import cell_html, outputs_html
from grader.pages.formgrader import SafeCells
from grader.pages.markdown import render_any
from grader.pages.sanitize import OWN, clean, picture
from halfbits.checking.payload import pack
from halfbits.checking.report import Report

ALLOWED_URL = re.compile(r"(data:image/(png|jpeg|gif|webp);base64,|https?://|mailto:|#)")


class Elements(HTMLParser):
    """Every start tag with its attributes, as a parser sees them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def assert_harmless(page: str) -> None:
    """No element that runs, frames, sends or loads; no handler; no address but of a plain link."""
    forbidden = {
        *(
            "script",
            "iframe",
            "object",
            "embed",
            "form",
            "input",
            "button",
            "base",
            "link",
            "audio",
        ),
        *("video", "image", "foreignobject", "animate", "set", "template", "textarea", "frame"),
    }
    for tag, attributes in Elements(page).found:
        assert tag not in forbidden, tag
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in ("srcset", "srcdoc", "action", "formaction", "poster"), (tag, name)
            if name in ("href", "src", "xlink:href"):
                assert ALLOWED_URL.match(value), (tag, name, value)
                assert name == "href" or not value.startswith("http"), (tag, value)
            text = name in ("title", "alt", "aria-label") or (tag, name) == ("a", "href")
            assert text or "evil" not in value, (tag, name, value)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, unit):
    return graded_class(tmp_path_factory.mktemp("a class"), unit)


@pytest.fixture(scope="module")
def page(hostile, unit) -> str:
    [(student, name, path)] = feedback.write_feedback(hostile, [unit])
    assert (student, name) == ("mallory", unit.name)
    assert path == hostile.path("feedback", "mallory", unit) / f"{unit.name}.html"
    return path.read_text(encoding="utf-8")


def test_a_name_that_looks_like_a_pattern_is_a_name(tmp_path, unit):
    name = "Doe [1] *"
    [(student, _, path)] = feedback.write_feedback(graded_class(tmp_path, unit, name), [unit])
    assert student == name and path.parent.parent.name == name and name in path.read_text("utf-8")


@pytest.mark.parametrize("markup", HOSTILE_HTML)
def test_hostile_markup_is_cleaned(markup):
    for text in (markup, render_any(markup), f"<div>{markup}", f"<svg>{markup}</svg>"):
        assert_harmless(clean(text))
        assert "<style" not in clean(text)


# Formgrader gives points for a click on a class below another class around an id.
NAMED = (
    '<div class="nbgrader_cell"><p class="full-credit"><svg id="limits-hidden"></svg>x</p></div>',
    '<p class="hb-report nbgrader_cell">x</p><p class="\thb-good\nfull-credit\x0cscore">x</p>',
    '<p CLASS=full-credit ID=limits-hidden Name=x>x</p><b class="full-&#99;redit">x</b>',
    '<p class="ansi-red-fg score tabbable" data-toggle="modal" data-link="x">x</p>',
    '<svg class="score" id="a b"><text id="limits-hidden-comment">x</text></svg>',
    '<svg><g id=""></g><g class="comment"/><use href="#limits-hidden"/></svg><a href="#x">x</a>',
    '<math class="score" id="x"><mi class="full-credit" id="limits-hidden" name="y">x</mi></math>',
    '<math><mtext><p class="no-credit" id="limits-hidden">x</p></mtext></math>',
    "<p accesskey=s tabindex=0 contenteditable autofocus draggable=true form=x slot=x is=x>x</p>",
    '<label for="limits-hidden">x</label><input id="limits-hidden" class="score" form="x">',
    '<button class="full-credit" id=limits-hidden popovertarget=x command=close>x</button>',
    '<img name="base_url" id="submission_id" alt="x"><a name="grades" id="x" href="#x">x</a>',
    "# x {#limits-hidden .full-credit}\n\n[x](#limits-hidden){.full-credit}",
    "```full-credit nbgrader_cell\nx\n```\n\n~~~ score\nx\n~~~",
    "$\\class{full-credit}{x}$ $\\cssId{limits-hidden}{x}$ $\\style{position:fixed}{x}$",
    '$$x$$ (limits-hidden)\n\n![x](limits.png "full-credit")',
    '<p style="position:fixed;top:0;z-index:9;inset:0;float:left;transform:scale(99)">x</p>',
)


@pytest.mark.parametrize("markup", NAMED)
def test_nothing_of_a_student_s_is_named_as_the_page_s_own_is(markup):
    shown = v4.new_output("display_data", {"text/html": markup})
    drawn = v4.new_output("display_data", {"image/svg+xml": f"<svg>{markup}</svg>"})
    markdown = v4.new_output("display_data", {"text/markdown": markup})
    code = v4.new_code_cell("", outputs=[shown, drawn, markdown])
    for page in (clean(markup), cell_html(v4.new_markdown_cell(markup)), outputs_html(code)):
        assert "x" in page
        for tag, attributes in Elements(page).found:
            assert_unnamed(tag, attributes)


def assert_unnamed(tag: str, attributes: dict[str, str]) -> None:
    """No attribute by which a script, or a label, could take this for another's element."""
    assert tag not in ("label", "input", "button", "form", "select", "output")
    assert attributes.get("id", OWN).startswith(OWN), attributes
    assert attributes.get("href", "")[:1] != "#" or attributes["href"].startswith(f"#{OWN}")
    known = r"(hb-[a-z-]+|ansi-[a-z-]+|output)?"
    for name in attributes.get("class", "").split(" "):
        assert re.fullmatch(known, name) or tag == "pre", (tag, name)
    named = {"name", "for", "form", "accesskey", "tabindex", "contenteditable", "autofocus"}
    named |= {"draggable", "slot", "is", "popovertarget", "command"}
    assert not named & attributes.keys(), attributes
    assert not any(name.startswith("data-") for name in attributes), attributes
    style = attributes.get("style", "")
    assert not re.search("position|z-index|inset|float|transform", style), style


def test_a_picture_s_ids_and_what_refers_to_them_stay_together():
    text = (
        '<svg><clipPath id="c"><rect id="r"></rect></clipPath><path clip-path="url(#c)"></path>'
        '<g style="clip-path: url( #c )"></g><use xlink:href="#r"></use></svg>'
    )
    cleaned = clean(text)
    found = Elements(cleaned).found
    ids = {attributes["id"] for _, attributes in found if "id" in attributes}
    used = re.findall(r"#([\w-]+)", cleaned)
    assert ids == {f"{OWN}c", f"{OWN}r"} == set(used) and len(used) == 3


def test_a_tag_of_a_student_s_cell_is_no_class_in_formgrader():
    """nbconvert writes a cell's tags among its classes, and a tag may hold spaces."""
    cell = v4.new_code_cell("x", metadata={"tags": ["x nbgrader_cell full-credit"]})
    shown, _ = SafeCells().preprocess(v4.new_notebook(cells=[cell]), {})
    assert "tags" not in shown.cells[0].metadata


def test_the_page_is_harmless_as_a_whole(page):
    body = page.split("</head>")[1]
    assert_harmless(body)
    assert body.count("</main>") == 1
    assert "default-src 'none'" in page.split("</head>")[0]
    assert "cdn" not in page and "MathJax" not in page and "require.js" not in page


def test_what_there_is_to_know_is_at_the_top(page, unit):
    top = page.split("<hr>\n")[0]
    assert re.search(r"<h1>13 of 26 points</h1>", page)
    assert "So far: what you wrote in your own words is still to be marked." in top
    assert "It used more than 2 GB of memory at <code>decode</code>" in top
    hint = unit.exercises["decode"].wrong_answers[0].says
    assert "<b>Hint.</b>" in top and hint.split("`")[0] in top
    assert re.search(r"Failed: fp16: [^<]+ \(\d+ of \d+\)", top)
    assert top.count("to be marked, ") == 1 and "to be marked, 3 at most" in top
    assert '<td class="points">0 of 3</td>' in top
    questions = page.split('<section id="questions">')[1].split("</section>")[0]
    assert "✗ not right" in questions or "✓ right" in questions
    assert "not answered" in questions and "<math" in questions
    assert page.count("✗ not right") == questions.count("✗ not right")


def test_the_course_s_own_pictures_and_formulas_survive(page):
    assert 'aria-label="' in page and "<clipPath" in page and 'viewBox="' in page
    assert re.search(r"stroke:\s?(#|var|currentColor)", page)
    assert "<math" in page.split("Write a number with three fields")[1]
    assert not re.search(r"\$\$", page)


def test_nothing_hidden_is_on_the_page(page, unit):
    source = source_notebook(unit)
    for cell in source.cells:
        for payload in re.findall(r"check_hidden\('(.+)'\)|score_quiz\('(.+)'\)", cell.source):
            assert not any(part and part[:40] in page for part in payload)
    assert "BEGIN HIDDEN" not in page and "check_hidden" not in page
    for exercise in unit.exercises.values():
        calls = {case["call"] for case in exercise.hidden_spec["cases"]}
        shown = {case["call"] for case in exercise.visible_spec["cases"]}
        for call in calls - shown:
            assert len(call) < 12 or call not in page
    assert pack(unit.exercises["decode"].hidden_spec)[:40] not in page


def test_a_hidden_check_s_traceback_is_one_line(unit):
    """Plain nbgrader leaves the hidden region in the notebook and in the traceback."""
    source = "x\n### BEGIN HIDDEN TESTS\ncheck('secret')\n### END HIDDEN TESTS"
    error = v4.new_output("error", ename="E", evalue="failed", traceback=["check('secret')", "E"])
    cell = v4.new_code_cell(source, outputs=[error])
    cell.metadata.nbgrader = {"grade": True, "grade_id": "x-hidden", "solution": False}
    cell, _ = feedback.HideTests().preprocess_cell(cell, {}, 0)
    assert "secret" not in json.dumps(cell)


def test_a_result_as_data_names_kinds_and_no_values(unit):
    exercise = unit.exercises["decode"]
    verdict = exercise.try_hidden(exercise.wrong_answers[0].function)
    data = Report("decode", verdict).without_cases()._repr_mimebundle_()
    [result] = [value for kind, value in data.items() if kind.endswith("check+json")]
    assert result["hint"] == exercise.wrong_answers[0].says
    kinds = {case["kind"] for case in exercise.hidden_spec["cases"]}
    assert result["failed"] and all(line.rsplit(" (", 1)[0] in kinds for line in result["failed"])


def test_text_is_cut_and_odd_outputs_are_shown_as_text():
    outputs = [
        v4.new_output("stream", text="x" * 10_000_000),
        v4.new_output("display_data", {"text/html": "<b>" * 100_000, "text/plain": "many tags"}),
        v4.new_output("display_data", {"text/html": "<b>" * 9_000, "text/plain": "deep"}),
        v4.new_output("display_data", {"text/html": "y" * 5_000_000}),
        v4.new_output("display_data", {"text/html": ["<i>", "list</i>"]}),
        v4.new_output("display_data", {"application/json": {"a": 1}, "text/plain": "json"}),
        v4.new_output("display_data", {"text/markdown": "*" * 1_000_000}),
    ]
    shown = outputs_html(v4.new_code_cell("", outputs=outputs))
    assert len(shown) < 100_000
    for text in ("the rest is in the graded notebook", "many tags", "deep", "too large", "json"):
        assert text in shown
    assert "<i>list</i>" in shown
    many = [v4.new_output("stream", text=f"line {n}") for n in range(500)]
    shown = outputs_html(v4.new_code_cell("", outputs=many))
    assert "line 99" in shown and "line 100<" not in shown and "400 more outputs" in shown


def test_pictures_in_base64_only():
    assert picture("image/png", "iVBO\nRw0=") == (
        '<img src="data:image/png;base64,iVBORw0=" alt="drawn by this cell">'
    )
    assert picture("image/png", '"><script>') == "" == picture("image/svg+xml", "aaaa")


def test_formulas_of_any_kind_stay_readable():
    html = clean(render_any("$x^2$ and $\\nonsense{$ and $" + "x" * 9000 + "$"))
    assert "<msup>" in html and "\\nonsense{" in html
    assert clean(render_any("a | b\n--|--\n1 | ~~2~~")).count("<td>") == 2


def test_what_takes_too_long_becomes_plain_text_and_the_others_follow(tmp_path, unit, monkeypatch):
    classroom = graded_class(tmp_path, unit)
    source = classroom.path("autograded", "mallory", unit) / f"{unit.name}.ipynb"
    with classroom.gradebook() as gradebook:
        gradebook.add_student("zoe")
        gradebook.add_submission(unit.name, "zoe")
    after = classroom.path("autograded", "zoe", unit) / source.name
    after.parent.mkdir(parents=True)
    after.write_bytes(source.read_bytes())
    notebook = nbformat.read(source, as_version=4)
    notebook.cells.append(v4.new_markdown_cell("<u>tarpit</u>", id="slow"))
    nbformat.write(notebook, source)
    right = sanitize.clean

    def slow(text: str) -> str:
        if "tarpit" in text:
            time.sleep(1000)
        return right(text)

    monkeypatch.setattr("grader.pages.cells.clean", slow)
    monkeypatch.setattr(feedback, "SECONDS", 25)
    pages = {student: path for student, _, path in feedback.write_feedback(classroom, [unit])}
    text = pages["mallory"].read_text(encoding="utf-8")
    assert "&lt;u&gt;tarpit" in text and "<svg" not in text.split("</head>")[1]
    assert "<svg" in pages["zoe"].read_text(encoding="utf-8")
