"""The picture of a badge: a ring of sixteen bits around the unit, the student and the date."""

from __future__ import annotations

import math
import textwrap
from datetime import datetime
from html import escape

from halfbits.pictures.theme import FIELD_COLORS

BITS = "0011010101010101"  # 1/3, as near as float16 comes
FIELDS = ["sign"] + ["exponent"] * 5 + ["fraction"] * 10
MIDDLE = 256  # of the picture, both ways
STEP = 360 / len(BITS)  # degrees of the ring for each bit
INK, RIM, PAPER, SOFT = "#131b26", "#3d4c60", "#f6f8fb", "#b4c0cf"
FONT = "'Inter', 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"


def draw(claims: dict) -> str:
    """The picture of a credential, as SVG; all words in it come from the credential."""
    subject = claims["credentialSubject"]
    student = subject["identifier"][0]["identityHash"]
    title = subject["achievement"]["name"]
    date = datetime.fromisoformat(claims["validFrom"])
    day = f"{date.day} {date:%B %Y}"
    said = (
        f"{student} earned “{title}” of Half the Bits, issued by {claims['issuer']['name']} on "
        f"{day}. Around these words, a ring of sixteen bits: the sign, five exponent bits and ten "
        "fraction bits of 1/3 in float16."
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" width="512" height="512" \
role="img" aria-labelledby="title desc" font-family="{FONT}" text-anchor="middle">
<title id="title">{_text(f"Badge: {title}, {student}")}</title>
<desc id="desc">{_text(said)}</desc>
<circle cx="256" cy="256" r="253" fill="{INK}" stroke="{RIM}" stroke-width="3"/>
{_ring()}
{_words(title, student, day)}
</svg>
"""


def _ring() -> str:
    """The bits, clockwise, the sign on top: a one is filled, a zero is an outline."""
    return "\n".join(_bit(place, bit) for place, bit in enumerate(BITS))


def _bit(place: int, bit: str) -> str:
    color = FIELD_COLORS[FIELDS[place]]
    start = STEP * (place - 0.5) + _gap(place - 1, place)
    end = STEP * (place + 0.5) - _gap(place, (place + 1) % len(BITS))
    outer, inner = 237, 196
    path = (
        f"M{_at(start, outer)} A{outer} {outer} 0 0 1 {_at(end, outer)} "
        f"L{_at(end, inner)} A{inner} {inner} 0 0 0 {_at(start, inner)} Z"
    )
    x, y = _at((start + end) / 2, (outer + inner) / 2).split()
    return (
        f'<path d="{path}" fill="{color}" fill-opacity="{1 if bit == "1" else 0.14}" '
        f'stroke="{color}" stroke-width="3" stroke-linejoin="round"/>'
        f'<text x="{x}" y="{float(y) + 8:.2f}" font-size="23" font-weight="600" '
        f'fill="{PAPER}">{bit}</text>'
    )


def _gap(left: int, right: int) -> float:
    """Degrees to leave beside a border: more where a new field begins."""
    return 1.2 if FIELDS[left] == FIELDS[right] else 2.6


def _at(degrees: float, radius: float) -> str:
    """A point of the ring, measured clockwise from the top."""
    angle = math.radians(degrees)
    return f"{MIDDLE + radius * math.sin(angle):.2f} {MIDDLE - radius * math.cos(angle):.2f}"


def _words(title: str, student: str, day: str) -> str:
    unit, _, name = title.rpartition(" · ")
    lines, size = textwrap.wrap(name, 19), 30
    if len(lines) > 2:
        lines, size = textwrap.wrap(name, 24, max_lines=3, placeholder=" …"), 24
    leading = size + 5
    top = 222 - leading * (len(lines) - 1) / 2
    student = student if len(student) <= 38 else student[:37] + "…"
    return "\n".join(
        [
            _line("HALF THE BITS", 122, 15, SOFT, ' letter-spacing="3.2"'),
            _line(unit, top - leading - 6, 21, SOFT),
            *(
                _line(line, top + leading * place, size, PAPER, ' font-weight="700"')
                for place, line in enumerate(lines)
            ),
            f'<path d="M226 290 H286" stroke="{FIELD_COLORS["exponent"]}" stroke-width="3"/>',
            _line(student, 332, min(28, 580 / max(len(student), 1)), PAPER),
            _line(day, 364, 18, SOFT),
        ]
    )


def _line(text: str, y: float, size: float, color: str, more: str = "") -> str:
    where = f'x="{MIDDLE}" y="{y:g}" font-size="{size:.3g}"'
    return f'<text {where} fill="{color}"{more}>{_text(text)}</text>'


def _text(text: str) -> str:
    """Text that is safe in XML: markup escaped, characters that XML forbids replaced."""
    return escape("".join(c if c.isprintable() else "�" for c in text))
