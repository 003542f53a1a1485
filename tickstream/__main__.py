"""`python -m tickstream` and the `tickstream` command."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # What start-up makes lives as long as the process. To search it for garbage, while it is made and again at exit,
    # would be a sixth of the time that `tickstream credits` takes.
    gc.disable()
    try:
        from tickstream.cli.app import main as run

        gc.freeze()
        gc.enable()
        code = run()
    except KeyboardInterrupt:  # Ctrl-C before anybody listens
        code = 130
    gc.freeze()
    sys.exit(code)


if __name__ == "__main__":
    main()
