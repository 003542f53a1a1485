"""A replay put together: an archive, the player over it, and what the outputs are to know of both."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec

from tickstream.capture.archive import Archive
from tickstream.capture.playback import Wanted
from tickstream.capture.reading import ReadOptions
from tickstream.cli.books import BookOptions
from tickstream.cli.environment import Environment
from tickstream.cli.outputs import OutputOptions
from tickstream.cli.player import Pace, Player, ReplayClock
from tickstream.cli.source import Stream
from tickstream.errors import UsageError
from tickstream.events import Bar, BookSnapshot, BookUpdate, Event, OrderUpdate, Quote, Trade
from tickstream.sinks.fields import union
from tickstream.status import ProviderStatus, RunStatus
from tickstream.subscriptions import Channel

SILENCE_S = 150.0
"""Of the capture's time: without data for so long, in an open market, a symbol is stale."""
_CHANNELS: dict[type[Event], Channel] = {
    Bar: Channel.BARS,
    Quote: Channel.QUOTES,
    Trade: Channel.TRADES,
    BookSnapshot: Channel.BOOK,
    BookUpdate: Channel.BOOK,
    OrderUpdate: Channel.ORDERS,
}


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says about the replay."""

    paths: tuple[str, ...]
    read: ReadOptions
    wanted: Wanted = Wanted()
    pace: Pace = Pace()
    books: BookOptions = BookOptions()
    once: bool = False
    """Every symbol has to be known before it begins."""


class Replay:
    """Everything about a replay that is known before it begins. Raises as Archive does."""

    def __init__(self, env: Environment, options: ReplayOptions) -> None:
        self._speed = options.pace.speed
        self._archive = Archive(options.paths, options.read, options.wanted)
        if options.wanted.payloads and self._archive.formats - {"raw"}:
            raise UsageError(
                "-o raw needs a raw capture: these files hold events, not the provider's messages.",
                hint="Use -o jsonl, or capture with -o raw.",
            )
        options.books.check(self._channel(Channel.BOOK))
        self._books = options.books
        self._series = self._archive.series(everyone=options.once) or {self._archive.provider: ()}
        self.player = Player(self._archive.stretches(), env.clock, options.pace, self._archive.provider)
        self.env = replace(env, clock=ReplayClock(env.clock, self.player))
        """With the time of the capture: what is fresh, and whether its market is open, is told by that."""

    def stream(self) -> Stream:
        """As an output takes it."""
        silence_s = math.inf if math.isinf(self._speed) else max(1.0, SILENCE_S / self._speed)
        whose = tuple(ProviderStatus(name, symbols, silence_s=silence_s) for name, symbols in self._series.items())
        return Stream(
            self.player,
            () if self._books.every_s is None else (self._books.stage(recorded=True),),
            RunStatus("REPLAY", whose, []),
            (self._channel(),),
        )

    def _channel(self, wanted: Channel | None = None) -> Channel:
        """What the files hold: `wanted`, if they do, else what comes first."""
        held = [channel for kind, channel in _CHANNELS.items() if kind in self._archive.types]
        return wanted if wanted is not None and wanted in held else next(iter(held), Channel.BARS)

    def columns(self, options: OutputOptions) -> OutputOptions:
        """The output's options; a CSV of several types of events gets the columns of all of them."""
        types = self._archive.types
        if options.format == "csv" and options.fields is None and len(types) > 1:
            return replace(options, fields=union(kind for kind in _CHANNELS if kind in types))
        return options
