"""The server's side of one connection, as far as it is the same for every provider. Pure: time is an argument."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

from tickstream.session.frames import PONG, encode_frame
from tickstream.simulator.faults import FaultKind, Moment, offered
from tickstream.simulator.handshake import Request
from tickstream.simulator.market import Item
from tickstream.simulator.outgoing import Delivery, Ending, Message, Outgoing, Push, Raw, Round, delivery_of
from tickstream.simulator.sample import Sample

Sort = Literal["auth", "ack", "heartbeat", "pong", "error", "other"]
"""What a message is about: some faults withhold one sort."""


class Sifted(NamedTuple):
    """The symbols of a subscription: those to serve, those that nobody knows, those over the limit."""

    good: list[str]
    unknown: list[str]
    over: list[str]


class Conversation(ABC):
    """One connection. Give it what arrives and the time; take `take_outgoing()`, and obey `ending`.

    A provider's own subclass knows its words: it answers requests with `send`, keeps `topics`, and says when the
    client authenticates (`admit`) and subscribes (`sift`, then `subscribed`), so that faults can come at that moment.
    What must be said first is said in `greet`, not when it is made.
    """

    sample: ClassVar[Sample]
    """Messages to spoil."""
    faults: ClassVar[Mapping[str, Callable[[Any, float], None]]] = {}
    """Faults that not every provider has -> what to do with the conversation at their moment, and at what time."""
    modes: ClassVar[frozenset[str]] = frozenset()
    """Of the faults that last and that not every provider can have, those that this one can."""
    own_kinds: ClassVar[tuple[FaultKind, ...]] = ()
    """Lines for the table: the faults that no other provider has."""

    def __init__(self, shared: Any, now: float) -> None:
        """`shared` is what the counterpart's connections have in common."""
        self.shared = shared
        self.topics: dict[str, str] = {}
        """What the client gets, in the order of subscription -> the market's symbol it is about."""
        self.ending: Ending | None = None
        self.auth_frames = 0
        self.deaf = False
        """True when nothing of the client is to be read any more."""
        self.binary = False
        """True when the client's messages are binary. Known once it is greeted."""
        self.slow = False
        """True when only one byte a second is to be sent."""
        self.key = ""
        """The last one that the client gave."""
        self._opened = now
        self._outgoing: list[Outgoing] = []
        self._notes: list[str] = []

    @classmethod
    def offered(cls) -> dict[str, FaultKind]:
        """Every fault it can have."""
        return offered(cls.faults.keys() | cls.modes, cls.own_kinds)

    # What comes in.

    def greet(self, request: Request, now: float) -> None:  # noqa: B027 - most say nothing before they are spoken to
        """The upgrade is done."""

    def receive(self, payloads: list[bytes], now: float) -> None:
        """Take messages of the client, until one of them ends the connection."""
        for payload in payloads:
            if self.ending is None:
                self.hear(payload, now)

    @abstractmethod
    def hear(self, payload: bytes, now: float) -> None:
        """Take one message of the client, whatever it is."""

    @abstractmethod
    def unreadable(self) -> None:
        """A message has come that is no text."""

    def tick(self, now: float) -> None:  # noqa: B027 - a conversation may have no deadlines
        """Time has passed."""

    def next_deadline(self) -> float | None:
        """When `tick` has something to do; None: never."""
        return None

    def deliver(self, due: Round, now: float) -> None:  # noqa: ARG002 - for those that charge
        """Send what of this round is subscribed."""
        if self.ending is None and (wanted := self.wanted(due)):
            self.hand_out(self.delivery(wanted, due))

    def ping(self, payload: bytes) -> None:
        """A ping frame has come: answer it."""
        self._outgoing.append(Raw(encode_frame(PONG, payload)))

    def client_closed(self, code: int | None) -> None:
        """The client's close frame has come: answer with the same code."""
        self.ending = Ending(code or 1000)

    def close(self) -> None:  # noqa: B027 - most have nothing to give back
        """The connection is gone."""

    # What goes out.

    @property
    def symbols(self) -> frozenset[str]:
        """The market's symbols that are subscribed."""
        return frozenset(self.topics.values())

    def wanted(self, due: Round) -> list[Push]:
        """The pushes of a round that are subscribed."""
        if due.topics <= self.topics.keys():
            return due.pushes
        return [one for one in due.pushes if one.topic in self.topics]

    def delivery(self, pushes: list[Push], due: Round) -> Delivery:
        """These pushes of a round, to send."""
        return Delivery(pushes, due.data) if pushes is due.pushes else delivery_of(pushes)

    def hand_out(self, delivery: Delivery) -> None:
        """Put pushes among what is to be sent."""
        self._outgoing.append(delivery)

    @abstractmethod
    def push(self, item: Item) -> Push:
        """The push of something that a fault has changed."""

    def take_outgoing(self) -> list[Outgoing]:
        """What is to be sent since the last call, in order."""
        out, self._outgoing = self._outgoing, []
        return out

    def send(self, payload: bytes, sort: Sort = "other") -> None:  # noqa: ARG002 - for those that withhold
        """Queue a message."""
        self._outgoing.append(Message(payload))

    def take_notes(self) -> list[str]:
        """What happened since the last call, for the log: no text of the client is in it."""
        out, self._notes = self._notes, []
        return out

    def note(self, text: str) -> None:
        """Something for the log."""
        self._notes.append(text)

    # Moments.

    def moment(self, moment: Moment) -> None:  # noqa: B027 - see Misbehaving
        """This moment has come: for the faults that wait for it."""

    def admit(self, key: str) -> bool:
        """The client has said who it is. False when the connection has ended over it, or is about to."""
        self.key = key
        self.moment("auth")
        return self.ending is None

    def sift(
        self,
        symbols: Iterable[str],
        knows: Callable[[str], bool],
        active: Container[str] = frozenset(),
        room: int | None = None,
    ) -> Sifted:
        """What to make of the symbols of a subscription: those active stay, and so many more there is `room` for."""
        wanted = list(dict.fromkeys(symbols))
        stay = [symbol for symbol in wanted if symbol in active]
        fresh = [symbol for symbol in wanted if symbol not in active]
        known = [symbol for symbol in fresh if knows(symbol)]
        unknown = [symbol for symbol in fresh if not knows(symbol)]
        return Sifted([*stay, *known[:room]], unknown, [] if room is None else known[room:])

    def subscribed(self) -> None:
        """A subscription has been answered."""
        self.moment("subscribe")
