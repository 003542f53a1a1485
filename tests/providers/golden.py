"""Recorded messages and the events they are to give: `tests/data/NAME.jsonl` and `tests/data/NAME.events.jsonl`.

`python -m tests.providers.golden kraken` writes the second anew; look at what changed, message by message, with the
provider's documentation beside it.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.providers.conversation import EVENING
from tickstream.errors import TickstreamError
from tickstream.events import Event
from tickstream.keys import Secret
from tickstream.providers import load
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.sinks.encoders import JsonEncoder
from tickstream.subscriptions import Channel, Subscription

DATA = Path(__file__).resolve().parent.parent / "data"


class Everything(frozenset[str]):
    """All symbols are asked for."""

    def __contains__(self, _symbol: object) -> bool:
        return True


def recorded(name: str) -> list[bytes]:
    """The messages of a provider, in the order received."""
    return (DATA / f"{name}.jsonl").read_bytes().splitlines()


def expected(name: str) -> bytes:
    """Their events as JSON lines."""
    return (DATA / f"{name}.events.jsonl").read_bytes()


def protocol(name: str, channel: Channel = Channel.BARS, **feed: Any) -> FeedProtocol:
    """One that was asked for everything, and knows nothing else."""
    spec = load(name.partition("/")[0])
    made = spec.protocol(
        Feed(spec.url, Subscription(spec.common_symbols[:1], channel), Secret("tk_canary_123456"), **feed)
    )
    made.asked = Everything()
    return made


def events_of(made: FeedProtocol, messages: list[bytes], at_once: int = 1) -> list[Event]:
    """The events of these messages, in batches of so many."""
    events: list[Event] = []
    for start in range(0, len(messages), at_once):
        made.receive(messages[start : start + at_once], EVENING, 0.0)
        events += made.take_events()
    return events


def as_lines(events: list[Event]) -> bytes:
    """As `-o jsonl` writes them."""
    return JsonEncoder(None, "iso", events=True).encode(events)


def account(name: str, channel: Channel, **settings: str) -> str:
    """What becomes of each message by itself, a line for each event or error, behind the number of the message."""
    lines = []
    for number, message in enumerate(recorded(name), 1):
        made = protocol(name, channel, settings=settings)
        ending = ""
        try:
            made.receive([message], EVENING, 0.0)
        except TickstreamError as error:
            ending = f"{type(error).__name__}: {error.message}"
        told = [*as_lines(list(made.take_events())).decode().splitlines(), *([ending] if ending else [])]
        told += [f"set aside: {one.reason}" for one in made.take_quarantined()]
        lines += [f"{number} {line}" for line in told or ["-"]]
    return "\n".join(lines) + "\n"


def kept_account(name: str, channel: Channel, text: str | None = None) -> str:
    """The one that was checked by eye; `text` writes it anew."""
    path = DATA / f"{name}.{channel}.txt"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def torn(messages: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these messages with some bytes cut out and others put in."""
    places = st.integers(0, max(map(len, messages)))
    return st.builds(_torn, st.sampled_from(messages), places, st.integers(0, 8), st.binary(max_size=6))


def _torn(message: bytes, place: int, cut: int, inserted: bytes) -> bytes:
    at = place % len(message)
    return message[:at] + inserted + message[at + cut :]


_VALUE = re.compile(rb'(?<=[:\[,])(?:-?[0-9.][0-9.eE+-]*|"[^"]*"|null|true|false|\[\]|\{\})(?=[,\]}])')
_OTHERS = (
    b"null", b"{}", b"[]", b'""', b"-1", b"0", b"1e400", b"true", b'"x"', b"9" * 400, b'{"a":[1]}', b"NaN", b'"-1e-5"',
    b'"\\u001b[31m"',
)  # fmt: skip


def replaced(messages: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these messages with another value in the place of one of its own."""
    return st.builds(_replaced, st.sampled_from(messages), st.integers(0, 10_000), st.sampled_from(_OTHERS))


def _replaced(message: bytes, place: int, value: bytes) -> bytes:
    values = list(_VALUE.finditer(message))
    chosen = values[place % len(values)] if values else None
    return message if chosen is None else message[: chosen.start()] + value + message[chosen.end() :]


def assert_survived(name: str, messages: list[bytes], channel: Channel = Channel.BARS, **feed: Any) -> None:
    """Of whatever comes, come events that can be written, a quarantine, or an error of ours: nothing else."""
    made = protocol(name, channel, **feed)
    with contextlib.suppress(TickstreamError):
        made.receive(messages, EVENING, 0.0)
    assert made.counters.messages >= len(messages)
    for line in as_lines(list(made.take_events())).splitlines():
        json.loads(line, parse_constant=_no_number)
    assert len(made.take_quarantined()) <= made.counters.quarantined


def _no_number(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


def main() -> None:
    """Write the events of the providers named."""
    for name in sys.argv[1:]:
        (DATA / f"{name}.events.jsonl").write_bytes(as_lines(events_of(protocol(name), recorded(name))))


if __name__ == "__main__":
    main()
