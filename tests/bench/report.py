"""What was measured, as Markdown."""

from __future__ import annotations

from typing import NamedTuple


class Table(NamedTuple):
    """A heading, the names of the columns, and cells; the first column is text, the others are right-aligned."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""


def number(value: float | None, places: int, unit: str = "") -> str:
    """With thousands marked; a dash for what was not measured."""
    return "-" if value is None else f"{value:,.{places}f}{unit}"


def markdown(table: Table) -> str:
    """The table under its heading, if it has one."""
    lines = [f"### {table.title}", ""] if table.title else []
    lines.append("| " + " | ".join(table.columns) + " |")
    lines.append("|---" + "|---:" * (len(table.columns) - 1) + "|")
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    if table.note:
        lines += ["", table.note]
    return "\n".join(lines) + "\n"
