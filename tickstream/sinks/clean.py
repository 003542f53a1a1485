"""Foreign text made safe for a terminal: the one place, used wherever something is displayed.

A provider's words may hold escape sequences, bidirectional overrides and invisible characters (CVE-2021-42574 is what
those can do). Data files are exact and never pass through here.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: ESC and CSI among them
    "\u00ad\u034f\u061c"  # soft hyphen, grapheme joiner, Arabic letter mark
    "\u115f\u1160\u17b4\u17b5\u3164\uffa0"  # letters that are drawn as nothing
    "\u180b-\u180f"  # Mongolian variation selectors and vowel separator
    "\u200b-\u200f"  # zero width, left-to-right and right-to-left marks
    "\u2028-\u202e"  # line and paragraph separators, bidirectional embedding and override
    "\u2060-\u206f"  # word joiner, invisible operators, bidirectional isolates, deprecated controls
    "\ufe00-\ufe0f\ufeff"  # variation selectors, byte order mark
    "\ufff0-\uffff"  # specials: interlinear annotation, object replacement, noncharacters
    "\ud800-\udfff"  # lone surrogates cannot be encoded
    "\U000e0000-\U000e0fff"  # tags: a second alphabet nobody sees
    "]"
)


def clean(text: str) -> str:
    """The text with each control, invisible or reordering character written out: ESC becomes the characters `\\x1b`.

    Line breaks and tabs count as controls: the result is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
