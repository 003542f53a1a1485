"""What a provider's counterpart is: the server that speaks its protocol, apart from sockets and threads. Pure."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from tickstream.errors import UsageError
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.faults import FaultKind
from tickstream.simulator.handshake import Plain
from tickstream.simulator.market import MINUTE_NS, SYMBOL, Item, MarketSource
from tickstream.simulator.options import PARTICULAR, SimulatorOptions
from tickstream.simulator.outgoing import Round
from tickstream.simulator.random_market import Instrument, instrument
from tickstream.suggestions import shown


class Counterpart(ABC):
    """A provider's server: what it declares, and what its connections have in common.

    One file in this folder, with the provider's name and `COUNTERPART = TheClass`. Found by looking; the options of
    `tickstream simulate` that mean something to it are those it `honours`, beyond those of all.
    """

    title: ClassVar[str]
    """The provider's name as people write it."""
    path: ClassVar[str]
    """Of the URL that clients get."""
    paths: ClassVar[tuple[str, ...]] = ()
    """Others that are served too; `/x/*` is all below `/x/`."""
    conversation: ClassVar[type[Conversation]]
    """Made as conversation(counterpart.shared, now) for each connection."""
    plans: ClassVar[tuple[str, ...]] = ()
    """Names of its plans, if it has any."""
    honours: ClassVar[frozenset[str]] = frozenset()
    """Options that only some providers know (see options.PARTICULAR), and this one does."""
    form: ClassVar[re.Pattern[str]] = SYMBOL
    """What its symbols look like."""
    known: ClassVar[tuple[str, ...]] = ()
    """All symbols of its made-up market; none: all that look like one."""
    step_ns: ClassVar[int] = MINUTE_NS
    """Of its made-up market."""

    def __init__(self, options: SimulatorOptions, source: MarketSource, first_ns: int) -> None:
        """`first_ns` is when the market's first item opens."""
        self.options = options
        self.source = source
        self.first_ns = first_ns
        self.shared: Any = self
        """What conversations are made with: all that they have in common."""

    @abstractmethod
    def round(self, items: Sequence[Item]) -> Round:
        """What these items, due together, are for the clients. Called by the market's thread, in order."""

    def plain(self, request: Plain) -> str | None:  # noqa: ARG002 - for those that serve more than a stream
        """The JSON of what is served over plain HTTP (a REST API); None for what is not. Called by clients' threads."""
        return None

    @staticmethod
    def listed(symbol: str) -> Instrument:
        """What is typical of a symbol."""
        return instrument(symbol)

    @classmethod
    def faults(cls) -> dict[str, FaultKind]:
        """Every fault it can have, by name."""
        return cls.conversation.offered()

    @classmethod
    def check(cls, options: SimulatorOptions) -> None:
        """Raises UsageError for options that make no sense with this provider."""
        for name, (words, default) in PARTICULAR.items():
            if name not in cls.honours and getattr(options, name) != default:
                raise UsageError(
                    f"{cls.title} has no {words}.", hint="Leave the option out, or simulate a provider that has them."
                )
        for symbol in options.known:
            if cls.form.fullmatch(symbol) is None:
                raise UsageError(
                    f"{shown(symbol)} is no symbol of {cls.title}", hint=f"Its symbols match {cls.form.pattern}."
                )
