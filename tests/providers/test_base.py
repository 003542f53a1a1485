"""What every protocol says and keeps in the same way: shares, refusals, redaction, bounded talk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.providers.conversation import KEY, live
from tickstream.errors import ProviderError, SymbolRefused
from tickstream.events import Notice
from tickstream.keys import Secret
from tickstream.providers import load
from tickstream.providers.base import (
    NOTICES_PER_MINUTE,
    QUARANTINE_AT_ONCE,
    QUARANTINE_BYTES,
    ConnectRequest,
    ErrorCode,
    Feed,
    FeedProtocol,
    NoticeLimit,
    Phase,
)
from tickstream.subscriptions import Subscription
from tickstream.timestamps import Timestamp

NOW = Timestamp(1_782_312_840_000_000_000)


class Bare(FeedProtocol):
    """A protocol that is only what all of them are."""

    spec = load("tickatlas")

    def connect_request(self) -> ConnectRequest:
        return ConnectRequest(self.feed.url)

    def open(self, now: float) -> None:
        self._outgoing.append(b"hello")

    def receive(self, payloads: list[bytes], ts_recv: Timestamp, now: float) -> None:
        self._payloads += payloads


def bare(*symbols: str, key: str | None = KEY) -> Bare:
    return Bare(Feed("wss://p/", Subscription(symbols or ("A", "B")), Secret(key) if key else None))


def taken_from(protocol: FeedProtocol) -> list[int]:
    """How much of each kind there was to take."""
    kinds = (
        protocol.frames_to_send(0.0), protocol.take_events(), protocol.take_payloads(), protocol.take_quarantined()
    )  # fmt: skip
    return [len(kind) for kind in kinds]


class TestShares:
    @given(st.integers(0, 60), st.integers(1, 6))
    def test_the_shares_of_all_sessions_are_the_limit(self, limit: int, shards: int) -> None:
        feeds = [Feed("", Subscription(()), shard=shard, shards=shards) for shard in range(shards)]
        assert sum(feed.share_of(limit) for feed in feeds) == limit

    @given(st.lists(st.text("ABC", min_size=3), unique=True, max_size=12), st.integers(1, 5), st.integers(0, 14))
    def test_each_session_asks_for_its_part_of_the_first(self, symbols: list[str], count: int, limit: int) -> None:
        parts = Subscription(tuple(symbols)).shards(count)
        assert sorted(s for part in parts for s in part.symbols) == sorted(symbols)
        asked = [
            s
            for number, part in enumerate(parts)
            for s in part.symbols[: Feed("", part, shard=number, shards=len(parts)).share_of(limit)]
        ]
        assert sorted(asked) == sorted(symbols[:limit])

    @pytest.mark.parametrize("limit", [-1, 0, 10**30, -(10**30)])
    def test_no_limit_is_too_strange(self, limit: int) -> None:
        assert Feed("", Subscription(()), shard=1, shards=2).share_of(limit) == max(0, limit // 2)


class TestDefaults:
    def test_a_protocol_without_deadlines_has_none(self) -> None:
        protocol = bare()
        protocol.tick(1e9, NOW)
        assert protocol.next_deadline() is None

    def test_what_is_taken_is_gone(self) -> None:
        protocol = bare()
        protocol.open(0)
        protocol.receive([b"x"], NOW, 0)
        protocol.notice(NOW, "a", "b")
        protocol.quarantine(b"x", "y")
        assert protocol.has_events
        assert taken_from(protocol) == [1, 1, 1, 1]
        assert taken_from(protocol) == [0, 0, 0, 0]
        assert not protocol.has_events

    def test_it_begins_with_the_authentication_and_nothing_active(self) -> None:
        protocol = bare()
        assert (protocol.phase, protocol.active, protocol.paused, protocol.account) == (Phase.AUTH, (), False, None)


class TestRefusals:
    def test_nothing_left_to_ask_for_is_an_error_that_says_how_symbols_are_written(self) -> None:
        protocol = bare("A", "B")
        with pytest.raises(SymbolRefused, match="A, B") as caught:
            protocol.choose(NOW, 0)
        assert caught.value.symbols == ("A", "B")
        assert "EURUSD" in caught.value.hint

    def test_without_a_limit_everything_is_asked_for(self) -> None:
        assert bare("A", "B").choose(NOW, None) == ("A", "B")

    def test_a_confirmation_of_more_than_was_asked_is_no_more_than_that(self) -> None:
        protocol = bare("A", "B")
        protocol.choose(NOW, 1)
        protocol.confirm(NOW, frozenset({"A", "B", "C"}))
        assert protocol.active == ("A",)


class TestErrorCodes:
    def test_a_code_is_explained_in_our_words_and_the_providers(self) -> None:
        protocol = bare()
        assert protocol.words_for("invalid_key", "No such key.") == (
            "invalid_key: the key is unknown or revoked (No such key.)"
        )
        assert protocol.words_for("x", "") == "x: an error code that tickstream does not know"

    def test_what_is_not_in_the_table_is_no_exception(self) -> None:
        assert bare().error_for("x", "") is None
        assert bare().error_for("quota_exceeded", "") is None
        assert load("tickatlas").error("x") is None

    def test_the_last_error_before_data_explains_the_close(self) -> None:
        protocol = bare()
        assert protocol.closed(1000, "") is None
        protocol.report(NOW, "odd", "something odd")
        meaning = protocol.closed(1000, "")
        assert isinstance(meaning, ProviderError)
        assert "TickAtlas: odd: an error code that tickstream does not know (something odd)" in meaning.message
        protocol.go_live()
        assert protocol.closed(1000, "") is None

    def test_an_error_that_is_an_exception_explains_it_as_that(self) -> None:
        protocol = bare()
        with pytest.raises(ProviderError):
            protocol.report(NOW, "connection_limit", "")
        meaning = protocol.closed(1008, "")
        assert type(meaning).__name__ == "ConnectionLimit"


class TestWhatIsSetAside:
    def test_its_first_4_kib_are_kept(self) -> None:
        protocol = bare(key=None)
        protocol.quarantine(b"a" * 10_000, "too odd")
        assert protocol.take_quarantined()[0].payload == b"a" * QUARANTINE_BYTES

    def test_a_hundred_are_kept_and_all_are_counted(self) -> None:
        protocol = bare()
        for _ in range(QUARANTINE_AT_ONCE + 5):
            protocol.quarantine(b"x", "y" * 1000)
        kept = protocol.take_quarantined()
        assert len(kept) == QUARANTINE_AT_ONCE
        assert len(kept[0].reason) == 200
        assert protocol.counters.quarantined == QUARANTINE_AT_ONCE + 5

    @given(
        st.integers(QUARANTINE_BYTES - 200, QUARANTINE_BYTES + 200), st.integers(0, 400), st.integers(1, 300),
        st.sampled_from(["tk_0123456789", "s3cr3t/with+odd=chars&é", "k" * 120]),
    )  # fmt: skip
    def test_no_cut_leaves_a_part_of_the_key_behind(self, before: int, after: int, times: int, key: str) -> None:
        protocol = bare(key=key)
        protocol.quarantine(b"-" * before + key.encode() * times + b"-" * after, "odd")
        (kept,) = protocol.take_quarantined()
        assert len(kept.payload) <= QUARANTINE_BYTES
        assert set(kept.payload) <= set(b"-*")

    def test_no_key_no_redaction(self) -> None:
        protocol = bare(key=None)
        assert protocol.redact(KEY) == KEY


class TestNotices:
    def test_their_length_is_bounded(self) -> None:
        protocol = bare()
        protocol.notice(NOW, "c" * 1000, "m" * 1000)
        (notice,) = protocol.take_events()
        assert isinstance(notice, Notice)
        assert (len(notice.code), len(notice.message)) == (60, 400)

    def test_ten_a_minute_and_no_more(self) -> None:
        limit = NoticeLimit()
        assert [limit.allows(0) for _ in range(12)] == [True] * NOTICES_PER_MINUTE + [False] * 2
        assert not limit.allows(59.9)
        assert limit.allows(60)

    def test_a_clock_set_back_does_not_silence_them(self) -> None:
        limit = NoticeLimit()
        while limit.allows(1000):
            pass
        assert limit.allows(500)


def test_an_error_code_may_be_ours_to_guess() -> None:
    assert ErrorCode("c", "m", "a").documented


def test_a_request_shows_no_secret() -> None:
    request = ConnectRequest("wss://p/", {"X-Key": Secret(KEY)}, secrets=(Secret(KEY),))
    assert KEY not in repr(request)
    assert KEY not in repr(live("X").protocol.feed)
