"""A run as Prometheus metrics, for the textfile collector of node_exporter and whatever else reads the format.

Pure: text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats/. Every sample carries the label
`run` (the name of the file), so that several runs on one machine do not collide, and `provider`; but in a run of
several providers not those that are about all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from tickstream import __version__
from tickstream.status import FilesStatus, Pace, ProviderStatus, RunStatus, SessionStatus
from tickstream.timestamps import NS_PER_SECOND

PREFIX = "tickstream_"
_NAME = re.compile(r"[^A-Za-z0-9_.-]")

Sample = tuple[Mapping[str, str], float]
"""Labels and value."""
Family = tuple[str, str, str, Iterable[Sample]]
"""Name, type, what it is, samples; without samples it is left out."""


class Totals(msgspec.Struct):
    """Counters of a run that its status does not have."""

    missed: int | None = 0
    duplicates: int | None = None
    exit_code: int | None = None
    """None while it runs."""


class Metrics:
    """What is known of one run from look to look. `name` is the label `run`."""

    def __init__(self, name: str, status: RunStatus, last_data: Mapping[tuple[str, str], int], started_ns: int) -> None:
        self._labels = {"run": _NAME.sub("_", name)}
        if not status.several:
            self._labels["provider"] = status.provider
        self._status = status
        self._last_data = last_data
        """Provider and symbol -> when data of it was last received, wall clock ns."""
        self._started_ns = started_ns
        self._events = Pace()
        self._bytes = {one.name: Pace() for one in status.providers}

    def text(self, now_ns: int, now: float, totals: Totals, files: FilesStatus | None = None) -> str:
        """All of it, `now` by the wall clock (ns) and the monotonic one (s)."""
        lines: list[str] = []
        for name, kind, help_text, samples in self._families(now_ns, now, totals, files):
            lines += self._family(PREFIX + name, kind, help_text, samples)
        return "\n".join(lines) + "\n"

    def _family(self, name: str, kind: str, about: str, samples: Iterable[Sample]) -> list[str]:
        lines = [f"{name}{_labels(self._labels | dict(labels))} {_value(value)}" for labels, value in samples]
        return [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *lines] if lines else []

    def _families(self, now_ns: int, now: float, totals: Totals, files: FilesStatus | None) -> Iterator[Family]:
        info = {"version": __version__, "label": self._status.label}
        yield "info", "gauge", "What runs.", [(info, 1)]
        yield "start_time_seconds", "gauge", "When the run began, Unix time.", [_one(self._started_ns / NS_PER_SECOND)]
        yield "update_time_seconds", "gauge", "When this was written, Unix time.", [_one(now_ns / NS_PER_SECOND)]
        yield "running", "gauge", "1 while the run goes on, 0 once it has ended.", [_one(totals.exit_code is None)]
        yield "exit_code", "gauge", "How the run ended; absent while it goes on.", _known(totals.exit_code)
        yield from self._received(now)
        yield from self._symbols(now_ns)
        yield from self._losses(totals)
        yield from self._credits(now_ns)
        if files is not None:
            yield from _files(files)

    def _received(self, now: float) -> Iterator[Family]:
        events, each = self._status.events, self._each()
        up = [
            ({"provider": session.provider, "session": str(session.session)}, int(session.state == "up"))
            for session in self._status.sessions
        ]
        reconnects = [_of(one, sum(session.reconnects for session in sessions)) for one, sessions in each]
        received = {
            one.name: sum(session.bytes_before + session.bytes_received for session in sessions)
            for one, sessions in each
        }
        yield "session_up", "gauge", "1 while the session is connected and subscribed.", up
        yield "reconnects_total", "counter", "Connections after the first, all sessions.", reconnects
        yield "events_total", "counter", "Market events received.", [_one(events)]
        yield (
            "events_per_second",
            "gauge",
            "Market events since the last update.",
            [_one(self._events.look(events, now))],
        )
        yield "received_bytes_total", "counter", "Bytes received.", [_of(one, received[one.name]) for one, _ in each]
        paces = [_of(one, self._bytes[one.name].look(received[one.name], now)) for one, _ in each]
        yield "received_bytes_per_second", "gauge", "The same per second.", paces

    def _each(self) -> list[tuple[ProviderStatus, list[SessionStatus]]]:
        """The providers, and the sessions with them."""
        return [
            (one, [session for session in self._status.sessions if session.provider == one.name])
            for one in self._status.providers
        ]

    def _symbols(self, now_ns: int) -> Iterator[Family]:
        ages: list[Sample] = []
        times: list[Sample] = []
        open_now: list[Sample] = []
        known = {one.name: one for one in self._status.providers}
        asked = [(one.name, symbol) for one in self._status.providers for symbol in one.symbols]
        for provider, symbol in dict.fromkeys((*asked, *self._last_data)):  # more than asked for, with a wildcard
            labels, last = {"provider": provider, "symbol": symbol}, self._last_data.get((provider, symbol))
            ages.append((labels, float("inf") if last is None else max(0.0, (now_ns - last) / NS_PER_SECOND)))
            times += [] if last is None else [(labels, last / NS_PER_SECOND)]
            market = (known.get(provider) or ProviderStatus(provider)).market_of(symbol)
            open_now.append((labels, int(market.is_open(now_ns))))
        yield "last_data_age_seconds", "gauge", "Since the last data of the symbol; +Inf before the first.", ages
        yield "last_data_time_seconds", "gauge", "When the last data of the symbol came, Unix time.", times
        yield "market_open", "gauge", "1 while the market of the symbol trades, by its usual hours.", open_now

    def _losses(self, totals: Totals) -> Iterator[Family]:
        status = self._status
        quarantined = [_of(one, sum(session.quarantined for session in sessions)) for one, sessions in self._each()]
        yield "gaps_total", "counter", "Intervals in which data may be missing.", [_one(status.gaps)]
        yield "missed_total", "counter", "Events that these gaps are known to have cost.", _known(totals.missed)
        yield "dropped_total", "counter", "Events received that did not reach the output.", [_one(status.dropped)]
        yield "quarantined_total", "counter", "Messages that could not be used.", quarantined
        yield "duplicates_total", "counter", "Events left out because they came before.", _known(totals.duplicates)

    def _credits(self, now_ns: int) -> Iterator[Family]:
        meters = [(one, one.credits) for one in self._status.providers if one.credits is not None]
        used = [_of(one, meter.used) for one, meter in meters]
        left = [(one, meter.remaining(now_ns)) for one, meter in meters]
        known = [_of(one, some) for one, some in left if some is not None]
        yield "credits_used_total", "counter", "Credits that the run has used.", used
        yield "credits_remaining", "gauge", "Credits left today, where known.", known


def _files(files: FilesStatus) -> Iterator[Family]:
    yield "files_finished_total", "counter", "Files completed by the run.", [_one(files.finished)]
    yield "files_open", "gauge", "Files that are being written.", [_one(files.open)]
    yield "written_bytes_total", "counter", "Bytes written to files.", [_one(files.written)]
    yield "waiting_bytes", "gauge", "Bytes in memory that wait to be written.", [_one(files.waiting)]
    yield "disk_free_bytes", "gauge", "What the disk of the capture has left.", _known(files.free)
    yield "paused", "gauge", "1 while nothing can be written: the disk is full.", [_one(bool(files.paused))]


def _one(value: float) -> Sample:
    return {}, value


def _of(provider: ProviderStatus, value: float) -> Sample:
    return {"provider": provider.name}, value


def _known(value: float | None) -> list[Sample]:
    return [] if value is None else [_one(value)]


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _value(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else f"{value:.3f}"
