"""Half the Bits: the library that the course's notebooks import, as ``import halfbits as hb``."""

from halfbits.attempts import draw_decoded, draw_ulp
from halfbits.bits import explore
from halfbits.checks import check
from halfbits.environment import check_environment
from halfbits.formats import FORMATS, Format, get_format
from halfbits.numberline import number_line
from halfbits.plots import range_vs_precision, spacing
from halfbits.progress import progress
from halfbits.quiz import quiz
from halfbits.quiz_check import check_quiz
from halfbits.split_explorer import split_explorer
from halfbits.splits import splits
from halfbits.tables import compare

__all__ = [
    "FORMATS",
    "Format",
    "check",
    "check_environment",
    "check_quiz",
    "compare",
    "draw_decoded",
    "draw_ulp",
    "explore",
    "get_format",
    "number_line",
    "progress",
    "quiz",
    "range_vs_precision",
    "spacing",
    "split_explorer",
    "splits",
]
