"""Reading in tests: what bytes hold, and what a file does."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tickstream.capture.reading import Chunk, ReadOptions, Source, sources
from tickstream.events import Event


class Read(NamedTuple):
    """All that came of one or several files."""

    events: list[Event]
    bad: list[tuple[int, str]]
    """Line and reason of each bad line."""
    torn: list[tuple[int, str]]
    lines: int
    sources: list[Source]


def together(chunks: Iterator[Chunk], of: list[Source]) -> Read:
    events: list[Event] = []
    bad: list[tuple[int, str]] = []
    torn: list[tuple[int, str]] = []
    lines = 0
    for chunk in chunks:
        events += chunk.events
        bad += [(line.line, line.reason) for line in chunk.bad]
        torn += [(line.line, line.reason) for line in (chunk.torn,) if line is not None]
        lines += chunk.lines
    return Read(events, bad, torn, lines, of)


def read_bytes(data: bytes, **options: object) -> Read:
    """From standard input."""
    [source] = sources(["-"], ReadOptions(stdin=io.BytesIO(data), **options))  # type: ignore[arg-type]  # as they come
    return together(source.chunks(), [source])


def read_paths(*paths: Path | str, **options: object) -> Read:
    """From files, one after the other."""
    found = sources(paths, ReadOptions(**options))  # type: ignore[arg-type]  # as they come
    return together((chunk for source in found for chunk in source.chunks()), found)
