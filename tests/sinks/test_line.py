from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from tests.sinks.making import START, Written, bar, batch, book, meter, notice, quote, request, run_status, trade
from tests.sinks.ptys import Terminal, terminal
from tickstream.clock import FakeClock
from tickstream.errors import UsageError
from tickstream.sinks import load
from tickstream.sinks.base import Display, Sink
from tickstream.status import ProviderStatus, RunStatus, SessionStatus

SPEC = load("line")


def made(**changes: Any) -> tuple[Sink, Written, RunStatus, FakeClock]:
    status = changes.pop("status", None) or run_status()
    status.label = changes.pop("label", "LIVE")
    stdout, clock = Written(), FakeClock(START)
    return SPEC.make(request(stdout, clock, status=status, **changes)), stdout, status, clock


def test_the_line_says_price_change_and_what_a_run_costs() -> None:
    sink, stdout, status, _ = made()
    status.providers[0].credits = meter()
    sink.open()
    sink.write(batch(bar(close="1.13450"), bar("XAUUSD", "4083.5")))
    sink.write(batch(bar(close="1.13473", minute=1)))
    sink.refresh()
    assert stdout.text == "EURUSD 1.13473/1.13462 ▲0.02%  XAUUSD 4083.5/1.13462 0.00%  720 cr/h\n"


def test_nothing_is_written_before_the_first_data() -> None:
    sink, stdout, *_ = made()
    sink.refresh()
    sink.close()
    assert stdout.text == ""


def test_a_line_is_written_only_when_it_has_changed() -> None:
    sink, stdout, *_ = made()
    for minute, close in enumerate(("1.10", "1.10", "1.20")):
        sink.write(batch(bar(close=close, minute=minute)))
        sink.refresh()
        sink.refresh()
    assert stdout.text.count("\n") == 2


def test_the_last_state_is_flushed() -> None:
    sink, stdout, *_ = made()
    sink.write(batch(bar()))
    sink.flush()
    sink.flush()
    assert stdout.text.count("\n") == 1


@pytest.mark.parametrize(
    ("session", "word"),
    [
        ({"state": "down", "retry_at": 1010.0}, "reconnecting"),
        ({"state": "held"}, "held"),
        ({"state": "connecting"}, "connecting"),
        ({"paused": True}, "paused"),
    ],
)
def test_a_session_in_trouble_is_named_first(session: dict[str, Any], word: str) -> None:
    sink, stdout, _, _ = made(status=run_status(**session))
    sink.write(batch(bar()))
    sink.refresh()
    assert stdout.text.split()[0] == word


def test_the_last_line_of_a_run_does_not_say_that_the_run_is_over() -> None:
    sink, stdout, _, _ = made(status=run_status(state="closed"))
    sink.write(batch(bar()))
    sink.flush()
    assert stdout.text == "EURUSD 1.1345/1.13462 0.00%\n"


def test_the_countdown_of_a_reconnect_does_not_write_a_line_a_second() -> None:
    sink, stdout, _, clock = made(status=run_status(state="down", retry_at=1060.0))
    sink.write(batch(bar()))
    for _ in range(5):
        sink.refresh()
        clock.advance(1)
    assert stdout.text.count("\n") == 1


def test_a_symbol_in_trouble_says_so() -> None:
    sink, stdout, _, clock = made()
    sink.write(batch(bar("EURUSD"), bar("BTCUSD"), notice("symbol_refused", "XAUUSD: no", ("XAUUSD",))))
    sink.write(batch(bar("XAUUSD")))
    clock.advance(200)
    sink.refresh()
    words = {piece.split()[0]: piece.split()[-1] for piece in stdout.text.strip().split("  ")}
    assert words == {"EURUSD": "stale", "BTCUSD": "stale", "XAUUSD": "refused"}


def test_a_demo_is_labelled() -> None:
    sink, stdout, *_ = made(label="DEMO")
    sink.write(batch(bar()))
    sink.refresh()
    assert stdout.text.startswith("DEMO  EURUSD ")


