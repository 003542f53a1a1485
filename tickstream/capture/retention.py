"""`--keep 30d`: old files are deleted, whole, oldest first; only such as the manifest knows and nobody has changed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

from tickstream.capture import disk, failpoints
from tickstream.capture.manifest import FileDeleted, FileFinished
from tickstream.capture.room import Report
from tickstream.clock import Clock
from tickstream.timestamps import NS_PER_SECOND


def expired(files: Iterable[FileFinished], now_ns: int, keep_s: float) -> list[FileFinished]:
    """Those whose last record is older than `keep_s` seconds, the oldest first. Pure.

    The age is that of the last `ts_event`; where that is unknown, or a provider's clock lies in the future of ours,
    that of the file.
    """
    limit = now_ns - round(keep_s * NS_PER_SECOND)
    old = [file for file in files if _age_from(file) < limit]
    return sorted(old, key=_age_from)


def _age_from(file: FileFinished) -> int:
    return file.finished if file.last is None else min(file.last, file.finished)


class Retention:
    """Deletes what has expired, of the files given to `keep`."""

    def __init__(
        self, base: Path, run: str, keep_s: float, clock: Clock, listed: Callable[[FileDeleted], None], report: Report
    ) -> None:
        self._base = base
        self._run = run
        self._keep_s = keep_s
        self._clock = clock
        self._list = listed
        self._report = report
        self._files: dict[str, FileFinished] = {}

    def keep(self, files: Iterable[FileFinished]) -> None:
        """These are finished, and ours."""
        self._files.update((file.file, file) for file in files)

    def delete(self) -> None:
        """Delete what has expired by now. What cannot be deleted is reported, and left alone from then on."""
        now = self._clock.now_ns()
        for file in expired(self._files.values(), now, self._keep_s):
            del self._files[file.file]
            path = self._base / file.file
            try:
                if not self._is_ours(path, file):
                    continue
                path.unlink(missing_ok=True)
            except OSError as error:
                self._report("not_deleted", f"cannot delete {path} (--keep): {error.strerror or error}")
                continue
            failpoints.reached("after_delete_before_manifest")
            self._list(FileDeleted(run=self._run, file=file.file, ts=now, reason="--keep"))
            self._tidy(path.parent)

    def _is_ours(self, path: Path, file: FileFinished) -> bool:
        """False for what is not the file that was finished: a link, or of another size."""
        try:
            size = path.lstat().st_size
        except FileNotFoundError:
            return True  # deleted already; the manifest shall say so
        if disk.inside(path, self._base) and disk.is_regular(path) and size == file.bytes:
            return True
        self._report("not_deleted", f"{path} is not as it was finished: --keep leaves it alone")
        return False

    def _tidy(self, folder: Path) -> None:
        """Remove folders that are empty now."""
        while folder != self._base and folder.is_relative_to(self._base):
            with contextlib.suppress(OSError):
                folder.rmdir()
            folder = folder.parent
