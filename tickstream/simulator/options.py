"""What one can ask of a simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tickstream.errors import UsageError
from tickstream.simulator import load

AtEnd = Literal["idle", "close", "loop"]
MarketHours = Literal["follow", "ignore"]
Quota = int | Literal["plan", "unlimited"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")

RACE = float("inf")
"""The speed `max`: as fast as the clients read."""

PARTICULAR: dict[str, tuple[str, object]] = {
    "plan": ("plans", None),
    "keys": ("keys", ()),
    "quota": ("credits", "plan"),
    "quota_reset_after_s": ("credits", None),
    "max_symbols": ("limit of symbols", None),
    "heartbeat_s": ("heartbeats whose pace could be changed", None),
    "auth_deadline_s": ("authentication", None),
    "spread_in_price": ("spread in its messages", False),
    "close_code": ("errors that end the connection", 1008),
}
"""Options that not every provider knows -> what it then lacks, and the default, which says nothing."""


@dataclass(frozen=True)
class SimulatorOptions:
    """All settings of a simulator; the defaults are those of `tickstream simulate`.

    Market time goes `speed` times as fast as real time. Raises UsageError for settings that make no sense together, or
    not with this provider.
    """

    provider: str = "tickatlas"
    """Whose protocol to speak."""
    host: str = "127.0.0.1"
    port: int = 0
    """0: any free one."""
    public: bool = False
    """Allow a host that is not loopback: the simulator then can be reached by other machines."""
    tls: bool = False
    """Speak TLS; without a certificate of yours, with one made for this run."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    plan: str | None = None
    """None: the provider's usual one."""
    keys: tuple[str, ...] = ()
    """Keys to accept; none: all."""
    quota: Quota = "plan"
    """Credits a day."""
    quota_reset_after_s: float | None = None
    """Refill an empty account after so many real seconds, not only at midnight."""
    max_symbols: int | None = None
    """None: the plan's."""
    speed: float = 1.0
    """`RACE` (infinity): as fast as the clients read."""
    seed: int = 0
    m1: Path | None = None
    """Replay the CSV files of this folder, instead of random prices."""
    known: tuple[str, ...] = ()
    """The only symbols there are, in a random market."""
    start_ns: int | None = None
    """Where market time begins."""
    heartbeat_s: float | None = None
    """None: the provider's own."""
    auth_deadline_s: float | None = None
    """None: the provider's own."""
    market_hours: MarketHours | None = None
    """None: follow them at real speed in a random market, else ignore them."""
    at_end: AtEnd = "idle"
    """What to do after the last candle of a replay."""
    spread_points: int | None = None
    spread_in_price: bool = False
    """Write the `spread` field in price units, not in points."""
    close_code: int | None = 1008
    """Close code after an error; None: drop the connection without one."""
    faults: tuple[str, ...] = ()
    journal: Path | None = None
    """Write a record of every push sent to this file."""
    record: bool = False
    """Keep these records in memory, for `Simulator.sent`."""
    log: Callable[[str], None] | None = None
    """Gets one line for each thing that happens to a connection."""

    def __post_init__(self) -> None:
        if not self.public and self.host not in LOOPBACK:
            raise UsageError(
                f"{self.host} can be reached by other machines, and the simulator checks nobody",
                hint="Use 127.0.0.1, or add --public when that is what you want.",
            )
        for name, value in {
            "speed": self.speed, "heartbeat": self.heartbeat_s, "auth deadline": self.auth_deadline_s
        }.items():  # fmt: skip
            if value is not None and not value > 0:
                raise UsageError(f"The {name} is to be more than 0")
        if self.close_code is not None and not _may_be_sent(self.close_code):
            raise UsageError(f"{self.close_code} is no close code that may be sent", hint="Use 1000, 1008 or 4001.")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError(
                "A certificate needs its key, and a key its certificate", hint="Give both --tls-cert and --tls-key."
            )
        load(self.provider).check(self)

    @property
    def secure(self) -> bool:
        """True when TLS is spoken."""
        return self.tls or self.tls_cert is not None

    @property
    def follows_hours(self) -> bool:
        """True when closed markets are silent."""
        if self.market_hours is not None:
            return self.market_hours == "follow"
        return self.speed == 1.0 and self.m1 is None and self.start_ns is None


def _may_be_sent(code: int) -> bool:
    """RFC 6455 section 7.4 and the IANA registry."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
