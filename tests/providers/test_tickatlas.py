"""TickAtlas: the conversation, rule by rule, as its streaming guide tells it."""

from __future__ import annotations

import msgspec
import pytest

from tests.providers.conversation import EVENING, KEY, Conversation, authenticated, error, live, quote, subscribed
from tickstream.errors import (
    AuthTimeout,
    ConnectionLimit,
    Forbidden,
    InvalidKey,
    ProviderError,
    Recovery,
    SessionStale,
    SymbolRefused,
)
from tickstream.events import Account, Bar, Notice
from tickstream.providers.base import Phase
from tickstream.providers.tickatlas import DAY_NS, MUTE_AFTER_S, REPLY_TIMEOUT_S, SPEC
from tickstream.timestamps import NS_PER_SECOND, Timestamp

AUTH = {"action": "auth", "key": KEY}


def subscribe(*symbols: str) -> dict[str, object]:
    return {"action": "subscribe", "symbols": list(symbols)}


class TestAuthenticating:
    def test_the_key_goes_out_once_in_the_first_message_and_nowhere_else(self) -> None:
        talk = Conversation("EURUSD")
        assert talk.sent == [AUTH]
        request = talk.protocol.connect_request()
        assert request.url == "wss://tickatlas.com/ws/v1/quotes"
        assert not request.headers
        assert [secret.reveal() for secret in request.secrets] == [KEY]
        assert KEY not in repr(request)

    def test_the_name_of_the_field_is_a_setting(self) -> None:
        assert Conversation("EURUSD", settings={"auth_field": "api_key"}).sent == [{"action": "auth", "api_key": KEY}]

    def test_without_a_key_the_server_is_asked_all_the_same(self) -> None:
        talk = Conversation("EURUSD", key=None)
        assert talk.sent == [{"action": "auth", "key": ""}]
        assert talk.protocol.connect_request().secrets == ()

    def test_the_account_is_what_the_server_says(self) -> None:
        talk = Conversation("EURUSD")
        events = talk.hear(authenticated())
        assert events == [Account("tickatlas", talk.ts, "starter", 5, 5, 10_000)]
        assert talk.protocol.account == events[0]
        assert talk.protocol.phase is Phase.SUBSCRIBE
        assert talk.sent == [AUTH, subscribe("EURUSD")]

    @pytest.mark.parametrize(
        ("said", "taken"),
        [
            (None, None), ("5", 5), (5.0, 5), (1, 1), (2**53, 2**53),
            (5.5, None), (-1, None), ("many", None), (True, None), ([], None), (2**53 + 1, None), (10**18, None),
        ],
    )  # fmt: skip
    def test_a_count_may_come_in_any_form_and_one_that_cannot_be_read_is_unknown(
        self, said: object, taken: int | None
    ) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(max_symbols=said, credits_per_push=said))
        assert talk.protocol.account is not None
        assert (talk.protocol.account.max_symbols, talk.protocol.account.credits_per_push) == (taken, taken)
        assert talk.sent[-1] == subscribe("EURUSD")

    def test_a_plan_without_symbols_serves_none(self) -> None:
        with pytest.raises(SymbolRefused, match="EURUSD"):
            Conversation("EURUSD").hear(authenticated(max_symbols=0))

    @pytest.mark.parametrize("number", [b"1e999", b"9" * 5000, b"1e300", b"-1e300", b"1e-300"])
    def test_absurd_counts_are_unknown(self, number: bytes) -> None:
        talk = Conversation("EURUSD")
        talk.hear(b'{"type":"authenticated","max_symbols":%b,"credits_per_push":%b}' % (number, number))
        assert talk.protocol.account == Account("tickatlas", talk.ts)
        assert talk.sent[-1] == subscribe("EURUSD")

    def test_a_quota_that_is_overdrawn_is_used_up(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(daily_quota_remaining=-15))
        assert talk.protocol.account is not None
        assert talk.protocol.account.quota_remaining == 0

    def test_a_quota_of_null_is_unlimited(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(daily_quota_remaining=None))
        assert talk.protocol.account is not None
        assert talk.protocol.account.quota_remaining is None

    def test_a_plan_is_shown_without_the_key_and_at_a_bounded_length(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(plan=f"{KEY} " * 1000))
        assert talk.protocol.account is not None
        assert talk.protocol.account.plan == ("*** " * 15)

    def test_a_second_authentication_changes_nothing(self) -> None:
        talk = live("EURUSD")
        assert talk.hear(authenticated(plan="pro")) == []
        assert len(talk.sent) == 2

    def test_no_answer_within_ten_seconds_is_an_auth_timeout_that_names_the_setting(self) -> None:
        talk = Conversation("EURUSD")
        assert talk.protocol.next_deadline() == REPLY_TIMEOUT_S
        assert talk.wait(REPLY_TIMEOUT_S - 0.1) == []
        with pytest.raises(AuthTimeout, match="auth_field"):
            talk.wait(0.1)


