from __future__ import annotations

import pytest

from tickstream.cli.prefixes import by_provider
from tickstream.errors import ConfigError, TickstreamError, UsageError
from tickstream.symbols import Named, named_symbols

LISTS = {"coins": ["BTC-USD", "ETH-USD"], "both": ["EURUSD", "coinbase:BTC-USD"], "itself": ["kraken:@itself"]}


def placed(*words: str, default: str = "tickatlas") -> dict[str, list[str]]:
    groups = by_provider(named_symbols(words, watchlists=LISTS), default, LISTS)
    return {name: [one.word for one in group] for name, group in groups.items()}


def test_a_word_without_a_prefix_is_of_the_default_provider() -> None:
    assert placed("EURUSD", "XAUUSD") == {"tickatlas": ["EURUSD", "XAUUSD"]}


def test_a_prefix_says_whose_it_is_and_providers_stand_in_the_order_in_which_they_are_named() -> None:
    words = ("coinbase:BTC-USD", "EURUSD,kraken:BTC/USD", "coinbase:ETH-USD")
    found = placed(*words)
    assert found == {"coinbase": ["BTC-USD", "ETH-USD"], "tickatlas": ["EURUSD"], "kraken": ["BTC/USD"]}
    assert list(found) == ["coinbase", "tickatlas", "kraken"]


def test_only_the_first_colon_ends_a_prefix() -> None:
    assert placed("fcs:FX:EURUSD") == {"fcs": ["FX:EURUSD"]}


def test_what_is_in_upper_case_belongs_to_the_symbol() -> None:
    assert placed("FX:EURUSD", default="fcs") == {"fcs": ["FX:EURUSD"]}


def test_watchlists_may_name_providers_and_a_prefix_holds_for_a_whole_list() -> None:
    assert placed("@both") == {"tickatlas": ["EURUSD"], "coinbase": ["BTC-USD"]}
    assert placed("coinbase:@coins", "@coins") == {
        "coinbase": ["BTC-USD", "ETH-USD"],
        "tickatlas": ["BTC-USD", "ETH-USD"],
    }
    assert placed("kraken:@both") == {"kraken": ["EURUSD"], "coinbase": ["BTC-USD"]}


def test_a_list_that_holds_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no watchlist 'itself'"):
        placed("@itself")


@pytest.mark.parametrize(
    ("one", "kind"),
    [(Named("coinbas:BTC-USD"), UsageError), (Named("coinbas:BTC-USD", "watchlist coins", ConfigError), ConfigError)],
)
def test_a_prefix_that_is_no_provider_is_refused_with_near_matches(one: Named, kind: type[TickstreamError]) -> None:
    with pytest.raises(kind, match="there is no provider 'coinbas'") as refused:
        by_provider([one], "tickatlas")
    assert refused.value.hint == "Did you mean coinbase?"
    assert one.origin in refused.value.message


def test_all_providers_are_named_where_none_is_near() -> None:
    with pytest.raises(UsageError) as refused:
        placed("zzzzzz:X")
    assert "tickatlas" in refused.value.hint
