"""Submissions in and grades out: what learning management systems give, and what they take."""
