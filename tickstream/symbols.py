"""From what the user names to symbols: arguments, watchlists (`@majors`), files, stdin; checked, each once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tickstream.errors import ConfigError, TickstreamError, UsageError
from tickstream.suggestions import did_you_mean, shown

MAX_FILE_BYTES = 1 << 20
"""A longer list of symbols is some other file."""

STDIN = "-"


class SymbolForm(NamedTuple):
    """What a provider's symbols look like: the whole of one matches `pattern`; `help_text` says it in words.

    `common` are examples, for "did you mean".
    """

    pattern: re.Pattern[str]
    help_text: str
    common: Sequence[str] = ()


class _Named(NamedTuple):
    symbol: str
    origin: str
    error: type[TickstreamError]


def resolve_symbols(
    args: Iterable[str],
    form: SymbolForm,
    *,
    files: Iterable[Path] = (),
    stdin: BinaryIO | None = None,
    watchlists: Mapping[str, Sequence[str]] | None = None,
) -> tuple[str, ...]:
    """The symbols of a run, each once, in the order given: arguments first, then files.

    An argument is a symbol, several joined by commas, `@name` for a watchlist, or `-` for stdin. Files and stdin hold
    any number of the same per line; `#` begins a comment. Watchlists hold symbols only: one list in another would
    need rules for cycles, and `@a @b` does the same.

    Raises UsageError for a malformed symbol, an unknown watchlist, an unreadable file, or when nothing is named;
    ConfigError for a malformed symbol in a watchlist.
    """
    lists = watchlists or {}
    found: dict[str, None] = {}
    for word, origin in _words(args, files, stdin):
        for named in _expand(word, origin, lists):
            if form.pattern.fullmatch(named.symbol) is None:
                raise _malformed(named, form)
            found[named.symbol] = None
    if not found:
        raise UsageError("no symbols given", hint=f"Name some, such as {' '.join(form.common[:2]) or '@majors'}.")
    return tuple(found)


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


def _expand(word: str, origin: str, watchlists: Mapping[str, Sequence[str]]) -> Iterator[_Named]:
    word = word.strip()
    if not word.startswith("@"):
        yield _Named(word, origin, UsageError)
        return
    name = word[1:]
    if name not in watchlists:
        raise UsageError(
            f"there is no watchlist {shown(name)}" + (f" ({origin})" if origin else ""),
            hint=did_you_mean(name, watchlists, prefix="@")
            or 'Watchlists stand in the config file: [watchlists] majors = ["EURUSD", "GBPUSD"].',
        )
    for symbol in watchlists[name]:
        yield _Named(symbol, f"watchlist {name}", ConfigError)


def _malformed(named: _Named, form: SymbolForm) -> TickstreamError:
    where = f" ({named.origin})" if named.origin else ""
    return named.error(
        f"{shown(named.symbol)} is not a symbol{where}: {form.help_text}", hint=_suggestion(named.symbol, form)
    )


def _suggestion(symbol: str, form: SymbolForm) -> str:
    """The same symbol as the provider writes it, where only that is wrong; else the nearest common one."""
    bare = re.sub(r"[^A-Z0-9]", "", symbol.upper())
    for candidate in (symbol.upper(), bare):
        if form.pattern.fullmatch(candidate):
            return f"Did you mean {candidate}?"
    return did_you_mean(bare, form.common)
