"""The elements that a drawing is made of, as SVG text.

Layer: kernel.
"""

from __future__ import annotations

import re
from html import escape

INK, QUIET, FAINT = "#1d2733", "#5d6b7a", "#c9cfd6"
PAPER, NEAR, FAR = "#fbfaf7", "#2b3a4a", "#c4511a"
FONT = "Inter, 'Segoe UI', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HALO = ' stroke="#ffffff" stroke-width="4" stroke-linejoin="round"'


def rect(
    corner: tuple[float, float], width: float, height: float, *, radius: float, fill: str, more: str = ""
) -> str:
    """Return a rectangle with round corners; `more` holds other attributes, with a space before each."""
    x, y = corner
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="{radius:g}" fill="{fill}"{more}/>'
    )


def text(  # noqa: PLR0913 - what a text takes
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    weight: int = 400,
    fill: str = INK,
    anchor: str = "start",
    more: str = "",
) -> str:
    """Return one line of text; `y` is its base line. What XML cannot hold is shown as U+FFFD."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:.1f}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}"{more}>{escape(_NOT_XML.sub("\ufffd", words))}</text>'
    )


def haloed(  # noqa: PLR0913 - what a text takes
    x: float,
    y: float,
    words: str,
    *,
    size: float,
    weight: int = 400,
    fill: str = INK,
    anchor: str = "start",
) -> str:
    """Return a text that stands apart from a line beneath it.

    It is drawn twice, outlined and plain: not every viewer knows how to paint an outline first.
    """
    plain = text(x, y, words, size=size, weight=weight, fill=fill, anchor=anchor)
    return text(x, y, words, size=size, weight=weight, fill="#ffffff", anchor=anchor, more=_HALO) + plain


def arrow(path: str, *, width: float, near: bool, both_ways: bool = False) -> str:
    """Return a line with a head, whole and dark where it is `near`, else dashed and orange."""
    head = "url(#near)" if near else "url(#far)"
    start = f' marker-start="{head}"' if both_ways else ""
    dash = "" if near else ' stroke-dasharray="7 5"'
    return (
        f'<path d="{path}" fill="none" stroke="{NEAR if near else FAR}" stroke-width="{width:.1f}" '
        f'stroke-linecap="round" opacity="0.85" marker-end="{head}"{start}{dash}/>'
    )


def curve(*points: tuple[float, float]) -> str:
    """Return the path of a cubic curve: its start, two points that bend it, its end."""
    start, *rest = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{start} C{' '.join(rest)}"


def _marker(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="8.5" refY="5" markerWidth="9" markerHeight="9" '
        'markerUnits="userSpaceOnUse" orient="auto-start-reverse">'
        f'<path d="M0 1 L9 5 L0 9 z" fill="{colour}"/></marker>'
    )


HEADS = f"<defs>{_marker('near', NEAR)}{_marker('far', FAR)}</defs>"
"""The heads of `arrow`: once in every document."""
