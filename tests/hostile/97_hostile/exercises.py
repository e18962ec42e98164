"""Two exercises that nobody gets wrong by accident."""

from grader.exercise import Exercise, case, sweep

double = Exercise("double", points=(1, 2))
double.reference(lambda x: 2 * x)
double.visible(case(1.0), case(3.0))
double.hidden("other numbers", case(81916253), sweep([7.0, 11.0, -13.0]))

half = Exercise("half", points=(1, 2))
half.reference(lambda x: x / 2)
half.visible(case(1.0), case(3.0))
half.hidden("other numbers", case(81916253), sweep([7.0, 11.0, -13.0]))
