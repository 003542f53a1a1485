"""Names of captured files: foreign text never leaves the folder, and no two texts share a file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tickstream.capture.template import FileKey, PathTemplate, encode_component
from tickstream.errors import UsageError
from tickstream.timestamps import NS_PER_SECOND, parse_rfc3339

TS = parse_rfc3339("2026-06-24T14:54:00Z")
VALUES = {"provider": "tickatlas", "channel": "bars", "symbol": "EURUSD", "interval": "1m"}
NASTY = ["../../etc/x", "BRK/B", "CON", "con.jsonl", "NUL", "a\0b", "x" * 300, "", ".", "..", ".hidden", "a.", "é",
         "😀", "a\nb", "C:\\x", "%41", "_CON", "-", "manifest.jsonl", "AUX.", "COM1", "\udcff"]  # fmt: skip


def template(text: str, form: str = "jsonl", compression: str = "none") -> PathTemplate:
    return PathTemplate(text, format=form, compression=compression)


def name_of(symbol: str, text: str = "data/{symbol}.jsonl") -> str:
    return str(template(text).relative({"symbol": symbol}))


# --- from --to to a name ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "form", "compression", "base", "name"),
    [
        ("data", "jsonl", "none", "data", "tickatlas/bars/EURUSD/2026-06-24.jsonl"),
        ("data/", "jsonl", "gzip", "data", "tickatlas/bars/EURUSD/2026-06-24.jsonl.gz"),
        ("data", "csv", "zstd", "data", "tickatlas/bars/EURUSD/2026-06-24.csv.zst"),
        ("data", "parquet", "zstd", "data", "tickatlas/bars/EURUSD/2026-06-24.parquet"),
        ("/srv/data", "raw", "none", "/srv/data", "tickatlas/raw/2026-06-24.jsonl"),
        ("{symbol}.jsonl", "jsonl", "none", ".", "EURUSD.jsonl"),
        ("/{symbol}", "jsonl", "none", "/", "EURUSD.jsonl"),
        ("a/b/{symbol}-{interval}/{year}/{month}/{day}T{hour}", "jsonl", "gzip", "a/b",
         "EURUSD-1m/2026/06/24T14.jsonl.gz"),
        ("a/{date}.jsonl.gz", "jsonl", "gzip", "a", "2026-06-24.jsonl.gz"),
        ("a/{date}.ndjson", "jsonl", "none", "a", "2026-06-24.ndjson"),
        ("a/v1.0-{date}", "jsonl", "none", "a", "v1.0-2026-06-24.jsonl"),
    ],
)  # fmt: skip
def test_a_template_gives_base_and_name(text: str, form: str, compression: str, base: str, name: str) -> None:
    path = template(text, form, compression)
    assert path.base == Path(base)
    assert path.key(TS, VALUES).file == name


def test_a_windows_path_is_one() -> None:
    path = template("C:\\data\\{symbol}")
    assert path.base.as_posix() == "C:/data"
    assert path.key(TS, VALUES).file == "EURUSD.jsonl"


@pytest.mark.parametrize(
    ("text", "form", "compression", "message"),
    [
        ("", "jsonl", "none", "no folder"),
        ("a\0{symbol}", "jsonl", "none", "no folder"),
        ("{symbl}", "jsonl", "none", "Did you mean symbol"),
        ("{}", "jsonl", "none", "no placeholder"),
        ("data/{symbol", "jsonl", "none", "a brace is open"),
        ("data/symbol}", "jsonl", "none", "a brace is open"),
        ("data/{symbol}/", "jsonl", "none", "cannot stand behind"),
        ("data/{symbol}/../x", "jsonl", "none", "cannot stand behind"),
        ("data/{symbol}/..", "jsonl", "none", "cannot stand behind"),
        ("out.jsonl", "jsonl", "none", "looks like a file"),
        ("out.jsonl.gz", "jsonl", "gzip", "looks like a file"),
        ("{date}.csv", "jsonl", "none", "ends in .csv, and the format is jsonl"),
        ("{date}.jsonl", "parquet", "none", "ends in .jsonl, and the format is parquet"),
        ("{date}.jsonl.gz", "jsonl", "none", "Add --compress gzip"),
        ("{date}.jsonl.zst", "jsonl", "gzip", "Add --compress zstd"),
        ("{date}.parquet.gz", "parquet", "gzip", "ends in .gz"),
        ("{symbol}", "raw", "none", "raw cannot fill"),
        ("{interval}", "raw", "none", "raw cannot fill"),
    ],
)
def test_what_cannot_work_is_said_at_once(text: str, form: str, compression: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace(".", r"\.")):
        template(text, form, compression)


def test_a_folder_that_is_called_like_a_file_is_a_folder_if_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").mkdir()
    assert template(str(tmp_path / "out.jsonl")).base == tmp_path / "out.jsonl"


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("{symbol}", None),
        ("{date}", "2026-06-25T00:00:00Z"),
        ("{year}/{month}/{day}", "2026-06-25T00:00:00Z"),
        ("{date}/{hour}", "2026-06-24T15:00:00Z"),
        ("{year}-{month}", "2026-07-01T00:00:00Z"),
        ("{year}", "2027-01-01T00:00:00Z"),
    ],
)
def test_a_key_says_until_when_its_name_holds(text: str, until: str | None) -> None:
    path = template(text)
    key = path.key(TS, VALUES)
    assert key.until == (None if until is None else parse_rfc3339(until))
    if key.until is not None:
        assert path.key(key.until - 1, VALUES) == key
        assert path.key(key.until, VALUES).file != key.file


def test_december_is_followed_by_january() -> None:
    key = template("{year}-{month}").key(parse_rfc3339("2026-12-31T23:59:59Z"), VALUES)
    assert key == FileKey("2026-12.jsonl", parse_rfc3339("2027-01-01T00:00:00Z"))


@given(st.integers(0, 4_000_000_000 * NS_PER_SECOND), st.sampled_from(["{date}", "{date}T{hour}", "{year}{month}"]))
def test_names_change_only_at_multiples_of_the_period(ts: int, text: str) -> None:
    path = template(text)
    assert path.period_ns is not None
    begin = ts - ts % path.period_ns
    assert path.key(ts, VALUES) == path.key(begin, VALUES) == path.key(begin + path.period_ns - 1, VALUES)


def test_a_file_of_one_symbol_says_so() -> None:
    assert template("{symbol}").key(TS, VALUES).symbol == "EURUSD"
    assert template("{date}").key(TS, VALUES).symbol is None


# --- foreign text ----------------------------------------------------------------------------------------------------


@given(st.text() | st.sampled_from(NASTY))
@example("../../etc/x")
def test_a_value_is_one_harmless_part_of_a_name(text: str) -> None:
    encoded = encode_component(text)
    assert re.fullmatch(r"_?[A-Za-z0-9.%-]{0,100}", encoded), encoded
    assert encoded
    assert not encoded.startswith(".")
    assert not encoded.endswith(".")
    assert len(encoded) <= 100


@given(st.text(max_size=40), st.text(max_size=40))
@example("_CON", "CON")
@example("x" * 300, "x" * 301)
@example("%41", "A")
def test_different_texts_have_different_names_even_where_case_is_ignored(one: str, other: str) -> None:
    same = name_of(one).casefold() == name_of(other).casefold()
    assert same == (one == other), (name_of(one), name_of(other))


@pytest.mark.parametrize("one", NASTY)
def test_names_that_have_troubled_others_stay_inside(one: str, tmp_path: Path) -> None:
    for text in ("{symbol}.jsonl", "x/{symbol}/{date}", "{symbol}-{symbol}-{symbol}/{symbol}{symbol}{symbol}.csv"):
        form = "csv" if text.endswith("csv") else "jsonl"
        path = PathTemplate(f"{tmp_path}/{text}", format=form, compression="gzip")
        name = PurePosixPath(path.key(TS, {**VALUES, "symbol": one}).file)
        assert not name.is_absolute()
        assert ".." not in name.parts
        assert all(len(part.encode()) <= 200 for part in name.parts)
        target = path.base / name
        assert target.resolve().is_relative_to(tmp_path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        assert str(name).endswith((".jsonl.gz", ".csv.gz"))


def test_a_month_and_a_minute_have_files_of_their_own_where_case_is_ignored() -> None:
    path = template("{interval}")
    month, minute = (path.key(TS, {"interval": one}).file for one in ("1M", "1m"))
    assert month.casefold() != minute.casefold()
    assert minute == "1m.jsonl"


@pytest.mark.parametrize(
    ("text", "symbol"), [("{symbol}.jsonl", "CON"), ("C{symbol}.jsonl", "ON"), ("NUL{symbol}", "")]
)
def test_a_device_of_windows_is_never_a_name(text: str, symbol: str) -> None:
    assert name_of(symbol, text).startswith("_") or name_of(symbol, text) == "NUL_.jsonl"


def test_the_manifest_is_never_the_name_of_a_file() -> None:
    path = PathTemplate("data/{provider}.jsonl", format="jsonl")
    assert path.key(TS, {**VALUES, "provider": "manifest"}).file == "_manifest.jsonl"
