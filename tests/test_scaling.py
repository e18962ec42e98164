"""The figures of docs/scaling.md and the README are those of the recorded benchmark."""

import json

from benchmarks.scaling import RESULT, as_markdown, minutes
from grader.units import ROOT


def test_the_table_is_computed_from_the_record():
    record = json.loads(RESULT.read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert text.split("<!-- table -->\n")[1].split("\n<!-- end -->")[0] == as_markdown(record)
    assert record["scores_equal"] is True and record["students"] >= 12


def test_more_machines_help_the_jobs_and_not_the_writer():
    measured = {"job_seconds": 1.2, "writer_seconds": 0.1}
    assert minutes(measured, machines=1, students=800) == (800 * 1.2 / 8 / 60, 800 * 0.1 / 60)
    assert minutes(measured, machines=10, students=800) == (800 * 1.2 / 80 / 60, 800 * 0.1 / 60)
