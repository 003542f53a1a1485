"""Everything a command needs from the outside, handed in as one thing: tests swap it instead of patching `sys`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

from tickstream.clock import Clock, SystemClock
from tickstream.errors import OutputError

if TYPE_CHECKING:
    from tickstream.config import Config

_SECRET_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
_PATIENCE_S = 1.0
"""How long the reader of stderr may take to make room for a line."""
_SHORTEST_SECRET = 8
"""Shorter values of variables that merely sound secret would be found in innocent words."""


@dataclass
class Environment:
    """Streams, environment variables, time, and the user's config folder.

    `stdout` and `stdin` are binary: data has no encoding but UTF-8. `user_folder` is asked only when it is needed.
    """

    stdin: BinaryIO
    stdout: BinaryIO
    stderr: TextIO
    env: Mapping[str, str]
    clock: Clock = field(default_factory=SystemClock)
    command: tuple[str, ...] = ()
    """The command line, as it was typed."""
    stdin_isatty: bool = False
    stdout_isatty: bool = False
    stderr_isatty: bool = False
    user_folder: Callable[[], Path | None] = lambda: None
    _config: Config | None = field(default=None, init=False, repr=False)
    _redact: Callable[[str], str] | None = field(default=None, init=False, repr=False)
    _deaf: bool = field(default=False, init=False, repr=False)
    """Nobody read stderr when it was last written to."""

    @classmethod
    def of_process(cls) -> Environment:
        """The real ones.

        A stdin or stderr that is closed (`2>&-`) becomes the null device. A stdout that is closed fails when something
        is written, as it does everywhere. Either way its descriptor is taken, so that no socket gets its number.
        """
        return cls(
            stdin=sys.stdin.buffer if sys.stdin is not None else open(os.devnull, "rb"),  # noqa: PTH123 - stays open
            stdout=sys.stdout.buffer if sys.stdout is not None else _unwritable(),
            stderr=sys.stderr if sys.stderr is not None else open(os.devnull, "w", encoding="utf-8"),  # noqa: PTH123 - as above
            env=os.environ,
            stdin_isatty=_isatty(sys.stdin),
            stdout_isatty=_isatty(sys.stdout),
            stderr_isatty=_isatty(sys.stderr),
            user_folder=_user_folder,
        )

    def config(self) -> Config:
        """The configuration, read once. Raises ConfigError."""
        if self._config is None:
            from tickstream.config import load

            self._config = load(self.env, self.user_folder)
            self._config.check_providers(_is_provider)
        return self._config

    def print(self, text: str = "") -> None:
        """One piece of text to stdout, as data: for commands whose result is text.

        Raises BrokenPipeError when the reader went away, OutputError when it cannot be written.
        """
        try:
            self.stdout.write(text.encode("utf-8", "replace") + b"\n")
            self.stdout.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write to stdout: {getattr(error, 'strerror', None) or error}") from error

    def say(self, text: str) -> None:
        """Talk to stderr, without keys or characters that drive a terminal.

        A closed or full one is ignored, and one whose reader does not read gets no more: talk never holds up the data.
        """
        self._deaf = not _has_room(self.stderr, 0.0 if self._deaf else _PATIENCE_S)
        if self._deaf:
            return
        try:
            self.stderr.write(printable(self.redact(text)) + "\n")
            self.stderr.flush()
        except (OSError, ValueError):
            _abandon(self.stderr)

    def draw(self, text: str) -> bool:
        """Put a line on the terminal behind stderr, over the last one drawn; empty text takes that away.

        False, and nothing drawn, where the cursor cannot be moved. Like `say` it never holds up the data.
        """
        from tickstream.sinks.terminal import is_dumb

        if not self.stderr_isatty or is_dumb(self.env) or not _has_room(self.stderr, 0.0):
            return False
        line = printable(self.redact(text)).replace("\n", " ")[: _columns(self.stderr) - 1]
        try:
            self.stderr.write(f"\r{line}\x1b[K")
            self.stderr.flush()
        except (OSError, ValueError):
            _abandon(self.stderr)
            return False
        return True

    def redact(self, text: str) -> str:
        """The text without any key that was found, and without the secrets among the environment variables."""
        from tickstream.keys import Secret, redact_found

        if self._redact is None:
            self._redact = Secret.redactor(
                Secret(value)
                for name, value in self.env.items()
                if name.upper().endswith(_SECRET_NAMES) and len(value) >= _SHORTEST_SECRET
            )
        return redact_found(self._redact(text))

    def colour(self) -> bool:
        """True when text on stdout may be coloured: a terminal that can, and no NO_COLOR (https://no-color.org)."""
        return self.stdout_isatty and not self.env.get("NO_COLOR") and self.env.get("TERM") != "dumb"

    def abandon_stdout(self) -> None:
        """Nobody takes what is written to stdout any more: be quiet about it."""
        _abandon(self.stdout)


def _columns(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _abandon(stream: BinaryIO | TextIO) -> None:
    """Let what is buffered go to the null device, or the interpreter fails when it flushes at exit."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # not a file
        return
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def _has_room(stream: TextIO, seconds: float) -> bool:
    """False when it is a pipe or a terminal that nobody reads, for so long. Windows cannot tell: True."""
    import select

    try:
        return bool(select.select([], [stream], [], seconds)[1])
    except (OSError, ValueError):  # no file, or closed
        return True


def printable(text: str) -> str:
    """The text with everything escaped that is no letter, mark, number, punctuation, symbol, space or line end.

    The escapes are JSON's (`\\u001b`), so a line of JSON remains one.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    import json

    return json.dumps(character)[1:-1]


def _user_folder() -> Path | None:
    from tickstream.config import user_folder

    return user_folder()


def _is_provider(name: str) -> bool:
    from tickstream.providers import all_names, names

    return name in names() or name in all_names()


def _unwritable() -> BinaryIO:
    return os.fdopen(os.open(os.devnull, os.O_RDONLY), "wb", buffering=0)


def _isatty(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False
