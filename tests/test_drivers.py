"""Drivers and the spy: what plain calling cannot see of a student's function."""

import json
import sys

import pytest
import torch

from grader.exercise import Exercise, case
from halfbits.checking import CheckFailed
from halfbits.checking import checks as check_module
from halfbits.checking.checks import check, check_hidden, load_drivers
from halfbits.checking.payload import pack
from halfbits.checking.spy import Spy

DRIVERS = """
import torch
from halfbits.checking.spy import Spy

def double16(function, x):
    before = x.clone()
    with Spy() as seen:
        result = function(x)
    return {
        "result": result,
        "wider dtypes": seen.wider_than(torch.float16),
        "input untouched": bool(torch.equal(x, before)),
    }

def counter(make, steps):
    one = make()
    return [one.step() for _ in range(steps)]
"""
ONE = torch.ones(2, dtype=torch.float16)


@pytest.fixture
def drivers(tmp_path):
    path = tmp_path / "drivers.py"
    path.write_text(DRIVERS)
    return load_drivers(path)


@pytest.fixture
def double16(drivers) -> Exercise:
    exercise = Exercise("double16", points=(1, 1), driven=True, drive=drivers["double16"])
    exercise.reference(lambda x: x + x)
    exercise.visible(case(ONE))
    exercise.hidden("another", case(ONE * 3))
    exercise.wrong("computed in float32")(lambda x: (x.float() * 2).half())
    exercise.wrong("the input was changed")(lambda x: x.mul_(2))
    return exercise


def test_a_driver_sees_what_the_result_hides(double16):
    assert double16.try_visible(lambda x: x * 2).passed
    upcast = double16.try_hidden(lambda x: (x.float() * 2).half())
    assert not upcast.passed and upcast.hint == "computed in float32"
    rows = double16.try_visible(lambda x: x.mul_(2)).rows
    calls = {row.call: row.passed for row in rows}
    assert calls == {
        "double16(tensor([1, 1], float16)): result": True,
        "double16(tensor([1, 1], float16)): wider dtypes": True,
        "double16(tensor([1, 1], float16)): input untouched": False,
    }


def test_a_class_is_driven_through_events(drivers):
    class Up:
        count = 0

        def step(self):
            self.count += 1
            return self.count

    exercise = Exercise("counter", points=(1, 1), driven=True, drive=drivers["counter"])
    exercise.reference(Up)
    exercise.visible(case(3))
    assert exercise.visible_spec["cases"][0]["expected"] == [1, 2, 3]
    assert exercise.try_visible(Up).passed


def test_torchs_own_not_implemented_is_a_mistake_and_no_stub(double16):
    def needs_a_kernel(x):
        raise NotImplementedError('"add" not implemented for this dtype')

    assert "not implemented for this dtype" in double16.try_visible(needs_a_kernel).rows[0].got


def test_a_notebook_finds_the_drivers_beside_it(double16, tmp_path, monkeypatch):
    (tmp_path / "checks.json").write_text(json.dumps({"double16": double16.visible_spec}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    shown = []
    monkeypatch.setattr(check_module, "display", shown.append)
    monkeypatch.setattr(sys.modules["__main__"], "double16", lambda x: x * 2, raising=False)
    check("double16")
    check_hidden(pack(double16.hidden_spec))
    assert all(report.passed for report in shown)
    (tmp_path / "drivers.py").unlink()
    with pytest.raises(CheckFailed, match="put the notebook back into its unit's folder"):
        check("double16")


def test_the_spy_names_functions_operations_and_dtypes():
    with Spy() as seen:
        torch.softmax(ONE.float(), 0).half().sum().item()
    assert seen.wider_than(torch.float16) == ["float32"]
    assert seen.called("softmax", "log_softmax", "sum") == ["softmax", "sum"]
    assert seen.to_python() == ["item"]


def test_the_spy_is_gone_afterwards():
    with Spy() as seen:
        pass
    torch.zeros(1).double()
    assert seen.dtypes == set() and seen.to_python() == []


def test_a_factory_in_a_wider_dtype_is_seen():
    with Spy() as seen:
        torch.zeros(1, dtype=torch.float64)
    assert seen.wider_than(torch.float32) == ["float64"]
