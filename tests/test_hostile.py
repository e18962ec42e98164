"""Every hostile submission is contained, costs only what it spoiled, and the class is graded."""

import json
from collections import Counter

import pytest

from grader import hostile
from grader.__main__ import main

CLASSES = {
    "broken", "bystander", "exhaustion", "forging", "network", "output", "reading", "stopping",
    "tampering", "writing",
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> list[hostile.Outcome]:
    return hostile.run()


def test_there_are_attacks_of_every_class():
    attacks = hostile.attacks().ATTACKS
    assert len(attacks) >= 60 and len({attack.name for attack in attacks}) == len(attacks)
    assert Counter(attack.kind for attack in attacks).keys() == CLASSES


def test_every_attack_is_contained_and_nobody_pays_for_it(outcomes):
    bad = [outcome for outcome in outcomes if not outcome.good]
    assert bad == [], hostile.as_table(bad)


def test_the_command_prints_a_table_or_json(monkeypatch, capsys, outcomes):
    monkeypatch.setattr(hostile, "run", lambda names: outcomes[:2])
    assert main(["hostile", "--json"]) == 0
    for row in json.loads(capsys.readouterr().out):
        assert row.keys() >= {"attack", "contained", "honest_points_kept", "others_graded"}
    assert main(["hostile"]) == 0
    assert "points kept" in capsys.readouterr().out


def test_a_spoiled_outcome_makes_the_command_fail(monkeypatch, capsys):
    spoiled = hostile.Outcome("x", "reading", "read", False, True, True, ["it was read"])
    monkeypatch.setattr(hostile, "run", lambda names: [spoiled])
    assert main(["hostile", "x"]) == 1
    assert "it was read" in capsys.readouterr().out


def test_an_attack_that_there_is_not_is_one_line(capsys):
    assert main(["hostile", "such"]) == 1
    assert capsys.readouterr().err == (
        "there is no attack 'such': grader hostile lists all of them\n"
    )
