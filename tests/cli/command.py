"""A command line run in this process, with streams, variables and a config folder of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tickstream.cli.app import main
from tickstream.cli.environment import Environment
from tickstream.errors import ExitCode


class Result(NamedTuple):
    """What a command line left behind."""

    code: int
    out: str
    err: str

    def ok(self) -> str:
        """Its output; the run must have ended well and in silence."""
        assert (self.code, self.err) == (0, "")
        return self.out

    def failed(self, code: ExitCode) -> str:
        """What it said; it must have ended with this code, and printed nothing as data."""
        assert (ExitCode(self.code), self.out) == (code, ""), self
        assert 1 <= len(self.err.splitlines()) <= 2, self.err
        return self.err


def run(
    *argv: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", folder: Path | None = None, tty: bool = False
) -> Result:
    """`tty`: all three streams say that they are a terminal."""
    out, err = io.BytesIO(), io.StringIO()
    here = Environment(
        stdin=io.BytesIO(stdin),
        stdout=out,
        stderr=err,
        env=env or {},
        stdin_isatty=tty,
        stdout_isatty=tty,
        stderr_isatty=tty,
        user_folder=lambda: folder,
    )
    code = main(argv, here)
    return Result(code, out.getvalue().decode(), err.getvalue())
