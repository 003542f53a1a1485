"""Order books from end to end: a wrong one is withheld, asked for anew, told as a gap: in data, files, pictures."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.capturing import Folder
from tests.end_to_end.terminals import Terminal, assert_restored
from tests.end_to_end.watching import Event, Process, Result, Thread, assert_exit, of_type, run, serve
from tests.sinks.making import book
from tickstream.errors import ExitCode
from tickstream.events import MarketEvent
from tickstream.sinks.encoders import JsonEncoder
from tickstream.timestamps import NS_PER_SECOND, Timestamp, parse_rfc3339

START = parse_rfc3339("2026-06-24T14:00:00Z")
SYMBOL = "BTC/USD"
PACE = 30.0


def market(*best_bids: str) -> list[MarketEvent]:
    """Books a second apart, of five levels a side above and below these bids and 64000.1."""
    events: list[MarketEvent] = []
    for second, bid in enumerate(best_bids):
        bids = tuple((str(Decimal(bid) - level * Decimal("0.1")), f"{level + 1}.5") for level in range(5))
        asks = tuple((str(Decimal("64000.1") + level * Decimal("0.1")), f"{level + 1}.25") for level in range(5))
        ts = Timestamp(START + second * NS_PER_SECOND)
        events.append(book(*bids, asks=asks, symbol=SYMBOL, ts_event=ts, ts_recv=ts))
    return events


@contextlib.contextmanager
def exchange(folder: Path, *best_bids: str, speed: str = "8") -> Iterator[str]:
    """Kraken's counterpart over such a market; its URL. It is crossed where a bid is above 64000."""
    path = folder / "market.jsonl"
    path.write_bytes(JsonEncoder(None, "iso", events=True).encode(market(*best_bids)))
    with Process("simulate", "kraken", "--capture", str(path), "--speed", speed, "-q") as simulator:
        yield simulator.wait_for_lines(1)[0]


CROSSED = ("64000.0", "63999.9", "64000.3", *(["64000.0", "63999.8"] * 30))
"""For an eighth of a second, in which nobody can subscribe anew."""


def tops(events: list[Event]) -> list[tuple[Decimal, Decimal]]:
    """The best bid and ask after each book event, by a reconstruction of our own. A snapshot begins a book."""
    sides: list[dict[Decimal, Decimal]] = [{}, {}]
    seen = []
    for event in events:
        if event["type"] not in ("book_snapshot", "book_update"):
            continue
        for side, name in zip(sides, ("bids", "asks"), strict=True):
            if event["type"] == "book_snapshot":
                side.clear()
            for price, size in event[name]:
                side[Decimal(price)] = Decimal(size)
                if not side[Decimal(price)]:
                    del side[Decimal(price)]
        seen.append((max(sides[0]), min(sides[1])))
    return seen


def watched(url: str, *args: str) -> Result:
    return Thread("watch", "-p", "kraken", "--url", url, SYMBOL, "--channel", "book", *args).wait()


def test_a_crossed_book_is_asked_for_anew_on_the_same_connection_and_never_shown(tmp_path: Path) -> None:
    with exchange(tmp_path, *CROSSED) as url:
        result = assert_exit(watched(url, "--events", "--count", "5", "--strict"), ExitCode.INCOMPLETE)
    market_events = [event for event in result.events if event["type"].startswith("book_")]
    kinds = [event["type"] for event in market_events]
    assert (len(kinds), kinds[0], kinds.count("book_snapshot")) == (5, "book_snapshot", 2)
    anew = kinds.index("book_snapshot", 1)
    assert all(bid < ask for bid, ask in tops(result.events))
    (broken,) = [one for one in of_type(result.events, "notice") if one["code"] == "book_broken"]
    assert "the best bid (64000.3) is not below the best ask (64000.1)" in broken["message"]
    (gap,) = result.gaps
    assert (gap["reason"], gap["symbols"]) == ("book", [SYMBOL])
    assert (gap["from"], gap["to"]) == (market_events[anew - 1]["ts_recv"], market_events[anew]["ts_recv"])
    (summary,) = of_type(result.events, "summary")
    assert (summary["gaps"], summary["reconnects"]) == ("1", "0")


def test_a_book_that_stays_crossed_is_a_gap_to_the_end(tmp_path: Path) -> None:
    with exchange(tmp_path, "64000.0", *["64000.3"] * 3) as url:
        result = assert_exit(watched(url, "--events", "--duration", "3s"), ExitCode.OK)
    assert [event["type"] for event in result.events if event["type"].startswith("book_")] == ["book_snapshot"]
    (gap,) = result.gaps
    (summary,) = of_type(result.events, "summary")
    assert gap["reason"] == "book"
    assert gap["to"] > gap["from"]
    assert summary["gaps"] == "1"


