"""What the package gives to those who import it."""

from __future__ import annotations

import subprocess
import sys

import tickstream

QUIET = """
import pkgutil, sys, threading
import tickstream
for module in pkgutil.walk_packages(tickstream.__path__, "tickstream."):
    if module.name != "tickstream.__main__":
        __import__(module.name)
assert threading.active_count() == 1, threading.enumerate()
"""


def test_the_version_is_a_version() -> None:
    assert all(part.isdigit() for part in tickstream.__version__.split("."))


def test_importing_everything_says_nothing_and_starts_nothing() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", QUIET], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_package_is_light_until_something_is_asked_of_it() -> None:
    code = "import sys; before = set(sys.modules); import tickstream; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["tickstream"]


def test_the_module_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "tickstream", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"tickstream {tickstream.__version__}\n"
