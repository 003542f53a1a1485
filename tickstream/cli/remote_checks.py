"""What `tickstream doctor` checks at the provider: one connection, one authentication, one subscription, a few pings.

The connection is closed with 1000 whatever happens, unless there is nobody left to say it to.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tickstream.capture.verifying_bars import interval_ns
from tickstream.cli.checks import Case, listed
from tickstream.cli.endpoints import dial_options
from tickstream.cli.exchange import Exchange
from tickstream.diagnosis import LATE_S, Fact, Finding, Skew, Status, Verdict, clock_skew, expiry, latency, punctuality
from tickstream.errors import AuthTimeout, NetworkError, NoData, ProtocolViolation, QuotaExceeded, SessionStale
from tickstream.events import Account, Bar, MarketEvent, Notice
from tickstream.keys import Secret
from tickstream.providers.base import Feed, FeedProtocol, Phase
from tickstream.session.context import Wire
from tickstream.session.urls import is_loopback
from tickstream.subscriptions import Channel, Subscription
from tickstream.timestamps import NS_PER_SECOND, rfc3339

if TYPE_CHECKING:
    from tickstream.session.tls import Handshake
    from tickstream.session.transport import Transport

DIAL_STEPS = {"resolve": "dns", "tcp": "tcp", "tls": "tls", "upgrade": "upgrade"}
"""The dialler's steps -> ours."""
REPLY_S = 15.0
"""For protocols that have no deadline of their own (the dialler's steps have 10 s each)."""
PINGS = 5
PONG_S = 5.0
DATA_SLACK_S = 15.0
DATA_WITHOUT_BARS_S = 30.0
LONGEST_BAR_S = 60
"""Longer ones come as often while they are made, or are not worth waiting for."""
REPLAY_S = 7200.0
"""A server on this machine whose data is older or newer than this replays or simulates: its time says nothing."""

_KNOWN_NOTICES = frozenset({"symbol_refused", "symbol_limit", "quota_exceeded"})
"""Said in other words already."""
_PLAIN_NOTICES = frozenset({"contract"})
"""Nothing is wrong with what they say."""


@dataclass
class Visit:
    """A connection that stands, and what dialling it has shown."""

    case: Case
    exchange: Exchange
    date: str
    """The Date header of the answer to the upgrade."""
    upgraded_ns: int
    """Our wall clock when that answer was there."""
    upgrade_s: float
    skew: Skew | None = field(init=False, default=None)

    @property
    def protocol(self) -> FeedProtocol:
        """Its conversation."""
        return self.exchange.protocol


Check = Callable[[Visit], Finding]
"""A check. Raises the TickstreamError that ends the examination."""


# --- dialling --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def visiting(case: Case) -> Iterator[Visit]:
    """Dial, check by check, and close politely in the end. Raises what a check raises."""
    feed = Feed(case.url, Subscription(case.symbols, case.channel), case.key, case.settings)
    protocol = case.spec.protocol(feed)
    dialling = _Dialling(case)
    transport = dialling.dial(protocol)
    with goodbye(transport):
        date = transport.response_headers.get("date", "")
        facts: dict[str, Fact] = {"status": 101, "date": date, "server": transport.response_headers.get("server")}
        case.exam.end(Finding(f"HTTP 101, Date: {date or 'none'}", facts=facts))
        exchange = Exchange(transport, protocol, case.env.clock)
        yield Visit(case, exchange, date, dialling.upgraded_ns, dialling.upgrade_s)


