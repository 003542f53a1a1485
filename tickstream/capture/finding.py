"""From paths as users name them to the files that are read."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

import msgspec

from tickstream.capture import manifest
from tickstream.errors import InputError, UsageError
from tickstream.suggestions import shown
from tickstream.timestamps import Timestamp

SUFFIXES = (".jsonl", ".csv", ".parquet")
COMPRESSIONS = (".gz", ".zst")
PART = ".part"
_NUMBERED = re.compile(r"(.*?)(?:-(\d{3,}))?")


class Found(msgspec.Struct, frozen=True):
    """A file to read. `name` is for messages, `path` None is standard input, `part`: it is not finished.

    `first` is its earliest `ts_event`, where a manifest says it; `relative` its path below the folder that was named.
    """

    name: str
    path: Path | None
    part: bool = False
    first: Timestamp | None = None
    relative: PurePath = PurePath("-")


class Many(list[Found]):
    """Files that are to be read in the order of time: those of a folder, or of a pattern."""


def find(path: str) -> list[Found]:
    """The file that a path stands for, or Many. Raises UsageError when there are none, InputError for a bad folder."""
    if path == "-":
        return [Found("-", None)]
    place = Path(path)
    try:
        if place.is_dir():
            found = Many(sorted(_in_folder(place), key=_by_name))
            if not found:
                raise UsageError(
                    f"{shown(path)} holds no file that could be read.",
                    hint=f"In a folder these are: {', '.join(SUFFIXES)}, also with {' and '.join(COMPRESSIONS)}.",
                )
            return found
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error
    if not place.exists() and glob.has_magic(path):
        matching = [Path(one) for one in glob.glob(path, recursive=True)]  # noqa: PTH207 - a pattern may be absolute
        if files := Many(sorted((_found(one) for one in matching if one.is_file()), key=_by_name)):
            return files
    if not place.exists():
        raise UsageError(f"{shown(path)}: there is no such file.")
    return [_found(place)]


def _found(path: Path, folder: Path | None = None, first: Timestamp | None = None) -> Found:
    relative = path.relative_to(path.parent if folder is None else folder)
    return Found(str(path), path, path.name.endswith(PART), first, relative)


def _in_folder(folder: Path) -> Iterator[Found]:
    """The files in and below a folder that hold data by their names, finished or not, listed or not."""
    base = _base(folder)
    listed = _first_times(base) if base is not None else {}
    for path in folder.rglob("*"):
        if path.name != manifest.NAME and not path.name.startswith(".") and format_suffix(path.name) and path.is_file():
            yield _found(path, folder, listed.get(path.resolve()))


def _base(folder: Path) -> Path | None:
    """The capture folder that this one is, or lies in."""
    whole = folder.resolve()
    return next((one for one in (whole, *whole.parents) if (one / manifest.NAME).is_file()), None)


def recorded_provider(path: Path) -> str | None:
    """Whose data a file is, where the manifest of its capture says it. Raises OSError."""
    base = _base(path.parent)
    if base is None:
        return None
    runs: dict[str, str] = {}
    for entry in manifest.read(base):
        if isinstance(entry, manifest.RunStart):
            runs[entry.run] = entry.provider
        elif isinstance(entry, manifest.PartOpened) and base / entry.part == path.resolve():
            return entry.provider or runs.get(entry.run)
        elif isinstance(entry, manifest.FileFinished) and base / entry.file == path.resolve():
            return runs.get(entry.run)
    return min(runs.values()) if len(set(runs.values())) == 1 else None  # renamed, and of the only provider there is


def _first_times(base: Path) -> dict[Path, Timestamp | None]:
    entries = manifest.read(base)
    return {base / one.file: one.first for one in entries if isinstance(one, manifest.FileFinished)}


def _bare(name: str) -> str:
    """The name without `.part` and without the suffix of a compression."""
    name = name.removesuffix(PART)
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name


def bare_name(name: str) -> str:
    """The name without all that says what kind of file it is."""
    bare = _bare(name)
    return bare.removesuffix(format_suffix(name) or PurePath(bare).suffix)


def format_suffix(name: str) -> str:
    """What the name says of the format: `.jsonl`, `.csv`, `.parquet`, or nothing."""
    bare = _bare(name)
    return next((suffix for suffix in SUFFIXES if bare.endswith(suffix)), "")


def _by_name(found: Found) -> tuple[str, str, float]:
    """By folder and name; `x.jsonl` before `x-001.jsonl`, and what is not finished last."""
    assert found.path is not None
    match = _NUMBERED.fullmatch(_bare(found.path.name).removesuffix(format_suffix(found.path.name)))
    assert match is not None
    return str(found.path.parent), match[1], float("inf") if found.part else float(match[2] or 0)
