"""Files that may hold a key. Modes are POSIX; on Windows nothing is promised about them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tickstream import private_files
from tickstream.errors import ConfigError


@pytest.fixture
def open_umask():
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("open_umask")
def test_new_files_and_folders_are_their_owners_alone_whatever_the_umask(tmp_path):
    path = tmp_path / "a" / "b" / "c.toml"
    private_files.create(path, "text\n")
    assert path.read_text() == "text\n"
    assert (mode(path), mode(path.parent), mode(path.parent.parent)) == (0o600, 0o700, 0o700)


@pytest.mark.usefixtures("open_umask")
def test_a_replaced_file_is_private_though_it_was_not(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("old")
    assert mode(path) == 0o666
    private_files.replace(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_an_existing_file_is_not_created_again(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        private_files.create(path, "new")
    assert path.read_text() == "mine"


def test_a_file_in_place_of_the_folder_is_no_existing_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        private_files.create(tmp_path / "file" / "c.toml", "new")


def test_a_symbolic_link_is_not_followed_to_create_a_file(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        private_files.create(link, "new")
    assert not (tmp_path / "elsewhere").exists()


def test_replacing_through_a_symbolic_link_keeps_the_link(tmp_path):
    target = tmp_path / "dotfiles" / "c.toml"
    private_files.create(target, "old")
    link = tmp_path / "c.toml"
    link.symlink_to(target)
    private_files.replace(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_failed_write_leaves_no_half_file(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        private_files.create(tmp_path / "c.toml", "\udcff")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_replacement_leaves_the_old_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        private_files.replace(path, "\udcff")
    assert [one.name for one in tmp_path.iterdir()] == ["c.toml"]
    assert path.read_text() == "old"


def test_the_leftover_of_a_crash_is_no_obstacle(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text("old")
    (tmp_path / f".c.toml.{os.getpid()}.new").write_text("half")
    private_files.replace(path, "new")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "new"


def test_a_file_longer_than_its_limit_is_refused(tmp_path):
    path = tmp_path / "c.toml"
    path.write_bytes(b"x" * 11)
    assert private_files.read(path, 11).data == b"x" * 11
    with pytest.raises(ConfigError, match="longer than 10 bytes"):
        private_files.read(path, 10)


def test_an_endless_file_is_refused_without_being_read():
    with pytest.raises(ConfigError, match="longer than"):
        private_files.read(Path("/dev/zero"), 1000)


@pytest.mark.parametrize(
    ("bits", "private", "trusted"), [(0o600, True, True), (0o644, False, True), (0o660, False, False)]
)
def test_who_else_could_read_or_write_decides_what_a_file_is_good_for(tmp_path, bits, private, trusted):
    path = tmp_path / "c.toml"
    path.write_text("x")
    path.chmod(bits)
    file = private_files.read(path, 10)
    for require, fine in ((file.require_private, private), (file.require_trusted, trusted)):
        if fine:
            require("the file")
        else:
            with pytest.raises(ConfigError, match=r"the file can be (read|written) by others.*\nRun: chmod"):
                require("the file")


def test_on_windows_modes_and_owners_are_not_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(private_files, "POSIX", False)
    path = tmp_path / "c.toml"
    path.write_text("x")
    path.chmod(0o666)
    private_files.read(path, 10).require_private("the file")
    private_files.replace(path, "y")
    assert path.read_text() == "y"
