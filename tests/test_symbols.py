"""From what the user names to symbols."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickstream.canonical import Canonical
from tickstream.errors import ConfigError, UsageError
from tickstream.suggestions import did_you_mean, near_matches, shown
from tickstream.symbols import MAX_FILE_BYTES, Named, Resolved, SymbolForm, named_symbols, near_symbols, resolve_symbols

FORM = SymbolForm(re.compile(r"[A-Z0-9.]{1,20}"), "upper case, no slash", ("EURUSD", "GBPUSD", "XAUUSD"))
LISTS = {"majors": ("EURUSD", "GBPUSD"), "metals": ("XAUUSD", "XAGUSD"), "empty": (), "wrong": ("EUR/USD",)}


def resolve(*args: str, stdin: bytes | None = None, files: tuple[Path, ...] = ()) -> tuple[str, ...]:
    stream = None if stdin is None else io.BytesIO(stdin)
    return resolve_symbols(named_symbols(args, files=files, stdin=stream, watchlists=LISTS), FORM).symbols


def test_symbols_keep_the_order_given_and_are_each_there_once():
    assert resolve("XAUUSD", "EURUSD", "XAUUSD", "GBPUSD", "EURUSD") == ("XAUUSD", "EURUSD", "GBPUSD")


def test_commas_separate_too():
    assert resolve("EURUSD,XAUUSD,", " GBPUSD") == ("EURUSD", "XAUUSD", "GBPUSD")


def test_watchlists_expand_where_they_stand():
    assert resolve("XAUUSD", "@majors", "@metals") == ("XAUUSD", "EURUSD", "GBPUSD", "XAGUSD")
    assert resolve("@majors,USDJPY") == ("EURUSD", "GBPUSD", "USDJPY")


def test_a_file_holds_any_number_per_line_and_comments(tmp_path):
    path = tmp_path / "symbols.txt"
    path.write_bytes(b"\xef\xbb\xbf# majors\r\nEURUSD GBPUSD\r\n\nXAUUSD,XAGUSD # metals\n@majors\nUSDJPY")
    assert resolve("BTCUSD", files=(path,)) == ("BTCUSD", "EURUSD", "GBPUSD", "XAUUSD", "XAGUSD", "USDJPY")


@pytest.mark.parametrize("args", [("-",), ("EURUSD", "-")])
def test_a_dash_stands_for_stdin(args):
    assert resolve(*args, stdin=b"EURUSD\nXAUUSD\n") == ("EURUSD", "XAUUSD")


def test_a_file_called_dash_is_stdin_too():
    assert resolve(files=(Path("-"),), stdin=b"EURUSD") == ("EURUSD",)


@pytest.mark.parametrize("args", [(), ("",), (",",), ("@empty",), ("-",)])
def test_naming_no_symbol_is_a_usage_error(args):
    with pytest.raises(UsageError, match="no symbols given"):
        resolve(*args, stdin=b"# nothing\n")


def test_a_closed_stdin_holds_nothing():
    with pytest.raises(UsageError, match="no symbols given"):
        resolve("-")


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("EUR/USD", "Did you mean EURUSD?"),
        ("EUR_USDX", "Did you mean EURUSDX?"),
        ("€€€", ""),
        ("E" * 21, ""),
        ("EUR USD", "Did you mean EURUSD?"),
        ("EURUSDEURUSDEURUSDEURUSD", ""),
        ("GBP/USD/GBP/USD/GBP/USD", "Did you mean GBPUSDGBPUSDGBPUSD?"),
    ],
)
def test_a_malformed_symbol_is_refused_with_the_nearest(wrong, hint):
    with pytest.raises(UsageError) as caught:
        resolve("EURUSD", wrong)
    assert "is not a symbol: upper case, no slash" in caught.value.message
    assert caught.value.hint == hint


def test_a_symbol_is_cleaned_before_it_is_shown():
    with pytest.raises(UsageError) as caught:
        resolve("\x1b]0;owned\x07" + "x" * 100)
    assert str(caught.value).isprintable() or "\x1b" not in str(caught.value)
    assert r"'\x1b]0;owned\x07" in str(caught.value)
    assert "..." in str(caught.value)


def test_a_malformed_symbol_in_a_file_is_found_by_its_line(tmp_path):
    path = tmp_path / "symbols.txt"
    path.write_text("EURUSD\n\nXAU/USD\n")
    with pytest.raises(UsageError, match=r"symbols\.txt, line 3\)"):
        resolve(files=(path,))


def test_a_malformed_symbol_in_a_watchlist_is_the_configs_fault():
    with pytest.raises(ConfigError, match="'EUR/USD' is not a symbol \\(watchlist wrong\\)"):
        resolve("@wrong")


@pytest.mark.parametrize(("name", "hint"), [("@mayors", "Did you mean @majors?"), ("@zzz", "config file")])
def test_an_unknown_watchlist_is_answered_with_the_nearest(name, hint):
    with pytest.raises(UsageError, match="there is no watchlist") as caught:
        resolve(name)
    assert hint in caught.value.hint


def test_an_unknown_watchlist_in_a_file_is_found_by_its_line():
    with pytest.raises(UsageError, match=r"stdin, line 2"):
        resolve("-", stdin=b"EURUSD\n@nope\n")


@pytest.mark.parametrize("name", ["missing", ".", "nul\0byte"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(UsageError, match="cannot read symbols from"):
        resolve(files=(tmp_path / name,))


def test_a_file_that_is_no_list_of_symbols_is_refused():
    with pytest.raises(UsageError, match="no UTF-8 text"):
        resolve("-", stdin=b"\xff\xfeEURUSD")
    with pytest.raises(UsageError, match="longer than 1 MiB"):
        resolve("-", stdin=b"#" * (MAX_FILE_BYTES + 1))


def test_without_examples_or_watchlists_the_errors_still_stand():
    bare = SymbolForm(re.compile(r"[A-Z]+"), "letters")
    with pytest.raises(UsageError, match="Name some, such as @majors"):
        resolve_symbols((), bare)
    with pytest.raises(UsageError, match="there is no watchlist 'x'"):
        named_symbols(["@x"])


# --- other spellings ---------------------------------------------------------------------------------------------


def spell(meaning: Canonical) -> str | None:
    """A provider with an exchange before each symbol, without pairs in dollars but of currencies, as FCS."""
    if meaning.kind == "stock":
        return f"{meaning.exchange}:{meaning.base}" if meaning.exchange else None
    if meaning.kind == "crypto":
        return f"BINANCE:{meaning.name}" if meaning.quote != "USD" else None
    return f"FX:{meaning.name}"


PREFIXED = SymbolForm(
    re.compile(r"[A-Z]+:[A-Z0-9.]+"), "EXCHANGE:SYMBOL", ("FX:EURUSD", "OTHER:Silver"), spell, "fcs", "FCS API"
)
LOOSE = SymbolForm(
    re.compile(r"[A-Za-z0-9/]+(?:\.US)?"),
    "as it stands",
    ("GOLD", "Silver", "AAPL.US", "EURUSD"),
    lambda meaning: {"XAUUSD": "GOLD", "AAPL": "AAPL.US", "NVDA": "NVDA.US", "EURUSD": "EURUSD"}.get(meaning.name),
    "loose",
    "Loose",
)


def of(form: SymbolForm, *words: str) -> Resolved:
    return resolve_symbols(map(Named, words), form)


@pytest.mark.parametrize("word", ["EURUSD", "EUR/USD", "eur-usd", "C:EURUSD"])
def test_any_spelling_of_a_pair_becomes_the_providers_symbol(word: str) -> None:
    found = of(PREFIXED, word)
    assert found == (("FX:EURUSD",), {"FX:EURUSD": "EURUSD"}, {word: "FX:EURUSD"})


def test_a_symbol_as_the_provider_writes_it_is_no_alias() -> None:
    for word in ("FX:EURUSD", "fx:eurusd", "FX:GBPUSD", "NYSE:IBM"):
        assert of(PREFIXED, word) == ((word.upper(),), {}, {})


def test_two_words_for_one_symbol_are_one_subscription() -> None:
    assert of(PREFIXED, "FX:EURUSD", "EUR/USD", "EURUSD", "BTCUSDT") == (
        ("FX:EURUSD", "BINANCE:BTCUSDT"),
        {"FX:EURUSD": "EURUSD", "BINANCE:BTCUSDT": "BTCUSDT"},
        {"EUR/USD": "FX:EURUSD", "EURUSD": "FX:EURUSD", "BTCUSDT": "BINANCE:BTCUSDT"},
    )


def test_what_a_spelling_was_taken_for_is_said() -> None:
    assert of(PREFIXED, "EURUSD", "BTCUSDT").preface("FCS API") == (
        "At FCS API EURUSD is FX:EURUSD, BTCUSDT is BINANCE:BTCUSDT."
    )
    assert of(PREFIXED, "FX:EURUSD").preface("FCS API") == ""
    many = of(PREFIXED, *(f"{base}{quote}" for base in ("EUR", "GBP", "CHF") for quote in ("USD", "JPY", "AUD", "NZD")))
    assert many.preface("FCS API").endswith(" and 2 more.")


def test_a_pair_in_dollars_never_becomes_one_in_a_coin() -> None:
    with pytest.raises(UsageError) as caught:
        of(PREFIXED, "EURUSD", "BTC/USD")
    assert caught.value.message == "'BTC/USD': FCS API has no symbol for BTC in USD"
    assert caught.value.hint == "Did you mean BINANCE:BTCUSDT? That is in USDT, a coin, not in dollars."


def test_a_pair_that_there_is_not_is_refused_even_if_it_looks_like_a_symbol() -> None:
    with pytest.raises(UsageError, match="Loose has no symbol for BTC in USD") as caught:
        of(LOOSE, "BTCUSD")
    assert caught.value.hint == "Symbols are as it stands."


def test_elsewhere_it_may_be() -> None:
    assert of(LOOSE._replace(elsewhere=True), "BTCUSD").symbols == ("BTCUSD",)
    with pytest.raises(UsageError):
        of(PREFIXED._replace(elsewhere=True), "BTCUSD")


@pytest.mark.parametrize(
    ("word", "symbol"),
    [
        ("XAUUSD", "GOLD"),  # not surely its own symbol, and surely gold
        ("GOLD", "GOLD"),
        ("gold", "GOLD"),
        ("silver", "Silver"),
        ("AAPL", "AAPL.US"),
        ("aapl", "AAPL.US"),
        ("NVDA", "NVDA"),  # may be a symbol of its own: the provider will say
        ("Platinum", "Platinum"),
    ],
)
def test_what_fits_stays_unless_it_is_known_to_be_something_else(word: str, symbol: str) -> None:
    assert of(LOOSE, word).symbols == (symbol,)


def test_a_pair_at_another_exchange_is_not_the_same_pair() -> None:
    with pytest.raises(UsageError) as caught:
        of(LOOSE, "OANDA:EURUSD")
    assert caught.value.hint == "Did you mean EURUSD?"
    assert of(LOOSE, "LOOSE:EURUSD").symbols == ("EURUSD",)


def test_a_spelling_that_does_not_fit_the_form_is_none() -> None:
    form = PREFIXED._replace(alias=lambda _: "no such form")
    with pytest.raises(UsageError, match="has no symbol for EUR in USD"):
        of(form, "EURUSD")


def test_what_is_not_surely_a_coin_is_not_looked_for_in_another_currency() -> None:
    with pytest.raises(UsageError, match="'XTIUSD' is not a symbol") as caught:
        of(PREFIXED, "XTIUSD")
    assert "USDT" not in caught.value.hint


def test_a_stock_that_cannot_be_spelled_is_not_guessed_at() -> None:
    with pytest.raises(UsageError, match="'IBM' is not a symbol: EXCHANGE:SYMBOL"):
        of(PREFIXED, "IBM")


def test_an_alias_in_a_watchlist_is_taken_and_a_wrong_one_is_the_configs_fault() -> None:
    lists = {"majors": ("EUR/USD", "GBPUSD"), "coins": ("BTCUSD",)}
    assert resolve_symbols(named_symbols(["@majors"], watchlists=lists), PREFIXED).symbols == ("FX:EURUSD", "FX:GBPUSD")
    with pytest.raises(ConfigError, match=r"'BTCUSD' \(watchlist coins\): FCS API has no symbol"):
        resolve_symbols(named_symbols(["@coins"], watchlists=lists), PREFIXED)


# --- refused symbols ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refused", "near"),
    [
        (["FX:EURUSX"], "Did you mean FX:EURUSD?"),
        (["FX:EURUSD"], ""),  # it has that one
        (["ZZZ:ZZZ"], ""),
        (
            ["FX:EURUSX", "FX:EURUSD", "OTHER:SILVER"],
            "For FX:EURUSX: did you mean FX:EURUSD? For OTHER:SILVER: did you mean OTHER:Silver?",
        ),
    ],
)
def test_a_refused_symbol_comes_with_what_it_may_have_been(refused: list[str], near: str) -> None:
    assert near_symbols(refused, PREFIXED) == near


def test_what_may_be_a_ticker_is_sooner_a_slip_of_the_finger() -> None:
    assert near_symbols(["GOLDD"], LOOSE._replace(alias=lambda meaning: f"{meaning.name}.US")) == "Did you mean GOLD?"


def test_another_spelling_is_nearer_than_a_similar_word() -> None:
    assert near_symbols(["XAUUSD"], LOOSE) == "Did you mean GOLD?"
    assert near_symbols(["NVDA"], LOOSE) == "Did you mean NVDA.US?"


@given(st.lists(st.text(max_size=12), max_size=8))
def test_whatever_is_typed_gives_symbols_of_the_form_or_a_usage_error(words):
    try:
        found = resolve(*(word for word in words if word != "-"))
    except (UsageError, ConfigError):
        return
    assert all(FORM.pattern.fullmatch(symbol) for symbol in found)
    assert len(set(found)) == len(found) > 0


class TestSuggestions:
    def test_near_matches_disregard_case_and_keep_the_known_spelling(self):
        assert near_matches("EURSUD", ["eurusd", "XAUUSD"]) == ["eurusd"]

    def test_nothing_near_is_nothing_said(self):
        assert did_you_mean("zzz", ["output", "time"]) == ""

    def test_several_near_ones_are_all_named(self):
        assert did_you_mean("tim", ["time", "tm"], prefix="@") == "Did you mean @time or @tm?"

    def test_long_words_are_cut(self):
        assert shown("x" * 41) == repr("x" * 37 + "...")
        assert shown("x" * 40) == repr("x" * 40)
