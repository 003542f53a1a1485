"""What the README says, taken apart: its blocks and tables. Standard library only: CI asks it for the set-up commands.

python3 tests/readme.py demo     the command that ends in the live demo
python3 tests/readme.py test     the command that runs all tests
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).resolve().parent.parent / "README.md"
FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
SETUP = "python3 -m venv .venv && "


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line it begins on."""

    language: str
    text: str
    line: int


def text() -> str:
    """The README."""
    return FILE.read_text(encoding="utf-8")


def blocks(language: str) -> list[Block]:
    """The fenced blocks of a language, in order."""
    whole = text()
    return [
        Block(found["language"], found["text"], whole[: found.start()].count("\n") + 2)
        for found in FENCE.finditer(whole)
        if found["language"] == language
    ]


def table(*head: str) -> list[list[str]]:
    """The rows of the table with this head. Raises LookupError when there is none."""
    lines = text().splitlines()
    first = f"| {' | '.join(head)} |"
    if first not in lines:
        raise LookupError(f"README.md has no table with the head {first}")
    rows = []
    for line in lines[lines.index(first) + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip().strip("|").split("|")])
    return rows


def setup_commands() -> dict[str, str]:
    """`demo` and `test`: the two commands a newcomer types. Raises ValueError unless there are just these two."""
    commands = [line for block in blocks("sh") for line in block.text.splitlines()]
    found = {
        "demo": [line for line in commands if line.startswith(SETUP) and line.endswith("/tickstream watch --demo")],
        "test": [line for line in commands if line.startswith(SETUP) and line.endswith("/pytest")],
    }
    if len(commands) != 2 or any(len(lines) != 1 for lines in found.values()):
        raise ValueError(f"README.md is to have two set-up commands, demo and test, not these: {commands}")
    return {name: lines[0] for name, lines in found.items()}


if __name__ == "__main__":
    sys.stdout.write(setup_commands()[sys.argv[1]] + "\n")
