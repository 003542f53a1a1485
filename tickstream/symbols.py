"""From what the user names to symbols: arguments, watchlists (`@majors`), files, stdin; checked, each once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, NamedTuple

from tickstream.canonical import Canonical, parse
from tickstream.errors import ConfigError, TickstreamError, UsageError
from tickstream.suggestions import did_you_mean, shown

MAX_FILE_BYTES = 1 << 20
"""A longer list of symbols is some other file."""

STDIN = "-"
SAID = 10
"""So many spellings are said to stand for what."""
NEAR_SAID = 5
"""Of so many refused symbols it is said what they may have been."""


class SymbolForm(NamedTuple):
    """What a provider's symbols look like: the whole of one matches `pattern`; `help_text` says it in words.

    `common` are some that it surely has, for "did you mean" too. `alias` spells a pair or a stock as the provider does;
    None: it has no such thing. `name` is the provider's, `title` its name for people.
    """

    pattern: re.Pattern[str]
    help_text: str
    common: Sequence[str] = ()
    alias: Callable[[Canonical], str | None] | None = None
    name: str = ""
    title: str = "the provider"
    elsewhere: bool = False
    """The server is not the provider's own: what there is not at the provider may be there."""


class Named(NamedTuple):
    """A word that the user named a symbol with. `origin` is where it stood, empty for the command line.

    `error` is what a wrong word there becomes.
    """

    word: str
    origin: str = ""
    error: type[TickstreamError] = UsageError


class Resolved(NamedTuple):
    """What to ask the provider for, each symbol once, in the order named.

    `canonical` has the canonical name of each symbol that was named by another spelling, `aliases` those spellings.
    """

    symbols: tuple[str, ...]
    canonical: Mapping[str, str] = MappingProxyType({})
    aliases: Mapping[str, str] = MappingProxyType({})

    def preface(self, title: str) -> str:
        """A line that says what the spellings were taken for; empty where there is nothing to say."""
        said = [f"{word} is {symbol}" for word, symbol in self.aliases.items()]
        more = f" and {len(said) - SAID} more" if len(said) > SAID else ""
        return f"At {title} {', '.join(said[:SAID])}{more}." if said else ""


def named_symbols(
    args: Iterable[str],
    *,
    files: Iterable[Path] = (),
    stdin: BinaryIO | None = None,
    watchlists: Mapping[str, Sequence[str]] | None = None,
) -> tuple[Named, ...]:
    """The words that name the symbols of a run, in the order given: arguments first, then files.

    An argument is a symbol, several joined by commas, `@name` for a watchlist, or `-` for stdin. Files and stdin hold
    any number of the same per line; `#` begins a comment. Watchlists hold symbols only: one list in another would
    need rules for cycles, and `@a @b` does the same.

    Raises UsageError for an unknown watchlist or an unreadable file.
    """
    lists = watchlists or {}
    return tuple(named for word, origin in _words(args, files, stdin) for named in _expand(word, origin, lists))


def resolve_symbols(named: Iterable[Named], form: SymbolForm) -> Resolved:
    """The provider's symbols for these words.

    A symbol as the provider writes it stays as it is. Any other spelling of a pair or a stock that the provider has
    becomes the provider's, and so does a symbol in another case. No word becomes another asset: BTCUSD is never
    BTCUSDT.

    Raises UsageError (or what `Named.error` says) for a word that the provider cannot have a symbol for, UsageError
    when nothing is named.
    """
    symbols: dict[str, None] = {}
    canonical: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for one in named:
        symbol, name = _symbol(one, form)
        symbols[symbol] = None
        if name:
            canonical[symbol] = name
            aliases[one.word] = symbol
    if not symbols:
        raise UsageError("no symbols given", hint=f"Name some, such as {' '.join(form.common[:2]) or '@majors'}.")
    return Resolved(tuple(symbols), canonical, aliases)


def near_symbols(symbols: Sequence[str], form: SymbolForm) -> str:
    """A sentence for symbols that the provider refused: what else they may have been. Empty where nobody knows.

    One that the provider surely has was refused for another reason than its spelling.
    """
    near = {symbol: said for symbol in symbols if symbol not in form.common and (said := _near(symbol, form))}
    if len(symbols) == 1:
        return "".join(near.values())
    return " ".join(f"For {symbol}: {said[0].lower()}{said[1:]}" for symbol, said in list(near.items())[:NEAR_SAID])


def _near(symbol: str, form: SymbolForm) -> str:
    spelled, similar = _other_spelling(symbol, form), did_you_mean(symbol, form.common)
    meaning = parse(symbol)
    return spelled or similar if meaning and meaning.sure else similar or spelled


