"""Coinbase Exchange as recorded on 2021-04-17: ten whole books and 9,719 changes, tickers and matches, in order.

The books are kept a second time, with the standard library only, and compared.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.providers.conversation import Conversation
from tests.providers.golden import DATA
from tickstream.events import Batch, BookSnapshot, BookUpdate, Gap, Level, Notice, Quote, Trade
from tickstream.numbers import decimal, text
from tickstream.pipeline.book import BookStage
from tickstream.subscriptions import Channel

MESSAGES = gzip.decompress((DATA / "coinbase" / "exchange_2021.jsonl.gz").read_bytes()).splitlines()
DECODED = [json.loads(message) for message in MESSAGES]
LEVELS = 8359
"""Of all books at the end."""
PRODUCTS = tuple(sorted({message["product_id"] for message in DECODED if "product_id" in message}))


def replayed(at_once: int) -> Conversation:
    """What the protocol makes of the recording, in batches of so many."""
    talk = Conversation(
        *PRODUCTS, provider="coinbase", channel=Channel.BOOK, key=None, settings={"book": "level2"}
    )  # as it was subscribed then
    for start in range(0, len(MESSAGES), at_once):
        talk.hear(*MESSAGES[start : start + at_once])
    return talk


class Reconstruction:
    """The books in the test's own words: prices as decimals, and what waits there."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}

    def take(self, message: dict[str, object]) -> None:
        product = str(message["product_id"])
        if message["type"] == "snapshot":
            self.books[product] = {
                side: {Decimal(price): Decimal(size) for price, size in message[name]}  # type: ignore[attr-defined]  # a list
                for side, name in (("buy", "bids"), ("sell", "asks"))
            }
        elif message["type"] == "l2update":
            for side, price, size in message["changes"]:  # type: ignore[attr-defined]  # a list
                if Decimal(size):
                    self.books[product][side][Decimal(price)] = Decimal(size)
                else:
                    del self.books[product][side][Decimal(price)]  # fails for a level that there is not

    def best(self, product: str) -> tuple[Decimal, Decimal]:
        return max(self.books[product]["buy"]), min(self.books[product]["sell"])


def as_decimals(levels: tuple[Level, ...]) -> list[tuple[Decimal, Decimal]]:
    return [(decimal(price), decimal(size)) for price, size in levels]


def test_all_9946_messages_give_their_events() -> None:
    talk = replayed(300)
    assert Counter(type(event) for event in talk.events) == {BookUpdate: 9719, BookSnapshot: 10, Quote: 107, Trade: 107}
    assert Counter(message["type"] for message in DECODED) == {
        "l2update": 9719, "snapshot": 10, "ticker": 107, "match": 97, "last_match": 10, "subscriptions": 3,
    }  # fmt: skip
    counters = talk.protocol.counters
    assert (counters.messages, counters.quarantined, counters.unknown, counters.unrequested) == (9946, 0, 0, 0)
    assert len(talk.payloads) == 9943, "all but the three confirmations"
    assert talk.all(Gap) == talk.all(Notice) == []


@pytest.mark.parametrize("at_once", [1, 7])
def test_the_size_of_the_batches_makes_no_difference(at_once: int) -> None:
    assert replayed(at_once).events == replayed(1000).events


