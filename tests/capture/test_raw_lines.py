from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest

from tests.capture.reads import Read, read_bytes, read_paths
from tests.sinks.making import START
from tickstream.capture.envelopes import envelopes
from tickstream.capture.lines import Stretch
from tickstream.capture.raw_lines import MOST_SESSIONS, RawLines
from tickstream.capture.reading import ReadOptions, sources
from tickstream.errors import UsageError
from tickstream.events import Bar, Batch, MarketEvent, Notice
from tickstream.providers import load
from tickstream.timestamps import Timestamp

RECORDED = Path(__file__).parent.parent / "data" / "tickatlas.jsonl"


def quote(symbol: str = "EURUSD", minute: int = 0, **changes: object) -> bytes:
    """A message of TickAtlas."""
    data = {
        "symbol": symbol, "time": f"2026-06-24T14:{minute:02d}:00Z", "open": 1.5, "high": 1.5, "low": 1.5,
        "close": 1.5, "bid": 1.5, "ask": 1.75, "spread": 25, "volume": 7,
    }  # fmt: skip
    return json.dumps({"type": "quote", "data": data | changes}, separators=(",", ":")).encode()


def captured(*payloads: bytes, ts_recv: int = START, session: int = 1, epoch: int = 1) -> bytes:
    return envelopes(Batch(session, epoch, Timestamp(ts_recv), [], list(payloads)))


def read(data: bytes, provider: str | None = "tickatlas") -> Read:
    return read_bytes(data, provider=provider)


