"""What the displays show of a provider: for each symbol its latest data, its change since the start and its last
prices. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal

from msgspec.structs import astuple

from tickstream.events import (
    Account,
    Bar,
    BookSnapshot,
    BookUpdate,
    Event,
    Gap,
    MarketEvent,
    Notice,
    Quote,
    SessionEvent,
    Trade,
)
from tickstream.numbers import Number
from tickstream.sinks.books import BOOK_TYPES, WITHHELD, Books
from tickstream.sinks.clean import clean
from tickstream.status import SessionStatus
from tickstream.timestamps import Timestamp

TREND_LENGTH = 20
"""How many prices a row remembers for its sparkline."""
REFUSALS = ("symbol_refused", "symbol_limit")
"""Codes of the notices that say that symbols will not be served."""
LARGE_BATCH = 64
"""Events. Of a larger batch, only the last of each symbol is looked at."""
EXTRA_ROWS = 1000
"""How many symbols that nobody asked for are shown: a provider must not fill our memory with them."""

_EXACT = Context(prec=1000)
"""Decimal rounds to 28 digits otherwise; a Number has up to 64, and an exponent."""

_HUNDREDTH = Decimal("0.01")


class Row:
    """One symbol. `values` are texts as the provider wrote them, cleaned; times stay Timestamps."""

    __slots__ = ("board", "direction", "first", "moved_at", "prices", "seen_at", "symbol", "ts_event", "values")

    def __init__(self, board: Board, symbol: str) -> None:
        self.board = board
        """The one that it is a row of."""
        self.symbol = symbol
        self.values: dict[str, str | Timestamp] = {"symbol": clean(symbol)}
        if board.provider:
            self.values["provider"] = clean(board.provider)
        self.prices: deque[bytes] = deque(maxlen=TREND_LENGTH)
        """The last closes (bars), trade prices, or last or bid prices (quotes); oldest first."""
        self.first: bytes | None = None
        self.ts_event: Timestamp | None = None
        self.seen_at: float | None = None
        """When data came last, monotonic seconds."""
        self.moved_at: float | None = None
        """When the price changed last."""
        self.direction = 0
        """Whether it then went up (1) or down (-1)."""

    def add_price(self, event: MarketEvent) -> None:
        """Remember the price of a market event; a bar that is still growing replaces its last one."""
        price = price_of(event)
        if price is None:
            return
        digits = bytes(price)
        if self.first is None:
            self.first = digits
        if isinstance(event, Bar) and event.ts_event == self.ts_event and self.prices:
            self.prices[-1] = digits
        else:
            self.prices.append(digits)
        self.ts_event = event.ts_event

    def update(self, event: MarketEvent, before: bytes | None, now: float) -> None:
        """Take the latest event of a batch: its values are copied, so that the batch's memory can go."""
        self.seen_at = now
        values = self.values
        for name, value in zip(event.__struct_encode_fields__, astuple(event), strict=True):
            if value is None:
                values.pop(name, None)
            elif type(value) is Number:
                values[name] = str(value, "ascii", "replace")
            elif type(value) is Timestamp:
                values[name] = value
            elif type(value) is bool:
                values[name] = "yes" if value else "no"
            else:
                values[name] = clean(str(value))
        if before is not None and self.prices and before != self.prices[-1]:
            moved = _decimal(self.prices[-1]).compare(_decimal(before))
            if moved:
                self.direction, self.moved_at = int(moved), now

    @property
    def refused(self) -> str | None:
        """Why the provider refuses the symbol, cleaned; None: it does not."""
        return self.board.refused.get(self.symbol)

    def forget_quote(self) -> None:
        """Its best prices are not known any more."""
        for name in ("bid", "bid_size", "ask", "ask_size", "spread"):
            self.values.pop(name, None)

    @property
    def change(self) -> Decimal | None:
        """The last price less the first of the run, exact; None before there is one."""
        if self.first is None or not self.prices:
            return None
        return _EXACT.subtract(_decimal(self.prices[-1]), _decimal(self.first))

    @property
    def change_percent(self) -> Decimal | None:
        """The change in hundredths of the first price, to two decimals; None where that is 0 or unknown."""
        change = self.change
        if change is None or self.first is None or not _decimal(self.first):
            return None
        return (change * 100 / abs(_decimal(self.first))).quantize(_HUNDREDTH, context=_EXACT)


