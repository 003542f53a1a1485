"""What a terminal can show: pure decisions from the environment, and the signs to draw with."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

Span = tuple[str, str]
"""Text and its style: words such as `bold`, `dim`, `red`, `reverse`. Only the terminal's own named colours are used, so
that every theme, light or dark, stays readable."""
Line = list[Span]


class Glyphs(NamedTuple):
    """The signs that not every terminal has."""

    up: str
    down: str
    flat: str
    good: str
    waiting: str
    paused: str
    ended: str
    rule: str
    ellipsis: str
    dot: str
    levels: str
    """Eight (or fewer) heights for a sparkline, lowest first."""
    bar: str
    """Of which a bar is made."""


UNICODE = Glyphs("▲", "▼", " ", "●", "○", "◆", "■", "─", "…", " · ", "▁▂▃▄▅▆▇█", "■")
ASCII = Glyphs("+", "-", " ", "*", "o", "!", "x", "-", ".", " | ", "_.-=^", "#")


def glyphs_for(env: Mapping[str, str], platform: str = sys.platform) -> Glyphs:
    """ASCII where the locale says something else than UTF-8, or the console (TERM=linux) has no such characters."""
    if env.get("TERM") == "linux":
        return ASCII
    locale = env.get("LC_ALL") or env.get("LC_CTYPE") or env.get("LANG") or ""
    if not locale:
        return UNICODE if platform in ("win32", "darwin") else ASCII
    return UNICODE if "utf8" in locale.lower().replace("-", "") else ASCII


def is_dumb(env: Mapping[str, str]) -> bool:
    """True where the cursor cannot be moved."""
    return env.get("TERM", "" if sys.platform != "win32" else "windows") in ("", "dumb", "unknown")


def sparkline(prices: Sequence[bytes], width: int, glyphs: Glyphs) -> str:
    """The last `width` prices as a curve; a flat one runs along the bottom. Empty for fewer than two."""
    values = [Decimal(price.decode()) for price in prices][-width:] if width > 0 else []
    if len(values) < 2:
        return ""
    low, span = min(values), max(values) - min(values)
    top = len(glyphs.levels) - 1
    if not span:
        return glyphs.levels[0] * len(values)
    return "".join(glyphs.levels[int((value - low) * top / span + Decimal("0.5"))] for value in values)


def cell_width(text: str) -> int:
    """How many columns a text takes: most characters one, East Asian wide ones two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def line_width(line: Line) -> int:
    """How many columns a line takes."""
    return sum(cell_width(text) for text, _ in line)


def fit(text: str, width: int, ellipsis: str) -> str:
    """The text, cut where it is too wide, with an ellipsis to show it."""
    if cell_width(text) <= width:
        return text
    room = max(0, width - cell_width(ellipsis))
    cut = text[:room]
    while cell_width(cut) > room:
        cut = cut[:-1]
    return (cut + ellipsis)[:width]


def fit_line(line: Line, width: int, ellipsis: str) -> Line:
    """The line, cut where it is too wide."""
    if line_width(line) <= width:
        return line
    kept: Line = []
    room = width  # for what follows, the ellipsis included
    for text, style in line:
        if cell_width(text + ellipsis) > room:
            kept.append((fit(text + ellipsis, room, ellipsis), style))
            break
        kept.append((text, style))
        room -= cell_width(text)
    return kept


def both_ends(left: Line, right: Line, width: int, ellipsis: str) -> Line:
    """One part on the left, one on the right; without room for both, the left one alone."""
    space = width - line_width(left) - line_width(right)
    if right and space >= 2:
        return [*left, (" " * space, ""), *right]
    return fit_line(left, width, ellipsis)
