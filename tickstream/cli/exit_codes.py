"""`tickstream exit-codes`."""

from __future__ import annotations

from tickstream.cli.app import environment
from tickstream.cli.tables import Format, csv_text, json_text, text_table
from tickstream.errors import ExitCode


def exit_codes(output: Format = "table") -> None:
    """List the exit codes: the contract with your scripts.

    \b
    Examples:
      tickstream exit-codes
      tickstream exit-codes -o json | jq -r '.[] | select(.name == "QUOTA") | .code'
      tickstream explain 7        what one of them means, and what to do
    """
    here = environment()
    rows: list[dict[str, object]] = [
        {"code": code.value, "name": code.name, "meaning": code.meaning} for code in ExitCode
    ]
    if output == "json":
        here.print(json_text(rows))
    elif output == "csv":
        here.print(csv_text(rows))
    else:
        cells = [[str(cell) for cell in row.values()] for row in rows]
        here.print(text_table(("code", "name", "meaning"), cells, right={0}, bold_head=here.colour()))
