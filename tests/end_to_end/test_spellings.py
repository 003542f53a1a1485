"""Symbols in anybody's spelling, from end to end: the provider's own in `symbol`, the canonical name in `canonical`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.watching import Result, Server, Thread, assert_exit, run, serve
from tickstream.errors import ExitCode

OTHER = {"jsonl": "csv", "csv": "parquet", "parquet": "jsonl"}
"""Each format is converted to another one."""


def names_in(events: list[dict[str, object]]) -> set[tuple[object, object]]:
    return {(event["symbol"], event.get("canonical")) for event in events}


def here(*args: str) -> Result:
    """In a thread of this process, to a good end."""
    return assert_exit(Thread(*args).wait(), ExitCode.OK)


def test_the_canonical_name_comes_last_and_only_where_another_spelling_was_used() -> None:
    with serve() as server:
        watching = Thread("watch", "--url", server.url, "EUR/USD", "FX:XAUUSD", "GBPUSD", "--count", "30")
        result = assert_exit(watching.wait(), ExitCode.OK)
    assert names_in(result.bars) == {("EURUSD", "EURUSD"), ("XAUUSD", "XAUUSD"), ("GBPUSD", None)}
    assert all(list(bar)[-1] == ("closed" if bar["symbol"] == "GBPUSD" else "canonical") for bar in result.bars)
    assert "At TickAtlas EUR/USD is EURUSD, FX:XAUUSD is XAUUSD." in result.err


def test_two_spellings_are_one_subscription() -> None:
    with serve() as server:
        watching = Thread("watch", "--url", server.url, "EURUSD", "EUR/USD", "eurusd", "--count", "5")
        assert_exit(watching.wait(), ExitCode.OK)
        assert {symbol for symbol, _ in server.sent} == {"EURUSD"}
        assert len(server.sent) == len(set(server.sent))


def test_fields_and_csv_have_it() -> None:
    with serve() as server:
        fields = ("--fields", "canonical,symbol", "--count", "2")
        picked = Thread("watch", "--url", server.url, "EUR/USD", "-o", "csv", *fields).wait()
        whole = Thread("watch", "--url", server.url, "EURUSD", "-o", "csv", "--count", "1").wait()
    assert assert_exit(picked, ExitCode.OK).lines == ["canonical,symbol", "EURUSD,EURUSD", "EURUSD,EURUSD"]
    header, row = assert_exit(whole, ExitCode.OK).lines
    assert header.endswith(",closed,canonical")
    assert row.endswith(",true,")


def test_the_providers_own_messages_are_left_as_they_are() -> None:
    with serve() as server:
        result = Thread("watch", "--url", server.url, "EUR/USD", "-o", "raw", "--count", "3").wait()
    assert "canonical" not in assert_exit(result, ExitCode.OK).out.decode()


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_a_capture_keeps_it_and_gives_it_back_in_every_format(form: str, tmp_path: Path) -> None:
    base = str(tmp_path / form)
    with serve() as server:
        args = ("EUR/USD", "GBPUSD", "--duration", "3s", "-o", form, "--to", base)
        assert_exit(Thread("capture", "--url", server.url, *args).wait(), ExitCode.OK)
    replayed = here("replay", base, "--speed", "max", "-o", "jsonl")
    assert names_in(replayed.bars) == {("EURUSD", "EURUSD"), ("GBPUSD", None)}
    target = str(tmp_path / f"converted.{OTHER[form]}")
    here("convert", base, "--to", target)
    again = here("replay", target, "--speed", "max", "-o", "jsonl")
    assert sorted(again.lines) == sorted(replayed.lines)
    here("verify", base)


def configured(tmp_path: Path) -> dict[str, str]:
    place = tmp_path / "config.toml"
    place.write_text('symbols = ["@majors", "XAU/USD"]\n[watchlists]\nmajors = ["EUR/USD", "fx:gbpusd"]\n', "utf-8")
    place.chmod(0o600)
    return {"TICKSTREAM_CONFIG": str(place)}


def test_watchlists_and_the_symbols_of_the_config_may_be_spellings(tmp_path: Path) -> None:
    with serve() as server:
        result = Thread("watch", "--url", server.url, "--count", "9", env=configured(tmp_path)).wait()
    assert {symbol for symbol, _ in names_in(assert_exit(result, ExitCode.OK).bars)} == {"EURUSD", "GBPUSD", "XAUUSD"}


def test_other_commands_take_them_too(tmp_path: Path) -> None:
    with serve() as server:
        found = here("doctor", "EUR/USD", "--url", server.url, "-o", "json")
    assert '"EURUSD"' in found.out.decode()
    here("credits", "EUR/USD", "XAU/USD", "-p", "pro")
    here("schedule", "EUR/USD", "--to", str(tmp_path), "--cron")


def refusing(server: Server, *args: str) -> tuple[str, set[object]]:
    result = Thread("watch", "--url", server.url, *args, "--count", "5").wait()
    return result.err, {bar["symbol"] for bar in assert_exit(result, ExitCode.OK).bars}


def test_a_refused_symbol_is_named_with_what_is_near_and_the_others_go_on() -> None:
    with serve("invalid-symbol@connect") as server:
        said, there = refusing(server, "EURUSX", "GBP/USD")
    assert "EURUSX: not in the provider's confirmation: unknown to it, or not in the plan. Did you mean EURUSD?" in said
    assert there == {"GBPUSD"}


def test_a_pair_in_dollars_is_not_taken_for_one_in_a_coin() -> None:
    result = run("watch", "-p", "binance", "BTCUSD", "--demo")
    assert "Did you mean BTCUSDT? That is in USDT, a coin, not in dollars." in assert_exit(result, ExitCode.USAGE).err


def test_the_same_pair_of_several_providers_has_one_name() -> None:
    args = ("kraken:BTCUSD", "coinbase:BTC/USD", "--channel", "trades", "--demo", "--duration", "4s")
    result = assert_exit(run("watch", *args, "-o", "jsonl"), ExitCode.OK)
    assert names_in(result.events) == {("BTC/USD", "BTCUSD"), ("BTC-USD", "BTCUSD")}