def test_each_kind_of_event_shows_its_price() -> None:
    sink, stdout, *_ = made(status=RunStatus("LIVE", (ProviderStatus("x"),), [SessionStatus("x", 1, (), state="up")]))
    sink.write(batch(trade("68123.50"), quote("1.10"), quote(None, symbol="A"), bar("B", "7", bid=None)))
    sink.refresh()
    assert stdout.text == "BTC-USD 68123.50 0.00%  EUR/USD 1.10/1.20 0.00%  A 1.20  B 7 0.00%\n"


def test_chosen_fields_stand_in_their_order() -> None:
    sink, stdout, *_ = made(fields=("close", "symbol", "trend", "volume", "state"))
    sink.write(batch(bar(close="1.10"), bar(close="1.20", minute=1, volume=None)))
    sink.refresh()
    assert stdout.text == "1.20 EURUSD ▁█ LIVE\n"


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(UsageError):
        made(fields=("prize",))


def test_hostile_text_is_cleaned() -> None:
    sink, stdout, *_ = made()
    sink.write(batch(bar("\x1b[2J\n")))
    sink.refresh()
    assert stdout.text.startswith("\\x1b[2J\\x0a 1.1345/")


# --- on a terminal ---------------------------------------------------------------------------------------------------


def on(screen: Terminal, env: dict[str, str]) -> Sink:
    status = run_status()
    status.label = "LIVE"
    return SPEC.make(request(screen.inner, status=status, display=Display(isatty=True, env=env, tz=UTC)))


def test_on_a_terminal_the_line_is_rewritten_in_place() -> None:
    with terminal(100) as screen:
        sink = on(screen, {"TERM": "xterm", "LANG": "C.UTF-8"})
        assert sink.owns_terminal
        sink.open()
        sink.refresh()
        assert screen.read().decode() == "\rEURUSD waiting  XAUUSD waiting  BTCUSD waiting\x1b[K"
        sink.write(batch(bar()))
        sink.refresh()
        assert screen.read().decode().startswith("\rEURUSD 1.1345/1.13462 0.00%  XAUUSD waiting")
        sink.close()
        sink.close()
        assert screen.read() == b"\r\n"


def test_a_line_that_is_too_long_is_cut_before_the_edge() -> None:
    with terminal(20) as screen:
        sink = on(screen, {"TERM": "xterm", "LANG": "C.UTF-8"})
        sink.refresh()
        assert screen.read().decode() == "\rEURUSD waiting  XA…\x1b[K"
        screen.close()
        sink.close()  # a terminal that is gone needs no last word


def test_on_a_dumb_terminal_lines_follow_each_other() -> None:
    with terminal() as screen:
        sink = on(screen, {"TERM": "dumb", "LANG": "C.UTF-8"})
        assert not sink.owns_terminal
        sink.write(batch(bar()))
        sink.refresh()
        assert screen.read() == b"EURUSD 1.1345/1.13462 0.00%\r\n"
        sink.close()


def test_of_a_book_it_says_the_best_prices_or_that_it_is_withheld() -> None:
    sink, stdout, _, _ = made()
    sink.write(batch(book(("1.10", "5"), asks=(("1.20", "7"),), symbol="EURUSD")))
    sink.refresh()
    sink.write(batch(notice("book_broken", "EURUSD: crossed", ("EURUSD",))))
    sink.refresh()
    assert stdout.text.splitlines() == ["EURUSD 1.10/1.20 0.00%", "EURUSD 0.00% withheld"]


def test_of_several_providers_each_symbol_and_each_trouble_says_whose_it_is() -> None:
    providers = (ProviderStatus("tickatlas", ("EURUSD",), meter()), ProviderStatus("fcs", ("EURUSD",)))
    sessions = [SessionStatus("tickatlas", 1, ("EURUSD",), "up"), SessionStatus("fcs", 2, ("EURUSD",), "down")]
    sink, stdout, *_ = made(status=RunStatus("LIVE", providers, sessions))
    sink.write(batch(bar(close="1.10")))
    sink.write(batch(bar(close="1.20", provider="fcs")))
    sink.refresh()
    assert stdout.text == (
        "fcs reconnecting  tickatlas:EURUSD 1.10/1.13462 0.00%  fcs:EURUSD 1.20/1.13462 0.00% stale  "
        "tickatlas 720 cr/h\n"
    )
