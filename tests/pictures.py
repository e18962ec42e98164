"""What every picture of the course keeps, whatever it shows."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

from halfbits.pictures.figure import Picture

SMALLEST = 11  # CSS pixels of a letter, where the picture is 800 of them wide


def assert_well_drawn(draw: Callable[[], Picture], white: bool = False) -> None:
    """It follows the page's theme, refers only to itself, can be read, and comes out the same.

    ``white``: it has white letters, which is right on a coloured patch and nowhere else.
    """
    shown = draw()
    assert "currentColor" in shown.svg and "max-width:100%" in shown.svg
    for foreign in ("#000000", "<style", "<metadata", *([] if white else ["#ffffff"])):
        assert foreign not in shown.svg
    root = ET.fromstring(shown.html)
    ids = [each.get("id") for each in root.iter() if each.get("id")]
    used = re.findall(r"(?:href=\"|url\()#([^\")]+)", shown.svg)
    assert len(ids) == len(set(ids)) and set(used) == set(ids)
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', shown.svg)[1])
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", shown.svg)]
    assert sizes and min(sizes) * 800 / width >= SMALLEST
    assert draw().html == shown.html
