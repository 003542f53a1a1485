"""A file that gets its name only when it is whole, and takes no other's unless it is told to."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from tickstream.capture import disk
from tickstream.errors import OutputError


class NewFile:
    """A context that gives the file to write to. On a good end it is synced and named, on any other it is gone.

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
            self._file = os.fdopen(disk.open_append(self._temporary, new=True), "wb")
        except OSError as error:
            raise self.failure(error) from error
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

    def _name(self) -> None:
        if self._replace:
            self._temporary.replace(self.path)
            return
        try:
            disk.rename_new(self._temporary, self.path)
        except FileExistsError:
            self.check()
            raise
