"""What students wrote as HTML that runs nothing, loads nothing and asks for nothing.

The allowed list is that of a page to read: text, tables, pictures drawn in SVG, formulas in MathML.
nh3 parses as browsers do (it binds the Rust library Ammonia) and is maintained; bleach, which
nbconvert brings along, says of itself that it no longer is.
"""

from __future__ import annotations

import html
import re
from functools import lru_cache

import nh3
import tinycss2

MAX_HTML = 4_000_000  # characters of one output
MAX_TAGS = 30_000
MAX_DEPTH = 500


def _words(text: str) -> set[str]:
    return set(text.split())


_TEXT = _words(
    """
    a abbr b blockquote br caption cite code col colgroup dd del details dfn div dl dt em
    figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small
    span  strong sub summary sup table tbody td tfoot th thead tr tt u ul var wbr
    """
)
_SVG = _words(
    """
    svg g defs symbol use path rect circle ellipse line polyline polygon text tspan title
    desc  clipPath mask pattern marker linearGradient radialGradient stop
    """
)
_MATH = _words(
    """
    math mrow mi mn mo ms mtext mspace msub msup msubsup mfrac msqrt mroot mover munder
    munderover mmultiscripts mprescripts none mtable mtr mtd mlabeledtr mstyle mpadded
    mphantom  menclose merror
    """
)
_PAINT = _words("fill stroke clip-path mask marker-start marker-mid marker-end")
_DRAWING = _PAINT | _words(
    """
    id x y x1 y1 x2 y2 cx cy r rx ry dx dy d points width height viewBox version
    preserveAspectRatio transform opacity fill-opacity fill-rule stroke-width stroke-opacity
    stroke-linecap stroke-linejoin stroke-dasharray stroke-dashoffset stroke-miterlimit
    text-anchor dominant-baseline font-size font-weight font-style offset stop-color
    stop-opacity gradientUnits gradientTransform spreadMethod patternUnits patternTransform
    patternContentUnits clipPathUnits maskUnits markerWidth markerHeight markerUnits refX
    refY  orient xmlns xmlns:xlink
    """
)
_FORMULA = _words(
    """
    display xmlns stretchy fence separator form lspace rspace minsize maxsize symmetric
    largeop movablelimits accent accentunder mathvariant linethickness columnalign rowalign
    columnspacing rowspacing columnlines rowlines columnspan rowspan width height depth
    displaystyle scriptlevel notation
    """
)
_ATTRIBUTES = {
    "*": {"class", "style", "role", "aria-label", "aria-hidden", "hidden", "title", "lang", "dir"},
    **{tag: _DRAWING for tag in _SVG},
    **{tag: _FORMULA for tag in _MATH},
    "use": _DRAWING | {"href", "xlink:href"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
    "details": {"open"},
    "th": {"scope", "colspan", "rowspan", "align"},
    "td": {"colspan", "rowspan", "align"},
}
_PROPERTIES = _PAINT | _words(
    """
    color background background-color border border-top border-right border-bottom
    border-left  border-color border-style border-width border-radius border-collapse
    border-spacing margin  margin-top margin-right margin-bottom margin-left padding
    padding-top padding-right  padding-bottom padding-left width height max-width min-width
    max-height min-height display  overflow overflow-x overflow-y font font-family font-size
    font-style font-weight  font-variant-numeric line-height letter-spacing text-align
    text-anchor text-decoration  vertical-align white-space opacity fill-opacity fill-rule
    stroke-width stroke-opacity  stroke-linecap stroke-linejoin stroke-dasharray
    stroke-dashoffset stroke-miterlimit  dominant-baseline list-style list-style-type gap
    flex flex-wrap align-items  justify-content
    """
)
_FUNCTIONS = _words(
    """
    rgb rgba hsl hsla var calc min max clamp translate rotate scale matrix linear-gradient
    """
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_EMPTY = _words("br hr img wbr col p li td th tr dd dt input link meta")  # need no end tag
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/\s]*={0,2}\s*")
_HERE = re.compile(r"#[\w.:-]+")
# Of our reports, of coloured terminal text, and of tables; no other means anything on our pages.
_CLASS = re.compile(r"hb-[a-z-]+|ansi-[a-z-]+|dataframe")
OWN = "students-"  # before every id that a student's output has: it names nothing else in the page
_LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)


def clean(text: str) -> str:
    """HTML without scripts, handlers, frames, forms, style sheets and anything from elsewhere.

    Raises
    ------
    ValueError
        If it is too large to be worth it.
    """
    if len(text) > MAX_HTML or text.count("<") > MAX_TAGS or _depth(text) > MAX_DEPTH:
        raise ValueError("too large for this page")
    return _CLEANER.clean(text)


def picture(kind: str, data: str) -> str:
    """An ``img`` of a picture in base64; empty if it is none."""
    source = f"data:{kind};base64,{''.join(data.split())}"
    return (
        f'<img src="{html.escape(source)}" alt="drawn by this cell">'
        if _PICTURE.fullmatch(source)
        else ""
    )


def _depth(text: str) -> int:
    """About how deep elements lie in each other: what takes a parser time that grows as its square.

    Comments can deceive it, so that whoever cleans must bound the time, too.
    """
    deepest = depth = 0
    for closes, name in _TAG.findall(text):
        if name.lower() not in _EMPTY:
            depth = max(0, depth - 1) if closes else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "style":
        return _own(_style(value)) or None
    if name == "id":
        return OWN + value
    if name == "class":  # nbgrader's scripts ask pages for theirs, and a click there gives points
        return " ".join(filter(_CLASS.fullmatch, value.split())) or None
    if name in _PAINT:
        safe = _is_safe(tuple(tinycss2.parse_component_value_list(value)))
        return _own(value) if safe else None
    if name in ("href", "xlink:href"):
        allowed = _HERE.fullmatch if tag == "use" else _LINK.match
        return re.sub(r"^#", f"#{OWN}", value) if allowed(value) else None
    if name == "src":
        return value if _PICTURE.fullmatch(value) else None
    return value


def _own(style: str) -> str:
    """References to ids, as the ids are."""
    return re.sub(r"""(url\(\s*["']?#)""", rf"\1{OWN}", style, flags=re.IGNORECASE)


@lru_cache(maxsize=4096)
def _style(value: str) -> str:
    """The declarations that set a known property and load nothing."""
    found = tinycss2.parse_blocks_contents(value, skip_comments=True, skip_whitespace=True)
    return ";".join(
        f"{one.lower_name}:{tinycss2.serialize(one.value).strip()}"
        for one in found
        if one.type == "declaration" and one.lower_name in _PROPERTIES and _is_safe(one.value)
    )


def _is_safe(tokens: list | tuple) -> bool:
    return all(_is_safe_token(token) for token in tokens)


def _is_safe_token(token: tinycss2.ast.Node) -> bool:
    if token.type == "url":
        return bool(_HERE.fullmatch(token.value))
    if token.type == "function":
        return token.lower_name in _FUNCTIONS and _is_safe(token.arguments)
    return token.type not in ("error", "{} block")


_CLEANER = nh3.Cleaner(
    tags=_TEXT | _SVG | _MATH,
    clean_content_tags={"script", "style", "iframe", "object", "noscript", "template", "textarea"},
    attributes=_ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes={"http", "https", "mailto", "data"},
)
