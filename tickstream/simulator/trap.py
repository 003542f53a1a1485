"""A port that no client should ever come to: where a redirect leads. It counts who comes."""

from __future__ import annotations

import contextlib
import socket
import threading


class Trap:
    """Listens on any free port of `host`; hangs up on everybody."""

    def __init__(self, host: str) -> None:
        self.visits = 0
        self._listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="simulator-trap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        # A close alone does not wake a thread out of accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5.0)

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            sock.close()
