"""What all scenarios share: the server, who is compared, how often and on how much, and where to put things."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.bench.contenders import Contender, contenders
from tests.bench.machine import busy_s, clean_environment
from tests.bench.provider import Provider

Results = dict[str, Any]
"""Scenario -> what it measured, as it stands in the JSON file."""


@dataclass(frozen=True)
class Effort:
    """How much work is put in. `scale` multiplies messages and seconds."""

    rounds: int = 5
    scale: float = 1.0

    def messages(self, full: int) -> int:
        """So many of what a full run takes."""
        return max(100, round(full * self.scale))

    def seconds(self, full: float) -> float:
        """So long, where a full run takes `full`."""
        return max(2.0, full * self.scale)


class Bench:
    """Made once for a run; a context that ends the server."""

    def __init__(self, cache: Path, effort: Effort, chosen: frozenset[str] = frozenset()) -> None:
        self.cache = cache
        self.effort = effort
        self._folder = tempfile.TemporaryDirectory(prefix="tickstream-bench-")
        self.work = Path(self._folder.name)
        self.env = clean_environment(cache)
        self.provider = Provider(self.work, self.env)
        everyone, self.skipped = contenders(cache, self.provider.ca_file)
        self.contenders = [one for one in everyone if not chosen or one.name in chosen]

    def contender(self, name: str) -> Contender | None:
        """None when it cannot run here, or was not chosen."""
        return next((one for one in self.contenders if one.name == name), None)

    def say(self, text: str) -> None:
        """Progress, on stderr."""
        print(text, file=sys.stderr, flush=True)

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.provider.close()
        self._folder.cleanup()


class Noise:
    """How much of a core others take, from when it is made."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._busy_s, self._at = busy_s(core), time.monotonic()

    def share(self, ours_s: float) -> float:
        """The part of the time in which the core worked for others than the process that used `ours_s` there."""
        seconds = time.monotonic() - self._at
        return round(max(0.0, busy_s(self._core) - self._busy_s - ours_s) / seconds, 3)
