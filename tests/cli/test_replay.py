"""`tickstream replay`: the outputs of `watch` over a capture, its pace, its bounds, its ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.cli.command import Result, run
from tickstream.capture import manifest
from tickstream.capture.manifest import FileFinished, RunStart
from tickstream.errors import ExitCode
from tickstream.events import Gap
from tickstream.timestamps import Timestamp, parse_rfc3339

NOON = parse_rfc3339("2026-06-24T12:00:00Z")


def line(symbol: str, minute: int, received: float = 0.0, close: str = "1.08430") -> str:
    """A bar of a minute after 12:00, received so many seconds after 13:00."""
    return (
        f'{{"type":"bar","provider":"tickatlas","symbol":"{symbol}","ts_event":"2026-06-24T12:{minute:02d}:00.000000Z",'
        f'"ts_recv":"2026-06-24T13:00:{received:09.6f}Z","interval":"1m","open":1.1,"high":1.2,"low":1.0,"close":{close},'
        f'"bid":{close},"ask":1.2,"spread":0.11570,"closed":true}}\n'
    )


def replay(*argv: object, stdin: bytes = b"", speed: str = "max") -> Result:
    return run("replay", *map(str, argv), "--speed", speed, stdin=stdin)


def minutes(text: str) -> list[tuple[str, str]]:
    """Symbol and minute of JSON lines."""
    rows = [json.loads(row) for row in text.splitlines()]
    return [(row["symbol"], row["ts_event"][14:16]) for row in rows if row["type"] == "bar"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two symbols, three minutes each, received in turns."""
    (tmp_path / "EURUSD.jsonl").write_text("".join(line("EURUSD", at, at) for at in range(3)))
    (tmp_path / "XAUUSD.jsonl").write_text("".join(line("XAUUSD", at, at + 0.5) for at in range(3)))
    return tmp_path


BOTH = [("EURUSD", "00"), ("XAUUSD", "00"), ("EURUSD", "01"), ("XAUUSD", "01"), ("EURUSD", "02"), ("XAUUSD", "02")]


def test_files_are_merged_in_the_order_in_which_they_were_received(folder: Path) -> None:
    assert minutes(replay(folder).out) == BOTH
    assert minutes(replay(folder / "XAUUSD.jsonl", folder / "EURUSD.jsonl").out) == BOTH


def test_json_lines_come_back_digit_for_digit(folder: Path) -> None:
    assert replay(folder / "EURUSD.jsonl").out == (folder / "EURUSD.jsonl").read_text()


def test_standard_input_is_played(folder: Path) -> None:
    data = (folder / "EURUSD.jsonl").read_bytes()
    assert replay("-", stdin=data).out == data.decode()


def test_outputs_and_their_options_are_those_of_watch(folder: Path) -> None:
    csv = replay(folder, "-o", "csv", "--fields", "symbol,ts_event,close", "--time", "us", "--count", 2)
    assert csv.out == "symbol,ts_event,close\nEURUSD,1782302400000000,1.08430\nXAUUSD,1782302400000000,1.08430\n"
    assert csv.code == ExitCode.OK
    assert len(replay(folder, "-o", "line", "-q").out.splitlines()) >= 1


def test_a_csv_of_several_types_has_the_columns_of_all(folder: Path) -> None:
    trade = (
        '{"type":"trade","provider":"x","symbol":"BTC","ts_event":"2026-06-24T12:00:00Z",'
        '"ts_recv":"2026-06-24T13:00:00Z","price":5,"trade_id":"7"}\n'
    )
    (folder / "BTC.jsonl").write_text(trade)
    head, *rows = replay(folder, "-o", "csv").out.splitlines()
    assert {"close", "price", "trade_id"} < set(head.split(","))
    assert len(rows) == 7


def test_what_is_drawn_is_labelled_replay_and_has_the_time_of_the_capture(folder: Path) -> None:
    out = replay(folder, "-o", "line").out
    assert all(row.startswith("REPLAY  EURUSD") for row in out.splitlines())
    assert "stale" not in out
    table = replay(folder, "-o", "table").out
    assert "13:00:02" in table


def test_once_waits_for_each_symbol_also_for_one_that_comes_late(folder: Path) -> None:
    late = folder / "late.jsonl"
    late.write_text("".join(line("EURUSD", at % 60, at / 100) for at in range(2000)) + line("GBPUSD", 59, 59))
    assert minutes(replay(late, "--once").out) == [("EURUSD", "00"), ("GBPUSD", "59")]
    assert "What comes from stdin is not known beforehand" in replay("-", "--once").failed(ExitCode.USAGE)


