"""Places at which a test can have the process killed, as by `kill -9` or a power cut, to see how the next run recovers.

`TICKSTREAM_FAILPOINT=after_write_before_fsync` kills at the first pass, `...@3` at the third. Nothing else looks at
it; without the variable a place costs one look into a dictionary.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "TICKSTREAM_FAILPOINT"

FAILPOINTS: dict[str, str] = {
    "after_part_entry_before_part": "the manifest announces a part that has not been made",
    "after_write_before_fsync": "records are written, not synced",
    "after_fsync": "records are synced, and the run goes on",
    "before_finish": "a part is complete and synced, and will be finished",
    "before_replace": "a part has been converted or repacked, beside itself",
    "after_replace_before_rename": "the converted file has the name of the part",
    "after_fsync_before_rename": "the part is final, and has its old name",
    "between_link_and_unlink": "the finished file has both names",
    "after_rename_before_manifest": "the file has its final name, and the manifest does not know it",
    "after_manifest": "the file is finished and in the manifest",
    "during_repair_after_save": "torn bytes are saved beside the part, and still in it",
    "during_repair_after_cut": "torn bytes are cut off, and the manifest does not know it",
    "after_delete_before_manifest": "--keep has deleted a file, and the manifest does not know it",
    "before_end": "all files are finished, and the run's `end` is not written",
}
"""Every place, and what is on disk when it is passed."""

_wanted, _, _times = os.environ.get(VARIABLE, "").partition("@")
_left = {_wanted: int(_times or 1)} if _wanted else {}


def reached(name: str) -> None:
    """Kill this process if the environment asks for it here."""
    if name in _left:
        _left[name] -= 1
        if not _left[name]:
            _die()


def _die() -> None:
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))  # on Windows that one kills at once as well
