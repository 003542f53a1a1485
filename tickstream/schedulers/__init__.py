"""Schedulers of the operating systems: the text that makes each of them start `tickstream capture`. Pure.

One file each, which declares itself with `SCHEDULER = Scheduler(...)` (see base.py) and is found here. Nothing is
installed: what is written is for the user to read and to put where it belongs.
"""

from __future__ import annotations

import importlib

from tickstream.schedulers.base import Scheduler

NAMES = ("cron", "systemd", "launchd", "schtasks")
"""As in `tickstream schedule --NAME`; also the names of the modules."""


def load(name: str) -> Scheduler:
    """The scheduler of this name, one of NAMES."""
    scheduler: Scheduler = importlib.import_module(f"{__name__}.{name}").SCHEDULER
    return scheduler
