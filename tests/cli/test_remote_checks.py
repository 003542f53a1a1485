from __future__ import annotations

import contextlib
import io
from typing import ClassVar

import msgspec
import pytest

from tests.cli.scripted import Item, ScriptedWire, batch
from tickstream.cli.checks import Case
from tickstream.cli.environment import Environment
from tickstream.cli.exchange import Exchange
from tickstream.cli.feed_options import FeedOptions
from tickstream.cli.remote_checks import (
    REMOTE_CHECKS,
    Visit,
    check_auth,
    check_clock,
    check_data,
    check_ping,
    check_subscribe,
    goodbye,
)
from tickstream.clock import FakeClock
from tickstream.diagnosis import Examination, Finding, Skew, Status, Verdict
from tickstream.errors import (
    AuthTimeout,
    ConnectionLost,
    InvalidKey,
    NoData,
    ProtocolViolation,
    QuotaExceeded,
    SessionStale,
    SymbolRefused,
    UsageError,
)
from tickstream.events import Quote
from tickstream.keys import Secret
from tickstream.providers import load
from tickstream.providers.base import ConnectRequest, Feed, FeedProtocol, Phase, ProviderSpec
from tickstream.providers.tickatlas import SPEC
from tickstream.session.urls import parse_target
from tickstream.subscriptions import Subscription
from tickstream.timestamps import Timestamp

SATURDAY_NS = 1_782_561_600_000_000_000  # 2026-06-27T12:00:00Z
DATE = "Wed, 24 Jun 2026 14:54:00 GMT"


def welcome(**changes: object) -> dict[str, object]:
    account = {"plan": "pro", "max_symbols": 20, "credits_per_push": 4, "daily_quota_remaining": 1000}
    return {"type": "authenticated", **account, **changes}


def subscribed(*symbols: str) -> dict[str, object]:
    return {"type": "subscribed", "symbols": list(symbols), "total_subscribed": len(symbols)}


def quote(time: str = "2026-06-24T14:53:00Z", symbol: str = "EURUSD", close: object = 1.1) -> dict[str, object]:
    prices = {"open": 1.1, "high": 1.1, "low": 1.1, "close": close, "bid": 1.1, "ask": 1.2}
    return {"type": "quote", "data": {"symbol": symbol, "time": time, **prices, "spread": 1, "volume": 7}}


def visit(
    *script: tuple[float, Item],
    clock: FakeClock | None = None,
    symbols: tuple[str, ...] = ("EURUSD",),
    timeout_s: float | None = None,
    spec: ProviderSpec = SPEC,
    url: str = "wss://feed.example/",
    demo: bool = False,
    key: str | None = "tk_canary_0123456789",
    channel: str | None = None,
    settings: dict[str, str] | None = None,
    tty: bool = False,
    pong_s: float | None = 0.1,
) -> Visit:
    """A visit to a provider who plays this script, one minute after 14:53 began."""
    clock = clock or FakeClock()
    env = Environment(io.BytesIO(), io.BytesIO(), io.StringIO(), {}, clock, stderr_isatty=tty)
    exam = Examination(tuple(REMOTE_CHECKS), clock, lambda step: None)
    case = Case(env, FeedOptions(channel=channel), exam, timeout_s, url if demo else None)
    case.spec, case.symbols, case.url, case.target = spec, symbols, url, parse_target(url)
    case.settings = settings or {}
    wire = ScriptedWire(clock, *script, pong_s=pong_s)
    protocol = spec.protocol(Feed(url, Subscription(symbols, case.channel), Secret(key) if key else None))
    return Visit(case, Exchange(wire, protocol, clock), DATE, clock.now_ns(), 0.1)


def live(*script: tuple[float, Item], symbols: tuple[str, ...] = ("EURUSD",), **options: object) -> Visit:
    """A visit that has subscribed."""
    visited = visit((0.0, batch(welcome(), subscribed(*symbols))), *script, symbols=symbols, **options)  # type: ignore[arg-type]
    check_auth(visited)
    check_subscribe(visited)
    return visited


