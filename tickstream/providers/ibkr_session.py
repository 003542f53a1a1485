"""The session at Interactive Brokers' gateway: whose it is, that it is ours, and that it stays so.

Wire facts: interactivebrokers.github.io/cpwebapi and ibkrcampus.com (cpapi-v1). What stands there nowhere is a
convention, and called so.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import msgspec

from tickstream.errors import AuthTimeout, ProviderError, RateLimited
from tickstream.keys import Secret
from tickstream.providers import ibkr_gateway as gateway
from tickstream.providers.base import ConnectRequest, Feed, Phase
from tickstream.providers.ibkr_wire import Frame, FrameDecoder, Status
from tickstream.providers.json_feed import UNDECODABLE, MessageDecoder
from tickstream.providers.rest import AsksRest, RestAnswer, RestRequest
from tickstream.providers.subscribing import SubscribingFeed
from tickstream.timestamps import Timestamp
from tickstream.tls_pins import TlsPin

AUTH_S = 10.0
"""For `sts`, and again after we have opened the brokerage session ourselves (convention)."""
TICKLE_S = 55.0
"""From one sign of life to the next, over HTTP and in the stream: the session wants both every minute."""
PENALTY_S = 600.0
"""How long the gateway answers nothing but 429 after the first one."""
TICKLES_MISSED = 3
PIN_SETTING = "TICKSTREAM_IBKR_TLS_PIN"
LOG_IN = "Log in at the gateway with a browser (https://localhost:5000), and see that no other program uses the login."
REPORT = "Please report it, with the output of `tickstream doctor -o json`."


class GatewayFeed(SubscribingFeed[Frame], AsksRest):
    """Until `sts` says that the session is authenticated, nothing is subscribed; then its accounts are asked for once.

    A gateway whose user has logged in may have no brokerage session: it is opened, once for a connection, unless
    another program has it.
    """

    decoder: ClassVar[MessageDecoder[Any]] = FrameDecoder()
    mute_after_s = 30.0
    """Three heartbeats."""

    def __init__(self, feed: Feed) -> None:
        super().__init__(feed)
        self.paths = gateway.Paths(feed.url)
        self.rest: list[RestRequest] = []
        """Requests to make."""
        self._auth_due: float | None = None
        self._tickle_at: float | None = None
        self._tickles_missed = 0
        self._asked_for_session = False
        self._opened_session = False

    @abstractmethod
    def prepare(self, now: float) -> None:
        """The session is ours: ask for what has to be known before anything is subscribed, or begin."""

    @abstractmethod
    def take_listing(self, body: bytes, ts_recv: Timestamp, now: float) -> None:
        """What `prepare` asked for. Raises one of UNDECODABLE."""

    def connect_request(self) -> ConnectRequest:
        """No credentials: the gateway knows who has logged in. Its certificate is pinned, or good."""
        return ConnectRequest(self.feed.url, tls_pin=TlsPin(self.setting("tls_pin"), PIN_SETTING))

    def open(self, now: float) -> None:
        """Ask whose session it is."""
        self._last_message = now
        self._auth_due = now + AUTH_S
        self._tickle(now)

    # --- over HTTP ---------------------------------------------------------------------------------------------

    def requests_to_make(self, now: float) -> list[RestRequest]:  # noqa: ARG002 - one after the other is slow enough
        """The requests that are due."""
        out, self.rest = self.rest, []
        return out

    def take_answer(self, answer: RestAnswer, ts_recv: Timestamp, now: float) -> None:
        """Go on with what was asked for. Raises what a refusal means."""
        asked = answer.request.path.partition("?")[0]
        if answer.status == 200:
            try:
                self._take_body(asked, answer.body, ts_recv, now)
            except UNDECODABLE:
                text = f"{self.spec.title}: the gateway's answer to {asked} cannot be read."
                raise ProviderError(text, code="unreadable", hint=REPORT) from None
        elif asked.endswith("/tickle") and self.phase is not Phase.AUTH and answer.status not in (401, 429):
            self._miss_tickle(answer, ts_recv)
        elif answer.error is not None:
            raise answer.error
        else:
            raise self._http_error(answer.status, asked)

    def _take_body(self, asked: str, body: bytes, ts_recv: Timestamp, now: float) -> None:
        if asked.endswith("/tickle"):
            self._tickles_missed = 0
            found = gateway.tickled(body)
            if found.session:
                self.feed = msgspec.structs.replace(self.feed, key=Secret(found.session))
                self._show_session()
            if found.status is not None and self.phase is Phase.AUTH:
                self._look_at(found.status, now)
        elif asked.endswith("/accounts"):
            self.prepare(now)
        elif asked.endswith("/stocks"):
            self.take_listing(body, ts_recv, now)

    def _http_error(self, status: int, asked: str) -> ProviderError:
        known = self.error_for(f"http_{status}", "")
        if isinstance(known, RateLimited):
            known.retry_after_s = PENALTY_S
        text = f"{self.spec.title}: the gateway answers {asked} with HTTP {status}."
        return known or ProviderError(text, code=f"http_{status}", hint="The gateway's own log says more.")

    def _tickle(self, now: float) -> None:
        self.rest.append(self.paths.tickle())
        self._tickle_at = now + TICKLE_S

    def _miss_tickle(self, answer: RestAnswer, ts_recv: Timestamp) -> None:
        """The stream may go on for minutes without: that is said, and tried again."""
        self._tickles_missed += 1
        if self._tickles_missed == TICKLES_MISSED:
            why = answer.error.message if answer.error is not None else f"HTTP {answer.status}"
            self.notice(ts_recv, "tickle", f"{TICKLES_MISSED} signs of life went wrong; the session may end: {why}")

    # --- in the stream -----------------------------------------------------------------------------------------

    def show_session(self) -> None:
        """Who comes without a cookie is asked for the session: it is in the answer to `tickle`."""
        self._asked_for_session = True
        self._show_session()

    def _show_session(self) -> None:
        if self._asked_for_session and self.feed.key is not None:
            self._asked_for_session = False
            self._outgoing.append(msgspec.json.encode({"session": self.feed.key.reveal()}))

    def take_status(self, status: Status, now: float) -> None:
        """The gateway says how the session is. Raises as it deserves."""
        self._look_at(status, now)
        if status.authenticated and self.phase is Phase.AUTH:
            self.phase = Phase.SUBSCRIBE
            self._auth_due = None
            self.rest.append(self.paths.accounts())

    def _look_at(self, status: Status, now: float) -> None:
        """Raises ConnectionLimit while another program has the session, ProviderError when it was ours and is lost."""
        if status.competing:
            raise self._error("competing")
        if not status.authenticated and self.phase is not Phase.AUTH:
            raise self._error("not_authenticated")
        if not status.authenticated and not self._opened_session:
            self._opened_session = True
            self.rest.append(self.paths.log_in())
            self._auth_due = now + AUTH_S

    def _error(self, code: str) -> ProviderError:
        known = self.error_for(code, "")
        assert known is not None
        return known

    # --- time --------------------------------------------------------------------------------------------------

    def tick(self, now: float, ts: Timestamp) -> None:
        """Signs of life. Raises AuthTimeout, and what SubscribingFeed raises."""
        if self._auth_due is not None and now >= self._auth_due:
            raise AuthTimeout(
                f"{self.spec.title}: the gateway did not say within {AUTH_S:.0f} s that the session is authenticated.",
                code="auth_timeout",
                hint=LOG_IN,
            )
        if self._tickle_at is not None and now >= self._tickle_at:
            self._tickle(now)
            self.send(msgspec.Raw(b"tic"))
        super().tick(now, ts)

    def next_deadline(self) -> float | None:
        """The earliest of: the session, a sign of life, and what SubscribingFeed waits for."""
        planned = (self._auth_due, self._tickle_at, super().next_deadline())
        return min((at for at in planned if at is not None), default=None)