def what(got: Read) -> list[tuple[str, int]]:
    """Symbol and minute of each bar."""
    return [
        (bar.symbol, (bar.ts_event - START) // (60 * 10**9) + 54)
        for bar in got.events
        if isinstance(bar, Bar) and bar.ts_event is not None
    ]


def test_a_raw_capture_goes_through_the_protocol_again() -> None:
    data = captured(quote(minute=1), quote("XAUUSD", 1), ts_recv=START + 5) + captured(
        quote(minute=2), ts_recv=START + 9
    )
    got = read(data)
    assert what(got) == [("EURUSD", 1), ("XAUUSD", 1), ("EURUSD", 2)]
    assert [event.ts_recv for event in got.events if isinstance(event, MarketEvent)] == [START] * 3  # microseconds
    assert (got.bad, got.lines, got.sources[0].format) == ([], 3, "raw")


def test_what_was_recorded_gives_the_events_that_it_gave_live() -> None:
    lines = RECORDED.read_bytes().splitlines()
    got = read(captured(*lines))
    assert [event.symbol for event in got.events if isinstance(event, MarketEvent)].count("EURUSD") >= 1
    assert got.lines == len(lines)


def test_a_conversation_that_was_captured_takes_no_symbol_away() -> None:
    said = [b'{"type":"subscribed","symbols":["GBPUSD"]}', b'{"type":"unsubscribed","symbols":["EURUSD"]}']
    assert what(read(captured(quote(minute=1), *said, quote(minute=2)))) == [("EURUSD", 1), ("EURUSD", 2)]


def test_each_connection_has_a_protocol_of_its_own() -> None:
    lines = RawLines("x", load("tickatlas"), bare=False)
    one, two = captured(quote()), captured(quote(), session=2)
    lines.decode(Stretch(one + two + one + two, 1))
    before = dict(lines._protocols)
    assert set(before) == {1, 2}
    lines.decode(Stretch(captured(quote(), epoch=2) + two, 1))
    assert lines._protocols[1] != before[1]
    assert lines._protocols[2] == before[2]


def test_a_file_cannot_fill_the_memory_with_protocols() -> None:
    lines = RawLines("x", load("tickatlas"), bare=False)
    lines.decode(Stretch(b"".join(captured(quote(), session=n) for n in range(2 * MOST_SESSIONS)), 1))
    assert len(lines._protocols) <= MOST_SESSIONS


def test_a_message_of_several_parts_may_have_several_bad_ones() -> None:
    parts = b"[%b,%b,%b]" % (b'{"type":"quote"}', quote(minute=1), b'{"type":"quote"}')
    got = read(captured(parts, b'{"type":"quote","data":1}', quote(minute=2)))
    assert what(got) == [("EURUSD", 1), ("EURUSD", 2)]
    assert [line for line, _ in got.bad] == [1, 1, 2]


def test_the_messages_behind_the_events_can_be_had_too() -> None:
    data = captured(quote(minute=1), b'{"type":"heartbeat"}', b"rubbish") + captured(
        quote(minute=2), ts_recv=START + 9000
    )
    [source] = sources(["-"], ReadOptions(stdin=io.BytesIO(data), provider="tickatlas"))
    [chunk] = source.chunks()
    assert chunk.payloads == [(START, quote(minute=1)), (START + 9000, quote(minute=2))]


def test_messages_that_are_no_json_are_kept_in_base64() -> None:
    data = captured(b" \n" + quote(minute=3)) + captured(quote(minute=4))
    assert b"payload_base64" in data
    assert what(read(data)) == [("EURUSD", 3), ("EURUSD", 4)]


def test_lines_that_cannot_be_used_are_named() -> None:
    good = captured(quote(minute=1))
    bad = b'{"ts_recv":"2026-06-24T14:54:00Z","payload_base64":"!"}\n{"ts_recv":1,"payload":1}\n{"payload":1}\n\n'
    mixed = captured(quote(minute=2), quote(close=None), b'{"type":"quote"}', quote(minute=3))
    data = good + b"rubbish\n" + mixed + bad + good
    got = read(data)
    assert what(got) == [("EURUSD", 1), ("EURUSD", 2), ("EURUSD", 3), ("EURUSD", 1)]
    assert [line for line, _ in got.bad] == [2, 4, 5, 7, 8, 9]


def test_each_of_many_bad_messages_is_named() -> None:
    messages = [b'{"type":"quote"}'] * 350
    got = read(captured(*messages))
    assert [line for line, _ in got.bad] == list(range(1, 351))


def test_an_error_that_ends_the_conversation_is_a_bad_line_and_the_next_is_read() -> None:
    ended = b'{"type":"error","code":"invalid_key","message":"no"}'
    got = read(captured(quote(minute=1), ended, quote(minute=2)))
    assert what(got) == [("EURUSD", 1), ("EURUSD", 2)]
    assert [line for line, _ in got.bad] == [2]
    assert "invalid_key" in got.bad[0][1]


def test_news_of_the_protocol_is_read_too() -> None:
    [event] = read(captured(b'{"type":"tomorrow"}')).events
    assert isinstance(event, Notice)
    assert event.code == "unknown_type"


def test_bare_messages_were_received_when_they_happened() -> None:
    got = read(quote(minute=1) + b"\r\n\n" + quote("XAUUSD", 2) + b"\n" + b'{"type":"tomorrow"}\n')
    assert what(got) == [("EURUSD", 1), ("XAUUSD", 2)]
    assert all(isinstance(event, Bar) and event.ts_recv == event.ts_event for event in got.events)
    assert (got.bad, got.sources[0].time) == ([], None)


def test_a_bare_message_without_any_time_is_a_bad_line() -> None:
    ticker = b'{"symbol":"BTC/USD","bid":1.5,"bid_qty":1.0,"ask":2.5,"ask_qty":1.0,"last":2.0}'
    got = read(b'{"channel":"ticker","type":"update","data":[%b]}\n' % ticker, provider="kraken")
    assert (got.events, len(got.bad)) == ([], 1)
    assert "nothing says when this was" in got.bad[0][1]


def test_a_torn_message_is_torn() -> None:
    data = captured(quote(minute=1), quote(minute=2))
    got = read(data[:-20])
    assert (what(got), got.bad) == ([("EURUSD", 1)], [])
    assert [line for line, _ in got.torn] == [2]


# --- whose messages they are ------------------------------------------------------------------------------------------


def test_the_path_may_say_whose_messages_they_are(tmp_path: Path) -> None:
    place = tmp_path / "tickatlas" / "raw" / "2026-06-24.jsonl"
    place.parent.mkdir(parents=True)
    place.write_bytes(captured(quote(minute=1)))
    assert what(read_paths(tmp_path)) == [("EURUSD", 1)]


def test_somebody_has_to_say_whose_messages_they_are() -> None:
    with pytest.raises(UsageError, match="--provider"):
        read(captured(quote()), provider=None)
    with pytest.raises(UsageError, match="nobody"):
        read(captured(quote()), provider="nobody")


def test_base64_is_the_same_as_the_message_itself() -> None:
    line = b'{"ts_recv":"2026-06-24T14:54:00Z","payload_base64":"%b"}\n' % base64.b64encode(quote(minute=5))
    assert what(read(line)) == [("EURUSD", 5)]
