"""What every test may rely on: nobody's own configuration, keys or proxies, bytecode that is kept, and no hurry.

The environment of this process is cleaned, not patched per test, so that subprocesses inherit it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("no hurry", deadline=None)  # a slow machine is no fault of what is tested
settings.register_profile("measured", deadline=None, max_examples=40)  # counting branches takes several times as long
settings.load_profile("measured" if os.environ.get("CI") else "no hurry")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: half of what the tests do is waiting."""
    cores = os.cpu_count() or 1
    return cores + cores // 2


_OURS = ("TICKSTREAM_", "TICKATLAS_", "_TICKSTREAM_")
_OUTSIDE = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "NO_COLOR", "FORCE_COLOR", "SSLKEYLOGFILE"})


@pytest.fixture(scope="session", autouse=True)
def _nobodys_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of its own, no keys, no settings, no proxies; bytecode is kept for as long as the tests run."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(_OURS) or name.upper() in _OUTSIDE:
            del os.environ[name]
    home = tmp_path_factory.mktemp("home")
    os.environ["HOME"] = os.environ["USERPROFILE"] = str(home)
    os.environ["XDG_CONFIG_HOME"] = str(home / ".config")
    # Where bytecode must not be written (containers set this), each subprocess would compile all of tickstream again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("bytecode")))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the source tree."""
    return Path(__file__).resolve().parent.parent


FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Takes a line with something measured; all of them are printed at the end of the run, passed or not."""
    return request.config.stash.setdefault(FIGURES, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the tests measured."""
    for line in config.stash.get(FIGURES, []):
        terminalreporter.write_line(f"measured: {line}")
