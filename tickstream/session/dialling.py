"""From a name to a connected socket: resolve, TCP, proxy tunnel. Every step has a deadline and can be stopped.

The operating system gives `getaddrinfo` no deadline, so it runs in a daemon thread that is abandoned when it is late.
Sockets are non-blocking; waiting is cut into slices so that a stop is seen within 100 ms. Tested on Linux only.
"""

from __future__ import annotations

import errno
import os
import queue
import selectors
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, zip_longest
from typing import Any, NoReturn

from tickstream.clock import Clock
from tickstream.errors import NetworkError, ResolveError
from tickstream.session.causes import why
from tickstream.session.http import MAX_HEAD, split_head
from tickstream.session.proxies import Proxy, check_connect_answer, connect_command
from tickstream.session.urls import Target

SLICE_S = 0.05
"""Waiting is cut into pieces of this length, to see that we are to stop."""
STAGGER_S = 0.25
"""How long one address may keep the next one waiting (RFC 8305 section 5)."""
MAX_ADDRESSES = 12

Address = tuple[int, Any]
"""Address family and the address as `socket.connect` takes it."""

StepDone = Callable[[str, float, str], None]
"""Called with a step's name, the seconds it took, and a detail for people."""
StepBegins = Callable[[str], None]


class DialStopped(NetworkError):
    """The run is being stopped: nobody wants this connection any more."""