def _symbol(named: Named, form: SymbolForm) -> tuple[str, str | None]:
    """The symbol, and its canonical name if it was named by another spelling of it."""
    word = named.word
    if word in form.common:
        return word, None
    if same := [one for one in form.common if one.casefold() == word.casefold()]:
        return same[0], None
    fits = form.pattern.fullmatch(word) is not None
    meaning, spelled = _spelling(word, form)
    if fits and not (meaning and meaning.sure) and spelled not in form.common:
        return word, None
    if meaning and spelled:
        return spelled, None if spelled.casefold() == word.casefold() else meaning.name
    if meaning and meaning.sure and meaning.quote and form.alias and not (fits and form.elsewhere):
        raise _not_there(named, meaning, form)
    for candidate in (word, word.upper()):
        if form.pattern.fullmatch(candidate):
            return candidate, None
    raise _malformed(named, form)


def _spelling(word: str, form: SymbolForm) -> tuple[Canonical | None, str | None]:
    """What the word means to this provider, and how it spells that.

    A pair at an exchange is not the same pair at another one; the exchange of a stock is where it is listed.
    """
    meaning = parse(word)
    if meaning is None or (meaning.quote and meaning.exchange not in ("", form.name.upper())):
        return None, None
    spelled = form.alias(meaning) if form.alias else None
    return meaning, spelled if spelled and form.pattern.fullmatch(spelled) else None


def _words(args: Iterable[str], files: Iterable[Path], stdin: BinaryIO | None) -> Iterator[tuple[str, str]]:
    for arg in args:
        if arg == STDIN:
            yield from _read(stdin, "stdin")
        else:
            yield from ((word, "") for word in arg.split(",") if word.strip())
    for path in files:
        if str(path) == STDIN:
            yield from _read(stdin, "stdin")
            continue
        try:
            with path.open("rb") as file:
                yield from _read(file, str(path))
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", error)
            raise UsageError(f"cannot read symbols from {shown(str(path))}: {reason}") from error


def _read(file: BinaryIO | None, name: str) -> Iterator[tuple[str, str]]:
    data = file.read(MAX_FILE_BYTES + 1) if file is not None else b""
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name} is longer than {MAX_FILE_BYTES >> 20} MiB: it is no list of symbols")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is no UTF-8 text, so it is no list of symbols") from error
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.partition("#")[0].replace(",", " ").split():
            yield word, f"{name}, line {number}"


def _expand(word: str, origin: str, watchlists: Mapping[str, Sequence[str]]) -> Iterator[Named]:
    word = word.strip()
    if not word.startswith("@"):
        yield Named(word, origin)
        return
    name = word[1:]
    if name not in watchlists:
        raise UsageError(
            f"there is no watchlist {shown(name)}" + (f" ({origin})" if origin else ""),
            hint=did_you_mean(name, watchlists, prefix="@")
            or 'Watchlists stand in the config file: [watchlists] majors = ["EURUSD", "GBPUSD"].',
        )
    for symbol in watchlists[name]:
        yield Named(symbol, f"watchlist {name}", ConfigError)


def _malformed(named: Named, form: SymbolForm) -> TickstreamError:
    return named.error(
        f"{shown(named.word)} is not a symbol{_where(named)}: {form.help_text}", hint=_suggestion(named.word, form)
    )


def _not_there(named: Named, meaning: Canonical, form: SymbolForm) -> TickstreamError:
    return named.error(
        f"{shown(named.word)}{_where(named)}: {form.title} has no symbol for {meaning}",
        hint=_other_spelling(named.word, form) or f"Symbols are {form.help_text}.",
    )


def _where(named: Named) -> str:
    return f" ({named.origin})" if named.origin else ""


def _suggestion(word: str, form: SymbolForm) -> str:
    """The same symbol as the provider writes it, where only that is wrong; else the nearest common one."""
    bare = re.sub(r"[^A-Z0-9]", "", word.upper())
    if said := _other_spelling(word, form):
        return said
    if form.pattern.fullmatch(bare) and not (form.alias and parse(word)):
        return f"Did you mean {bare}?"
    return did_you_mean(bare, form.common)


def _other_spelling(word: str, form: SymbolForm) -> str:
    """What the provider has instead of a pair or a stock: here and not at another exchange, in USDT and not in USD."""
    meaning = parse(word)
    if meaning is None or form.alias is None:
        return ""
    here = meaning._replace(exchange="") if meaning.quote else meaning
    if spelled := form.alias(here):
        return f"Did you mean {spelled}?" if spelled != word else ""
    if here.quote == "USD" and here.sure and (spelled := form.alias(here._replace(quote="USDT"))):
        return f"Did you mean {spelled}? That is in USDT, a coin, not in dollars."
    return ""