def test_from_and_to_are_of_the_providers_time(folder: Path) -> None:
    assert minutes(replay(folder, "--from", "2026-06-24T12:01Z", "--to", "2026-06-24T12:02Z").out) == BOTH[2:4]


def test_nothing_to_replay_exits_13(folder: Path, tmp_path: Path) -> None:
    said = replay(folder, "--from", "2027-01-01", "-q").failed(ExitCode.NO_DATA)
    assert "nothing to replay" in said
    assert "none in that time" in said
    (tmp_path / "empty.jsonl").write_text("")
    assert "doctor" not in replay(tmp_path / "empty.jsonl", "-q").failed(ExitCode.NO_DATA)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--speed", "fast"), "--speed: 'fast' is no factor"),
        (("--speed", "0"), "no factor"),
        (("--speed", "inf"), "no factor"),
        (("--max-wait", "long"), "--max-wait: 'long' is not a duration"),
        (("--from", "soon"), "--from"),
        (("-o", "xml"), "none of auto, table"),
        (("-o", "raw"), "-o raw needs a raw capture"),
        (("-o", "csv", "--events"), "does not go with -o csv"),
    ],
)
def test_flags_that_make_no_sense_are_refused(folder: Path, flags: tuple[str, ...], said: str) -> None:
    assert said in run("replay", str(folder), *flags).failed(ExitCode.USAGE)


def test_a_path_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "no such file" in replay(tmp_path / "nothing").failed(ExitCode.USAGE)


def test_bad_lines_are_told_and_stop_nothing(folder: Path) -> None:
    path = folder / "EURUSD.jsonl"
    path.write_text(line("EURUSD", 0) + "nonsense\n" + line("EURUSD", 1) + '{"type":"bar","prov')
    result = replay(path)
    assert minutes(result.out) == [("EURUSD", "00"), ("EURUSD", "01")]
    assert f"bad_line: {path}:2: " in result.err
    assert f"bad_line: {path}:4: " in result.err


# --- pace -------------------------------------------------------------------------------------------------------------


def took(*argv: object, speed: str) -> float:
    began = time.monotonic()
    result = replay(*argv, speed=speed)
    assert result.code == ExitCode.OK
    return time.monotonic() - began


def test_it_takes_the_time_it_took_divided_by_the_speed(folder: Path) -> None:
    assert 0.24 <= took(folder, speed="10") < 2.4
    assert took(folder, speed="max") < 0.24 + took(folder, "--max-wait", "0s", speed="1")


def test_by_the_providers_clock_minutes_are_minutes(folder: Path) -> None:
    assert 0.19 <= took(folder, "--by", "ts_event", speed="600") < 2


def test_a_duration_ends_it_and_says_nothing_of_loss(folder: Path) -> None:
    result = replay(folder, "--duration", "300ms", speed="1")
    assert (result.code, minutes(result.out)) == (ExitCode.OK, BOTH[:1])
    assert "0 dropped" in result.err


# --- gaps -------------------------------------------------------------------------------------------------------------


GAP = (
    '{"type":"gap","provider":"tickatlas","symbols":["EURUSD"],"reason":"disconnect",'
    '"from":"2026-06-24T13:00:00.000000Z","to":"2026-06-24T13:00:01.000000Z","missed":3}\n'
)


def test_gaps_in_the_files_are_told_on_stderr_or_in_the_data(folder: Path) -> None:
    path = folder / "EURUSD.jsonl"
    path.write_text(line("EURUSD", 0, 0) + GAP + line("EURUSD", 4, 1))
    assert "gap (disconnect): EURUSD" in replay(path).err
    rows = replay(path, "--events", "-o", "jsonl").out.splitlines()
    assert [json.loads(row)["type"] for row in rows] == ["bar", "gap", "bar", "summary"]
    assert replay(path, "--strict").code == ExitCode.INCOMPLETE