class _Dialling:
    """Turns what the dialler reports into checks."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._handshake: Handshake | None = None
        self.upgraded_ns = 0
        self.upgrade_s = 0.0

    def dial(self, protocol: FeedProtocol) -> Transport:
        """The connection; its last check, the upgrade, is not ended yet."""
        from tickstream.session.transport import dial

        case = self._case
        how = dial_options(case.env, case.options)
        never = threading.Event()
        request = protocol.connect_request()
        return dial(request, how, case.env.clock, never, self._done, self._begun, self._agreed)

    def _begun(self, step: str) -> None:
        if step == "upgrade" and not self._case.target.secure:
            self._case.exam.skip("ws://: not encrypted")
        self._case.exam.begin(DIAL_STEPS[step])

    def _agreed(self, handshake: Handshake) -> None:
        self._handshake = handshake

    def _done(self, step: str, seconds: float, detail: str) -> None:
        if step == "upgrade":
            self.upgraded_ns, self.upgrade_s = self._case.env.clock.now_ns(), seconds
        elif step == "tls" and self._handshake is not None:
            self._case.exam.end(_tls(self._handshake, self._case.env.clock.now_ns()))
        elif step == "resolve":
            host = (self._case.proxy or self._case.target).host
            self._case.exam.end(Finding(detail if detail == host else f"{host} is {detail}"))
        else:
            self._case.exam.end(Finding(detail))


def _tls(handshake: Handshake, now_ns: int) -> Finding:
    if handshake.pinned:
        pinned: dict[str, Fact] = {"version": handshake.version, "cipher": handshake.cipher, "pinned": True}
        return Finding(f"{handshake.version}, the certificate that is pinned", facts=pinned)
    found = expiry(handshake.expires_s, now_ns)
    facts = {"version": handshake.version, "cipher": handshake.cipher, "issuer": handshake.issuer, **found.facts}
    detail = f"{handshake.version}, {found.detail}, issued by {handshake.issuer}"
    return Finding(detail, found.status, found.verdict, found.advice, facts)


@contextlib.contextmanager
def goodbye(wire: Wire) -> Iterator[None]:
    """Close what is dialled: 1000, the code of a violation, or without a word where nobody listens any more."""
    try:
        yield
    except ProtocolViolation as violation:
        wire.close(violation.close_code, "protocol error")
        raise
    except NetworkError:
        wire.abort()
        raise
    except BaseException:
        wire.close(1000)
        raise
    wire.close(1000)


# --- the checks of a connection --------------------------------------------------------------------------------------


def check_clock(visit: Visit) -> Finding:
    """Our wall clock against the provider's."""
    visit.skew = skew = clock_skew(visit.date, visit.upgraded_ns, visit.upgrade_s)
    if skew is None:
        return Finding("the answer to the upgrade has no usable Date header", Status.SKIP)
    detail = f"ours is {skew} theirs, give or take {skew.within:.1f} s"
    facts: dict[str, Fact] = {"skew_s": round(skew.seconds, 1), "within_s": round(skew.within, 1)}
    if not skew.matters:
        return Finding(detail, facts=facts)
    advice = "Set the clock of this machine (NTP): the times of arrival in your data are wrong by as much."
    return Finding(detail, Status.WARN, Verdict.YOU, advice, facts)


def check_auth(visit: Visit) -> Finding:
    """The key is good: plan, limits and what is left of the day's credits. Raises what the provider answers."""
    protocol = visit.protocol
    asked = protocol.phase is Phase.AUTH
    if not visit.exchange.until(lambda: protocol.phase is not Phase.AUTH, REPLY_S):
        raise AuthTimeout(f"{protocol.spec.title} did not answer within {REPLY_S:.0f} s.", code="auth_timeout")
    account = protocol.account
    if account is None:
        return _with_notices(visit, Finding(_accepted(visit, asked)))
    facts: dict[str, Fact] = {
        "plan": account.plan,
        "max_symbols": account.max_symbols,
        "credits_per_push": account.credits_per_push,
        "quota_remaining": account.quota_remaining,
    }
    return _with_notices(visit, _quota(account, len(visit.case.symbols), facts))


def _accepted(visit: Visit, asked: bool) -> str:
    """What the provider's welcome says about the key, where it says nothing about an account."""
    case, key = visit.case, visit.protocol.feed.key
    if key is None or case.spec.key_env is None:
        return f"no key needed for {case.channel}"
    request = visit.protocol.connect_request()
    sent = [request.url, *(str(value) for value in request.headers.values() if not isinstance(value, Secret))]
    in_request = any(key.redact(text) != text for text in sent)
    if asked or in_request or any(isinstance(value, Secret) for value in request.headers.values()):
        return "the key was accepted; nothing is said of a plan"
    if case.channel in case.spec.keyless:
        return f"no key needed for {case.channel}"
    return "the key goes with the subscription"


def _quota(account: Account, symbols: int, facts: dict[str, Fact]) -> Finding:
    plan = f"plan {account.plan or 'unknown'}"
    if account.max_symbols is not None:
        plan += f", up to {account.max_symbols} symbols"
    if account.credits_per_push is not None:
        plan += f", {account.credits_per_push} credits a push"
    left = account.quota_remaining
    if left is None:
        return Finding(f"{plan}, unlimited credits", facts=facts)
    detail = f"{plan}, {left:,} credits left today"
    if left >= max(1, (account.credits_per_push or 0) * symbols):
        return Finding(detail, facts=facts)
    advice = "That does not pay for one push of each symbol. Credits come back at 00:00 UTC."
    return Finding(detail, Status.WARN, Verdict.YOU, advice, facts)


