"""The instructor's commands; each module holds some and what they import."""
