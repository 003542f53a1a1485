"""Files that are durable: written whole or not at all, named without overwriting anything."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tickstream.capture import disk
from tickstream.errors import ExitCode


def failing(number: int) -> Callable[..., None]:
    """A call of the system that fails with this number."""

    def call(*_args: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


# --- publishing ------------------------------------------------------------------------------------------------------


def test_a_part_gets_its_name(tmp_path: Path) -> None:
    part = tmp_path / "x.jsonl.part"
    part.write_text("data")
    assert disk.publish(part, tmp_path / "x.jsonl") == tmp_path / "x.jsonl"
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


@pytest.mark.parametrize("links", [True, False])
def test_nothing_is_ever_overwritten(links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links:  # FAT, some network shares
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    names = []
    for number in range(4):
        part = tmp_path / "x.jsonl.gz.part"
        part.write_text(str(number))
        names.append(disk.publish(part, tmp_path / "x.jsonl.gz").name)
    assert names == ["x.jsonl.gz", "x-001.jsonl.gz", "x-002.jsonl.gz", "x-003.jsonl.gz"]
    assert [(tmp_path / name).read_text() for name in names] == ["0", "1", "2", "3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_a_link_that_leads_nowhere_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to("nowhere")
    (tmp_path / "x.part").write_text("")
    assert disk.publish(tmp_path / "x.part", tmp_path / "x").name == "x-001"


def test_other_failures_of_publishing_are_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EACCES))
    (tmp_path / "x.part").write_text("")
    with pytest.raises(PermissionError):
        disk.publish(tmp_path / "x.part", tmp_path / "x")


def test_names_do_not_go_on_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EEXIST))
    monkeypatch.setattr(disk, "_MOST_NUMBERS", 5)
    with pytest.raises(FileExistsError):
        disk.publish(tmp_path / "x.part", tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "numbered"),
    [
        ("2026-06-24.jsonl", "2026-06-24-007.jsonl"),
        ("2026-06-24.jsonl.gz", "2026-06-24-007.jsonl.gz"),
        ("v1.0.csv.zst", "v1.0-007.csv.zst"),
        ("x", "x-007"),
        (".hidden", ".hidden-007"),
    ],
)
def test_the_number_stands_before_the_extension(name: str, numbered: str) -> None:
    assert disk.numbered(Path("d") / name, 7) == Path("d") / numbered
    assert disk.numbered(Path(name), 0) == Path(name)


def test_two_names_of_one_file_are_known_as_such(tmp_path: Path) -> None:
    one, other, third = (tmp_path / name for name in "abc")
    one.write_text("")
    third.write_text("")
    os.link(one, other)
    assert disk.same_file(one, other)
    assert not disk.same_file(one, third)
    assert not disk.same_file(one, tmp_path / "missing")


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[b"one"], [b"one", b"two"], [b"%d," % number for number in range(3000)]])
@pytest.mark.parametrize("most", [None, 1, 7])
def test_all_is_written_however_little_the_system_takes_at_a_time(
    pieces: list[bytes], most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if most is not None:
        write = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:most]))
        monkeypatch.setattr(os, "writev", lambda fd, some: write(fd, b"".join(some)[:most]))
    fd = disk.open_append(tmp_path / "x", new=True)
    assert disk.write_all(fd, pieces) == sum(map(len, pieces))
    os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"".join(pieces)


@pytest.mark.parametrize("count", [1, 5, 2000])
def test_a_short_write_says_how_much_was_written(count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 4 * count // 2
    write = os.write

    def small(fd: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(fd, data[:room])
        room -= done
        return done

    monkeypatch.setattr(os, "write", small)
    monkeypatch.setattr(os, "writev", lambda fd, some: small(fd, b"".join(some)))
    fd = disk.open_append(tmp_path / "x", new=True)
    with pytest.raises(disk.ShortWrite) as caught:
        disk.write_all(fd, [b"1234"] * count)
    os.close(fd)
    assert caught.value.done == 4 * count // 2 == (tmp_path / "x").stat().st_size
    assert caught.value.errno == errno.ENOSPC


# --- opening ---------------------------------------------------------------------------------------------------------


def test_files_and_folders_are_for_their_owner_to_write_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        disk.make_folders(tmp_path / "a/b")
        os.close(disk.open_append(tmp_path / "a/b/x", new=True))
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/x")] == [0o755, 0o755, 0o644]


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for opening in (disk.open_append, disk.open_existing, disk.open_update, disk.open_read):
        with pytest.raises(OSError, match="symbolic links"):
            opening(tmp_path / "link")
    assert disk.is_regular(tmp_path / "target")
    assert not disk.is_regular(tmp_path / "link")
    assert not disk.is_regular(tmp_path / "missing")


def test_what_must_be_new_is_new_and_what_must_be_there_is_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk.open_existing(tmp_path / "x")
    os.close(disk.open_append(tmp_path / "x", new=True))
    with pytest.raises(FileExistsError):
        disk.open_append(tmp_path / "x", new=True)
    os.close(disk.open_existing(tmp_path / "x"))


def test_inside_means_with_all_links_followed(tmp_path: Path) -> None:
    base = tmp_path / "base"
    (base / "real").mkdir(parents=True)
    (base / "out").symlink_to(tmp_path)
    (base / "in").symlink_to(base / "real")
    (tmp_path / "alias").symlink_to(base)
    assert disk.inside(base / "not/yet/there", base)
    assert disk.inside(base / "in/x", base)
    assert disk.inside(tmp_path / "alias/x", base)
    assert not disk.inside(base / "out/x", base)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(NotADirectoryError):
        disk.make_folders(tmp_path / "x")


def test_a_folder_that_another_makes_at_the_same_time_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Path.mkdir

    def both(path: Path, mode: int = 0o777) -> None:
        made(path, mode)
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", both)
    disk.make_folders(tmp_path / "a")
    assert (tmp_path / "a").is_dir()


# --- syncing ---------------------------------------------------------------------------------------------------------


def test_a_share_that_cannot_sync_folders_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL))
    disk.sync_folder(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        disk.sync_folder(tmp_path)


# --- what the system says --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "the device failed"),
        (errno.EACCES, "permission denied"),
        (errno.ENOTCONN, os.strerror(errno.ENOTCONN)),
    ],
)
def test_a_failure_says_what_happened_and_what_to_do(number: int, words: str) -> None:
    error = disk.failure(OSError(number, os.strerror(number)), Path("data/x"))
    assert words in error.message
    assert "data/x" in error.message
    assert error.hint.endswith(".")
    assert error.exit_code is ExitCode.OUTPUT


def test_a_failure_without_a_number_is_told_in_its_own_words() -> None:
    assert "strange" in disk.failure(OSError("strange"), "x", "read").message


def test_free_space_is_known(tmp_path: Path) -> None:
    space = disk.space(tmp_path)
    assert 0 < space.free <= space.total


def test_a_network_file_system_is_told_by_its_mount(tmp_path: Path) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    line = "36 35 {}:{} / /data rw,noatime master:1 - {} server:/export rw\n"
    mounts.write_text(line.format(os.major(device), os.minor(device), "nfs4"))
    assert disk.network_file_system(tmp_path, mounts) == "nfs4"
    mounts.write_text(line.format(os.major(device), os.minor(device), "ext4") + line.format(98, 99, "nfs4"))
    assert disk.network_file_system(tmp_path, mounts) is None
    assert disk.network_file_system(tmp_path / "missing", mounts) is None
