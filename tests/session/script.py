"""A wire that follows a script, on a clock that moves only when somebody waits: hours of a connection in milliseconds.

line = Line("EURUSD")                       # a TickAtlas connection whose server authenticates and confirms
line.at(60, quote())                        # what arrives, and when (seconds after the connection was made)
line.at(90, Ended(1001))
error = line.run(until=300)                 # why it ended; None: it was told to stop at 300 s
line.events, line.wire.sent, line.status    # what came of it
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from tests.providers.conversation import KEY, authenticated, subscribed
from tickstream.clock import FakeClock
from tickstream.credits import CreditMeter
from tickstream.errors import ConnectionLost, ProtocolViolation, TickstreamError
from tickstream.events import Batch, Event
from tickstream.keys import Secret
from tickstream.providers import load
from tickstream.providers.base import Feed, ProviderSpec
from tickstream.session.connection import Connection
from tickstream.session.context import SessionContext
from tickstream.session.frames import PING, PONG, Close, Control, FrameBatch
from tickstream.session.outbox import RESERVE_BYTES, Outbox
from tickstream.session.queue import BatchQueue, OnFull
from tickstream.status import SessionStatus
from tickstream.subscriptions import Subscription

SPEC = load("tickatlas")
MAX_TURNS = 100_000


class Pinged(msgspec.Struct, frozen=True):
    """A ping of the server."""

    payload: bytes = b"server"


class Ended(msgspec.Struct, frozen=True):
    """A close frame."""

    code: int | None = None
    reason: str = ""


class Rubbish(msgspec.Struct, frozen=True):
    """A message that the frame reader could not use."""

    payload: bytes = b"\xff"
    reason: str = "not UTF-8"


class Broken(msgspec.Struct, frozen=True):
    """A violation of RFC 6455."""


class Lost(msgspec.Struct, frozen=True):
    """The end of the stream, without a close frame."""


class Bytes(msgspec.Struct, frozen=True):
    """A part of a message: bytes, and nothing complete."""

    count: int = 1000


Item = bytes | dict[str, Any] | Pinged | Ended | Rubbish | Broken | Lost | Bytes
ENDINGS = (Ended, Broken, Lost)
Answer = Callable[[dict[str, Any]], list[Item]]


def tickatlas(message: dict[str, Any]) -> list[Item]:
    """A server that accepts everything."""
    if message["action"] == "auth":
        return [authenticated()]
    return [subscribed(*message["symbols"])]


def silent(message: dict[str, Any]) -> list[Item]:
    """A server that answers nothing."""
    return []


class ScriptedWire:
    """Plays the part of the transport. Times are seconds after it was made."""

    def __init__(
        self, clock: FakeClock, answer: Answer = tickatlas, *, pongs: bool = True, latency: float = 0.05
    ) -> None:
        self._clock = clock
        self._answer = answer
        self._pongs = pongs
        self._latency = latency
        self._made = clock.monotonic()
        self._order = itertools.count()
        self._script: list[tuple[float, int, list[Item | Control] | Callable[[], object]]] = []
        self._end: TickstreamError | None = None
        self._turns = 0
        self.bytes_received = 0
        self.sent: list[dict[str, Any]] = []
        self.pings: list[float] = []
        self.answered: list[tuple[float, bytes]] = []
        """When each pong was sent, and with which payload."""
        self.closed: tuple[int, str] | None = None
        self.aborted = self.woken = False
        self.refuses_to_send = False
        """From now on sending fails, as when the other side has gone."""
        self.late: list[bytes] = []
        """What arrives while we say goodbye."""

    @property
    def now(self) -> float:
        return self._clock.monotonic() - self._made

    def at(self, seconds: float, *items: Item | Control) -> None:
        """These arrive together, in one read."""
        self._script.append((seconds, next(self._order), list(items)))
        self._script.sort(key=lambda entry: entry[:2])

    def do(self, seconds: float, action: Callable[[], object]) -> None:
        """Something else happens."""
        self._script.append((seconds, next(self._order), action))
        self._script.sort(key=lambda entry: entry[:2])

    # --- the transport -----------------------------------------------------------------------------------------------

    def receive(self, timeout: float) -> FrameBatch | None:
        self._turns += 1
        assert self._turns < MAX_TURNS, "the connection turns without waiting"
        if self._end is not None:
            raise self._end
        due = self._pass(timeout)
        return None if due is None else self._batch(due)

    def send(self, payload: bytes) -> None:
        self._check_sending()
        message = msgspec.json.decode(payload)
        self.sent.append(message)
        answer = self._answer(message)
        if answer:
            self.at(self.now + self._latency, *answer)

    def ping(self, payload: bytes) -> None:
        self._check_sending()
        self.pings.append(self.now)
        if self._pongs:
            self.at(self.now + self._latency, Control(PONG, payload))

    def pong(self, payload: bytes) -> None:
        self._check_sending()
        self.answered.append((self.now, payload))

    def close(self, code: int = 1000, reason: str = "", timeout: float = 3.0) -> list[bytes]:
        self.closed = (code, reason)
        return self.late

    def abort(self) -> None:
        self.aborted = True

    def wake(self) -> None:
        self.woken = True

    # --- the script --------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Time passes without a read: what is done is done, what arrives has to wait."""
        until = self.now + seconds
        for entry in [one for one in self._script if one[0] <= until and not isinstance(one[2], list)]:
            self._script.remove(entry)
            self._clock.advance(max(0.0, entry[0] - self.now))
            entry[2]()  # type: ignore[operator]  # it is no list
        self._clock.advance(max(0.0, until - self.now))

    def _pass(self, timeout: float) -> list[Item | Control] | None:
        until = self.now + timeout
        if not self._script or self._script[0][0] > until:
            self._clock.advance(max(0.0, until - self.now))
            return None
        at, _, what = self._script.pop(0)
        self._clock.advance(max(0.0, at - self.now))
        if isinstance(what, list):
            return what
        what()
        return None

    def _batch(self, items: list[Item | Control]) -> FrameBatch | None:
        batch = FrameBatch([], [], [])
        for item in items:
            self.bytes_received += self._ending(item, batch) if isinstance(item, ENDINGS) else self._frame(item, batch)
        if batch.payloads or batch.controls or batch.bad or batch.close or batch.error:
            return batch
        if self._end is not None:
            raise self._end
        return None

    def _frame(self, item: Item | Control, batch: FrameBatch) -> int:
        """Put it into the batch; returns its bytes on the wire."""
        match item:
            case bytes() | dict():
                payload = item if isinstance(item, bytes) else msgspec.json.encode(item)
                batch.payloads.append(payload)
                return 2 + len(payload)
            case Control():
                batch.controls.append(item)
            case Pinged():
                batch.controls.append(Control(PING, item.payload))
            case Rubbish():
                batch.bad.append((item.payload, item.reason))
            case Bytes():
                return item.count
        return 2

    def _ending(self, item: Ended | Broken | Lost, batch: FrameBatch) -> int:
        match item:
            case Ended():
                batch.close = Close(item.code, item.reason)
                self._end = ConnectionLost("closed", close_code=item.code, reason=item.reason)
            case Broken():
                self._end = batch.error = ProtocolViolation("The server broke the WebSocket protocol.")
            case Lost():
                self._end = ConnectionLost("The server ended the connection without a close frame.")
                return 0
        return 2

    def _check_sending(self) -> None:
        if self.refuses_to_send:
            raise ConnectionLost("The connection broke while sending.")