class Board:
    """The rows, in the order of the command line; symbols that nobody asked for are added at the end.

    Of an order book a row shows the best levels; `books` has the others. `sessions` tells whose symbols are whose.
    """

    def __init__(self, symbols: Iterable[str], sessions: Sequence[SessionStatus] = (), provider: str = "") -> None:
        self.provider = provider
        self.rows: dict[str, Row] = {symbol: Row(self, symbol) for symbol in symbols}
        self.books = Books()
        self._sessions = sessions
        self._most_rows = len(self.rows) + EXTRA_ROWS
        self.plan: str | None = None
        """The plan as the provider calls it, cleaned."""
        self.notice: tuple[Timestamp, str] | None = None
        """The last thing to know about the stream: when, and what, cleaned."""
        self._changed: dict[str, Row] = {}
        self.refused: dict[str, str] = {}
        """Symbols the provider refuses -> why, cleaned."""

    def add(self, events: Sequence[Event], now: float) -> None:
        """Take a batch, received at `now` monotonic seconds.

        A large one costs by symbols, not by events: then the trend has one point for the batch.
        """
        market = [event for event in events if isinstance(event, MarketEvent)]
        if not BOOK_TYPES.isdisjoint(map(type, market)):
            market = self._add_books(events)
        elif len(market) < len(events):
            for event in events:
                self._add_stream_event(event)
        latest = {event.symbol: event for event in market}
        before = {symbol: row.prices[-1] for symbol in latest if (row := self.rows.get(symbol)) and row.prices}
        for event in market if len(market) <= LARGE_BATCH else latest.values():
            row = self.rows.get(event.symbol) or self._new_row(event.symbol)
            if row is not None:
                row.add_price(event)
        for symbol, event in latest.items():
            row = self.rows.get(symbol)
            if row is not None:
                row.update(event, before.get(symbol), now)
                self._changed[symbol] = row

    def take_changed(self) -> list[Row]:
        """The rows that have had data since the last call."""
        rows, self._changed = list(self._changed.values()), {}
        return rows

    def _add_books(self, events: Sequence[Event]) -> list[MarketEvent]:
        """Each event in its turn, for a book is wrong from one to another. What is left to show: tops of books."""
        touched: dict[str, MarketEvent] = {}
        others: list[MarketEvent] = []
        for event in events:
            if isinstance(event, BookSnapshot | BookUpdate):
                if event.symbol in self.rows or self._new_row(event.symbol) is not None:
                    self.books.take(event)
                    touched[event.symbol] = event
            elif isinstance(event, MarketEvent):
                others.append(event)
            else:
                self._add_stream_event(event)
        return [*others, *map(self.books.top, touched.values())]

    def _withhold(self, symbols: Iterable[str], why: str) -> None:
        """Books that are wrong until their next snapshot."""
        for symbol in symbols:
            if not self.books.why_not(symbol):
                row = self.rows[symbol]
                row.forget_quote()
                self._changed[symbol] = row
        self.books.withhold(symbols, clean(why))

    def _new_row(self, symbol: str) -> Row | None:
        if len(self.rows) >= self._most_rows:
            return None
        row = self.rows[symbol] = Row(self, symbol)
        return row

    def _add_stream_event(self, event: Event) -> None:
        if isinstance(event, Account):
            self.plan = None if event.plan is None else clean(event.plan)
        elif isinstance(event, Notice):
            self.notice = event.ts_recv, clean(f"{event.code}: {event.message}")
            reason = event.message.removeprefix(f"{', '.join(event.symbols)}: ")
            if event.code in REFUSALS:
                self.refused.update(dict.fromkeys(event.symbols, clean(reason)))
            elif event.code in WITHHELD:
                self._withhold(event.symbols, reason)
        elif isinstance(event, Gap):
            self._withhold(event.symbols, f"updates are missing ({event.reason})")
            missed = f", {event.missed} missed" if event.missed else ""
            self.notice = event.end, clean(f"gap ({event.reason}){missed}: {' '.join(event.symbols)}")
        elif isinstance(event, SessionEvent):
            if event.state in ("down", "held"):
                lost = (one.symbols for one in self._sessions if one.session == event.session)
                self._withhold([symbol for symbols in lost for symbol in symbols], "not connected")
            text = _session_news(event)
            self.notice = (event.ts_recv, clean(text)) if text else self.notice


def _session_news(event: SessionEvent) -> str:
    """What a change of a session has to say for itself; nothing where all goes as planned."""
    if event.state == "up":
        return f"session {event.session} up again (connection {event.epoch})" if event.epoch > 1 else ""
    if event.state == "connecting" or not event.reason:
        return ""
    return f"session {event.session} {event.state}: {event.reason}"


def price_of(event: MarketEvent) -> Number | None:
    """The one price that a change and a trend are about: close, trade price, last, or bid."""
    if isinstance(event, Bar):
        return event.close
    if isinstance(event, Trade):
        return event.price
    if isinstance(event, Quote):
        return event.last if event.last is not None else event.bid
    return None


def _decimal(digits: bytes) -> Decimal:
    return Decimal(digits.decode())
