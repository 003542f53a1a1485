"""One connection, from the upgrade to its end: what is answered, handed over, counted, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.providers.conversation import authenticated, error, quote, subscribed
from tests.session.script import Broken, Bytes, Ended, Line, Lost, Pinged, Rubbish, ScriptedWire, silent, tickatlas
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    ConnectionLost,
    Forbidden,
    InvalidKey,
    ProtocolViolation,
    ProviderError,
    RateLimited,
    SymbolRefused,
    TickstreamError,
)
from tickstream.events import Account, Bar, Notice, SessionEvent
from tickstream.session.context import Wire
from tickstream.session.frames import PONG, Control
from tickstream.session.watchdog import FIRST_PING_S


def bars(line: Line) -> list[str]:
    return [event.symbol for event in line.events if isinstance(event, Bar)]


def notices(line: Line) -> list[str]:
    return [event.code for event in line.events if isinstance(event, Notice)]


def test_the_script_plays_the_part_of_a_transport() -> None:
    wire: Wire = Line().wire
    assert isinstance(wire, ScriptedWire)


class TestTheConversation:
    def test_it_authenticates_subscribes_and_is_up(self) -> None:
        line = Line("EURUSD", "XAUUSD")
        assert line.run(until=5) is None
        assert [message["action"] for message in line.wire.sent] == ["auth", "subscribe"]
        assert [type(event) for event in line.events] == [Account, SessionEvent]
        up = line.events[1]
        assert isinstance(up, SessionEvent)
        assert (up.state, up.session, up.epoch, up.reason) == ("up", 1, 1, None)
        assert (line.status.state, line.status.step) == ("up", "")
        assert line.connection.live
        assert not line.connection.got_data

    def test_the_status_follows_the_steps(self) -> None:
        line = Line(answer=lambda message: [authenticated()] if message["action"] == "auth" else [])
        steps: list[str] = []
        for moment in (0.01, 0.2, 11):
            line.wire.do(moment, lambda: steps.append(line.status.step))
        line.run(until=12)
        assert steps == ["auth", "subscribe", ""]
        assert notices(line) == ["no_ack"]
        assert line.connection.live

    def test_data_is_handed_over_in_one_batch_for_each_read(self) -> None:
        line = Line("EURUSD", "XAUUSD")
        line.at(60, quote(), quote("XAUUSD"))
        line.at(120, quote())
        line.run(until=121)
        last = line.batches[-2:]
        assert [[event.symbol for event in batch.events] for batch in last] == [["EURUSD", "XAUUSD"], ["EURUSD"]]
        assert [batch.payloads for batch in last] == [[quote(), quote("XAUUSD")], [quote()]]
        assert [batch.size for batch in last] == [len(quote()) * 2 + 4, len(quote()) + 2]
        assert {(batch.session, batch.epoch) for batch in last} == {(1, 1)}
        assert last[0].ts_recv == last[0].events[0].ts_recv == 1_782_312_840_000_000_000 + 60 * 10**9
        assert line.connection.got_data
        assert line.status.last_data == 1000 + 120

    def test_up_comes_before_data_of_the_same_read(self) -> None:
        line = Line(answer=silent)
        line.at(1, authenticated(), subscribed("EURUSD"), quote())
        line.run(until=2)
        assert [type(event) for event in line.events] == [SessionEvent, Account, Bar]

    def test_heartbeats_hand_nothing_over(self) -> None:
        line = Line()
        line.every(30, {"type": "heartbeat"}, start=1, end=100)
        line.run(until=100)
        assert len(line.batches) == 2, "the account, and that it is up"

    def test_a_stop_says_goodbye(self) -> None:
        line = Line()
        assert line.run(until=5) is None
        assert line.wire.closed == (1000, "")
        assert not line.wire.aborted

    def test_data_that_arrives_during_the_goodbye_is_handed_over(self) -> None:
        line = Line()
        line.wire.late = [quote(), b'{"type":"heartbeat"}', quote()]
        line.run(until=5)
        assert bars(line) == ["EURUSD", "EURUSD"]
        assert line.batches[-1].size == sum(map(len, line.wire.late))

    def test_counters_and_bytes_are_those_of_the_protocol_and_the_wire(self) -> None:
        line = Line()
        line.at(1, quote(), b"{", {"type": "new"}, quote("OTHER"))
        line.at(2, Rubbish(), quote())
        line.run(until=3)
        status = line.status
        assert (status.quarantined, status.unknown, status.unrequested) == (2, 1, 1)
        assert status.bytes_received == line.wire.bytes_received > 0
        assert [item.payload for batch in line.batches for item in batch.quarantined] == [b"{", b"\xff"]


class TestPings:
    def test_a_ping_of_the_server_is_answered_with_its_payload(self) -> None:
        line = Line()
        line.at(3, Pinged(b"are you there"), quote())
        line.run(until=5)
        assert line.wire.answered == [(3, b"are you there")]
        assert bars(line) == ["EURUSD"]

    def test_we_ping_soon_and_then_every_20_seconds_and_measure_the_latency(self) -> None:
        line = Line()
        line.run(until=65)
        assert line.wire.pings == pytest.approx([FIRST_PING_S + n * 20 for n in range(4)])
        assert line.status.ping_ms == pytest.approx(50)

    def test_a_latency_of_zero_is_one(self) -> None:
        line = Line()
        line.wire._latency = 0.0
        line.run(until=5)
        assert line.status.ping_ms == 0

    def test_a_pong_to_an_older_ping_is_no_measurement(self) -> None:
        line = Line(pongs=False)
        line.every(5, {"type": "heartbeat"}, start=1, end=60)
        line.wire.at(30, Control(PONG, b"1"))
        line.run(until=35)
        assert line.status.ping_ms is None

    def test_data_without_pongs_stays_connected_and_is_reported_once(self) -> None:
        line = Line(pongs=False)
        line.every(5, quote(), start=1, end=600)
        assert line.run(until=600) is None
        assert notices(line) == ["no_pong"]

    def test_data_in_the_read_of_a_ping_that_cannot_be_answered_is_not_lost(self) -> None:
        line = Line()
        line.wire.do(9, lambda: setattr(line.wire, "refuses_to_send", True))
        line.at(10, quote(), Pinged(), quote())
        line.at(10, quote(), Pinged())
        ended = line.run(until=60)
        assert isinstance(ended, ConnectionLost)
        assert bars(line) == ["EURUSD"] * 3
        assert line.wire.aborted


class TestItsEnd:
    @pytest.mark.parametrize(
        ("code", "live", "kind", "wait"),
        [
            (1000, True, ConnectionLost, None), (1001, True, ConnectionLost, None), (1008, False, Forbidden, None),
            (1008, True, ConnectionLost, 30), (1011, True, ConnectionLost, None), (1012, True, ConnectionLost, None),
            (1013, True, RateLimited, 30), (1013, False, RateLimited, 30), (3000, True, ConnectionLost, None),
            (4001, True, ConnectionLost, None), (4001, False, ConnectionLost, None), (None, True, ConnectionLost, None),
        ],
    )  # fmt: skip
    def test_a_close_frame_means_what_rfc_6455_says(
        self, code: int, live: bool, kind: type[TickstreamError], wait: float | None
    ) -> None:
        line = Line(answer=tickatlas if live else silent)
        line.at(3, quote(), Ended(code, "some reason"))
        ended = line.run(until=60)
        assert type(ended) is kind
        assert "some reason" in str(ended)
        assert getattr(ended, "retry_after_s", None) == wait
        assert bars(line) == (["EURUSD"] if live else [])

    def test_the_end_of_the_stream_is_a_lost_connection(self) -> None:
        line = Line()
        line.at(3, quote())
        line.at(4, Lost())
        assert isinstance(line.run(until=60), ConnectionLost)
        assert line.wire.aborted
        assert bars(line) == ["EURUSD"]

    def test_a_violation_is_answered_with_its_close_code_after_the_data_before_it(self) -> None:
        line = Line()
        line.at(3, quote(), Broken())
        assert isinstance(line.run(until=60), ProtocolViolation)
        assert line.wire.closed == (1002, "protocol error")
        assert bars(line) == ["EURUSD"]

    @pytest.mark.parametrize(
        ("code", "kind"), [("invalid_key", InvalidKey), ("forbidden", Forbidden), ("connection_limit", ConnectionLimit)]
    )
    def test_data_of_the_batch_of_an_error_is_delivered_before_it_ends(
        self, code: str, kind: type[TickstreamError]
    ) -> None:
        line = Line()
        line.at(3, quote(), error(code), Ended(1008, code))
        line.wire.late = [quote()]
        assert type(line.run(until=60)) is kind
        assert bars(line) == ["EURUSD", "EURUSD"]
        assert line.wire.closed == (1000, ""), "a clean goodbye frees the slot at once"

    def test_the_error_that_came_first_is_the_reason_not_the_close_code(self) -> None:
        line = Line(answer=silent)
        line.at(1, error("account_suspended"))
        line.at(2, Ended(1008, "account_suspended"))
        ended = line.run(until=60)
        assert type(ended) is ProviderError
        assert ended.code == "account_suspended"

    def test_it_is_the_reason_too_when_the_line_is_simply_dropped(self) -> None:
        line = Line(answer=silent)
        line.at(1, error("account_suspended"))
        line.at(2, Lost())
        ended = line.run(until=60)
        assert type(ended) is ProviderError

    def test_the_providers_reason_is_read_even_when_sending_fails_first(self) -> None:
        """Else the same key would be tried again."""
        line = Line(answer=silent)
        line.wire.do(0.3, lambda: setattr(line.wire, "refuses_to_send", True))
        line.at(FIRST_PING_S, Bytes(10))
        line.at(FIRST_PING_S, error("invalid_key"), Ended(1008))
        assert isinstance(line.run(until=60), InvalidKey)
        assert line.wire.aborted

    def test_so_is_a_close_code(self) -> None:
        line = Line()
        line.wire.do(19, lambda: setattr(line.wire, "refuses_to_send", True))
        line.at(20.5, Bytes(10))
        line.at(20.5, quote())
        line.at(20.5, Ended(1012))
        ended = line.run(until=60)
        assert isinstance(ended, ConnectionLost)
        assert ended.close_code == 1012
        assert bars(line) == ["EURUSD"]

    def test_if_nothing_more_had_arrived_the_break_is_the_reason(self) -> None:
        line = Line()
        line.wire.do(1, lambda: setattr(line.wire, "refuses_to_send", True))
        ended = line.run(until=60)
        assert isinstance(ended, ConnectionLost)
        assert "while sending" in ended.message

    def test_a_flood_behind_a_broken_line_is_not_read_for_ever(self) -> None:
        line = Line()
        line.wire.do(1, lambda: setattr(line.wire, "refuses_to_send", True))
        for _ in range(1000):
            line.at(20.5, quote())
        assert isinstance(line.run(until=60), ConnectionLost)
        assert len(bars(line)) == 257

    def test_refused_symbols_end_it_if_all_are(self) -> None:
        line = Line("A", "B", answer=lambda m: [authenticated() if m["action"] == "auth" else subscribed()])
        assert isinstance(line.run(until=60), SymbolRefused)
        assert line.status.refused == ("A", "B")
        assert notices(line) == ["symbol_refused"]

    def test_refused_symbols_are_in_the_status(self) -> None:
        line = Line("A", "B", answer=lambda m: [authenticated() if m["action"] == "auth" else subscribed("B")])
        line.status.refused = ("BEFORE",)
        line.run(until=5)
        assert line.status.refused == ("BEFORE", "A")

    def test_no_answer_to_the_authentication_ends_it_after_ten_seconds(self) -> None:
        line = Line(answer=silent)
        assert isinstance(line.run(until=60), AuthTimeout)
        assert line.wire.now == pytest.approx(10)

    def test_a_bug_lets_go_of_the_line(self) -> None:
        def broken(message: dict[str, Any]) -> list[Any]:
            raise ZeroDivisionError

        line = Line(answer=broken)
        with pytest.raises(ZeroDivisionError):
            line.run(until=5)
        assert line.wire.aborted