class PatientQueue(BatchQueue):
    """Waiting for room takes the time of the script."""

    wire: ScriptedWire | None = None

    def wait_for_space(self, seconds: float) -> None:
        assert self.wire is not None
        self.wire.wait(seconds)


class Line:
    """One connection and all its surroundings, on a script."""

    def __init__(
        self,
        *symbols: str,
        answer: Answer = tickatlas,
        pongs: bool = True,
        meter: CreditMeter | None = None,
        exit_on_quota: bool = False,
        market_open: Callable[[str, int, int], bool] = lambda _symbol, _start, _end: True,
        spec: ProviderSpec = SPEC,
        on_full: OnFull = OnFull.BLOCK,
        max_bytes: int | None = 2**21,
        reserve: int = RESERVE_BYTES,
    ) -> None:
        self.clock = FakeClock()
        self.stop = threading.Event()
        self.meter = meter
        self.context = SessionContext(
            spec, lambda _request, _step: self.wire, self.clock, self.stop, meter, exit_on_quota, market_open
        )
        self.wire = ScriptedWire(self.clock, answer, pongs=pongs)
        self.queue = PatientQueue(on_full, max_bytes)
        self.queue.wire = self.wire
        self.outbox = Outbox(self.queue, reserve)
        symbols = symbols or ("EURUSD",)
        self.status = SessionStatus(spec.name, 1, symbols, epoch=1, step="auth")
        self.protocol = spec.protocol(Feed(spec.url, Subscription(symbols), Secret(KEY)))
        self.connection = Connection(self.wire, self.protocol, self.context, self.status, self.outbox)
        self.batches: list[Batch] = []

    def at(self, seconds: float, *items: Item) -> None:
        self.wire.at(seconds, *items)

    def every(self, seconds: float, *items: Item, start: float = 0.0, end: float) -> None:
        """These arrive again and again."""
        moment = start
        while moment <= end:
            self.at(moment, *items)
            moment += seconds

    def run(self, until: float) -> TickstreamError | None:
        """Until it ends by itself, or is told to at `until` seconds."""
        self.wire.do(until, self.stop.set)
        try:
            self.connection.run()
        except TickstreamError as error:
            return error
        finally:
            self.take()
        return None

    def take(self) -> list[Batch]:
        """Everything that was handed over, as the main thread would take it."""
        taken = []
        self.outbox.flush()
        while (batch := self.queue.get(0)) is not None:
            taken.append(batch)
            self.outbox.flush()
        self.batches += taken
        return taken

    @property
    def events(self) -> list[Event]:
        return [event for batch in self.batches for event in batch.events]
