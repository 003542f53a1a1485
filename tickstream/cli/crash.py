"""What the user sees of a bug: two lines, never a traceback, unless TICKSTREAM_DEBUG asks for it. Never a key."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickstream.cli.environment import Environment

DEBUG_ENV = "TICKSTREAM_DEBUG"


def report(error: BaseException, here: Environment, where: str = "") -> None:
    """Say on stderr that this is our fault, and how to report it; with TICKSTREAM_DEBUG set, the traceback first."""
    debug = bool(here.env.get(DEBUG_ENV))
    if debug:
        import traceback

        here.say("".join(traceback.format_exception(error)).rstrip("\n"))
    first_line = here.redact(str(error)).partition("\n")[0][:200]  # redacted first: half a key is a key too
    name = type(error).__name__
    here.say(f"tickstream: internal error{where}: {name}" + (f": {first_line}" if first_line else ""))
    here.say(
        "This is a bug in tickstream. Please report it with the command and "
        + ("the traceback above." if debug else f"the traceback that {DEBUG_ENV}=1 shows; keys are taken out of it.")
    )


def install(here: Environment) -> None:
    """Report what no `except` catches, in the main thread and in others."""

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, Exception):
            report(error.with_traceback(trace), here)

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        if isinstance(args.exc_value, Exception):
            report(args.exc_value, here, f" in thread {args.thread.name}" if args.thread else "")

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