def seconds(visited: Visit) -> float:
    """Fake time that has passed."""
    return visited.case.env.clock.monotonic() - FakeClock().monotonic()


# --- clock -----------------------------------------------------------------------------------------------------------


def test_a_clock_that_agrees_is_well() -> None:
    visited = visit()
    visited.upgraded_ns += 750_000_000
    found = check_clock(visited)
    assert (found.status, found.facts) == (Status.OK, {"skew_s": 0.2, "within_s": 0.6})
    assert visited.skew is not None


def test_a_clock_that_is_off_is_a_warning_to_the_user() -> None:
    visited = visit()
    visited.upgraded_ns += 4_950_000_000
    found = check_clock(visited)
    assert (found.status, found.verdict) == (Status.WARN, Verdict.YOU)
    assert "4.4 s ahead of theirs" in found.detail


def test_without_a_date_the_clock_is_not_judged() -> None:
    visited = visit()
    visited.date = ""
    assert check_clock(visited).status is Status.SKIP


# --- auth ------------------------------------------------------------------------------------------------------------


def test_auth_shows_plan_limits_and_what_is_left() -> None:
    found = check_auth(visit((0.2, batch(welcome()))))
    assert found.detail == "plan pro, up to 20 symbols, 4 credits a push, 1,000 credits left today"
    assert (found.status, found.facts["quota_remaining"]) == (Status.OK, 1000)


@pytest.mark.parametrize(
    ("left", "symbols", "status"),
    [(8, ("EURUSD", "XAUUSD"), Status.OK), (7, ("EURUSD", "XAUUSD"), Status.WARN), (0, ("EURUSD",), Status.WARN)],
)
def test_credits_that_do_not_pay_for_one_push_of_each_symbol_are_a_warning(
    left: int, symbols: tuple[str, ...], status: Status
) -> None:
    found = check_auth(visit((0.2, batch(welcome(daily_quota_remaining=left))), symbols=symbols))
    assert found.status is status


def test_what_the_provider_does_not_say_of_the_plan_is_left_out() -> None:
    found = check_auth(visit((0.2, batch({"type": "authenticated"}))))
    assert (found.detail, found.status) == ("plan unknown, unlimited credits", Status.OK)


def test_a_refusal_is_raised() -> None:
    with pytest.raises(InvalidKey):
        check_auth(visit((0.2, batch({"type": "error", "code": "invalid_key"}))))


def test_what_else_the_provider_says_is_a_warning() -> None:
    found = check_auth(visit((0.2, batch(welcome(), {"type": "news", "text": "hello"}))))
    assert (found.status, found.verdict) == (Status.WARN, Verdict.THEM)
    assert "unknown_type: " in found.detail


class PublicFeed(FeedProtocol):
    """A provider without keys, which has no deadlines of its own."""

    spec: ClassVar[ProviderSpec] = msgspec.structs.replace(SPEC, name="public", key_env=None, bar_interval_s=None)
    phases: ClassVar[tuple[Phase, ...]] = ()

    def connect_request(self) -> ConnectRequest:
        return ConnectRequest(self.feed.url)

    def open(self, now: float) -> None:
        self.asked = frozenset(self.feed.subscription.symbols)

    def receive(self, payloads: list[bytes], ts_recv: Timestamp, now: float) -> None:
        for payload in payloads:
            if payload == b"go":
                self.go_live()
            elif payload == b"timeless":
                self._events.append(Quote("public", "BTCUSD", None, ts_recv))
            else:
                self._events.append(Quote("public", "BTCUSD", Timestamp(ts_recv - 500_000_000), ts_recv))


PUBLIC = msgspec.structs.replace(PublicFeed.spec, protocol=PublicFeed)


def test_a_public_feed_needs_no_account() -> None:
    assert check_auth(visit((0.2, batch("go")), spec=PUBLIC)).detail == "no key needed for bars"


