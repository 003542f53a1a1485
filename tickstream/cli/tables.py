"""Text tables for commands whose result is a table, and the same rows as JSON and CSV. No Rich: nothing moves here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

import typer

Format = Annotated[Literal["table", "json", "csv"], typer.Option("--output", "-o", help="How to print the result.")]
"""The option that all of these commands have."""

BOLD = "\x1b[1m"
RESET = "\x1b[0m"


def text_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[int] = (), *, bold_head: bool = False
) -> str:
    """Columns two spaces apart; those whose index is in `right` are right-aligned. No trailing spaces."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    first = f"{BOLD}{line(head)}{RESET}" if bold_head else line(head)
    return "\n".join([first, *map(line, rows)])


def json_text(value: object) -> str:
    """JSON for a reader and for `jq`: one value a line, indented."""
    from msgspec.json import encode, format  # noqa: A004 - its own name; the standard library's json is slow to import

    return format(encode(value), indent=2).decode()


def csv_text(rows: Sequence[dict[str, object]]) -> str:
    """The rows as CSV, the first row's names as the header, lines ended by LF; None is empty, booleans as in JSON."""
    import csv
    import io

    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue().rstrip("\n")


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
