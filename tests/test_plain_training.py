"""Plain nbgrader and the engine give every known answer the same points: from Unit 4 on."""

import pytest
from both_ways import grade_both_ways

from grader.units import units


@pytest.mark.parametrize("unit", units()[4:], ids=lambda unit: unit.name)
def test_both_ways_give_the_points_that_the_checks_say(unit, tmp_path):
    deserved, engine, plain = grade_both_ways(unit, tmp_path)
    assert engine == deserved
    assert plain == deserved