def check_subscribe(visit: Visit) -> Finding:
    """The symbols that the provider confirms, and those that it refuses. Raises SymbolRefused when none is left."""
    protocol = visit.protocol
    if not visit.exchange.until(lambda: protocol.phase is Phase.LIVE, REPLY_S):
        raise SessionStale(f"{protocol.spec.title} did not answer the subscription within {REPLY_S:.0f} s.")
    active, refused = list(protocol.active), protocol.refused
    facts: dict[str, Fact] = {"confirmed": active, "refused": list(refused)}
    detail = f"{listed(active)} confirmed"
    if not refused:
        return _with_notices(visit, Finding(detail, facts=facts))
    detail += "".join(f"; {symbol} refused: {why}" for symbol, why in refused.items())
    advice = f"Symbols are {protocol.spec.symbol_help}. Check the spelling, and the limit of your plan."
    if near := protocol.near(tuple(refused)):
        advice = f"{near} {advice}"
    return _with_notices(visit, Finding(detail, Status.WARN, Verdict.YOU, advice, facts))


def check_ping(visit: Visit) -> Finding:
    """The round trip of some WebSocket pings."""
    samples: list[float] = []
    for _ in range(PINGS):
        answered = visit.exchange.ping(PONG_S)
        if answered is None:
            break
        samples.append(answered)
    if samples:
        return latency(samples)
    detail = f"no answer to a ping within {PONG_S:g} s"
    advice = "Data may flow all the same; but a dead connection is then noticed late."
    return Finding(detail, Status.WARN, Verdict.THEM, advice, {"pings": 0})


def check_data(visit: Visit) -> Finding:
    """The first market event, where one is to be expected. Raises NoData, QuotaExceeded, ProtocolViolation."""
    case, exchange, protocol = visit.case, visit.exchange, visit.protocol
    wait_s = _patience(case)
    deadline = case.env.clock.monotonic() + wait_s
    if exchange.first is None and not protocol.paused:
        closed = _closed(case, protocol.active or case.symbols)
        if closed or not wait_s:
            return Finding(closed or "not waited for (--timeout 0)", Status.SKIP)
        if case.env.stderr_isatty and not case.demo_url:
            case.env.say(f"waiting up to {wait_s:g} s for data ...")
        exchange.until(lambda: exchange.first is not None or protocol.paused, wait_s)
    if exchange.first is not None:
        found = _first(visit, max(0.0, deadline - case.env.clock.monotonic()))
        return _with_notices(visit, _with_bad_messages(visit, found))
    if protocol.paused:
        raise QuotaExceeded(
            f"{protocol.spec.title} sends no data: the day's credits are used up (quota_exceeded).",
            code="quota_exceeded",
            hint="They come back at 00:00 UTC. `tickstream credits --compare` shows what each plan has.",
        )
    if protocol.counters.quarantined:
        raise ProtocolViolation(f"No data could be used: {_bad_messages(visit)}.")
    interval_s = _bar_s(case)
    if wait_s < interval_s:
        once = "comes once" if case.spec.bars_once else "may come once"
        return Finding(f"none within {wait_s:g} s, and it {once} in {interval_s:g} s (--timeout)", Status.SKIP)
    raise NoData(
        f"No data for {listed(protocol.active)} within {wait_s:g} s.",
        hint="Is there a holiday? The hours of stocks, indices and commodities are not known here either. "
        "If that market trades now, the feed is mute: send this report to the provider.",
    )


def _first(visit: Visit, wait_s: float) -> Finding:
    """What came, and whether its time fits ours.

    The first may be the last that was known, from before we asked: then something newer is waited for.
    """
    exchange, case = visit.exchange, visit.case
    if wait_s and not case.demo_url and _is_old(visit, exchange.first):
        exchange.until(lambda: not _is_old(visit, exchange.latest), wait_s)
    event = exchange.latest
    assert event is not None
    kind = event.__struct_config__.tag
    facts: dict[str, Fact] = {"symbol": event.symbol, "type": str(kind)}
    if event.ts_event is None:
        return Finding(f"{event.symbol} {kind}, without a time", facts=facts)
    facts["ts_event"] = rfc3339(event.ts_event)
    what = f"{event.symbol} {kind} of {rfc3339(event.ts_event)[:19]}Z"
    late_s = _late_s(visit, event)
    if late_s is None:
        unfinished = ", still being made" if isinstance(event, Bar) and event.closed is False else ""
        return Finding(f"{what}{unfinished}: its time is its beginning, and tells no delay", facts=facts)
    if is_loopback(case.target.host) and abs(late_s) > REPLAY_S:
        return Finding(f"{what}: a replay or a simulation, whose time says nothing", facts=facts)
    if event is exchange.first and _is_old(visit, event):
        return Finding(f"{what}: the last that was known, and nothing newer came; a quiet market?", facts=facts)
    found = punctuality(late_s, visit.skew, "its end" if isinstance(event, Bar) else "it happened")
    return Finding(f"{what} came {found.detail}", found.status, found.verdict, found.advice, {**facts, **found.facts})


