"""What the command line says about the live feed of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tickstream.cli.books import BookOptions
from tickstream.errors import UsageError
from tickstream.providers.base import ProviderSpec
from tickstream.session.retry import RetryOptions
from tickstream.subscriptions import Channel
from tickstream.suggestions import did_you_mean, shown


@dataclass(frozen=True)
class FeedOptions:
    """What the command line says about the feed. All but `symbols` and `url` holds for every provider of the run."""

    symbols: tuple[str, ...] = ()
    channel: str | None = None
    interval: str | None = None
    """Of bars, as the providers name it."""
    symbols_files: tuple[Path, ...] = ()
    provider: str | None = None
    """Whose the symbols without a prefix are."""
    url: str | None = None
    demo: bool = False
    ca_file: Path | None = None
    allow_plaintext: bool = False
    key_file: Path | None = None
    key_stdin: bool = False
    connections: int = 1
    """With each provider."""
    retry: RetryOptions = field(default_factory=RetryOptions)
    max_credits: int | None = None
    """Of each provider."""
    exit_on_quota: bool = False
    on_full: str | None = None
    max_message: int = 8 * 2**20
    raw: bool = False
    """The output takes the provider's messages as they are."""
    books: BookOptions = field(default_factory=BookOptions)
    gaps_each: bool = False
    """A gap for each symbol, with what that one missed, for outputs that keep symbols apart."""
    duration_s: float | None = None

    def settings_of(self, spec: ProviderSpec, given: Mapping[str, str]) -> dict[str, str]:
        """A provider's settings with the interval that is asked for. Raises UsageError for one that it has not."""
        if self.interval is None or self.channel_of(spec) is not Channel.BARS:
            return dict(given)
        has = spec.settings.get("interval", ())
        only = "" if spec.bar_interval_s is None else f"{spec.bar_interval_s // 60}m"
        if self.interval in has:
            return {**given, "interval": self.interval}
        if self.interval == only:
            return dict(given)
        lengths = ", ".join(has) or only or "of one length"
        raise UsageError(
            f"--interval {shown(self.interval)}: the bars of {spec.title} are {lengths}.",
            hint=did_you_mean(self.interval, has),
        )

    def check_interval(self, channels: Iterable[Channel]) -> None:
        """Raises UsageError for an interval where nothing is bars."""
        if self.interval is not None and Channel.BARS not in channels:
            raise UsageError("--interval is about bars.", hint="Add --channel bars, where the provider has them.")

    def channel_of(self, spec: ProviderSpec) -> Channel:
        """The kind of data that is asked of a provider: by default its first.

        Raises UsageError for one that it has not.
        """
        if self.channel is None:
            return spec.channels[0]
        for channel in spec.channels:
            if channel == self.channel:
                return channel
        raise UsageError(
            f"--channel: {spec.title} has no channel {shown(self.channel)}.",
            hint=f"{did_you_mean(self.channel, spec.channels)} Channels: {', '.join(spec.channels)}.".strip(),
        )
