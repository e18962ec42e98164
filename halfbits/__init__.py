"""Half the Bits: the library that the course's notebooks import, as ``import halfbits as hb``."""

from halfbits.attempts import draw_decoded, draw_ulp
from halfbits.bits import explore
from halfbits.checks import check
from halfbits.formats import FORMATS, Format, get_format
from halfbits.numberline import number_line
from halfbits.plots import range_vs_precision, spacing
from halfbits.split_explorer import split_explorer
from halfbits.splits import splits
from halfbits.tables import compare

__all__ = [
    "FORMATS",
    "Format",
    "check",
    "compare",
    "draw_decoded",
    "draw_ulp",
    "explore",
    "get_format",
    "number_line",
    "range_vs_precision",
    "spacing",
    "split_explorer",
    "splits",
]
