"""Writes .github/table.svg, the picture in the README: `python -m tests.generate.screenshot`.

Nothing is painted: TickAtlas' side of the simulator and the protocol talk to each other without a socket between
them, on a clock that moves as told, and what the table draws of it is exported by Rich. test_docs.py compares.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from tickstream.cli.endpoints import DEMO_KEY
from tickstream.cli.wanted import DEMO_SYMBOLS
from tickstream.clock import FakeClock
from tickstream.credits import CreditMeter
from tickstream.events import Batch
from tickstream.keys import Secret
from tickstream.providers.base import Feed
from tickstream.providers.tickatlas import SPEC
from tickstream.simulator.accounts import Accounts
from tickstream.simulator.market import MINUTE_NS
from tickstream.simulator.outgoing import Delivery, Message, Round
from tickstream.simulator.random_market import RandomMarket
from tickstream.simulator.tickatlas import PLANS, Rules, TickAtlasConversation, push, quote
from tickstream.sinks import load
from tickstream.sinks.base import Display, SinkRequest
from tickstream.sinks.headlines import Now
from tickstream.sinks.output import Output
from tickstream.sinks.screen import to_rich
from tickstream.sinks.table import PlainTable
from tickstream.sinks.terminal import UNICODE, Line
from tickstream.status import ProviderStatus, RunStatus, SessionStatus
from tickstream.subscriptions import Subscription

FILE = Path(__file__).resolve().parents[2] / ".github" / "table.svg"
COLUMNS = 118
MINUTES = 90
"""How much of the market the picture has seen: long enough for a burn rate and a full trend."""
TITLE = "tickstream watch --demo"
FONT_FACES = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""Rich asks for its fonts from elsewhere; a README has none but the reader's own."""


class Demo:
    """`watch --demo` without its sockets: `minute()` lets a minute of the market pass, `picture()` is the table."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._market = RandomMarket()
        rules = Rules(Accounts(PLANS["pro"], quota=PLANS["pro"].daily_quota), 50, self._market.knows)
        self._server = TickAtlasConversation(rules, self.clock.monotonic())
        self._protocol = SPEC.protocol(Feed(SPEC.url, Subscription(DEMO_SYMBOLS), Secret(DEMO_KEY)))
        self._meter = CreditMeter()
        self._session = SessionStatus(SPEC.name, 1, DEMO_SYMBOLS, ping_ms=0.2)
        self._status = RunStatus("DEMO", (ProviderStatus(SPEC.name, DEMO_SYMBOLS, self._meter),), [self._session])
        self._status.started = self.clock.monotonic()
        self._at_ns = self.clock.now_ns() // MINUTE_NS * MINUTE_NS
        output = Output(io.BytesIO(), self.clock)
        request = SinkRequest(output=output, clock=self.clock, status=self._status, display=Display(isatty=True))
        self.table = load("table").make(request)
        self._protocol.open(self.clock.monotonic())
        self._talk()
        account = self._protocol.account
        assert account is not None
        self._meter.account(account.credits_per_push, account.quota_remaining, self.clock.now_ns())

    def minute(self) -> None:
        """One push of each symbol, a second after the last."""
        self.clock.advance(1)  # a step of the market a second, as --demo has it
        candles, self._at_ns = self._market.items(self._at_ns, self._at_ns + MINUTE_NS, DEMO_SYMBOLS, 100)
        self._server.deliver(Round([push(candle) for candle in candles]), self.clock.monotonic())
        self._talk()
        self._meter.charge(len(candles), self.clock.now_ns())
        self._status.events += len(candles)

    def picture(self, columns: int = COLUMNS) -> list[Line]:
        """What stands on the screen now."""
        assert isinstance(self.table, PlainTable)
        moment = Now(self.clock.now_ns(), self.clock.monotonic(), columns, UNICODE)
        return self.table._screen.draw(moment)

    def _talk(self) -> None:
        """Carry messages to and fro until both sides have said all."""
        while requests := self._protocol.frames_to_send(self.clock.monotonic()):
            self._server.receive(requests, self.clock.monotonic())
            self._hear()
        self._hear()

    def _hear(self) -> None:
        payloads: list[bytes] = []
        for sent in self._server.take_outgoing():
            if isinstance(sent, Delivery):
                payloads += [quote(one.item) for one in sent.pushes]
            elif isinstance(sent, Message):
                payloads.append(sent.payload)
        now_ns = self.clock.now_ns()
        self._protocol.receive(payloads, now_ns, self.clock.monotonic())
        self.table.write(Batch(1, 1, now_ns, self._protocol.take_events()))
        if self._protocol.active:
            self._session.state, self._session.epoch = "up", 1


def svg(picture: list[Line]) -> str:
    """The picture as Rich exports it."""
    console = Console(
        record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor", highlight=False
    )
    for line in picture:
        console.print(to_rich(line), no_wrap=True, crop=True)
    return FONT_FACES.sub("", console.export_svg(title=TITLE, unique_id="table")) + "\n"


def demo_picture() -> list[Line]:
    """The picture of the README."""
    demo = Demo()
    for _ in range(MINUTES):
        demo.minute()
    demo.clock.advance(0.3)
    return demo.picture()


def main() -> None:
    """Write it."""
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(svg(demo_picture()), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
