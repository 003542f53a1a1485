"""A port that no client should ever come to: where a redirect leads. It counts who comes."""

from __future__ import annotations

import threading

from tickstream.simulator.listening import Listener


class Trap:
    """Listens on any free port of `host`; hangs up on everybody."""

    def __init__(self, host: str) -> None:
        self.visits = 0
        self._listener = Listener(host)
        self.port = self._listener.port
        self._thread = threading.Thread(target=self._run, name="simulator-trap", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._listener.close()
        self._thread.join(5.0)

    def _run(self) -> None:
        while (client := self._listener.accept()) is not None:
            self.visits += 1
            client.close()
