"""What the benchmark sends as Coinbase is what Coinbase sends: trades without a hole, a book that is never crossed."""

from __future__ import annotations

from tests.bench.coinbase import DEPTH, FIRST_TRADE, book, changes, trades
from tests.providers.conversation import Conversation
from tickstream.events import Batch, BookSnapshot, BookUpdate, Gap, Trade
from tickstream.pipeline.book import BookStage
from tickstream.subscriptions import Channel

SOME = 3_000


def test_each_trade_is_one_and_none_is_missing() -> None:
    talk = Conversation("BTC-USD", provider="coinbase", channel=Channel.TRADES, key=None)
    messages = trades(SOME)
    talk.hear(*messages)
    assert [trade.trade_id for trade in talk.all(Trade)] == [str(FIRST_TRADE + number) for number in range(SOME)]
    assert talk.all(Gap) == []
    assert talk.payloads == messages
    assert 280 < sum(map(len, messages)) / SOME < 340


def test_each_change_leaves_a_book_that_is_right() -> None:
    talk = Conversation("BTC-USD", provider="coinbase", channel=Channel.BOOK, key=None)
    messages = [book(), *changes(SOME)]
    talk.hear(*messages)
    assert len(talk.all(BookSnapshot)) == 1
    assert len(talk.all(BookUpdate)) == SOME
    stage = BookStage()
    assert stage.process(Batch(1, 1, talk.ts, talk.events)).events == talk.events
    assert stage.withheld == 0
    assert min(stage.books()["BTC-USD"].counts) > DEPTH - SOME
