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