def capture_in_csv(folder: Path, days: Iterable[int]) -> None:
    """A capture whose gaps stand in its manifest only, one file a day."""
    entries: list[object] = [
        RunStart(run="A", started=NOON, pid=1, version="1", provider="tickatlas", channel="bars",
                 symbols=("XAUUSD", "EURUSD"), format="csv", compression="none", template="x"),
        Gap("tickatlas", ("EURUSD",), "disconnect", _received(24, 0), _received(24, 1), missed=1),
        Gap("tickatlas", ("GBPUSD",), "disconnect", _received(24, 0), _received(24, 1)),
    ]  # fmt: skip
    for day in days:
        rows = ["type,provider,symbol,ts_event,ts_recv,interval,open,high,low,close"]
        rows += [
            f"bar,tickatlas,EURUSD,2026-06-{day}T12:0{at}:00.000000Z,2026-06-{day}T13:00:0{at}.000000Z,1m,1,1,1,1"
            for at in range(3)
        ]
        (folder / f"{day}.csv").write_text("\n".join(rows) + "\n")
        first, last = (parse_rfc3339(f"2026-06-{day}T12:0{at}:00Z") for at in (0, 2))
        entries.append(
            FileFinished(run="A", file=f"{day}.csv", format="csv", compression="none", events=3, first=first, last=last,
                         symbols={"EURUSD": {"bar": 3}}, gaps=0, missed=0, bytes=1, sha256="", finished=NOON)
        )  # fmt: skip
    (folder / manifest.NAME).write_bytes(manifest.lines(entries))  # type: ignore[arg-type]  # structs, all of them


def _received(day: int, second: int) -> Timestamp:
    return parse_rfc3339(f"2026-06-{day}T13:00:0{second}Z")


def kinds(result: Result) -> Sequence[str]:
    return [json.loads(row)["type"] for row in result.out.splitlines()]


def test_gaps_that_stand_in_the_manifest_only_come_in_front_of_the_data_that_ended_them(tmp_path: Path) -> None:
    capture_in_csv(tmp_path, [24])
    assert kinds(replay(tmp_path, "--events", "-o", "jsonl")) == ["bar", "gap", "bar", "bar", "summary"]
    out_of_bounds = replay(tmp_path, "--events", "-o", "jsonl", "--from", "2026-06-24T13:30Z", "--to", "2026-06-25")
    assert "gap" not in kinds(out_of_bounds)
    assert "gap" not in kinds(replay(tmp_path, "--events", "-o", "jsonl", "--by", "ts_event"))


def test_files_that_lie_outside_the_bounds_are_not_opened(tmp_path: Path) -> None:
    capture_in_csv(tmp_path, [23, 24, 25])
    for day in (23, 25):
        (tmp_path / f"{day}.csv").write_text("not to be read\n")
    result = replay(tmp_path, "--from", "2026-06-24", "--to", "2026-06-25", "-o", "jsonl", "-q")
    assert (result.code, len(result.out.splitlines()), result.err) == (ExitCode.OK, 3, "")


def test_symbols_are_known_from_the_manifest_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    capture_in_csv(tmp_path, [24])
    assert kinds(replay(tmp_path, "--once", "-o", "jsonl", "-q")) == ["bar"]


# --- raw captures -----------------------------------------------------------------------------------------------------


def raw(minute: int, second: float, symbol: str = "EURUSD") -> str:
    quote = (
        f'{{"type":"quote","data":{{"symbol":"{symbol}","time":"2026-06-24T12:{minute:02d}:00Z","open":1.1,"high":1.2,'
        f'"low":1.0,"close":1.08430,"bid":1.08430,"ask":1.08442,"spread":12,"volume":7}}}}'
    )
    return f'{{"ts_recv":"2026-06-24T13:00:{second:09.6f}Z","session":1,"epoch":1,"payload":{quote}}}\n'


@pytest.fixture
def raw_file(tmp_path: Path) -> Path:
    path = tmp_path / "tickatlas" / "raw" / "2026-06-24.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(raw(0, 0) + raw(0, 0, "XAUUSD") + raw(1, 1) + raw(2, 2))
    return path


def test_a_raw_capture_goes_through_the_providers_protocol_again(raw_file: Path) -> None:
    rows = [json.loads(row, parse_float=str) for row in replay(raw_file).out.splitlines()]
    assert [(row["symbol"], row["close"], row["spread"]) for row in rows][:2] == [
        ("EURUSD", "1.08430", "0.00012"), ("XAUUSD", "1.08430", "0.00012"),
    ]  # fmt: skip
    assert rows[3]["ts_recv"] == "2026-06-24T13:00:02.000000Z"


def test_its_messages_come_back_word_for_word_one_for_each_event(raw_file: Path) -> None:
    messages = [row.split('"payload":')[1][:-1] for row in raw_file.read_text().splitlines()]
    assert replay(raw_file, "-o", "raw").out.splitlines() == messages
    assert replay(raw_file, "-o", "raw", "--count", 3).out.splitlines() == messages[:3]
    assert replay(raw_file, "-o", "raw", "--from", "2026-06-24T12:01Z").out.splitlines() == messages[2:]
    assert replay(raw_file, "-o", "raw", "--once").out.splitlines() == messages[:2]