KRAKEN, FCS, ALLTICK, ALPACA, COINBASE = map(load, ("kraken", "fcs", "alltick", "alpaca", "coinbase"))
WELCOMES = [
    (KRAKEN, "BTC/USD", None, None, (), "no key needed for quotes"),
    (FCS, "FX:EURUSD", None, "k3y", ({"type": "welcome"},), "the key was accepted; nothing is said of a plan"),
    (ALPACA, "AAPL", None, "a:b", ([{"T": "success", "msg": "connected"}], [{"T": "success", "msg": "authenticated"}]),
     "the key was accepted; nothing is said of a plan"),
    (ALLTICK, "BTCUSDT", None, "t0k3n", (), "the key was accepted; nothing is said of a plan"),
    (COINBASE, "BTC-USD", "orders", "k:c2VjcmV0:p", (), "the key goes with the subscription"),
    (COINBASE, "BTC-USD", "quotes", "k:c2VjcmV0:p", (), "no key needed for quotes"),
    (COINBASE, "BTC-USD", "quotes", None, (), "no key needed for quotes"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "symbol", "channel", "key", "said", "words"), WELCOMES)
def test_where_nothing_is_said_of_an_account_it_tells_whether_there_was_a_key_and_it_was_taken(
    spec: ProviderSpec, symbol: str, channel: str | None, key: str | None, said: tuple[object, ...], words: str
) -> None:
    visited = visit((0.0, batch(*said)), spec=spec, symbols=(symbol,), channel=channel, key=key)
    assert check_auth(visited).detail == words


def test_a_key_in_the_headers_was_accepted_with_the_upgrade() -> None:
    class Headed(PublicFeed):
        def connect_request(self) -> ConnectRequest:
            return ConnectRequest(self.feed.url, {"X-Key": self.feed.key or ""})

    spec = msgspec.structs.replace(PUBLIC, key_env="HEADED_KEY", protocol=Headed)
    Headed.spec = spec
    visited = visit(spec=spec)
    visited.protocol.phase = Phase.SUBSCRIBE
    assert check_auth(visited).detail == "the key was accepted; nothing is said of a plan"


def test_a_provider_without_deadlines_is_not_waited_for_for_ever() -> None:
    visited = visit(spec=PUBLIC)
    with pytest.raises(AuthTimeout):
        check_auth(visited)
    assert seconds(visited) == 15.0
    visited = visit(spec=PUBLIC)
    with pytest.raises(SessionStale):
        check_subscribe(visited)
    assert seconds(visited) == 15.0


# --- subscribe -------------------------------------------------------------------------------------------------------


def test_confirmed_symbols_are_listed() -> None:
    symbols = tuple(f"SYM{number}" for number in range(12))
    visited = visit((0.0, batch(welcome(), subscribed(*symbols))), symbols=symbols)
    check_auth(visited)
    found = check_subscribe(visited)
    assert found.detail.endswith("SYM8, SYM9 and 2 more confirmed")
    assert found.facts == {"confirmed": list(symbols), "refused": []}


def test_refused_symbols_are_a_warning_to_the_user_with_what_the_provider_said() -> None:
    refusal = {"type": "error", "code": "invalid_symbol", "message": "Unknown symbol: NOPE"}
    visited = visit((0.0, batch(welcome())), (0.1, batch(refusal, subscribed("EURUSD"))), symbols=("EURUSD", "NOPE"))
    check_auth(visited)
    found = check_subscribe(visited)
    assert (found.status, found.verdict, found.facts["refused"]) == (Status.WARN, Verdict.YOU, ["NOPE"])
    assert "EURUSD confirmed; NOPE refused: " in found.detail
    assert "invalid_symbol: " in found.detail


def test_when_all_are_refused_it_fails() -> None:
    visited = visit((0.0, batch(welcome(), subscribed())))
    check_auth(visited)
    with pytest.raises(SymbolRefused):
        check_subscribe(visited)


# --- ping ------------------------------------------------------------------------------------------------------------


def test_five_pings_are_timed() -> None:
    found = check_ping(live(pong_s=0.05))
    assert found.facts == {"pings": 5, "min_ms": 50.0, "median_ms": 50.0}


