"""What can be made to go wrong, and when: the table, and the words `NAME[@WHEN][xN]` of `--fault`. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from tickstream.errors import UsageError
from tickstream.suggestions import did_you_mean, shown

Moment = Literal["connect", "auth", "subscribe", "every", "seconds", "pushes"]


class FaultKind(NamedTuple):
    """One line of the table. `when` is the default, as one writes it.

    A `mode` is a way to be from that moment on, and begins before the message of that moment is answered. Everything
    else happens once; `http` faults happen instead of the upgrade, and know no other moment.
    """

    name: str
    when: str
    description: str
    sort: Literal["http", "mode", "event"] = "event"


def _table() -> dict[str, FaultKind]:
    http: Literal["http"] = "http"
    mode: Literal["mode"] = "mode"
    kinds = [
        # Instead of the upgrade.
        FaultKind("http-200", "connect", "answer 200 and a page, like a captive portal", http),
        FaultKind("http-301", "connect", "redirect to another port", http),
        FaultKind("http-400", "connect", "answer 400", http),
        FaultKind("http-401", "connect", "answer 401", http),
        FaultKind("http-403", "connect", "answer 403", http),
        FaultKind("http-404", "connect", "answer 404", http),
        FaultKind("http-429", "connect", "answer 429 with Retry-After: 2", http),
        FaultKind("http-500", "connect", "answer 500", http),
        FaultKind("http-503", "connect", "answer 503 with Retry-After: 2", http),
        FaultKind("bad-accept", "connect", "upgrade with a wrong Sec-WebSocket-Accept", http),
        FaultKind("slow-handshake", "connect", "upgrade, one byte a second", http),
        FaultKind("silent-handshake", "connect", "never answer the upgrade", http),
        FaultKind("endless-header", "connect", "answer with headers that never end", http),
        # The provider's errors.
        FaultKind("auth-timeout", "auth", "error auth_timeout, close"),
        FaultKind("invalid-key", "auth", "error invalid_key, close"),
        FaultKind("echo-key", "auth", "error invalid_key with the key in its text, close"),
        FaultKind("connection-limit", "auth", "error connection_limit, close"),
        FaultKind("forbidden", "auth", "error forbidden, close"),
        FaultKind("no-auth-reply", "connect", "never answer the auth message", mode),
        FaultKind("quota-exceeded", "subscribe", "the day's credits are gone: error quota_exceeded, no more quotes"),
        FaultKind("invalid-symbol", "connect", "refuse the first symbol of each subscription", mode),
        FaultKind("symbol-limit", "connect", "refuse all symbols: over the plan's limit", mode),
        FaultKind("partial-ack", "connect", "leave out the last symbol of each subscription, without an error", mode),
        FaultKind("no-ack", "connect", "never confirm a subscription; quotes come all the same", mode),
        FaultKind("no-data", "connect", "no quotes, but heartbeats", mode),
        FaultKind("unknown-code", "subscribe", "an error code that nobody has heard of; the connection goes on"),
        # The connection.
        FaultKind("drop", "10", "end the connection without a close frame (FIN)"),
        FaultKind("reset", "10", "reset the connection (RST)"),
        FaultKind("flap", "subscribe", "close with 1000, 2 s later"),
        FaultKind("mute", "10", "send nothing any more; the connection stays", mode),
        FaultKind("blackhole", "10", "send nothing, read nothing any more; the connection stays", mode),
        FaultKind("no-heartbeat", "connect", "no heartbeats", mode),
        FaultKind("no-pong", "connect", "answer no pings, neither frames nor messages", mode),
        FaultKind("ping-flood", "subscribe", "10,000 pings at once"),
        FaultKind("slow-frame", "10", "one byte a second from then on", mode),
        FaultKind("fragments", "connect", "every message in three fragments with pings between", mode),
        # Frames that should not be.
        FaultKind("bad-utf8", "10", "a text message that is not UTF-8"),
        FaultKind("binary", "10", "a binary message"),
        FaultKind("empty", "10", "an empty message"),
        FaultKind("huge-frame", "10", "a frame of 1 GiB"),
        FaultKind("endless-fragments", "10", "a message in fragments without an end"),
        FaultKind("rsv", "10", "a frame with a reserved bit"),
        FaultKind("bad-opcode", "10", "a frame with a reserved opcode"),
        FaultKind("big-ping", "10", "a ping of 126 bytes"),
        FaultKind("masked", "10", "a masked frame, which only clients may send"),
        # Messages that should not be.
        FaultKind("bad-json", "10", "half a JSON message"),
        FaultKind("wrong-type", "10", "prices that are an object, a word, a boolean"),
        FaultKind("nan", "10", "prices NaN, Infinity and 1e999"),
        FaultKind("huge-number", "10", "a price of 5,000 digits"),
        FaultKind("deep", "10", "JSON nested 100,000 deep"),
        FaultKind("array", "10", "an array of messages"),
        FaultKind("unknown-type", "10", "a message of a type that nobody has heard of"),
        FaultKind("missing-field", "10", "quotes without symbol, time or close"),
        FaultKind("control-chars", "10", "escapes, newlines, markup, bidi marks in symbol, code and text"),
        FaultKind("unrequested-symbol", "10", "a quote of a symbol that was not asked for"),
        # Quotes that are odd.
        FaultKind("duplicate", "connect", "each quote twice", mode),
        FaultKind("out-of-order", "connect", "each two quotes of a symbol in the wrong order", mode),
        FaultKind("skew", "connect", "times one hour in the future", mode),
        FaultKind("crossed", "connect", "ask below bid", mode),
        FaultKind("null-quote", "connect", "bid and ask are null", mode),
        FaultKind("burst", "10", "the quotes of 1,000 minutes at once, for all clients"),
    ]
    kinds += [
        FaultKind(f"close-{code}", "10", f"close with {code} ({meaning})")
        for code, meaning in (
            (1000, "normal"),
            (1001, "going away"),
            (1008, "policy"),
            (1009, "too big"),
            (1011, "internal error"),
            (1012, "restart"),
            (1013, "try again later"),
            (4001, "the provider's own"),
        )
    ]
    return {kind.name: kind for kind in kinds}


FAULTS: dict[str, FaultKind] = _table()
"""Name -> what it is, of all that are no provider's own."""

