"""The simulator: a provider on your own machine.

    with Simulator(SimulatorOptions(provider="tickatlas", speed=60)) as simulator:
        ...  # connect to simulator.url

Threads: one that accepts, one that makes the market, one for each client. What was tested, was tested on Linux.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType

from tickstream.errors import ConfigError, NetworkError, TickstreamError
from tickstream.simulator import load
from tickstream.simulator.bad_answers import BAD_ANSWERS, Asked, Step
from tickstream.simulator.broadcast import Broadcaster
from tickstream.simulator.certificate import Certificate
from tickstream.simulator.connection import Connection, Shared
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.counterpart import Counterpart
from tickstream.simulator.door import House
from tickstream.simulator.faults import faults_of, parse_fault
from tickstream.simulator.journal import Journal, Sent
from tickstream.simulator.listening import Listener
from tickstream.simulator.market import DAY_NS, MINUTE_NS, M1Replay, MarketSource
from tickstream.simulator.misbehaviour import misbehaving
from tickstream.simulator.options import RACE, SimulatorOptions
from tickstream.simulator.outgoing import Ending
from tickstream.simulator.pace import MarketClock, PacedClock, WallClock
from tickstream.simulator.random_market import RandomMarket
from tickstream.simulator.trap import Trap

STOP_S = 4.0
"""How long `stop` waits for the clients to say goodbye."""
LOOK_S = 0.05
START_DAYS_AGO = 30
"""Where accelerated market time begins: the run then stays in the past for a while."""


class Simulator:
    """A running server: `start` (or `with`) begins it, `stop` ends it; it cannot be started twice.

    `market` is what it sends; without one, prices are made up or read from files, as the options say. The attributes
    that count may be read at any time; `wait_for` waits for them. Raises NetworkError when the port cannot be had,
    ConfigError for a bad folder of candles or certificate, OutputError for a journal that cannot be written.
    """

    def __init__(self, options: SimulatorOptions | None = None, market: MarketSource | None = None) -> None:
        self.options = options or SimulatorOptions()
        self.connections = 0
        """TCP connections accepted so far."""
        self.failure: TickstreamError | None = None
        """What made it fail: it goes on serving as well as it can until it is stopped."""
        self._on_failure: Callable[[], None] = lambda: None
        kind = load(self.options.provider)
        self._source = _source(self.options, kind) if market is None else market
        first_ns = _first_ns(self.options, self._source, time.time_ns())
        self._counterpart = kind(self.options, self._source, first_ns)
        self._faults = tuple(parse_fault(text, kind.faults()) for text in self.options.faults)
        self._journal = Journal(self.options.journal, keep=self.options.record)
        self._certificate = _certificate(self.options)
        self._shared = Shared(
            House((kind.path, *kind.paths), self._counterpart.plain, self._bad_answer),
            self._converse,
            self._log,
            journal=self._journal if self.options.record or self.options.journal else None,
            tls=self._certificate.context() if self._certificate else None,
            failed=self._fail,
        )
        self._broadcaster = Broadcaster(
            self._source,
            self._shared,
            start=self._start_market,
            audience=lambda: self.clients,
            to_round=self._counterpart.round,
            at_end=self._at_end,
            waits=self._source.first_ns is not None or self.options.speed != 1.0,
        )
        self._trap: Trap | None = None
        self._listener: Listener | None = None
        self._port = 0
        self._alive: dict[int, Connection] = {}
        self._past_auth_frames = 0
        self._past_pushes = 0
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    # Life.

    def start(self) -> Simulator:
        """Bind and begin; the URL is good from now on."""
        options = self.options
        try:
            self._listener = Listener(options.host, options.port)
        except OSError as error:
            raise NetworkError(
                f"Cannot listen on {options.host} port {options.port}: {error.strerror or error}",
                hint="Another program may have the port: choose another --port, or 0 for any free one.",
            ) from error
        self._port = self._listener.port
        if any(fault.kind.name == "http-301" for fault in self._faults):
            self._trap = Trap(options.host)
        self._spawn("accept", self._accept)
        self._spawn("market", self._broadcaster.run)
        return self

    def stop(self) -> None:
        """Close all connections with 1001, and end all threads. May be called twice."""
        if self._listener is None or self._shared.stopping.is_set():
            return
        self._shared.stopping.set()
        self._shared.notify()
        self._listener.close()
        self._end_all(Ending(1001, "the server is going away"))
        deadline = time.monotonic() + STOP_S
        for thread in self._copy(self._threads):
            thread.join(max(0.05, deadline - time.monotonic()))
        self._journal.close()
        if self._trap is not None:
            self._trap.close()
        if self._certificate is not None:
            self._certificate.clean_up()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What others see and do.

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients connect to."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        return f"{'wss' if self.options.secure else 'ws'}://{host}:{self._port}{self._counterpart.path}"

    @property
    def ca_file(self) -> Path | None:
        """What clients have to trust (`--ca-file`); None without TLS."""
        return self._certificate.cert if self._certificate else None

    @property
    def clients(self) -> tuple[Connection, ...]:
        """Connections that are upgraded and open now."""
        with self._lock:
            return tuple(client for client in self._alive.values() if client.upgraded)

    @property
    def auth_frames(self) -> int:
        """Auth messages received so far, on all connections."""
        with self._lock:
            return self._past_auth_frames + sum(client.auth_frames for client in self._alive.values())

    @property
    def pushes(self) -> int:
        """Pushes handed to the operating system so far, on all connections."""
        with self._lock:
            return self._past_pushes + sum(client.pushes for client in self._alive.values())

    @property
    def redirected(self) -> int:
        """Connections that followed the redirect of the fault http-301."""
        return self._trap.visits if self._trap else 0

    @property
    def sent(self) -> list[Sent]:
        """Every push handed to the operating system so far, in order per connection; with `record=True` only."""
        return list(self._journal.sent)

    def wait_for(self, true: Callable[[], bool], seconds: float = 10.0) -> bool:
        """Wait until this is true, so many seconds at the most. False when it is not true even then."""
        deadline = time.monotonic() + seconds
        with self._shared.changed:
            while not (found := true()) and (left := deadline - time.monotonic()) > 0:
                # Most changes are notified, and what is not is looked at often enough.
                self._shared.changed.wait(min(left, LOOK_S))
            return found

    def on_failure(self, call: Callable[[], None]) -> None:
        """Call this (from another thread) when `failure` is set."""
        self._on_failure = call
        if self.failure is not None:
            call()

    def drop_connections(self, *, reset: bool = False) -> None:
        """End all connections without a close frame: by a FIN, or by a reset."""
        self._end_all(Ending(None, reset=reset))

    def close_connections(self, code: int, reason: str = "") -> None:
        """Close all connections with this code."""
        self._end_all(Ending(code, reason))

    def skip(self, steps: int) -> None:
        """Let the market jump forward: the pushes of all these steps (minutes, where it has none) come at once."""
        self._broadcaster.skip(steps * (self._source.step_ns or MINUTE_NS))

    # The parts.

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._shared.stopping.is_set():
            try:
                sock = self._listener.accept()
                if sock is None:
                    return
                client = self._admit(sock)
            except OSError:
                # Out of file descriptors: that passes when clients go.
                self._shared.stopping.wait(0.1)
                continue
            self._spawn(f"client-{client.number}", partial(self._serve, client))
            self._shared.notify()

    def _admit(self, sock: socket.socket) -> Connection:
        with self._lock:
            try:
                client = Connection(self.connections + 1, sock, self._shared)
            except OSError:
                sock.close()
                raise
            self.connections += 1
            self._alive[client.number] = client
            return client

    def _serve(self, client: Connection) -> None:
        if self._shared.stopping.is_set():
            client.end(Ending(1001))
        client.run()
        with self._lock:
            del self._alive[client.number]
            self._past_auth_frames += client.auth_frames
            self._past_pushes += client.pushes
            self._threads.discard(threading.current_thread())
        self._shared.notify()

    def _converse(self, number: int, now: float) -> Conversation:
        faults = faults_of(self._faults, number)
        kind, shared = self._counterpart.conversation, self._counterpart.shared
        return misbehaving(kind)(shared, now, faults, self.skip) if faults else kind(shared, now)

    def _bad_answer(self, number: int, asked: Asked) -> Iterator[Step] | None:
        """The answer to a request for an upgrade, if it is to be a bad one."""
        names = [fault.kind.name for fault in faults_of(self._faults, number) if fault.kind.sort == "http"]
        if not names:
            return None
        self._log(f"#{number} fault: {names[0]}")
        if self._trap is not None:
            asked = asked._replace(elsewhere=self.url.replace(f":{self._port}/", f":{self._trap.port}/"))
        return BAD_ANSWERS[names[0]](asked)

    def _start_market(self) -> tuple[MarketClock | None, int]:
        """The market's clock, and the open of its first item. Called when the market begins."""
        options, now_ns = self.options, time.time_ns()
        if options.speed == 1.0 and self._source.first_ns is None and options.start_ns is None:
            return WallClock(), now_ns - now_ns % self._source.step_ns
        first_ns = _first_ns(options, self._source, now_ns)
        if options.speed == RACE:
            return None, first_ns
        # A made-up market moves at once: its first candle has just closed. A replay leaves time to subscribe.
        begins_ns = first_ns + (self._source.step_ns if self._source.first_ns is None else 0)
        return PacedClock(begins_ns, time.monotonic(), options.speed), first_ns

    def _at_end(self, client: Connection) -> None:
        if self.options.at_end == "close":
            client.mailbox.end_after_backlog(Ending(1000, "the replay is over"))

    def _end_all(self, ending: Ending) -> None:
        with self._lock:
            clients = list(self._alive.values())
        for client in clients:
            client.end(ending)

    def _fail(self, error: TickstreamError) -> None:
        self.failure = self.failure or error
        self._on_failure()
        self._shared.notify()

    def _log(self, text: str) -> None:
        if self.options.log is not None:
            self.options.log(text)

    def _spawn(self, name: str, body: Callable[[], None]) -> None:
        thread = threading.Thread(target=body, name=f"simulator-{name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _copy(self, threads: set[threading.Thread]) -> list[threading.Thread]:
        with self._lock:
            return list(threads)


def _certificate(options: SimulatorOptions) -> Certificate | None:
    if options.tls_cert is not None and options.tls_key is not None:
        return Certificate(options.tls_cert, options.tls_key)
    return Certificate.throw_away() if options.tls else None


def _source(options: SimulatorOptions, kind: type[Counterpart]) -> MarketSource:
    if options.m1 is not None:
        loop = options.at_end == "loop"
        return M1Replay(options.m1, spread_points=options.spread_points, form=kind.form, listed=kind.listed, loop=loop)
    return RandomMarket(
        options.seed,
        known=options.known or kind.known,
        spread_points=options.spread_points,
        follow_hours=options.follows_hours,
        form=kind.form,
        listed=kind.listed,
        step_ns=kind.step_ns,
    )


def _first_ns(options: SimulatorOptions, source: MarketSource, now_ns: int) -> int:
    """Open of the first item. Raises ConfigError when there is none."""
    wanted_ns = options.start_ns
    if source.first_ns is not None:
        first_ns = source.next_open(wanted_ns) if wanted_ns is not None else source.first_ns
        if first_ns is None:
            raise ConfigError("--start is after the last candle of the files")
        return first_ns
    if wanted_ns is None and options.speed != 1.0:
        wanted_ns = now_ns - START_DAYS_AGO * DAY_NS
    start_ns = now_ns if wanted_ns is None else wanted_ns
    return start_ns - start_ns % source.step_ns
