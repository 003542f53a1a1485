"""From paths as users name them to the files that are read, in order."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tickstream.errors import UsageError
from tickstream.suggestions import shown

SUFFIXES = (".jsonl", ".csv", ".parquet")
COMPRESSIONS = (".gz", ".zst")
PART = ".part"
_NOT_DATA = ("manifest.jsonl",)
_NUMBERED = re.compile(r"(.*?)(?:-(\d{3,}))?")


class Found(msgspec.Struct, frozen=True):
    """A file to read. `name` is for messages; `path` None is standard input."""

    name: str
    path: Path | None
    part: bool = False


def find(path: str) -> list[Found]:
    """The files that a path stands for. Raises UsageError when there are none."""
    if path == "-":
        return [Found("-", None)]
    place = Path(path)
    if place.is_dir():
        found = sorted(_in_folder(place), key=_order)
        if not found:
            raise UsageError(f"{shown(path)} holds no file that can be read.", hint=f"Read are: {', '.join(SUFFIXES)}.")
        return found
    if place.exists():
        return [_found(place)]
    if glob.has_magic(path):
        matching = sorted(Path(one) for one in glob.glob(path, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if matching:
            return [_found(one) for one in matching if one.is_file()]
    raise UsageError(f"{shown(path)}: there is no such file.")


def _found(path: Path) -> Found:
    return Found(str(path), path, path.name.endswith(PART))


def _in_folder(folder: Path) -> Iterator[Found]:
    for path in folder.rglob("*"):
        if path.name not in _NOT_DATA and not path.name.startswith(".") and format_suffix(path.name) and path.is_file():
            yield _found(path)


def _bare(name: str) -> str:
    """The name without `.part` and without the suffix of a compression."""
    name = name.removesuffix(PART)
    for suffix in COMPRESSIONS:
        name = name.removesuffix(suffix)
    return name


def format_suffix(name: str) -> str:
    """What the name says of the format: `.jsonl`, `.csv`, `.parquet`, or nothing."""
    bare = _bare(name)
    return next((suffix for suffix in SUFFIXES if bare.endswith(suffix)), "")


def _order(found: Found) -> tuple[str, str, float]:
    """By folder and name; `x.jsonl` before `x-001.jsonl`, and what is still being written last."""
    assert found.path is not None
    bare = _bare(found.path.name)
    match = _NUMBERED.fullmatch(bare.removesuffix(format_suffix(found.path.name)))
    assert match is not None
    number = float("inf") if found.part else float(match[2] or 0)
    return str(found.path.parent), match[1], number