class TestSubscribing:
    def test_the_symbols_are_confirmed_and_the_feed_is_live(self) -> None:
        talk = Conversation("EURUSD", "XAUUSD")
        talk.hear(authenticated())
        assert talk.hear(subscribed("XAUUSD", "EURUSD")) == []
        assert talk.protocol.phase is Phase.LIVE
        assert talk.protocol.active == ("EURUSD", "XAUUSD"), "in the order they were given"

    def test_never_more_symbols_than_the_plan_allows_are_asked_for(self) -> None:
        talk = Conversation("EURUSD", "XAUUSD", "GBPUSD")
        events = talk.hear(authenticated(max_symbols=2))
        assert talk.sent[-1] == subscribe("EURUSD", "XAUUSD")
        assert isinstance(events[-1], Notice)
        assert (events[-1].code, events[-1].symbols) == ("symbol_limit", ("GBPUSD",))
        assert "limit of 2 symbols" in events[-1].message

    @pytest.mark.parametrize(
        ("limit", "first", "second"),
        [(5, ("A", "C", "E"), ("B", "D")), (4, ("A", "C"), ("B", "D")), (3, ("A", "C"), ("B",)), (10**20, "ACE", "BD")],
    )
    def test_sessions_share_the_limit_of_the_plan(self, limit: int, first: list[str], second: list[str]) -> None:
        one = Conversation("A", "C", "E", shard=0, shards=2)
        two = Conversation("B", "D", shard=1, shards=2)
        for talk, share in ((one, first), (two, second)):
            talk.hear(authenticated(max_symbols=limit))
            assert talk.sent[-1] == subscribe(*share)

    def test_a_session_whose_share_is_nothing_says_so(self) -> None:
        talk = Conversation("B", shard=1, shards=2)
        with pytest.raises(SymbolRefused, match="B") as caught:
            talk.hear(authenticated(max_symbols=1))
        assert caught.value.symbols == ("B",)
        assert talk.codes == ["symbol_limit"]
        assert talk.sent == [AUTH]

    def test_what_is_missing_in_the_confirmation_is_refused(self) -> None:
        talk = Conversation("EURUSD", "NOSUCH")
        talk.hear(authenticated())
        (notice,) = talk.hear(subscribed("EURUSD"))
        assert isinstance(notice, Notice)
        assert (notice.code, notice.symbols) == ("symbol_refused", ("NOSUCH",))
        assert talk.protocol.active == ("EURUSD",)
        assert "NOSUCH" in talk.protocol.refused

    def test_if_nothing_is_confirmed_the_session_ends(self) -> None:
        talk = Conversation("EURUSD", "NOSUCH")
        talk.hear(authenticated())
        with pytest.raises(SymbolRefused, match="EURUSD, NOSUCH") as caught:
            talk.hear(subscribed())
        assert caught.value.recovery is Recovery.FATAL
        assert talk.codes == ["symbol_refused"]

    def test_what_was_refused_before_is_not_asked_for_again(self) -> None:
        talk = Conversation("EURUSD", "NOSUCH", refused=frozenset({"NOSUCH"}))
        talk.hear(authenticated())
        assert talk.sent[-1] == subscribe("EURUSD")
        with pytest.raises(SymbolRefused, match="NOSUCH"):
            Conversation("NOSUCH", refused=frozenset({"NOSUCH"})).hear(authenticated())

    def test_data_is_as_good_as_a_confirmation(self) -> None:
        talk = Conversation("EURUSD", "XAUUSD")
        talk.hear(authenticated())
        talk.hear(quote("EURUSD"))
        assert talk.protocol.phase is Phase.LIVE
        assert talk.protocol.active == ("EURUSD", "XAUUSD")
        assert talk.wait(REPLY_TIMEOUT_S) == [], "the confirmation that never came is no news then"

    def test_a_confirmation_after_the_first_data_still_counts(self) -> None:
        talk = Conversation("EURUSD", "NOSUCH")
        talk.hear(authenticated())
        talk.hear(quote("EURUSD"), subscribed("EURUSD"))
        assert talk.codes == ["symbol_refused"]
        assert talk.protocol.active == ("EURUSD",)

    def test_without_a_confirmation_the_feed_is_waited_for_and_the_user_told(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated())
        assert [type(event) for event in talk.wait(REPLY_TIMEOUT_S)] == [Notice]
        assert talk.codes == ["no_ack"]
        assert talk.protocol.phase is Phase.LIVE

    def test_a_confirmation_of_nothing_that_was_asked_is_ignored(self) -> None:
        talk = Conversation("EURUSD")
        assert talk.hear(subscribed("EURUSD")) == []
        assert talk.protocol.phase is Phase.AUTH

    def test_symbols_that_the_provider_ends_by_itself_are_refused_from_then_on(self) -> None:
        talk = live("EURUSD", "XAUUSD")
        (notice,) = talk.hear({"type": "unsubscribed", "symbols": ["XAUUSD"], "total_subscribed": 1})
        assert isinstance(notice, Notice)
        assert (notice.code, notice.symbols) == ("symbol_refused", ("XAUUSD",))
        assert talk.protocol.active == ("EURUSD",)
        assert talk.hear({"type": "unsubscribed", "symbols": ["XAUUSD"]}, {"type": "unsubscribed"}) == []


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            ("invalid_key", InvalidKey), ("forbidden", Forbidden), ("connection_limit", ConnectionLimit),
            ("auth_timeout", AuthTimeout),
        ],
    )  # fmt: skip
    def test_a_documented_error_ends_the_conversation_as_the_table_says(
        self, code: str, kind: type[ProviderError]
    ) -> None:
        talk = Conversation("EURUSD")
        with pytest.raises(kind, match=f"TickAtlas: {code}: .*said so") as caught:
            talk.hear(error(code))
        assert caught.value.code == code
        assert caught.value.hint

    @pytest.mark.parametrize("code", ["invalid_symbol", "symbol_limit", "unknown_action", "something_new", ""])
    def test_any_other_code_is_a_notice_and_the_conversation_goes_on(self, code: str) -> None:
        talk = live("EURUSD")
        (notice,) = talk.hear(error(code))
        assert isinstance(notice, Notice)
        assert notice.code == code
        assert "said so" in notice.message
        assert len(talk.hear(quote())) == 1

    @pytest.mark.parametrize("close_code", [1000, 1008, 4001, None])
    def test_an_unknown_error_before_any_data_is_why_a_close_followed(self, close_code: int | None) -> None:
        talk = Conversation("EURUSD")
        talk.hear(error("account_suspended"))
        meaning = talk.protocol.closed(close_code, "")
        assert type(meaning) is ProviderError
        assert meaning.code == "account_suspended"
        assert "account_suspended" in str(meaning)

    def test_a_close_without_an_error_or_after_data_means_what_rfc_6455_says(self) -> None:
        assert Conversation("EURUSD").protocol.closed(1008, "") is None
        talk = live("EURUSD")
        talk.hear(error("something_new"))
        assert talk.protocol.closed(1008, "") is None

    def test_what_came_before_an_error_in_the_same_batch_is_kept(self) -> None:
        talk = live("EURUSD")
        with pytest.raises(ConnectionLimit):
            talk.hear(quote(), quote(), error("connection_limit"), quote())
        assert len(talk.market) == len(talk.payloads) == 2

    def test_a_flood_of_errors_is_not_a_flood_of_notices(self) -> None:
        talk = live("EURUSD")
        talk.hear(*[error("invalid_symbol")] * 50)
        assert len(talk.codes) == 10
        talk.now += 60
        talk.hear(error("invalid_symbol"))
        assert len(talk.codes) == 11


