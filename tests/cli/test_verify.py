"""`tickstream verify`: exit codes, the table, JSON, files of others, and what is said of the speed."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cli.command import Result, run
from tickstream.errors import ExitCode

WEDNESDAY = "2026-06-24T14:{:02d}:00.000000Z"


def bars(symbol: str, minutes: Iterable[int]) -> str:
    """JSON lines as `capture` writes them, of minutes after 14:00."""
    return "".join(
        f'{{"type":"bar","provider":"tickatlas","symbol":"{symbol}","ts_event":"{WEDNESDAY.format(minute)}",'
        f'"ts_recv":"2026-06-24T15:{minute:02d}:00.100000Z","interval":"1m","open":1.1,"high":1.2,"low":1.0,"close":1.1,'
        f'"bid":1.1,"ask":1.10012}}\n'
        for minute in minutes
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "EURUSD.jsonl"


def verify(*argv: object, stdin: bytes = b"", tty: bool = False, env: dict[str, str] | None = None) -> Result:
    return run("verify", *map(str, argv), stdin=stdin, tty=tty, env=env)


def document(result: Result) -> dict[str, object]:
    found = json.loads(result.out, parse_float=str)
    assert isinstance(found, dict)
    return found


def test_a_complete_file_exits_0_and_says_so_last(file: Path) -> None:
    file.write_text(bars("EURUSD", range(60)))
    result = verify(file)
    assert result.code == ExitCode.OK
    assert result.out.splitlines()[-1] == "Complete: 60 events of 1 symbol, nothing missing."


def test_the_table_has_a_row_for_each_symbol(file: Path) -> None:
    file.write_text(bars("EURUSD", range(60)) + bars("XAUUSD", [0, 1, 5, 5]))
    head, eur, gold, *_ = verify(file).out.splitlines()
    assert head.split() == ["symbol", "type", "events", "first", "last", "missing", "unexplained", "twice", "disorder",
                            "crossed"]  # fmt: skip
    assert eur.split()[:6] == ["EURUSD", "bar", "1m", "60", "2026-06-24T14:00:00Z", "2026-06-24T14:59:00Z"]
    assert eur.split()[6:] == ["0", "0", "0", "0", "0", "complete"]
    assert gold.split()[-6:] == ["3", "3", "1", "0", "0", "incomplete"]


def test_what_is_missing_and_what_is_twice_is_listed(file: Path) -> None:
    file.write_text(bars("EURUSD", [0, 1, 5, 6, 1]))
    result = verify(file)
    assert result.code == ExitCode.INCOMPLETE
    assert "  EURUSD bar: 3 from 2026-06-24T14:02:00Z until 2026-06-24T14:05:00Z, unexplained\n" in result.out
    assert (
        f"  EURUSD bar: duplicate: of 2026-06-24T14:01:00.000000Z, received 2026-06-24T15:01:00.100000Z, in {file}\n"
        in (result.out)
    )
    assert result.out.splitlines()[-1] == (
        "Incomplete: 5 events of 1 symbol; 3 missing, 3 of them unexplained, 1 twice."
    )


def test_a_gap_record_explains_a_hole_and_it_stays_incomplete(file: Path) -> None:
    gap = (
        '{"type":"gap","provider":"tickatlas","symbols":["EURUSD"],"reason":"disconnect",'
        '"from":"2026-06-24T15:01:00.100000Z","to":"2026-06-24T15:05:00.100000Z","missed":3}\n'
    )
    file.write_text(bars("EURUSD", [0, 1]) + gap + bars("EURUSD", [5, 6]))
    result = verify(file)
    assert result.code == ExitCode.INCOMPLETE
    assert "until 2026-06-24T14:05:00Z, gap record: disconnect" in result.out
    assert "EURUSD: disconnect from 2026-06-24T15:01:00.100000Z to 2026-06-24T15:05:00.100000Z, 3 missed" in result.out
    assert "unexplained" not in result.out.splitlines()[-1]


def test_json_has_everything(file: Path) -> None:
    file.write_text(bars("EURUSD", [0, 1, 5]) + "{nonsense\n")
    result = verify(file, "-o", "json")
    assert result.code == ExitCode.INCOMPLETE
    found = document(result)
    assert list(found) == ["verdict", "series", "files", "runs", "gaps", "more_gaps", "read"]
    assert found["verdict"] == "incomplete"
    [series] = found["series"]  # type: ignore[misc]  # a list of one
    assert (series["symbol"], series["missing"], series["unexplained"], series["complete"]) == ("EURUSD", 3, 3, False)
    assert series["holes"] == [
        {"from": "2026-06-24T14:02:00.000000Z", "to": "2026-06-24T14:05:00.000000Z", "missing": 3, "explained": None}
    ]
    [read] = found["files"]  # type: ignore[misc]  # as above
    assert (read["lines"], read["events"], read["bad"], read["whole"]) == (4, 3, 1, False)


def test_a_file_that_cannot_be_understood_exits_14(file: Path) -> None:
    file.write_text(bars("EURUSD", range(3)).replace('"open":1.1', '"open":"none"'))
    result = verify(file)
    assert result.code == ExitCode.OUTPUT
    assert result.out.splitlines()[-1].startswith("Unreadable: ")


def test_a_path_that_does_not_exist_exits_2(tmp_path: Path) -> None:
    assert "there is no such file" in verify(tmp_path / "nothing").failed(ExitCode.USAGE)


def test_how_fast_it_read_is_said_on_stderr_unless_quiet(file: Path) -> None:
    file.write_text(bars("EURUSD", range(60)))
    size = file.stat().st_size
    said = verify(file).err
    assert said.startswith(f"tickstream: read 1 file, {size / 1000:.1f} kB, 60 events in 0.")
    assert "MB/s, " in said
    assert said.endswith(" events/s\n")
    assert verify(file, "-q").err == ""


def test_bounds_say_what_is_owed(file: Path) -> None:
    file.write_text(bars("EURUSD", range(10, 50)))
    assert verify(file).code == ExitCode.OK
    result = verify(file, "--from", "2026-06-24T14:00Z", "--to", "2026-06-24T15:00:00Z", "-o", "json")
    assert document(result)["series"][0]["missing"] == 20  # type: ignore[index]  # a list of objects
    assert verify(file, "--from", "2026-06-24T14:20Z", "--to", "2026-06-24T14:30:00Z").code == ExitCode.OK


def test_a_date_is_a_bound_too(file: Path) -> None:
    file.write_text(bars("EURUSD", range(60)))
    result = verify(file, "--from", "2026-06-24", "--to", "2026-06-25", "-o", "json", "-q")
    assert document(result)["series"][0]["missing"] == 23 * 60  # type: ignore[index]  # as above


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--from", "yesterday"), "--from: 'yesterday' is not a time"),
        (("--from", "2026-06-25", "--to", "2026-06-24"), "--from is not before --to"),
        (("--columns", "nonsense"), "--columns"),
        (("-",), "- stands for stdin"),
    ],
)
def test_flags_that_make_no_sense_are_refused(flags: tuple[str, ...], said: str) -> None:
    assert said in verify("-", *flags).failed(ExitCode.USAGE)


def test_market_hours_can_be_ignored(file: Path) -> None:
    friday = bars("EURUSD", [59]).replace("2026-06-24T14", "2026-06-26T20")
    sunday = bars("EURUSD", [0]).replace("2026-06-24T14", "2026-06-28T21")
    file.write_text(friday + sunday)
    assert verify(file).code == ExitCode.OK
    ignored = verify(file, "--market-hours", "ignore", "-o", "json")
    assert document(ignored)["series"][0]["missing"] == 48 * 60  # type: ignore[index]  # as above


@pytest.mark.parametrize(("symbol", "missing"), [("XAUUSD", 0), ("EURUSD", 60), ("XAUTBTC", 60)])
def test_metals_pause_for_an_hour_a_day_and_coins_named_like_them_do_not(file: Path, symbol: str, missing: int) -> None:
    before, after = bars(symbol, [59]).replace("T14", "T20"), bars(symbol, [0]).replace("T14", "T22")
    file.write_text(before + after.replace("T15", "T23"))
    assert verify(file).code == (ExitCode.INCOMPLETE if missing else ExitCode.OK)
    ignored = verify(file, "--market-hours", "ignore", "-o", "json")
    assert document(ignored)["series"][0]["missing"] == 60  # type: ignore[index]  # a list of one


def test_the_hours_and_ways_of_a_provider_are_those_it_declares(tmp_path: Path) -> None:
    weekend = bars("BTC/USD", [59]).replace("tickatlas", "kraken") * 2 + bars("BTC/USD", [59]).replace(
        "tickatlas", "kraken"
    ).replace("T14:59", "T15:01")
    path = tmp_path / "kraken.jsonl"
    path.write_text(weekend)
    [series] = document(verify(path, "-o", "json"))["series"]  # type: ignore[misc]  # a list of one
    assert (series["duplicates"], series["missing"]) == (0, 1)


def test_standard_input_and_compressed_files_are_read(tmp_path: Path) -> None:
    text = bars("EURUSD", range(20)).encode()
    assert verify("-", stdin=text).code == ExitCode.OK
    packed = tmp_path / "x.jsonl.gz"
    packed.write_bytes(gzip.compress(text))
    assert verify(packed).code == ExitCode.OK
    packed.write_bytes(packed.read_bytes()[:-40])
    torn = verify(packed)
    assert torn.code == ExitCode.INCOMPLETE
    assert "torn at its end" in torn.out


def test_files_of_others_are_read_once_their_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("time,open,high,low,last\n2026-06-24 14:00:00,1,1,1,1\n2026-06-24 14:02:00,1,1,1,1\n")
    flags = ("--columns", "ts_event=time,close=last", "--type", "bar", "--interval", "1m", "--symbol", "EURUSD")
    result = verify(path, *flags, "-o", "json", "-q")
    assert result.code == ExitCode.INCOMPLETE
    [series] = document(result)["series"]  # type: ignore[misc]  # a list of one
    assert (series["symbol"], series["events"], series["missing"]) == ("EURUSD", 2, 1)


def test_numbering_can_be_insisted_on(file: Path) -> None:
    trades = "".join(
        f'{{"type":"trade","provider":"x","symbol":"BTC","ts_event":"{WEDNESDAY.format(at)}",'
        f'"ts_recv":"{WEDNESDAY.format(at)}","price":1,"trade_id":"{number}"}}\n'
        for at, number in enumerate((10, 20, 30))
    )
    file.write_text(trades)
    assert verify(file).code == ExitCode.OK
    insisted = verify(file, "--numbering", "contiguous")
    assert "9: 11 to 19, unexplained" in insisted.out


def test_long_lists_are_cut_unless_all_is_asked_for(file: Path) -> None:
    file.write_text(bars("EURUSD", range(0, 60, 2)))
    assert "  and 19 more: --all lists them\n" in verify(file).out
    everything = verify(file, "--all").out
    assert "more" not in everything
    assert everything.count("unexplained\n") == 29
    assert f"{file}: 30 events, " in everything


def test_on_a_terminal_the_table_is_coloured_and_foreign_text_is_clean(file: Path) -> None:
    file.write_text(bars("EUR\\u001b[31mUSD", [0, 1, 5]) + bars("XAUUSD", range(6)))
    result = verify(file, "-q", tty=True, env={"COLUMNS": "140"})
    assert "\x1b[32mcomplete" in result.out
    assert "\x1b[1;31mincomplete" in result.out
    assert "\x1b[31mUSD" not in result.out
    assert "EUR\\x1b[31mUSD" in result.out
    plain = verify(file, "-q", tty=True, env={"NO_COLOR": "1"})
    assert "\x1b" not in plain.out
