"""The instructor's command line as a whole: what it offers, and what it costs to start."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from grader.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parent.parent


def test_help_lists_every_command_that_a_module_is_imported_for(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = re.findall(r"^    ([a-z-]+)\b", capsys.readouterr().out, re.M)
    assert listed == [name for names in COMMANDS.values() for name in names]


def test_an_unknown_command_names_those_that_there_are(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["gade"])
    said = capsys.readouterr().err
    assert "'gade'" in said and "'grade'" in said and "Traceback" not in said


@pytest.mark.parametrize(
    "option",
    [
        *(["--workers", "0"], ["--workers=-1"], ["--workers", "two"]),
        *(["--seconds", "0"], ["--seconds", "nan"], ["--memory=-1"], ["--memory", "inf"]),
    ],
    ids=" ".join,
)
def test_an_amount_that_cannot_be_is_refused_with_the_reason(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["grade", *option])
    assert "is no " in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("option", ["--dry-run", "--workers=2", "--scheduler=tls://here:1"])
def test_what_plain_nbgrader_does_not_know_is_refused(option, capsys):
    assert main(["grade", "--plain", option]) == 1
    assert capsys.readouterr().err.startswith("plain nbgrader knows no --dry-run")


def test_a_folder_that_nbgrader_cannot_use_is_one_line(tmp_path, capsys):
    folder = tmp_path / "class [2026]"
    (folder / "submitted" / "ada" / "01_number_formats").mkdir(parents=True)
    for command in ("grade", "feedback", "history"):
        options = ["ada", "01"] if command == "history" else ["01"]
        assert main([command, *options, "--classroom", str(folder)]) == 1
        [said] = capsys.readouterr().err.splitlines()
        assert said.startswith(f"{folder} has one of *?[") and "choose another folder" in said


@pytest.mark.parametrize("module", ["grading", "exchange", "oversight"])
def test_a_command_starts_without_pytorch(module):
    """Importing it takes seconds; whoever regrades an unchanged class need not wait for it."""
    code = f"import sys, grader.commands.{module}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout.strip() == "False", ran.stderr