def test_a_server_that_answers_no_pings_is_a_warning_after_one_wait() -> None:
    visited = live(pong_s=None)
    found = check_ping(visited)
    assert (found.status, found.verdict, seconds(visited)) == (Status.WARN, Verdict.THEM, 5.0)


# --- data ------------------------------------------------------------------------------------------------------------


def test_the_first_candle_is_waited_for_and_its_time_compared_with_ours() -> None:
    visited = live((0.4, batch(quote())))
    found = check_data(visited)
    assert found.detail == "EURUSD bar of 2026-06-24T14:53:00Z came 0.4 s after its end"
    assert (found.status, found.facts["late_s"]) == (Status.OK, 0.4)


@pytest.mark.parametrize(
    ("time", "skew", "verdict"),
    [
        ("2026-06-24T17:53:00Z", None, Verdict.THEM),
        ("2026-06-24T14:50:00Z", Skew(0.0, 0.5), Verdict.THEM),
        ("2026-06-24T14:50:00Z", Skew(120.0, 0.5), Verdict.YOU),
    ],
)
def test_a_candle_whose_time_does_not_fit_is_a_warning(time: str, skew: Skew | None, verdict: Verdict) -> None:
    visited = live((0.4, batch(quote(time))))
    visited.skew = skew
    found = check_data(visited)
    assert (found.status, found.verdict) == (Status.WARN, verdict)


def test_the_time_of_a_replay_on_this_machine_is_not_judged() -> None:
    found = check_data(live((0.4, batch(quote("2020-01-01T00:00:00Z"))), url="ws://127.0.0.1:1/"))
    assert found.status is Status.OK
    assert "simulation" in found.detail


def test_data_without_bars_is_not_expected_to_be_a_minute_late() -> None:
    script = [(0.0, batch("go")), (0.1, batch("tick"))]
    visited = visit(*script, spec=PUBLIC, symbols=("BTCUSD",))
    check_auth(visited)
    assert check_data(visited).detail.endswith("came 0.5 s after it happened")


def test_data_without_a_time_is_data() -> None:
    visited = visit((0.0, batch("go")), (0.1, batch("timeless")), spec=PUBLIC, symbols=("BTCUSD",))
    check_auth(visited)
    found = check_data(visited)
    assert (found.detail, found.status) == ("BTCUSD quote, without a time", Status.OK)


def kraken(kind: str, time: str, **fields: object) -> dict[str, object]:
    return {"channel": kind, "type": "update", "data": [{"symbol": "BTC/USD", **fields, "timestamp": time}]}


def trade(time: str, trade_id: int = 1) -> dict[str, object]:
    return kraken("trade", time, side="buy", price=1, qty=2, trade_id=trade_id)


BEATS = [(10.0, batch({"channel": "heartbeat"}))] * 3


def test_the_channel_that_is_asked_for_is_what_is_examined() -> None:
    visited = visit((0.5, batch(trade("2026-06-24T14:54:00Z"))), spec=KRAKEN, symbols=("BTC/USD",), channel="trades")
    found = check_data(visited)
    assert found.detail == "BTC/USD trade of 2026-06-24T14:54:00Z came 0.5 s after it happened"
    with pytest.raises(UsageError, match="Kraken has no channel"):
        visit(spec=KRAKEN, channel="orders")


def test_the_last_that_was_known_is_no_delay_something_newer_is_waited_for() -> None:
    script = [(0.5, batch(trade("2026-06-24T14:50:00Z"))), (3.0, batch(trade("2026-06-24T14:54:03Z", 2)))]
    visited = visit(*script, spec=KRAKEN, symbols=("BTC/USD",), channel="trades")
    assert check_data(visited).detail == "BTC/USD trade of 2026-06-24T14:54:03Z came 0.5 s after it happened"


def test_where_nothing_newer_comes_the_last_that_was_known_is_data_all_the_same() -> None:
    script = [(0.5, batch(trade("2026-06-24T14:50:00Z"))), *BEATS]
    visited = visit(*script, spec=KRAKEN, symbols=("BTC/USD",), channel="trades")
    found = check_data(visited)
    assert (found.status, seconds(visited)) == (Status.OK, 30.0)
    assert "the last that was known" in found.detail


