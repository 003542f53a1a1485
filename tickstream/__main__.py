"""`python -m tickstream` and the `tickstream` command."""

from __future__ import annotations

import gc
import sys

YOUNG_OBJECTS = 10_000
"""How many live before they are searched for garbage. A batch has thousands at once and lets go of all of them: with
Python's own limit, 700, a tenth of the time that updates of books take is spent on looking at them."""


def main() -> None:
    """Run the command line and exit with its code."""
    # What start-up makes lives as long as the process. To search it for garbage, while it is made and again at exit,
    # would be a sixth of the time that `tickstream credits` takes.
    gc.disable()
    try:
        from tickstream.cli.app import main as run

        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])
        gc.enable()
        code = run()
    except KeyboardInterrupt:  # Ctrl-C before anybody listens
        code = 130
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
