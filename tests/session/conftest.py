"""Fixtures for tests on real sockets."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator

import pytest

from tests.faults.certs import Authority
from tests.faults.raw import wait_until


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only these tests trust."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def no_threads_left() -> Iterator[None]:
    """All threads of a test end with it."""
    before = set(threading.enumerate())
    yield
    wait_until(lambda: not set(threading.enumerate()) - before)


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest, authority: Authority) -> ssl.SSLContext | None:
    """What a server needs to be plain, or to speak TLS: each test runs with both."""
    return authority.server_context() if request.param == "wss" else None
