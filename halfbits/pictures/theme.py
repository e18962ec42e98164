"""The colours of the course: one for each format, one for each field of a number.

Every colour is a mid-tone that keeps a contrast of at least 3:1 (WCAG 2.2, 1.4.11) both on
JupyterLab's white and on its dark background, so one picture serves both themes.
"""

FORMAT_COLORS = {
    "fp64": "#7d7d7d",
    "fp32": "#1f83c4",
    "tf32": "#8a70d6",
    "fp16": "#d4660e",
    "bf16": "#149170",
    "fp8_e4m3fn": "#cf4f8f",
    "fp8_e5m2": "#a17c10",
}

FIELD_COLORS = {"sign": "#8a70d6", "exponent": "#b7791f", "fraction": "#1f83c4"}

ALERT = "#dc3f3a"  # what goes wrong: overflow, NaN
