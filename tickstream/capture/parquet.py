"""Parquet: from a file of JSON lines, and back to events. parquet_columns.py says what the columns hold.

Needs the extra `parquet` (pyarrow), which is imported by the functions here and nowhere else.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tickstream.capture import disk
from tickstream.capture.finding import Found
from tickstream.capture.foreign import ForeignColumns
from tickstream.capture.kinds import OtherKind
from tickstream.capture.reading import ReadOptions, Source
from tickstream.errors import ConfigError, InputError
from tickstream.events import Event

if TYPE_CHECKING:
    from tickstream.capture.arrow_reading import ParquetFile


def require() -> None:
    """Raises ConfigError unless Parquet can be read and written here."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(
            "Parquet needs the package pyarrow, which is not installed.", hint="pip install 'tickstream[parquet]'"
        )


def opened(name: str, file: BinaryIO, foreign: ForeignColumns) -> ParquetFile:
    """A file, ready to be read.

    Raises InputError, ConfigError, and UsageError when its columns have to be named.
    """
    require()
    from tickstream.capture import arrow_reading

    return arrow_reading.ParquetFile(name, file, foreign)


def convert(lines: Path, target: Path) -> Iterator[None]:
    """Make the Parquet file `target` of a file of JSON lines; every step of the iteration writes a row group or none.

    `target` is replaced, and complete once the iteration has ended; making that last is the caller's. Raises OSError,
    ConfigError, and InputError for a line that is no event: nothing may be lost on the way.
    """
    require()
    kinds: tuple[type[Event], ...] = ()
    while True:
        try:
            yield from _convert(lines, target, kinds)
        except OtherKind as other:
            kinds = other.kinds
        else:
            return


def _convert(lines: Path, target: Path, kinds: tuple[type[Event], ...]) -> Iterator[None]:
    from tickstream.capture.arrow_writing import ParquetWriter

    with os.fdopen(disk.open_update(target), "r+b") as file:
        file.truncate()
        with ParquetWriter(file, kinds) as writer:
            for chunk in Source(Found(str(lines), lines), ReadOptions()).chunks():
                for bad in (*chunk.bad, *filter(None, (chunk.torn,))):
                    raise InputError(f"{bad}", hint="The lines stay as they are; nothing was converted.")
                writer.write(chunk.events)
                yield
