"""A problem that the user can mend."""


class Problem(Exception):
    """One line that says what is wrong and what to do; the command line prints it, no more."""
