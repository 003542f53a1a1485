"""Interactive Brokers from end to end: a gateway with a certificate of its own, a login, REST beside a stream."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.end_to_end.watching import Process, Server, Thread, assert_exit, of_type, serve
from tickstream.errors import ExitCode
from tickstream.simulator.ibkr import SESSION

PACE = 30.0
"""Steps of a second each, so many in a second."""
FINGERPRINT = re.compile(r"TICKSTREAM_IBKR_TLS_PIN=((?:[0-9A-F]{2}:){31}[0-9A-F]{2})")


def watched(server: Server, *args: str, **env: str) -> Thread:
    return Thread("watch", "-p", "ibkr", "--url", server.url, *args, env=env)


def test_tickers_and_numbers_stream_and_others_are_refused_by_name() -> None:
    with serve(provider="ibkr", speed=PACE) as server:
        args = ("AAPL", "8314", "TWIN", "NOSUCH", "--events", "--count", "60")
        result = assert_exit(watched(server, *args).wait(), ExitCode.OK)
    quotes = of_type(result.events, "quote")
    assert {quote["symbol"] for quote in quotes} == {"AAPL", "8314"}
    whole = [quote for quote in quotes if {"bid", "ask"} <= quote.keys()]
    assert whole
    assert all(Decimal(str(one["ask"])) - Decimal(str(one["bid"])) == Decimal(str(one["spread"])) for one in whole)
    assert result.summary["refused"] == ["TWIN", "NOSUCH"]
    said = {notice["symbols"][0]: notice["message"] for notice in of_type(result.events, "notice")}
    assert said["AAPL"] == "AAPL is the contract 265598 (APPLE INC, NASDAQ)"
    assert "900000001 (TWIN ONE INC, NYSE)" in said["TWIN"]


def test_trades_stream_and_a_drop_is_a_gap_after_which_all_begins_anew() -> None:
    with serve("drop@30x1", provider="ibkr", speed=PACE) as server:
        args = ("AAPL", "--channel", "trades", "--events", "--count", "60")
        result = assert_exit(watched(server, *args).wait(), ExitCode.OK)
        assert [line for line in server.log if "answered POST /v1/api/tickle" in line][1:], "one for each connection"
    assert [(gap["reason"], gap["symbols"]) for gap in result.gaps] == [("disconnect", ["AAPL"])]
    assert len(of_type(result.events, "trade")) == 60


def test_a_session_that_is_lost_is_opened_again() -> None:
    with serve("session-lost@30x1", provider="ibkr", speed=PACE) as server:
        result = assert_exit(watched(server, "AAPL", "--events", "--count", "90").wait(), ExitCode.OK)
        assert any("ssodh/init" in line for line in server.log)
    assert [gap["reason"] for gap in result.gaps] == ["disconnect"]


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("not-logged-in", ExitCode.INVALID_KEY, "Log in at the gateway with a browser"),
        ("http-401", ExitCode.INVALID_KEY, "wants to know who we are (HTTP 401), and no key was sent"),
        ("competing", ExitCode.CONNECTION_LIMIT, "another program has the brokerage session"),
        ("pacing", ExitCode.RATE_LIMITED, "too many requests"),
        ("no-bridge", ExitCode.PROTOCOL, "no bridge"),
    ],
)
def test_each_refusal_of_the_gateway_has_its_exit_code(fault: str, code: ExitCode, words: str) -> None:
    with serve(fault, provider="ibkr", speed=PACE) as server:
        args = ("AAPL", "--retries", "0", "--hold-max", "0s")
        result = assert_exit(watched(server, *args).wait(), code)
    assert words in result.err


def test_a_certificate_of_its_own_is_accepted_only_when_it_is_pinned() -> None:
    with serve(provider="ibkr", speed=PACE, tls=True) as server:
        refused = assert_exit(watched(server, "AAPL", "--count", "3").wait(), ExitCode.TLS)
        pin = FINGERPRINT.search(refused.err)
        assert pin is not None, refused.err
        one = watched(server, "AAPL", "--count", "9", TICKSTREAM_IBKR_TLS_PIN=pin[1])
        assert len(assert_exit(one.wait(), ExitCode.OK).events) == 9
        other = watched(server, "AAPL", TICKSTREAM_IBKR_TLS_PIN="AB" * 32)
        assert "another certificate" in assert_exit(other.wait(), ExitCode.TLS).err
        wrong = watched(server, "AAPL", TICKSTREAM_IBKR_TLS_PIN="yes")
        assert_exit(wrong.wait(), ExitCode.CONFIG)
        args = ("doctor", "-p", "ibkr", "AAPL", "--url", server.url, "-o", "json")
        examined = Thread(*args, env={"TICKSTREAM_IBKR_TLS_PIN": pin[1]})
        told = json.loads(assert_exit(examined.wait(), ExitCode.OK).out)
    steps = {step["name"]: step for step in told["steps"]}
    assert "the certificate that is pinned" in steps["tls"]["detail"]
    assert "265598 (APPLE INC, NASDAQ)" in steps["subscribe"]["detail"]
    assert {step["status"] for step in steps.values()} == {"ok"}


@pytest.mark.parametrize("channel", ["quotes", "trades"])
def test_a_capture_of_the_gateways_messages_is_played_back_and_holds_no_session(channel: str, tmp_path: Path) -> None:
    with serve(provider="ibkr", speed=PACE) as server:
        args = ("-p", "ibkr", "AAPL", "8314", "--url", server.url, "--to", str(tmp_path), "--count", "60")
        assert_exit(Thread("capture", *args, "-o", "raw", "-q", "--channel", channel).wait(), ExitCode.OK)
    assert_exit(Thread("verify", str(tmp_path)).wait(), ExitCode.OK)
    result = assert_exit(Thread("replay", str(tmp_path), "--speed", "max", "-o", "jsonl").wait(), ExitCode.OK)
    events = of_type(result.events, channel.removesuffix("s"))
    assert len(events) == 60
    assert {event["symbol"] for event in events} == {"265598", "8314"}, "messages know numbers only"
    assert all(SESSION.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_session_that_the_gateway_echoes_is_masked() -> None:
    with (
        serve("control-chars@5", provider="ibkr", speed=PACE) as server,
        Process("watch", "-p", "ibkr", "AAPL", "--url", server.url, "--count", "20", "-vv", "--events") as process,
    ):
        result = assert_exit(process.wait(), ExitCode.OK)
    assert SESSION not in result.err + result.out.decode()


def test_the_demo_needs_no_gateway_and_its_codes_are_explained() -> None:
    result = assert_exit(Thread("watch", "-p", "ibkr", "--demo", "--count", "6").wait(), ExitCode.OK)
    assert {event["type"] for event in result.events} == {"quote"}
    own = assert_exit(Thread("watch", "-p", "ibkr", "IBKR:265598", "--demo", "--count", "1").wait(), ExitCode.OK)
    assert own.events[0]["symbol"] == "265598"
    told = assert_exit(Thread("explain", "competing").wait(), ExitCode.OK).out.decode()
    assert "Interactive Brokers" in told
