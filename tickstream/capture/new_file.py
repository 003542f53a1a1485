"""A file that gets its name only when it is whole, and takes no other's unless it is told to."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tickstream.capture import disk, lock
from tickstream.errors import OutputError

LEFT_S = 60.0
"""A temporary file that nobody holds is taken for abandoned when it was written to so long before ours was made."""


class NewFile:
    """A context that gives the file to write to. On a good end it is synced and named, on any other it is gone.

    A process that is killed leaves its temporary file behind: the next one that writes the same file removes it.
    Raises OutputError when it cannot be written, or when a file of its name is there and `replace` is not said.
    """

    def __init__(self, path: Path, *, replace: bool = False) -> None:
        self.path = path
        self._replace = replace
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._file: BinaryIO | None = None

    def __enter__(self) -> BinaryIO:
        self.check()
        try:
            disk.make_folders(self.path.parent)
            self._temporary.unlink(missing_ok=True)  # of a process that was killed, and had our number
            fd = disk.open_append(self._temporary, new=True)
            self._file = os.fdopen(fd, "wb")
        except OSError as error:
            raise self.failure(error) from error
        with contextlib.suppress(OSError):  # where files cannot be locked, nothing is swept
            lock.hold(fd)
            self._sweep(os.fstat(fd).st_mtime)
        return self._file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            if error is None:
                self._file.flush()
                disk.sync_file(self._file.fileno())
                self._file.close()
                self._name()
                disk.sync_folder(self.path.parent)
        except OSError as problem:
            raise self.failure(problem) from problem
        finally:
            with contextlib.suppress(OSError):  # what a full disk did not take cannot be flushed now either
                self._file.close()
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise self.failure(error) from error

    def check(self) -> None:
        """Raises OutputError when a file of its name is in the way."""
        if not self._replace and os.path.lexists(self.path):
            raise OutputError(
                f"{self.path} is there already, and is not overwritten.", hint="Name another file, or add --force."
            )

    def failure(self, error: OSError) -> OutputError:
        """What an error while writing means."""
        return OutputError(disk.failure(error, self.path).message)

    def _sweep(self, now: float) -> None:
        """Remove what processes that were killed have left of this file."""
        for path in self._others():
            with contextlib.suppress(OSError):  # not ours to open, gone meanwhile, or Windows, and open
                fd = disk.open_update(path)
                try:
                    abandoned = now - os.fstat(fd).st_mtime > LEFT_S and lock.hold(fd)
                finally:
                    os.close(fd)
                if abandoned:
                    path.unlink()

    def _others(self) -> Iterator[Path]:
        """Temporary files of the same name, of other processes."""
        form = re.compile(rf"\.{re.escape(self.path.name)}\.[0-9]+\.tmp")
        for path in self.path.parent.iterdir():
            if form.fullmatch(path.name) and path.name != self._temporary.name:
                yield path

    def _name(self) -> None:
        if self._replace:
            self._temporary.replace(self.path)
            return
        try:
            disk.rename_new(self._temporary, self.path)
        except FileExistsError:
            self.check()
            raise
