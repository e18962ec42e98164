"""The doctor tells the truth and the fix."""

import shutil
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
from packaging.specifiers import SpecifierSet

from grader.units import ROOT
from halfbits import environment as doctor


def test_the_command_says_the_same_and_nothing_on_stderr():
    run = subprocess.run(
        [sys.executable, "-m", "halfbits.doctor"], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0 and run.stderr == "" and "torch: 2.13.0" in run.stdout


def test_this_environment_is_well(capsys):
    assert doctor.main() == 0
    out = capsys.readouterr().out
    for topic in ("Python", "torch", "nbgrader", "GPU", "Chromium", "alembic", "free disk"):
        assert topic in out
    assert "FAIL" not in out


def test_a_package_that_differs_or_is_missing_fails_with_the_fix(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("# made by hand\nnumpy==0.0.1\nno-such-package==1\n")
    found = [str(finding) for finding in doctor.packages(lock)]
    assert "FAIL  numpy" in found[0] and "the lock says 0.0.1" in found[0] and "→" in found[0]
    assert "no-such-package: missing" in found[1]


def test_alembic_off_the_path_fails_with_the_fix(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "PATH" in doctor.alembic().fix


def test_no_chromium_is_no_failure(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("HALFBITS_CHROMIUM", raising=False)
    line = str(doctor.chromium())
    assert line.startswith("--") and "apt-get install chromium" in line


def test_the_lock_pins_what_pyproject_names():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for name in (
        "torch==2.13.0",
        "jupyterlab==4.6",
        "nbgrader==0.9.6",
        "anywidget==",
        "jupytext==",
    ):
        assert f"\n{name}" in lock
    assert "+cpu" not in lock and "@ file" not in lock


def test_every_pinned_version_allows_the_oldest_python_that_we_do():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = f"{project['requires-python'].removeprefix('>=')}.0"
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    names = [line.split("==")[0] for line in lines if "==" in line and ";" not in line]
    wants = {name: metadata.metadata(name).get("Requires-Python") for name in names}
    refuse = {n: want for n, want in wants.items() if want and oldest not in SpecifierSet(want)}
    assert len(names) > 50 and refuse == {}


def test_without_the_lock_nothing_is_compared(tmp_path):
    (finding,) = doctor.packages(tmp_path / "requirements.lock")
    assert "not compared" in finding.found and not finding.needed


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: apt-get install make")
def test_make_refuses_an_old_python_and_a_missing_venv_in_one_line(tmp_path):
    """In a copy without .venv, whose path has a space."""
    home = tmp_path / "a copy"
    home.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, home)
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    no_venv = tmp_path / "no-venv"
    no_venv.write_text(
        f'#!/bin/sh\ncase "$2" in *venv*) exit 1;; esac\nexec "{sys.executable}" "$@"\n'
    )
    no_venv.chmod(0o755)
    for python, said in ((old, "needs Python 3.11 or newer"), (no_venv, "venv module is missing")):
        run = subprocess.run(
            ["make", "doctor", f"PYTHON={python}"], cwd=home, capture_output=True, text=True
        )
        assert run.returncode != 0 and "Traceback" not in run.stderr
        assert [said in line for line in run.stderr.splitlines()].count(True) == 1


def test_make_help_lists_every_target():
    run = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in [
        "lab",
        "check",
        "release",
        "grade",
        "feedback",
        "demo",
        "formgrader",
        "doctor",
        "clean",
    ]:
        assert f"make {target}" in run.stdout
