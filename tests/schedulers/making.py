"""Jobs to test schedulers with."""

from __future__ import annotations

import sys
from typing import Any

from hypothesis import strategies as st

from tickstream.schedulers.base import Job

TITLE = "EURUSD XAUUSD"
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp", "Cs", "Cn"]), min_size=1, max_size=12
)
"""Any symbol, any path."""
AWKWARD = (
    "a b", "it's", 'say "x"', "100%", "%d", "$HOME", "${X}", "`id`", "back\\slash", "two\\\\", "\\%", "a\\", "é€", ";",
    "&", "#", "*", "~", "-", "a=b", "!x", "{symbol}", "$(id)", "\\n", "%%", "'", '"', "<&>", "]]>",
)  # fmt: skip
"""What a shell, cron, systemd or XML would read as something else."""


def job(*arguments: str, **changes: Any) -> Job:
    """A capture of two symbols, to run always."""
    fields: dict[str, Any] = {
        "name": "tickstream-capture",
        "program": (sys.executable, "-m", "tickstream"),
        "arguments": ("capture", *(arguments or ("EURUSD", "XAUUSD", "--to", "/data/ticks"))),
        "title": TITLE,
        "log": "/data/ticks/tickstream-capture.log",
        "env_file": "/home/u/.config/tickstream/capture.env",
    }
    return Job(**fields | changes)
