"""Whose a word is: `coinbase:BTC-USD` is that provider's BTC-USD, a word without a prefix is the default provider's.

A prefix is the lower-case name of a provider: `FX:EURUSD` is a symbol of FCS API, whose exchanges are in upper case,
and `fcs:FX:EURUSD` is how to ask FCS API for it. Before symbols of the default provider its name may be in upper case
too, as Interactive Brokers' people write it: `-p ibkr IBKR:265598`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tickstream import providers
from tickstream.canonical import is_common_prefix
from tickstream.suggestions import did_you_mean, shown
from tickstream.symbols import Named, named_symbols

PREFIX = re.compile(r"([a-z][a-z0-9_-]*):(.+)")


def by_provider(
    named: Sequence[Named], default: str, watchlists: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[Named]]:
    """The words without their prefixes, by provider. A prefix before a watchlist (`coinbase:@coins`) holds for what is
    in it.

    Raises UsageError (or what `Named.error` says) for a prefix that is no provider.
    """
    groups: dict[str, list[Named]] = {}
    for one in named:
        for provider, word in _placed(one, default, watchlists or {}):
            groups.setdefault(provider, []).append(word)
    return groups


def _placed(one: Named, default: str, watchlists: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Named]]:
    own = f"{default.upper()}:"
    if one.word.startswith(own) and providers.load(default).symbol_pattern.fullmatch(one.word) is None:
        one = one._replace(word=one.word.removeprefix(own))
    found = PREFIX.fullmatch(one.word)
    if found is None or not _is_prefix(found[1], one, default):
        yield default, one
    elif found[2].startswith("@"):
        for inner in named_symbols((found[2],), watchlists=watchlists):
            yield from _placed(inner, found[1], {})
    else:
        yield found[1], one._replace(word=found[2])


def _is_prefix(name: str, one: Named, default: str) -> bool:
    """Raises what the word deserves when it is neither a known provider's nor the default one's own symbol."""
    if name in providers.names() or name in providers.all_names():
        return True
    if is_common_prefix(name) or providers.load(default).symbol_pattern.fullmatch(one.word):
        return False
    where = f" ({one.origin})" if one.origin else ""
    known = providers.all_names()
    raise one.error(
        f"{shown(one.word)}{where}: there is no provider {shown(name)}.",
        hint=did_you_mean(name, known) or f"Known providers: {', '.join(known)}.",
    )
