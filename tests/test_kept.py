"""What known answers give is kept between processes, and never when something has changed."""

import pytest

from grader import kept, release
from grader.units import ROOT, Unit, find_units


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "FOLDER", tmp_path / "kept")
    return tmp_path / "kept"


def specs(unit: Unit) -> dict:
    return {name: one.visible_spec for name, one in unit.exercises.items()}


def test_the_next_process_runs_no_answer(folder, monkeypatch):
    (unit,) = find_units(["00"])
    fresh = specs(unit)
    kept.keep(unit.folder, unit.exercises, unit.made_of)
    (again,) = find_units(["00"])
    for exercise in again.exercises.values():
        exercise.oracle = exercise.wrong_answers = None  # to run one would fail
    assert specs(again) == fresh != {}


def test_a_change_or_a_damaged_file_makes_it_run_again(folder, monkeypatch):
    (unit,) = find_units(["00"])
    kept.keep(unit.folder, unit.exercises, unit.made_of)
    [path] = folder.iterdir()
    path.write_text("{ no JSON")
    (again,) = find_units(["00"])
    assert not any("visible_spec" in vars(one) for one in again.exercises.values())
    kept.keep(unit.folder, unit.exercises, unit.made_of)
    monkeypatch.setattr(kept, "made_of", lambda folder: "something else")
    (again,) = find_units(["00"])
    assert not any("visible_spec" in vars(one) for one in again.exercises.values())


def test_a_release_forgets_it_first(folder, tmp_path):
    (unit,) = find_units(["00"])
    forged = {n: {"visible_spec": {}, "hidden_spec": {}} for n in unit.exercises}
    place = folder / f"{'.'.join(unit.folder.relative_to(ROOT).parts)}.json"
    kept.write(place, {"made of": kept.made_of(unit.folder), "exercises": forged})
    assert set(map(str, specs(find_units(["00"])[0]).values())) == {"{}"}
    assert release.differences(chosen=find_units(["00"])) == []


def test_where_nothing_can_be_written_nothing_is_kept(folder):
    folder.write_text("a file in the way")
    (unit,) = find_units(["00"])
    kept.keep(unit.folder, unit.exercises, unit.made_of)
    kept.forget(unit.folder)
    assert specs(unit)