def test_a_capture_of_a_crossed_book_is_whole_but_for_its_gap_and_comes_back_as_a_ladder(tmp_path: Path) -> None:
    to = tmp_path / "data"
    with exchange(tmp_path, *CROSSED) as url:
        args = ("-p", "kraken", "--url", url, SYMBOL, "--channel", "book", "--to", str(to), "--count", "5", "-q")
        assert_exit(run("capture", *args), ExitCode.OK)
    folder = Folder(to)
    assert [entry["reason"] for entry in folder.entries("gap")] == ["book"]
    replayed = run("replay", str(to), "--speed", "max", "-o", "jsonl")
    assert all(bid < ask for bid, ask in tops(replayed.events))
    shown = run("replay", str(to), "--speed", "max", "-o", "jsonl", "--book-every", "100ms", "--depth", "1")
    assert {event["type"] for event in shown.events} <= {"book_snapshot", "gap"}
    assert tops(shown.events)[-1] == tops(replayed.events)[-1]
    with Terminal("replay", str(to), "--speed", "max") as terminal:
        result = terminal.wait()
    assert_restored(result.out)
    assert b"spread 0." in result.out.rpartition(b"\x1b[?1049l")[2]
    assert b"withheld" not in result.out.rpartition(b"\x1b[?1049l")[2]


def test_snapshots_at_an_interval_have_the_depth_asked_for_and_are_the_book(tmp_path: Path) -> None:
    with serve(provider="kraken", speed=PACE) as server:
        args = (SYMBOL, "ETH/USD", "--book-every", "200ms", "--depth", "3", "--count", "12")
        result = assert_exit(watched(server.url, *args[1:]), ExitCode.OK)
    assert {event["type"] for event in result.events} == {"book_snapshot"}
    assert {event["symbol"] for event in result.events} == {SYMBOL, "ETH/USD"}
    assert all((len(event["bids"]), len(event["asks"])) == (3, 3) for event in result.events)
    times = [event["ts_recv"] for event in result.events if event["symbol"] == SYMBOL]
    assert len(times) == len(set(times))


def test_a_book_in_which_little_happens_is_shown_in_time(tmp_path: Path) -> None:
    """Its second state comes, and then nothing: the interval's end shows it, not the end of the run."""
    with exchange(tmp_path, "64000.0", "63999.9", speed="max") as url:
        args = ("-p", "kraken", "--url", url, SYMBOL, "--channel", "book", "--book-every", "300ms", "--duration", "60s")
        with Process("watch", *args) as process:
            lines = process.wait_for_lines(2)
            process.stop()
    assert [json.loads(line)["bids"][0][0] for line in lines] == [64000.0, 63999.9]


@pytest.mark.parametrize(("columns", "lines", "levels"), [(80, 24, 7), (140, 40, 10)])
def test_the_ladder_is_drawn_on_a_terminal(columns: int, lines: int, levels: int) -> None:
    with serve(provider="kraken", speed=PACE) as server:
        args = ("-p", "kraken", "--url", server.url, SYMBOL, "--channel", "book", "--duration", "4s")
        with Terminal("watch", *args, columns=columns, lines=lines) as terminal:
            result = assert_exit(terminal.wait(), ExitCode.OK)
    assert_restored(result.out)
    last = result.out.rpartition(b"\x1b[?1049l")[0].rpartition(b"\x1b[H")[2].decode()
    frame = last.split("\r\n")
    middle = next(number for number, line in enumerate(frame) if "spread " in line)
    priced = [number for number, line in enumerate(frame) if "■" in line]
    assert (middle - min(priced), max(priced) - middle) == (levels, levels)


def test_the_ladder_of_a_crossed_book_is_withheld(tmp_path: Path) -> None:
    with exchange(tmp_path, "64000.0", *["64000.3"] * 3, speed="1") as url:
        args = ("-p", "kraken", "--url", url, SYMBOL, "--channel", "book", "--duration", "30s")
        with Terminal("watch", *args) as terminal:
            terminal.wait_shown(b"spread 0.1")
            terminal.wait_shown(b"WITHHELD")
            terminal.wait_shown(b"withheld: the best bid (64000.3) is not below")
            terminal.press(b"\x03")
            result = terminal.wait()
    last = result.out.rpartition(b"\x1b[?1049l")[2]
    assert b"withheld" in last
    assert "■■".encode() not in last
