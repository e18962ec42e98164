"""How an exercise is tried, judged and reported: from a student's function to a sentence."""

# What lies beside a notebook: its cases, and how to drive what plain calling cannot observe.
CHECKS_FILE = "checks.json"
DRIVERS_FILE = "drivers.py"


class CheckFailed(Exception):
    """An answer failed its check; IPython and nbgrader show one line, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"CheckFailed: {self}"]
