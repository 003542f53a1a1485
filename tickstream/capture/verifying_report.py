"""What a verification found: the account of each series, file and gap, and the verdict over all. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from tickstream.events import GapReason
from tickstream.timestamps import Timestamp

MAX_HOLES = 1_000
MAX_EXAMPLES = 20
"""Of each series are listed; what is beyond is only counted."""
MAX_GAPS = 10_000
"""In all are listed."""

CountedBy = Literal["ts_event", "trade_id", "sequence"]


class Finding(StrEnum):
    """What can be wrong with a single event."""

    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out_of_order"
    CROSSED = "crossed"


class Example(msgspec.Struct, frozen=True):
    """An event that is a finding: `at` is its time, or its number where it has no time."""

    finding: Finding
    file: str
    at: Timestamp | int | None
    ts_recv: Timestamp


class Hole(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """What is missing in [start, end): moments for bars, numbers elsewhere. `explained` is the reason of a gap record.

    `missing` counts open minutes only: a hole may reach over a weekend.
    """

    start: Timestamp | int
    end: Timestamp | int
    missing: int
    explained: GapReason | None = None


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of one provider, one type of event, one interval of bars."""

    provider: str
    symbol: str
    type: str
    interval: str | None = None
    counted_by: CountedBy | None = None
    """What tells that something is missing. None: only gap records do."""
    events: int = 0
    first: Timestamp | None = None
    last: Timestamp | None = None
    """The least and the greatest `ts_event`."""
    expected: int | None = None
    missing: int = 0
    explained: int = 0
    """Of `missing`: what gap records account for."""
    uncertain: int = 0
    """Gap records of which nobody knows what they cost."""
    duplicates: int = 0
    out_of_order: int = 0
    crossed: int = 0
    untimed: int = 0
    """Bars without a time: they cannot be placed."""
    unfinished: int = 0
    """Bars that were to change still (`closed` false), in series that have finished ones."""
    revised: int = 0
    """Finished bars that came again with other values, of providers that correct them (a late trade)."""
    gaps: int = 0
    holes: tuple[Hole, ...] = ()
    more_holes: int = 0
    examples: tuple[Example, ...] = ()

    @property
    def unexplained(self) -> int:
        """Missing, and no gap record says why."""
        return self.missing - self.explained

    @property
    def complete(self) -> bool:
        """Every event that is expected is there once, and in order where a number gives one.

        Crossed prices are what the provider sent, and the order of what nothing numbers is its own affair.
        """
        disorder = self.out_of_order if self.counted_by else 0
        return not (self.missing or self.uncertain or self.duplicates or disorder or self.untimed)


FileState = Literal["listed", "unlisted", "unfinished", "being written", "missing"]


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `problems` is what the manifest says and the file does not, or the other way round."""

    file: str
    state: FileState
    bytes: int = 0
    """On the disk."""
    lines: int = 0
    events: int = 0
    torn: str | None = None
    """What is known of the record that its end cuts off."""
    bad: int = 0
    bad_lines: tuple[str, ...] = ()
    """The first of them, with line and reason."""
    problems: tuple[str, ...] = ()
    unreadable: str | None = None
    """Why it could not be read to its end."""

    @property
    def whole(self) -> bool:
        """Nothing is wrong with it. A file that is being written may end anywhere."""
        torn = self.torn is not None and self.state != "being written"
        return not (torn or self.bad or self.problems or self.unreadable or self.state == "missing")


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """One run of `capture`, by the manifest. `ended` None: it was killed, unless it `goes_on`."""

    run: str
    provider: str
    symbols: tuple[str, ...]
    started: Timestamp
    ended: Timestamp | None = None
    exit_code: int | None = None
    dropped: int = 0
    quarantined: int = 0
    refused: tuple[str, ...] = ()
    goes_on: bool = False


class GapReport(msgspec.Struct, frozen=True, kw_only=True, rename={"start": "from", "end": "to"}):
    """One symbol's part of a gap record; receive times. `missed` None: not known, or not for this symbol alone."""

    provider: str
    symbol: str
    reason: GapReason
    start: Timestamp
    end: Timestamp
    missed: int | None = None


class ReadReport(msgspec.Struct, frozen=True, kw_only=True):
    """How much was read, and how fast. `bytes` are those on the disk."""

    files: int
    bytes: int
    events: int
    seconds: float

    @property
    def megabytes_per_s(self) -> float:
        """A megabyte is a million bytes."""
        return self.bytes / 1e6 / self.seconds if self.seconds else 0.0

    @property
    def events_per_s(self) -> float:
        """Market events and gaps."""
        return self.events / self.seconds if self.seconds else 0.0


class Verdict(StrEnum):
    """Of the whole."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"
    UNREADABLE = "unreadable"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All that a verification found."""

    series: tuple[SeriesReport, ...]
    files: tuple[FileReport, ...]
    runs: tuple[RunReport, ...] = ()
    gaps: tuple[GapReport, ...] = ()
    more_gaps: int = 0
    read: ReadReport

    @property
    def verdict(self) -> Verdict:
        """UNREADABLE when a file could not be read: what is in it, nobody knows. Nothing at all is never complete."""
        if any(one.unreadable for one in self.files):
            return Verdict.UNREADABLE
        nothing = not any(one.events for one in self.series)
        if (
            nothing
            or any(one.dropped for one in self.runs)
            or not all(one.whole for one in self.files)
            or not all(one.complete for one in self.series)
        ):
            return Verdict.INCOMPLETE
        return Verdict.COMPLETE