def test_data_that_goes_on_being_old_is_late() -> None:
    script = [(0.5 + n, batch(trade(f"2026-06-24T14:39:0{n}Z", n + 1))) for n in range(3)]
    visited = visit(*script, *BEATS, spec=KRAKEN, symbols=("BTC/USD",), channel="trades")
    found = check_data(visited)
    assert (found.status, found.verdict) == (Status.WARN, Verdict.THEM)
    assert found.detail.endswith("s after it happened: late")


@pytest.mark.parametrize("closed", [None, True])
def test_a_bar_that_is_still_being_made_tells_no_delay(closed: bool | None) -> None:
    if closed is None:
        fields = {"interval": 1, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}
        candle = kraken("ohlc", "2026-06-24T14:55:00Z", interval_begin="2026-06-24T14:54:00Z", **fields)
        visited = visit((2.0, batch(candle)), spec=KRAKEN, symbols=("BTC/USD",), channel="bars")
        words = "BTC/USD bar of 2026-06-24T14:54:00Z: its time is its beginning, and tells no delay"
    else:
        candle = {"T": "b", "S": "AAPL", "o": 1, "h": 1, "l": 1, "c": 1, "v": 1, "t": "2026-06-24T14:53:00Z"}
        welcomes = [[{"T": "success", "msg": word}] for word in ("connected", "authenticated")]
        subscription = [{"T": "subscription", "bars": ["AAPL"]}]
        script = [(0.0, batch(*welcomes)), (0.0, batch(subscription)), (2.0, batch([candle]))]
        visited = visit(*script, spec=ALPACA, symbols=("AAPL",), channel="bars")
        words = "came 2.0 s after its end"
    assert check_data(visited).detail.endswith(words)


def test_a_bar_that_says_so_is_still_being_made() -> None:
    candle = {"t": 1782312840000, "i": "1m", **dict.fromkeys("ohlcv", "1"), "x": False}
    news = {"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": 1782312845000, "s": "BTCUSDT", "k": candle}}
    visited = visit((2.0, batch(news)), spec=load("binance"), symbols=("BTCUSDT",), channel="bars")
    assert ", still being made: its time is its beginning" in check_data(visited).detail


def test_a_patience_shorter_than_a_bar_proves_nothing_whoever_makes_it() -> None:
    visited = visit(spec=KRAKEN, symbols=("BTC/USD",), channel="bars", timeout_s=4.0)
    found = check_data(visited)
    assert (found.status, found.detail) == (
        Status.SKIP, "none within 4 s, and it may come once in 60 s (--timeout)"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "channel", "interval", "patience_s"),
    [(KRAKEN, "quotes", "", 30.0), (KRAKEN, "bars", "", 75.0), (KRAKEN, "bars", "1h", 75.0), (FCS, "bars", "1M", 30.0)],
)
def test_the_patience_is_that_of_the_channel_and_its_interval(
    spec: ProviderSpec, channel: str, interval: str, patience_s: float
) -> None:
    settings = {"interval": interval} if interval else {}
    visited = visit(spec=spec, symbols=(spec.common_symbols[-1],), channel=channel, settings=settings)
    visited.protocol.next_deadline = lambda: None  # type: ignore[method-assign]  # nothing but our own patience
    visited.protocol.tick = lambda now, ts: None  # type: ignore[method-assign]
    visited.case.demo_url = "ws://127.0.0.1:1/"  # always open
    with pytest.raises(NoData):
        check_data(visited)
    assert seconds(visited) == patience_s


def test_no_data_in_an_open_market_fails_after_a_candle_and_some_patience() -> None:
    visited = live()
    with pytest.raises(NoData) as caught:
        check_data(visited)
    assert seconds(visited) == 75.0
    assert "EURUSD within 75 s" in str(caught.value)


def test_without_bars_the_patience_is_shorter() -> None:
    visited = visit((0.0, batch("go")), spec=PUBLIC, symbols=("BTCUSD",))
    check_auth(visited)
    with pytest.raises(NoData):
        check_data(visited)
    assert seconds(visited) == 30.0