class TestQuota:
    def test_quotes_pause_and_the_user_is_told_once(self) -> None:
        talk = live("EURUSD")
        talk.hear(error("quota_exceeded"))
        assert talk.protocol.paused
        assert talk.hear(error("quota_exceeded"), error("quota_exceeded")) == []
        assert talk.codes == ["quota_exceeded"]

    def test_the_next_quote_ends_the_pause(self) -> None:
        talk = live("EURUSD")
        talk.hear(error("quota_exceeded"))
        talk.now += 2 * 3600
        talk.hear(quote())
        assert not talk.protocol.paused
        talk.wait(60)
        assert len(talk.sent) == 2, "no need to subscribe again"

    def test_what_comes_together_with_the_error_was_sent_before_quotes_stopped(self) -> None:
        talk = live("EURUSD", "XAUUSD")
        events = talk.hear(quote(), error("quota_exceeded"), quote("XAUUSD"))
        assert [type(event) for event in events] == [Bar, Bar, Notice]
        assert talk.protocol.paused

    def test_a_feed_that_stays_silent_after_the_reset_is_subscribed_again(self) -> None:
        talk = live("EURUSD", "XAUUSD")
        talk.hear(error("quota_exceeded"))
        until_reset = 2 * 3600.0
        for _ in range(int(until_reset / 60)):
            talk.wait(60)
            talk.hear({"type": "heartbeat"})
        assert len(talk.sent) == 2
        assert talk.protocol.paused
        talk.wait(59)
        assert len(talk.sent) == 2
        talk.wait(1)
        assert talk.sent[2:] == [subscribe("EURUSD", "XAUUSD")]
        assert not talk.protocol.paused, "from here on silence is a fault again"
        talk.hear(subscribed("EURUSD", "XAUUSD"))
        assert talk.codes == ["quota_exceeded"]

    @pytest.mark.parametrize("before_s", [0.1, 1, 3600, 86_399])
    def test_the_reset_is_at_midnight_utc_whenever_the_quota_ran_out(self, before_s: float) -> None:
        midnight = (EVENING // DAY_NS + 1) * DAY_NS
        talk = live("EURUSD", start=Timestamp(midnight - round(before_s * NS_PER_SECOND)))
        talk.hear(error("quota_exceeded"))
        talk.now += before_s + 59.9
        talk.hear({"type": "heartbeat"})
        talk.wait(0)
        assert len(talk.sent) == 2
        talk.wait(0.2)
        assert len(talk.sent) == 3

    def test_the_next_day_may_end_in_the_same_way(self) -> None:
        talk = live("EURUSD")
        talk.hear(error("quota_exceeded"))
        talk.now += 3 * 3600
        talk.hear(quote(), error("quota_exceeded"))
        assert talk.codes == ["quota_exceeded"] * 2
        assert talk.protocol.next_deadline() == talk.now + MUTE_AFTER_S

    def test_a_key_that_is_used_up_before_it_connects_waits_too(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(daily_quota_remaining=0), error("quota_exceeded"))
        talk.hear(subscribed("EURUSD"))
        assert talk.protocol.phase is Phase.LIVE
        assert talk.protocol.paused

    def test_if_the_server_closes_after_all_the_quota_is_why(self) -> None:
        talk = Conversation("EURUSD")
        talk.hear(authenticated(), error("quota_exceeded"))
        meaning = talk.protocol.closed(1008, "")
        assert isinstance(meaning, ProviderError)
        assert meaning.code == "quota_exceeded"
        assert meaning.retryable


class TestTime:
    def test_heartbeats_and_pongs_keep_the_feed_alive(self) -> None:
        talk = live("EURUSD")
        for message in ({"type": "heartbeat"}, {"type": "pong", "ts": 1}, {"type": "heartbeat", "time": None}):
            talk.wait(MUTE_AFTER_S - 1)
            assert talk.hear(message) == []
        assert talk.protocol.next_deadline() == talk.now + MUTE_AFTER_S

    def test_three_missed_heartbeats_are_a_mute_feed(self) -> None:
        talk = live("EURUSD")
        talk.wait(MUTE_AFTER_S - 0.1)
        with pytest.raises(SessionStale, match="neither data nor a heartbeat for 90 s"):
            talk.wait(0.1)

    def test_before_it_is_opened_nothing_is_due(self) -> None:
        protocol = SPEC.protocol(live("EURUSD").protocol.feed)
        assert protocol.next_deadline() is None
        protocol.tick(1e9, EVENING)


class TestTheDeclaration:
    def test_the_prices_of_the_guide_come_out_of_the_table(self) -> None:
        assert SPEC.credit_rates is not None
        per_push = {plan.name: plan.credits_per_push for plan in SPEC.credit_rates.plans if plan.streaming}
        assert per_push == {"starter": 5, "pro": 4, "enterprise": 3}

    def test_symbols_are_upper_case_without_slash(self) -> None:
        for symbol in (*SPEC.common_symbols, "US30.CASH", "A", "X" * 20):
            assert SPEC.symbol_pattern.fullmatch(symbol), symbol
        for wrong in ("eurusd", "EUR/USD", "", "X" * 21, "EUR USD", "EURUSD\n"):
            assert not SPEC.symbol_pattern.fullmatch(wrong), wrong

    def test_messages_to_the_server_are_compact_json_objects(self) -> None:
        protocol = SPEC.protocol(live("EURUSD").protocol.feed)
        protocol.open(0)
        assert protocol.frames_to_send(0) == [msgspec.json.encode(AUTH)]
        assert protocol.frames_to_send(0) == []
