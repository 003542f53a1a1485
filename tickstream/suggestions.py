"""What somebody who mistyped a name probably meant, and how to show what they typed."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 40


def near_matches(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Those of `known` that a slip of the finger turns into `word`, whatever the case; the nearest first."""
    from difflib import get_close_matches

    by_folded = {one.casefold(): one for one in known}
    return [by_folded[one] for one in get_close_matches(word.casefold()[:_SHOWN], by_folded, count, 0.6)]


def did_you_mean(word: str, known: Iterable[str], prefix: str = "") -> str:
    """A sentence with the near matches; empty when nothing is near."""
    near = near_matches(word, known)
    return f"Did you mean {' or '.join(prefix + one for one in near)}?" if near else ""


def shown(text: str) -> str:
    """A user's word in a message: quoted, escaped, cut where it is long."""
    return ascii(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")
