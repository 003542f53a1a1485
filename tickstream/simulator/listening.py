"""A listening socket that another thread can close while we wait in accept()."""

from __future__ import annotations

import contextlib
import socket

_REACHABLE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where one listens on all of them, not to do so


class Listener:
    """Listens from the start. Raises OSError when the address cannot be had; port 0 takes any free one."""

    def __init__(self, host: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=128)
        self._host = host
        self.port = int(self._socket.getsockname()[1])
        self.closed = False

    def accept(self) -> socket.socket | None:
        """The next client; None once it is closed. Raises OSError when there are no file descriptors left."""
        try:
            client, _ = self._socket.accept()
        except OSError:
            if self.closed:
                return None
            raise
        if self.closed:
            client.close()
            return None
        return client

    def close(self) -> None:
        """Stop listening; whoever waits in `accept` gets None. May be called twice."""
        if self.closed:
            return
        self.closed = True
        # What wakes the thread in accept(): on Linux the shutdown, on macOS a connection, on Windows the close.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection((_REACHABLE.get(self._host, self._host), self.port), 0.5).close()
        self._socket.close()