def test_every_book_is_uncrossed_and_identical_to_an_independent_reconstruction() -> None:
    """After each of the 9,946 messages the book it is about has the same ends, as many levels, and the change in it;
    every 250 messages, after each snapshot and at the end all books are the same to the last level."""
    talk, mirror, stage = replayed(300), Reconstruction(), BookStage()
    events = iter(talk.events)
    compared = levels = 0
    for number, message in enumerate(DECODED):
        if message["type"] == "subscriptions":
            continue
        event = next(events)
        out = stage.process(Batch(1, 1, talk.ts, [event]))
        assert out.events == [event], "nothing is withheld, and nothing said about it"
        mirror.take(message)
        if not isinstance(event, BookSnapshot | BookUpdate):
            continue
        compared += 1
        book, sides = stage.books()[event.symbol], mirror.books[event.symbol]
        bids, asks = book.depth(1)
        bid, ask = mirror.best(event.symbol)
        assert decimal(bids[0][0]) == bid < ask == decimal(asks[0][0])
        assert book.counts == (len(sides["buy"]), len(sides["sell"]))
        if number % 250 == 0 or isinstance(event, BookSnapshot):
            levels += _same_levels(stage, mirror)
    assert next(events, None) is None
    assert compared == 9729, "ten snapshots and 9,719 changes"
    assert _same_levels(stage, mirror) == LEVELS
    assert levels == 334_355
    assert stage.withheld == 0
    assert stage.books().keys() == set(PRODUCTS)


def test_books_kept_a_batch_at_a_time_are_the_same() -> None:
    talk, mirror, stage = replayed(300), Reconstruction(), BookStage()
    for message in DECODED:
        if message["type"] != "subscriptions":
            mirror.take(message)
    for start in range(0, len(talk.events), 300):
        some = talk.events[start : start + 300]
        assert stage.process(Batch(1, 1, talk.ts, list(some))).events == some
    assert _same_levels(stage, mirror) == LEVELS


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_single_change_that_is_left_out_would_be_noticed(product: str) -> None:
    """So the comparison can fail, for every book. It is the last change: none after it mends what is missing then."""
    mirror, stage = Reconstruction(), BookStage()
    for message in DECODED:
        if message["type"] in ("snapshot", "l2update"):
            mirror.take(message)
    talk = replayed(300)
    left_out = [event for event in talk.all(BookUpdate) if event.symbol == product][-1]
    stage.process(Batch(1, 1, talk.ts, [event for event in talk.events if event is not left_out]))
    with pytest.raises(AssertionError):
        _same_levels(stage, mirror)


def _same_levels(stage: BookStage, mirror: Reconstruction) -> int:
    """How many levels were compared in all books."""
    count = 0
    for product, book in stage.books().items():
        bids, asks = book.depth()
        assert as_decimals(bids) == sorted(mirror.books[product]["buy"].items(), reverse=True)
        assert as_decimals(asks) == sorted(mirror.books[product]["sell"].items())
        count += len(bids) + len(asks)
    return count


def test_snapshots_are_sorted_with_the_best_first() -> None:
    for book in replayed(300).all(BookSnapshot):
        assert all(decimal(one) > decimal(other) for (one, _), (other, _) in pairwise(book.bids))
        assert all(decimal(one) < decimal(other) for (one, _), (other, _) in pairwise(book.asks))


def test_prices_and_sizes_have_the_digits_that_were_sent() -> None:
    updates = [message for message in DECODED if message["type"] == "l2update"]
    for message, event in zip(updates, replayed(300).all(BookUpdate), strict=True):
        sent = {"buy": [], "sell": []}  # type: dict[str, list[tuple[str, str]]]
        for side, price, size in message["changes"]:
            sent[side].append((price, size))
        assert [(text(price), text(size)) for price, size in event.bids] == sent["buy"]
        assert [(text(price), text(size)) for price, size in event.asks] == sent["sell"]


def test_trades_are_those_of_the_tickers_beside_them() -> None:
    """Both name the trade; the side of a ticker is the taker's."""
    tickers = {
        (message["product_id"], str(message["trade_id"])): (message["side"], message["price"], message["last_size"])
        for message in DECODED
        if message["type"] == "ticker"
    }
    trades = replayed(300).all(Trade)
    both = [trade for trade in trades if (trade.symbol, trade.trade_id) in tickers]
    assert len(both) == len(tickers)
    for trade in both:
        assert trade.size is not None
        assert tickers[trade.symbol, str(trade.trade_id)] == (trade.side, text(trade.price), text(trade.size))
