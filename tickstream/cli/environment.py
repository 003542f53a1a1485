"""Everything a command needs from the outside, handed in as one thing: tests swap it instead of patching `sys`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from tickstream.clock import Clock, SystemClock


@dataclass
class Environment:
    """Streams, environment variables and time. `stdout` and `stdin` are binary: data has no encoding but UTF-8."""

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: TextIO
    env: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)
    stdin_isatty: bool = False
    stdout_isatty: bool = False
    stderr_isatty: bool = False

    @classmethod
    def of_process(cls) -> Environment:
        """The real ones. A stream that is closed (`2>&-`) becomes the null device."""
        return cls(
            stdin=_binary(sys.stdin, "rb"),
            stdout=_binary(sys.stdout, "wb"),
            stderr=sys.stderr if sys.stderr is not None else open(os.devnull, "w", encoding="utf-8"),  # noqa: SIM115, PTH123 - lives as long as the process
            env=os.environ,
            stdin_isatty=_isatty(sys.stdin),
            stdout_isatty=_isatty(sys.stdout),
            stderr_isatty=_isatty(sys.stderr),
        )

    def print(self, text: str = "") -> None:
        """One piece of text to stdout, as data: for commands whose result is text."""
        self.stdout.write(text.encode("utf-8", "replace") + b"\n")
        self.stdout.flush()

    def say(self, text: str) -> None:
        """One line of talk to stderr; a closed or full stderr is ignored."""
        try:
            self.stderr.write(text + "\n")
            self.stderr.flush()
        except (OSError, ValueError):
            return


def _binary(stream: TextIO | None, mode: str) -> BinaryIO:
    if stream is None:
        return open(os.devnull, mode)  # type: ignore[return-value]  # noqa: SIM115, PTH123 - as above
    return stream.buffer


def _isatty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
