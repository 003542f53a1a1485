"""Signals, in one place for all platforms: the first asks for a clean end, the second ends at once.

Tested on Linux. Windows has SIGINT and SIGBREAK only; SIGHUP and SIGTERM are taken where they exist.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_SIGHUP = getattr(signal, "SIGHUP", None)


class Signals:
    """A context in which `received` is the number of the first signal, or None.

    `on_first` is called in the handler: it may only set flags and wake. On the second signal `on_second` is called
    (restore the terminal), and the process is gone. `on_hangup`, called likewise, takes SIGHUP for something else
    than the end when it returns True.
    """

    def __init__(
        self, on_first: Callable[[], None], on_second: Callable[[], None], on_hangup: Callable[[], bool] | None = None
    ) -> None:
        self._on_first = on_first
        self._on_second = on_second
        self._on_hangup = on_hangup
        self._before: dict[int, object] = {}
        self.received: int | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
                if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means it
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == _SIGHUP and self._on_hangup is not None and self._on_hangup():
            return
        if self.received is not None:  # pragma: no cover - it is, but the process ends before coverage can note it
            self._on_second()
            os._exit(128 + number)
        self.received = number
        self._on_first()


@contextlib.contextmanager
def tidying_up() -> Iterator[None]:
    """A context that SIGTERM and SIGHUP end as Ctrl-C does, by an exception, so that what is half done is removed.

    They raise SystemExit with 128 + the number; the second one has the effect that it always has.
    """
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before: dict[int, object] = {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal returned

    def leave(number: int, _frame: FrameType | None) -> None:
        restore()
        raise SystemExit(128 + number)

    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means it
                before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        restore()
