"""One client: its socket, and the thread that moves bytes between the socket and the conversation."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tickstream.errors import TickstreamError
from tickstream.session.frames import CLOSE, PING, FrameReader, encode_close, encode_frame
from tickstream.simulator.conversation import Conversation
from tickstream.simulator.door import Door, House
from tickstream.simulator.journal import Journal
from tickstream.simulator.mailbox import Mailbox
from tickstream.simulator.outbox import Outbox
from tickstream.simulator.outgoing import Ending, Push, Raw

HANDSHAKE_S = 10.0
FLUSH_S = 2.0
"""How long an ending waits until what is queued has left."""
GOODBYE_S = 1.0
"""How long we then wait for the client's close frame, or its end of file."""
TRICKLE_S = 1.0
"""Time from byte to byte of a slow connection."""
DEAD_POLL_S = 0.2
"""How often a connection that plays dead looks whether the client is still there."""
READ_SIZE = 65536
READS = 16
"""Reads in a row before it is the writes' turn."""
MAX_MESSAGE = 2**20
"""Bytes of one client message."""

LINGER_NOT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER's struct: on, for 0 seconds. A close then resets the connection."""
TCP_ESTABLISHED = 1
"""From Linux' tcp_states.h."""

_BLOCKED = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass
class Shared:
    """What all connections of a server have in common."""

    house: House
    conversation: Callable[[int, float], Conversation]
    """Called with the connection's number and the monotonic time."""
    log: Callable[[str], None]
    journal: Journal | None
    tls: ssl.SSLContext | None
    failed: Callable[[TickstreamError], None]
    changed: threading.Condition = field(default_factory=threading.Condition)
    """Notified when a client comes, subscribes, catches up or goes."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def notify(self) -> None:
        """Something changed."""
        with self.changed:
            self.changed.notify_all()


class Connection:
    """A client. `run` is its thread; other threads read the attributes, use the `mailbox`, and may call `end`."""

    def __init__(self, number: int, sock: socket.socket, shared: Shared) -> None:
        self.number = number
        self.mailbox = Mailbox()
        self.symbols: frozenset[str] = frozenset()
        """Active symbols now."""
        self.pushes = 0
        """Pushes handed to the operating system."""
        self.auth_frames = 0
        self.upgraded = False
        self._sock = sock
        self._shared = shared
        self._outbox = Outbox(self._record)
        self._reader = FrameReader(max_message=MAX_MESSAGE, masked=True)
        self._peer_closed = False
        self._unread = True
        """True when there may be bytes that select() does not know of: TLS keeps some of its own."""
        self._trickled = 0.0

    def end(self, ending: Ending) -> None:
        """Close the connection, whatever it is at."""
        self.mailbox.end(ending)
        if not self.upgraded:
            # Its thread waits in a blocking call: this ends it. (Not SSLSocket's own shutdown, which would pull the
            # TLS object from under the other thread.)
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def run(self) -> None:
        """Serve the client until it is gone."""
        gone = "gone"
        try:
            gone = self._serve()
        except OSError as error:
            gone = f"gone: {error}"
        except TickstreamError as error:
            self._shared.failed(error)
        finally:
            self.upgraded = False
            self.symbols = frozenset()
            self.mailbox.close()
            with contextlib.suppress(OSError):
                self._sock.close()
            self._say(gone)
            self._shared.notify()

    def _serve(self) -> str:
        self._sock.settimeout(HANDSHAKE_S)
        if self._shared.tls is not None:
            self._sock = self._shared.tls.wrap_socket(self._sock, server_side=True, do_handshake_on_connect=False)
            self._sock.do_handshake()
        upgraded = Door(self._sock, self._shared.house, self.number, self._say, HANDSHAKE_S).upgrade()
        if upgraded is None:
            return "gone before the upgrade"
        request, rest = upgraded
        self._say("connected")
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock.setblocking(False)
        conversation = self._shared.conversation(self.number, time.monotonic())
        self.upgraded = True
        self._shared.notify()
        try:
            conversation.greet(request, time.monotonic())
            if conversation.binary:
                self._reader = FrameReader(max_message=MAX_MESSAGE, masked=True, binary=True)
            self._look_at(conversation)
            return self._converse(conversation, rest)
        finally:
            conversation.close()

    # The conversation.

    def _converse(self, conversation: Conversation, rest: bytes) -> str:
        """Until it ends. Returns why it did, for the log."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.mailbox.ear, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            chunk: bytes | None = rest
            while True:
                now = time.monotonic()
                if chunk:
                    self._take(chunk, conversation, now)
                conversation.ending = conversation.ending or self.mailbox.order
                conversation.tick(now)
                news = self._fill(conversation, now)
                if conversation.ending is not None:
                    return self._finish(conversation.ending, conversation, selector)
                blocked = not (self._trickle(now) if conversation.slow else self._send())
                if news:
                    self._shared.notify()
                if conversation.deaf:
                    return self._play_dead(selector)
                chunk = self._wait(selector, conversation, blocked, now)
                if chunk == b"":
                    return "gone: the client ended the connection without a close frame"

    def _take(self, chunk: bytes, conversation: Conversation, now: float) -> None:
        """Bytes of the client."""
        batch = self._reader.feed(chunk)
        for control in batch.controls:
            if control.opcode == PING:
                conversation.ping(control.payload)
        conversation.receive(batch.payloads, now)
        for _ in batch.bad:
            conversation.unreadable()
        if batch.close is not None:
            self._peer_closed = True
            conversation.client_closed(batch.close.code)
        elif batch.error is not None:
            conversation.ending = Ending(batch.error.close_code, batch.error.message)
        self._look_at(conversation)

    def _look_at(self, conversation: Conversation) -> None:
        """What others may want to know of it."""
        self.auth_frames = conversation.auth_frames
        if (symbols := conversation.symbols) != self.symbols:
            self.symbols = symbols
            self._shared.notify()

    def _fill(self, conversation: Conversation, now: float) -> bool:
        """Move what is due into the outbox, as much as it wants. True when something was taken out of the mailbox."""
        took = False
        while True:
            for item in conversation.take_outgoing():
                self._outbox.put(item)
            if self._outbox.full or conversation.ending is not None:
                break
            posted = self.mailbox.take()
            if posted is None:
                break
            took = True
            if isinstance(posted, Ending):
                conversation.ending = posted
            else:
                conversation.deliver(posted, now)
        for note in conversation.take_notes():
            self._say(note)
        return took

    def _send(self) -> bool:
        """Send until all is sent (True) or the socket takes no more (False)."""
        while head := self._outbox.head():
            try:
                count = self._sock.send(head)
            except _BLOCKED:
                return False
            self._outbox.advance(count)
        return True

    def _trickle(self, now: float) -> bool:
        """Send one byte, some time after the last one. Never says that it is blocked: it is time that is waited for."""
        head = self._outbox.head()
        if head and now - self._trickled >= TRICKLE_S:
            with contextlib.suppress(*_BLOCKED):
                self._outbox.advance(self._sock.send(head[:1]))
                self._trickled = now
        return True

    def _play_dead(self, selector: selectors.BaseSelector) -> str:
        """Neither read nor write, until the client has closed its side or the simulator ends."""
        selector.unregister(self._sock)
        while self.mailbox.order is None and not _peer_has_closed(self._sock):
            if selector.select(DEAD_POLL_S):
                self.mailbox.hush()
                while self.mailbox.take() is not None:
                    pass
        return "gone: it was a black hole"

    def _wait(
        self, selector: selectors.BaseSelector, conversation: Conversation, blocked: bool, now: float
    ) -> bytes | None:
        """Sleep until there is something to do. Returns bytes of the client, None without any, b"" at end of file."""
        if blocked:
            choked = self._outbox.choked
            selector.modify(self._sock, selectors.EVENT_WRITE | (0 if choked else selectors.EVENT_READ))
        else:
            selector.modify(self._sock, selectors.EVENT_READ)
        deadline = conversation.next_deadline()
        timeout = None if deadline is None else max(0.0, deadline - now)
        if conversation.slow:
            timeout = TRICKLE_S
        elif self._unread or (not blocked and not self.mailbox.empty):
            timeout = 0.0  # the outbox was full before the mailbox was empty
        ready = {key.fileobj for key, _ in selector.select(timeout)}
        if self.mailbox.ear in ready:
            self.mailbox.hush()
        return self._receive() if self._unread or self._sock in ready else None

    def _receive(self) -> bytes | None:
        chunks: list[bytes] = []
        self._unread = False
        while len(chunks) < READS:
            try:
                chunk = self._sock.recv(READ_SIZE)
            except _BLOCKED:
                return b"".join(chunks) if chunks else None
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
        self._unread = True
        return b"".join(chunks)

    # The end.

    def _finish(self, ending: Ending, conversation: Conversation, selector: selectors.BaseSelector) -> str:
        """Send what is queued, say goodbye, and wait a moment for the client to do so too."""
        if ending.reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            return "reset by us"
        if conversation.slow:
            return "dropped by us, in the middle of a frame"
        if self._peer_closed:
            self._outbox.discard()
        if ending.code is not None:
            self._outbox.put(Raw(encode_frame(CLOSE, encode_close(ending.code, ending.reason))))
        if not self._flush(selector):
            return "gone: it does not read"
        if not (self._peer_closed and ending.code is not None):
            self._part(selector, half_close=ending.code is None)
        if self._peer_closed:
            return f"closed by the client, {ending.code}"
        return f"closed by us, {ending.code} {ending.reason}" if ending.code is not None else "dropped by us"

    def _flush(self, selector: selectors.BaseSelector) -> bool:
        deadline = time.monotonic() + FLUSH_S
        selector.unregister(self.mailbox.ear)
        selector.modify(self._sock, selectors.EVENT_WRITE)
        while not self._send():
            if not selector.select(max(0.0, deadline - time.monotonic())):
                return False
        return True

    def _part(self, selector: selectors.BaseSelector, half_close: bool) -> None:
        """Read on until the client has closed too: a socket closed with unread bytes would reset the connection."""
        if half_close:
            socket.socket.shutdown(self._sock, socket.SHUT_WR)
        deadline = time.monotonic() + GOODBYE_S
        selector.modify(self._sock, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = self._receive()
            if chunk == b"" or (chunk and not half_close and self._reader.feed(chunk).close):
                return

    def _record(self, pushes: list[Push]) -> None:
        self.pushes += len(pushes)
        if self._shared.journal is not None:
            self._shared.journal.record(self.number, pushes)

    def _say(self, text: str) -> None:
        self._shared.log(f"#{self.number} {text}")


def _peer_has_closed(sock: socket.socket) -> bool:
    """True when the other side has sent its FIN or RST, unread bytes or not. Known on Linux only; else False."""
    if not hasattr(socket, "TCP_INFO"):
        return False
    state = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state != TCP_ESTABLISHED
