"""Our handle on the server process, and the certificate it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import trustme

from tests.bench.machine import OTHER_CORE
from tests.bench.processes import Child, Failed


class Provider:
    """The server (server.py) on the other core. `ca_file` is what a client of its TLS port must trust."""

    def __init__(self, work: Path, env: dict[str, str]) -> None:
        authority = trustme.CA()
        self.ca_file = str(work / "ca.pem")
        authority.cert_pem.write_to_path(self.ca_file)
        certificate = str(work / "server.pem")
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        self._child = Child(
            [sys.executable, "-m", "tests.bench.server", "--certificate", certificate],
            env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, core=OTHER_CORE,
        )  # fmt: skip
        self._events: Queue[dict[str, Any]] = Queue()
        self._hearing = Thread(target=self._hear, daemon=True)
        self._hearing.start()
        self._ports = self.expect("listening")

    def url(self, count: int, *, tls: bool = False, **plan: int) -> str:
        """For one connection that gets so many quotes; `plan` as in server.py."""
        scheme, port = ("wss", self._ports["tls"]) if tls else ("ws", self._ports["plain"])
        query = "&".join(f"{name}={value}" for name, value in {"count": count, **plan}.items())
        return f"{scheme}://127.0.0.1:{port}/ws/v1/quotes?{query}"

    def expect(self, event: str, client: Child | None = None, seconds: float = 60.0) -> dict[str, Any]:
        """The next event of this name. Raises Failed when there is none, at once when the client has ended."""
        for _ in range(max(1, round(seconds * 10))):
            try:
                heard = self._events.get(timeout=0.1)
            except Empty:
                if self._child.process.poll() is not None:
                    raise Failed(f"the server has ended.\n{self._child.said()}") from None
                if client is not None and client.process.poll() is not None:
                    raise Failed(f"{' '.join(client.command)} ended too early.\n{client.said()}") from None
                continue
            if heard["event"] == event:
                return heard
        raise Failed(f"the server did not come to {event!r} within {seconds:.0f} s.\n{self._child.said()}")

    def forget(self) -> None:
        """Events so far belong to a connection that is over."""
        while not self._events.empty():
            self._events.get_nowait()

    def close(self) -> None:
        """End the server."""
        self._child.kill()
        self._hearing.join()
        self._child.close()

    def _hear(self) -> None:
        assert self._child.process.stdout is not None
        for line in self._child.process.stdout:
            self._events.put(json.loads(line))