def _late_s(visit: Visit, event: MarketEvent) -> float | None:
    """Seconds from when it happened to when it came; None where that cannot be told: of a bar that goes on."""
    if event.ts_event is None:
        return None
    late_s = (event.ts_recv - event.ts_event) / NS_PER_SECOND
    if not isinstance(event, Bar):
        return late_s
    length_ns = interval_ns(event.interval) if visit.case.spec.bars_once or event.closed else None
    return None if length_ns is None else late_s - length_ns / NS_PER_SECOND


def _is_old(visit: Visit, event: MarketEvent | None) -> bool:
    """Whether something happened (bars do not) so long ago that it may be what was known before we asked."""
    if event is None or isinstance(event, Bar):
        return False
    late_s = _late_s(visit, event)
    return late_s is not None and LATE_S < late_s <= (REPLAY_S if is_loopback(visit.case.target.host) else late_s)


def _with_bad_messages(visit: Visit, finding: Finding) -> Finding:
    """The finding, and the messages that could not be used besides."""
    if not visit.protocol.counters.quarantined:
        return finding
    detail = f"{finding.detail}; {_bad_messages(visit)}"
    return Finding(detail, Status.WARN, Verdict.THEM, "Send this report to the provider.", finding.facts)


def _bad_messages(visit: Visit) -> str:
    count = visit.protocol.counters.quarantined
    return f"{count} bad message{'s' if count > 1 else ''} ({visit.exchange.bad_reason})"


def _patience(case: Case) -> float:
    if case.timeout_s is not None:
        return case.timeout_s
    interval_s = _bar_s(case)
    return interval_s + DATA_SLACK_S if interval_s else DATA_WITHOUT_BARS_S


def _bar_s(case: Case) -> float:
    """After how many seconds the next bar may be expected at the latest; 0 for other data, and where nobody knows."""
    if case.channel is not Channel.BARS:
        return 0.0
    name = case.settings.get("interval") or next(iter(case.spec.settings.get("interval", ())), "")
    return case.spec.bar_interval_s or min((interval_ns(name) or 0) / NS_PER_SECOND, LONGEST_BAR_S)


def _closed(case: Case, symbols: tuple[str, ...]) -> str:
    """Why no data is to be expected: all markets are closed; empty while one is open. The demo's never close."""
    now_ns = case.env.clock.now_ns()
    market_of = case.spec.market_of
    if case.demo_url or any(market_of(symbol).is_open(now_ns) for symbol in symbols):
        return ""
    opens = min(market_of(symbol).next_open(now_ns) or now_ns for symbol in symbols)
    return f"the market of {listed(symbols)} is closed until {rfc3339(opens)[:16]}Z: no data is expected"


def _with_notices(visit: Visit, finding: Finding) -> Finding:
    """The finding, and what the provider said besides."""
    said: list[Notice] = [one for one in visit.exchange.take_notices() if one.code not in _KNOWN_NOTICES]
    if not said:
        return finding
    detail = "; ".join([finding.detail, *(_told(one) for one in said)])
    if finding.status is Status.WARN or _PLAIN_NOTICES.issuperset(one.code for one in said):
        return Finding(detail, finding.status, finding.verdict, finding.advice, finding.facts)
    return Finding(detail, Status.WARN, Verdict.THEM, "Send this report to the provider.", finding.facts)


def _told(notice: Notice) -> str:
    plain = notice.code in _PLAIN_NOTICES or notice.message.startswith(notice.code)
    return notice.message if plain else f"{notice.code}: {notice.message}"


REMOTE_CHECKS: dict[str, Check] = {
    "clock": check_clock,
    "auth": check_auth,
    "subscribe": check_subscribe,
    "ping": check_ping,
    "data": check_data,
}