SOME_ONLY = frozenset({
    "auth-timeout", "invalid-key", "echo-key", "connection-limit", "forbidden", "no-auth-reply", "quota-exceeded",
    "invalid-symbol", "symbol-limit", "partial-ack", "no-ack", "no-heartbeat", "null-quote",
})  # fmt: skip
"""Those that only some providers can have: with keys, credits, confirmations, heartbeats, nulls."""


LOST = FaultKind("lost", "10", "leave one push out: its number is missing")
"""For the `own_kinds` of providers that number what they send."""


def offered(some: Collection[str], own: Iterable[FaultKind]) -> dict[str, FaultKind]:
    """The faults of a provider that can have these of `SOME_ONLY`, and these that nobody else has."""
    kinds = {name: kind for name, kind in FAULTS.items() if name not in SOME_ONLY or name in some}
    return kinds | {kind.name: kind for kind in own}


class Fault(NamedTuple):
    """A fault that was asked for. `value` is the seconds after the upgrade, or the count of pushes on the connection.

    `connections`: only the first so many of the server are hit; None: all.
    """

    kind: FaultKind
    moment: Moment
    value: float = 0.0
    connections: int | None = None


_WORDS = re.compile(
    r"(?P<name>[a-z0-9-]+?)(?:@(?:(?P<moment>connect|auth|subscribe|every)|(?P<seconds>[0-9]{1,6}(?:\.[0-9]{1,3})?)s"
    r"|(?P<pushes>[0-9]{1,9})))?(?:x(?P<connections>[0-9]{1,6}))?"
)
_GRAMMAR = "Write NAME, NAME@WHEN or NAME@WHENxN; WHEN is connect, auth, subscribe, every, 5s, or a number of pushes."


def parse_fault(text: str, known: Mapping[str, FaultKind] = FAULTS) -> Fault:
    """The fault that is meant, of those that are known. Raises UsageError."""
    match = _WORDS.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"--fault: cannot read {shown(text)}.", hint=_GRAMMAR)
    kind = known.get(match["name"])
    if kind is None:
        near = did_you_mean(match["name"], known)
        raise UsageError(
            f"--fault: there is no fault {shown(match['name'])}.",
            hint=f"{near} `tickstream simulate --list-faults` prints all of them.".strip(),
        )
    connections = int(match["connections"]) if match["connections"] else None
    if match["seconds"]:
        fault = Fault(kind, "seconds", float(match["seconds"]), connections)
    elif match["pushes"]:
        fault = Fault(kind, "pushes", int(match["pushes"]), connections)
    elif match["moment"]:
        fault = Fault(kind, match["moment"], 0.0, connections)  # type: ignore[arg-type]  # the pattern's words are the moments
    else:
        fault = parse_fault(f"{kind.name}@{kind.when}", known)._replace(connections=connections)
    if kind.sort == "http" and fault.moment != "connect":
        raise UsageError(f"--fault: {kind.name} happens when a client connects, and at no other time.", hint=_GRAMMAR)
    if fault.moment == "every" and kind.sort == "mode":
        raise UsageError(f"--fault: {kind.name} lasts, it cannot happen again with every push.", hint=_GRAMMAR)
    return fault


def faults_of(faults: Sequence[Fault], connection: int) -> list[Fault]:
    """Those that hit this connection, counted from 1."""
    return [fault for fault in faults if fault.connections is None or connection <= fault.connections]


class Schedule:
    """The faults of one connection that are still to come."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._waiting = [fault for fault in faults if fault.kind.sort != "http"]

    def take(self, moment: Moment, reached: float = 0.0, *, modes_only: bool = False) -> list[FaultKind]:
        """Those whose moment has come, in the order given; each comes once, those of `every` again and again.

        `reached` is how many seconds, or pushes, it has been.
        """
        due = [
            fault
            for fault in self._waiting
            if fault.moment == moment and fault.value <= reached and (fault.kind.sort == "mode" or not modes_only)
        ]
        self._waiting = [fault for fault in self._waiting if fault not in due or fault.moment == "every"]
        return [fault.kind for fault in due]

    def next_second(self) -> float | None:
        """When the next one is due, in seconds after the upgrade."""
        return min((fault.value for fault in self._waiting if fault.moment == "seconds"), default=None)

    def next_push(self, pushes: int) -> int | None:
        """After how many pushes more than these the next one is due."""
        if any(fault.moment == "every" for fault in self._waiting):
            return 1
        counts = [int(fault.value) for fault in self._waiting if fault.moment == "pushes"]
        return max(1, min(counts) - pushes) if counts else None
