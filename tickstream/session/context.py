"""What all sessions with a provider share, and what they need of a transport."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from tickstream.clock import Clock
from tickstream.credits import CreditMeter
from tickstream.providers.base import ConnectRequest, ProviderSpec
from tickstream.providers.rest import RestAnswer, RestRequest
from tickstream.session.frames import FrameBatch


class Wire(Protocol):
    """What a connection needs of its transport (`transport.Transport`, or a script in a test)."""

    @property
    def bytes_received(self) -> int: ...
    @property
    def fetch(self) -> Callable[[RestRequest], RestAnswer]: ...

    def receive(self, timeout: float) -> FrameBatch | None: ...
    def send(self, payload: bytes) -> None: ...
    def ping(self, payload: bytes) -> None: ...
    def pong(self, payload: bytes) -> None: ...
    def close(self, code: int = 1000, reason: str = "", timeout: float = 3.0) -> list[bytes]: ...
    def abort(self) -> None: ...
    def wake(self) -> None: ...


Dial = Callable[[ConnectRequest, Callable[[str], None]], Wire]
"""Connect and upgrade; the callable is told each step as it begins. Raises TickstreamError."""


class SessionContext(msgspec.Struct, frozen=True):
    """What all sessions with a provider share. `clock` and `stop` are those of the whole run."""

    spec: ProviderSpec
    dial: Dial
    clock: Clock
    stop: threading.Event
    meter: CreditMeter | None = None
    exit_on_quota: bool = False
    expects_data: Callable[[str, int, int], bool] = lambda _symbol, _start, _end: True