class Step:
    """The time that one step may take. `wait` raises TimeoutError when it is over, DialStopped on a stop."""

    def __init__(self, clock: Clock, stop: threading.Event, seconds: float) -> None:
        self._clock = clock
        self._stop = stop
        self._deadline = clock.monotonic() + seconds
        self.seconds = seconds
        self.detail = ""
        """What is worth telling about it when it is done."""

    def now(self) -> float:
        """Monotonic seconds."""
        return self._clock.monotonic()

    def slice(self) -> float:
        """Seconds to wait at the most before asking again; raises as described above."""
        if self._stop.is_set():
            raise DialStopped("Stopped while connecting.")
        left = self._deadline - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(left, SLICE_S)

    def wait(self, sock: socket.socket, events: int) -> None:
        """Until the socket is ready for `events`, a mask of selectors.EVENT_READ and EVENT_WRITE."""
        with selectors.DefaultSelector() as selector:
            selector.register(sock, events)
            while not selector.select(self.slice()):
                pass

    def receive(self, sock: socket.socket, size: int) -> bytes:
        """What has arrived, b"" at the end of the stream."""
        while True:
            try:
                return sock.recv(size)
            except (BlockingIOError, ssl.SSLWantReadError):
                self.wait(sock, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self.wait(sock, selectors.EVENT_WRITE)

    def send_all(self, sock: socket.socket, data: bytes) -> None:
        """All of it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[sock.send(rest) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                self.wait(sock, selectors.EVENT_WRITE)
            except ssl.SSLWantReadError:
                self.wait(sock, selectors.EVENT_READ)


class Steps:
    """The steps of one dial, reported as they begin and as they succeed."""

    def __init__(
        self, clock: Clock, stop: threading.Event, on_step: StepDone | None = None, on_begin: StepBegins | None = None
    ) -> None:
        self._clock = clock
        self._stop = stop
        self._on_step = on_step
        self._on_begin = on_begin

    def silent(self) -> Steps:
        """The same, of which nobody is told."""
        return Steps(self._clock, self._stop)

    @contextmanager
    def begin(self, name: str, seconds: float) -> Iterator[Step]:
        """One step with its deadline."""
        if self._on_begin is not None:
            self._on_begin(name)
        began = self._clock.monotonic()
        step = self.part(seconds)
        yield step
        if self._on_step is not None:
            self._on_step(name, self._clock.monotonic() - began, step.detail)

    def part(self, seconds: float) -> Step:
        """A part of a step that has a deadline of its own."""
        return Step(self._clock, self._stop, seconds)


_CHECK_DNS = "Check the network and its DNS server."

# --- resolve ---------------------------------------------------------------------------------------------------------


def resolve(host: str, port: int, step: Step) -> list[Address]:
    """All addresses of a host, families taking turns. Raises ResolveError."""
    results: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except Exception as error:  # noqa: BLE001 - carried to the waiting thread, whatever it is
            results.put(error)
        else:
            results.put([(family, address) for family, _type, _proto, _name, address in found])

    threading.Thread(target=look_up, name=f"resolve {host}", daemon=True).start()
    found: list[Address] | Exception | None = None
    while found is None:
        with suppress(queue.Empty):
            try:
                found = results.get(timeout=step.slice())
            except TimeoutError:
                text = f"Looking up {host} took longer than {step.seconds:g} s."
                raise ResolveError(text, hint=_CHECK_DNS) from None
    if isinstance(found, Exception):
        raise _not_resolved(host, found)
    if not found:
        raise ResolveError(f"{host} has no address.", hint=_CHECK_DNS)
    return _taking_turns(found)


def _not_resolved(host: str, error: Exception) -> Exception:
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return ResolveError(
            f"There is no host {host}, as far as DNS can tell.",
            hint="Check the spelling of the URL, and that this machine is online.",
            unknown_host=True,
        )
    if isinstance(error, OSError | UnicodeError):
        return ResolveError(f"Cannot look up {host}: {why(error)}.", hint=_CHECK_DNS)
    return error


def _taking_turns(found: list[Address]) -> list[Address]:
    """In the resolver's order, but so that a family that does not work delays the other one only by one attempt."""
    first = [address for address in found if address[0] == found[0][0]]
    others = [address for address in found if address[0] != found[0][0]]
    mixed = chain.from_iterable(zip_longest(first, others))
    return [address for address in mixed if address is not None][:MAX_ADDRESSES]


# --- TCP -------------------------------------------------------------------------------------------------------------


class _Race:
    """Connection attempts under way; the first one that stands wins (RFC 8305, in small)."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.running: set[socket.socket] = set()
        self.last_error: OSError | None = None

    def start(self, address: Address) -> None:
        try:
            sock = socket.socket(address[0], socket.SOCK_STREAM)
        except OSError as error:  # a family that this machine does not have
            self.last_error = error
            return
        sock.setblocking(False)
        try:
            code = sock.connect_ex(address[1])
        except OSError as error:  # not an address of this family
            self.last_error = error
            sock.close()
            return
        if code in {0, errno.EINPROGRESS, errno.EWOULDBLOCK}:
            self.running.add(sock)
            self.selector.register(sock, selectors.EVENT_WRITE)
        else:
            self.last_error = OSError(code, os.strerror(code))
            sock.close()

    def winner(self, seconds: float) -> socket.socket | None:
        for key, _ in self.selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self.selector.unregister(sock)
            self.running.discard(sock)
            if code == 0:
                return sock
            self.last_error = OSError(code, os.strerror(code))
            sock.close()
        return None

    def close(self) -> None:
        self.selector.close()
        for sock in self.running:
            sock.close()


def connect_tcp(name: str, addresses: list[Address], step: Step) -> socket.socket:
    """A connected, non-blocking socket to the first address that answers. `name` is for people. Raises NetworkError."""
    race = _Race()
    waiting = addresses[::-1]
    next_start = 0.0
    try:
        while True:
            now = step.now()
            if waiting and (not race.running or now >= next_start):
                race.start(waiting.pop())
                next_start = now + STAGGER_S
                continue
            if not race.running:
                _tcp_failed(name, len(addresses), race.last_error)
            sock = race.winner(step.slice())
            if sock is not None:
                _set_options(sock)
                return sock
    except TimeoutError:
        raise NetworkError(
            f"Cannot connect to {name}: no answer within {step.seconds:g} s.",
            hint="A firewall may drop the packets, or the host is down.",
        ) from None
    finally:
        race.close()


def _tcp_failed(name: str, tried: int, error: OSError | None) -> NoReturn:
    words = {
        errno.ECONNREFUSED: "connection refused: nothing listens there",
        errno.ENETUNREACH: "no route: is this machine online?",
        errno.EHOSTUNREACH: "no route to the host",
    }
    assert error is not None
    what = words.get(error.errno or 0) or why(error)
    many = f" ({tried} addresses tried)" if tried > 1 else ""
    raise NetworkError(f"Cannot connect to {name}: {what}{many}.")


def peer_of(sock: socket.socket) -> tuple[str, str]:
    """Host, and host with port, at the other end. Raises NetworkError when there is none any more."""
    try:
        host, port = sock.getpeername()[:2]
    except OSError as error:
        raise NetworkError(f"The connection broke as soon as it stood: {why(error)}.") from None
    return host, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _set_options(sock: socket.socket) -> None:
    """Small messages at once; and keep-alive probes, which find dead peers even while the program is stopped."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, name):  # each platform has some of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


# --- proxy -----------------------------------------------------------------------------------------------------------


def open_tunnel(sock: socket.socket, proxy: Proxy, target: Target, step: Step) -> None:
    """Ask the proxy for a tunnel to the target. Raises NetworkError that names the proxy, never its password."""
    received = b""
    try:
        step.send_all(sock, connect_command(proxy, target))
        while (parts := split_head(received)) is None:
            chunk = step.receive(sock, 4096)
            received += chunk
            if not chunk or len(received) > MAX_HEAD:
                raise NetworkError(f"The proxy {proxy.authority} closed the connection, or answers without end.")
    except TimeoutError:
        raise NetworkError(
            f"The proxy {proxy.authority} did not open a tunnel to {target.authority} within {step.seconds:g} s."
        ) from None
    except OSError as error:
        raise NetworkError(f"The connection to the proxy {proxy.authority} broke: {why(error)}.") from None
    head, rest = parts
    check_connect_answer(proxy, target, head)
    if rest:  # in TLS the client speaks first
        raise NetworkError(f"The proxy {proxy.authority} sent something of its own into the tunnel.")
