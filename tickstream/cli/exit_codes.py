"""`tickstream exit-codes`."""

from __future__ import annotations

from tickstream.cli.app import environment
from tickstream.errors import ExitCode


def exit_codes() -> None:
    """List the exit codes: the contract with your scripts."""
    for code in ExitCode:
        environment().print(f"{code.value:>4}  {code.meaning}")