def test_a_patience_shorter_than_a_candle_proves_nothing() -> None:
    visited = live(timeout_s=20.0)
    found = check_data(visited)
    assert (found.status, seconds(visited)) == (Status.SKIP, 20.0)
    assert "once in 60 s" in found.detail


def test_with_a_timeout_of_0_nothing_is_waited_for() -> None:
    visited = live(timeout_s=0.0)
    assert check_data(visited) == Finding("not waited for (--timeout 0)", Status.SKIP)
    assert seconds(visited) == 0.0


def test_a_closed_market_is_said_and_not_waited_for() -> None:
    visited = live(clock=FakeClock(SATURDAY_NS))
    found = check_data(visited)
    assert (found.status, seconds(visited)) == (Status.SKIP, 0.0)
    assert found.detail == "the market of EURUSD is closed until 2026-06-28T21:00Z: no data is expected"


def test_one_open_market_is_enough_to_wait_for() -> None:
    visited = live((3.0, batch(quote(symbol="BTCUSD"))), clock=FakeClock(SATURDAY_NS), symbols=("EURUSD", "BTCUSD"))
    assert check_data(visited).detail.startswith("BTCUSD bar")


def test_the_demo_has_no_weekend() -> None:
    visited = live((1.0, batch(quote())), clock=FakeClock(SATURDAY_NS), url="ws://127.0.0.1:1/", demo=True)
    assert check_data(visited).status is Status.OK


def test_data_that_came_before_is_taken_even_in_a_closed_market() -> None:
    last = quote("2026-06-27T11:59:00Z")
    visited = visit((0.0, batch(welcome(), subscribed("EURUSD"), last)), clock=FakeClock(SATURDAY_NS))
    check_auth(visited)
    assert check_data(visited).detail.endswith("came 0.0 s after its end")


@pytest.mark.parametrize("tty", [True, False])
def test_on_a_terminal_it_says_that_it_waits(tty: bool) -> None:
    visited = live((3.0, batch(quote())), tty=tty)
    check_data(visited)
    assert isinstance(visited.case.env.stderr, io.StringIO)
    assert visited.case.env.stderr.getvalue() == ("waiting up to 75 s for data ...\n" if tty else "")


@pytest.mark.parametrize("when_s", [0.0, 5.0])
def test_used_up_credits_end_the_wait(when_s: float) -> None:
    error = {"type": "error", "code": "quota_exceeded", "message": "Daily quota exhausted"}
    visited = live((when_s, batch(error)))
    with pytest.raises(QuotaExceeded):
        check_data(visited)
    assert seconds(visited) == when_s


def test_nothing_but_bad_messages_is_a_broken_protocol() -> None:
    visited = live((1.0, batch("{")), (1.0, batch("}")))
    with pytest.raises(ProtocolViolation) as caught:
        check_data(visited)
    assert "2 bad messages (" in str(caught.value)


def test_bad_messages_beside_data_are_a_warning() -> None:
    found = check_data(live((1.0, batch("{")), (1.0, batch(quote()))))
    assert (found.status, found.verdict) == (Status.WARN, Verdict.THEM)
    assert "; 1 bad message (" in found.detail


# --- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "closed"),
    [
        (None, (1000, "")),
        (NoData("none"), (1000, "")),
        (InvalidKey("no"), (1000, "")),
        (KeyboardInterrupt(), (1000, "")),
        (ProtocolViolation("too big", close_code=1009), (1009, "protocol error")),
        (ConnectionLost("broke"), None),
    ],
    ids=repr,
)
def test_it_says_goodbye_unless_nobody_is_there(error: BaseException | None, closed: tuple[int, str] | None) -> None:
    wire = ScriptedWire(FakeClock())
    with contextlib.ExitStack() as stack:
        if error is not None:
            stack.enter_context(pytest.raises(type(error)))
        stack.enter_context(goodbye(wire))
        stack.callback(_raise, error)
    assert wire.closed == [closed]


def _raise(error: BaseException | None) -> None:
    if error is not None:
        raise error
