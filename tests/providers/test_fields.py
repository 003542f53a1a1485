"""Every field of every message is declared, and becomes what is declared: of all providers, over all recorded messages.

The declarations are `tickstream/providers/fields/NAME.toml`; `providers/README.md` is made of them.
"""

from __future__ import annotations

import contextlib
import gzip
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.generate import fields as page
from tests.providers import golden, proof
from tests.providers.conversation import EVENING
from tickstream import providers
from tickstream.cli.mapping import Mapping, MessageMap, mapping_of
from tickstream.errors import TickstreamError
from tickstream.events import EVENT_TYPES, MARKET_TYPES, MarketEvent, wire_fields
from tickstream.providers import load
from tickstream.providers.base import FeedProtocol
from tickstream.subscriptions import Channel

FOLDER = Path(providers.__file__).parent / "fields"
MOST = 400
"""Messages of a recording: more of them prove nothing new."""


class Run(NamedTuple):
    """Recorded messages, and the settings under which they came."""

    name: str
    settings: dict[str, str]
    part: slice = slice(None)
    channels: tuple[str, ...] = ()
    """All, but where another feed brings one."""


EXCHANGE = ("quotes", "trades", "book", "orders")
"""Bars are of the feed `advanced`."""


RUNS = (
    Run("tickatlas", {}),
    Run("fcs", {"interval": "1d"}, slice(5)),
    Run("fcs", {"interval": "15m"}, slice(5, None)),
    Run("alltick", {}),
    Run("alpaca/documented", {}),
    Run("polygon/events", {}),
    Run("polygon/statuses", {}),
    Run("kraken", {}, slice(3)),
    Run("kraken", {}, slice(4, None)),  # the fourth is an update of a book that has not begun
    Run("binance", {}),
    Run("ibkr/frames", {}),
    Run("coinbase/exchange_2021", {}, channels=EXCHANGE),
    Run("coinbase/exchange_2026", {}, channels=EXCHANGE),
    Run("coinbase/exchange_errors", {}, channels=EXCHANGE),
    Run("coinbase/advanced", {"feed": "advanced"}),
)


@cache
def declared(name: str) -> Mapping:
    mapping = mapping_of(load(name))
    assert mapping is not None, f"tickstream/providers/fields/{name}.toml is missing"
    return mapping


def messages(run: Run) -> list[bytes]:
    packed = golden.DATA / f"{run.name}.jsonl.gz"
    lines = gzip.decompress(packed.read_bytes()).splitlines() if packed.exists() else golden.recorded(run.name)
    return [line for line in lines if line][run.part][:MOST]


def conversations() -> Iterator[tuple[str, str, dict[str, str], list[bytes]]]:
    """Provider, channel, settings, messages: of what was recorded, and of each example in the declarations."""
    for run in RUNS:
        name = run.name.partition("/")[0]
        for channel in run.channels or load(name).channels:
            yield name, channel, run.settings, messages(run)
    for name in providers.names():
        for entry in declared(name).messages:
            if entry.example:
                for channel in entry.channels or (EXCHANGE if name == "coinbase" else load(name).channels):
                    yield name, channel, entry.settings, [entry.example.encode()]


def market(protocol: FeedProtocol, payload: bytes) -> list[MarketEvent]:
    """The events of a market that a message gives. The provider may end the conversation with it."""
    with contextlib.suppress(TickstreamError):
        protocol.receive([payload], EVENING, 0.0)
    return [one for one in protocol.take_events() if isinstance(one, MarketEvent)]


def framed(payload: bytes, message: Any) -> bytes:
    return (f"[{proof.written(message)}]" if payload.startswith(b"[") else proof.written(message)).encode()


def walk(name: str, channel: str, settings: dict[str, str], payloads: list[bytes]) -> Iterator[tuple[Any, ...]]:
    """Each message: the entry about it, its events, and those with other values in what is dropped."""
    mapping = declared(name)
    one, other = (golden.protocol(name, Channel(channel), settings=settings) for _ in range(2))
    for payload in payloads:
        for message in proof.parsed(payload):
            entry = proof.entry_of(mapping, message, channel, settings)
            if entry is None or not entry.event:
                fresh = golden.protocol(name, Channel(channel), settings=settings)
                yield message, entry, market(fresh, framed(payload, message)), []
            else:
                for protocol in (one, other):
                    if entry.after:
                        market(protocol, entry.after.encode())
                spoiled = framed(payload, proof.spoiled(message, entry))
                yield message, entry, market(one, framed(payload, message)), market(other, spoiled)


SITUATIONS = [
    pytest.param(*situation, id=f"{situation[0]} {situation[1]} {number}")
    for number, situation in enumerate(conversations())
]


def prove(name: str, channel: str, settings: dict[str, str], payloads: list[bytes]) -> None:
    """Raises AssertionError for the first message that does not become what is declared."""
    for message, entry, events, unmoved in walk(name, channel, settings, payloads):
        if entry is None or not entry.event:
            assert events == [], f"{message} is declared to be no event"
            continue
        assert proof.undeclared(message, entry) == set(), f"fields of {entry.name} that nothing is said about"
        wanted = [proof.expected(message, entry, where) for where in proof.places(message, entry.each)]
        assert len(events) == len(wanted), (entry.name, message)
        assert {event.__struct_config__.tag for event in events} == {entry.event}
        for event, want in zip(events, wanted, strict=True):
            got, same = proof.compared(event, entry, want)
            assert got == same, entry.name
        assert unmoved == events, f"{entry.name}: what is declared as dropped changes the event"


@pytest.mark.parametrize(("name", "channel", "settings", "payloads"), SITUATIONS)
def test_each_field_of_a_message_becomes_what_is_declared_and_nothing_else(
    name: str, channel: str, settings: dict[str, str], payloads: list[bytes]
) -> None:
    prove(name, channel, settings, payloads)


WRONG: dict[str, dict[str, str]] = {
    "another field of the event": {'["data[].bid", "bid"]': '["data[].bid", "ask"]'},
    "another conversion": {'["data[].trade_id", "trade_id", "text"]': '["data[].trade_id", "trade_id", "ms"]'},
    "a field that is not named": {'["data[].qty", "size"],': ""},
    "a field that is said to be dropped": {
        '["data[].qty", "size"],': "", '"data[].ord_type" = ': '"data[].qty" = "", "data[].ord_type" = '
    },
    "another constant": {'{ spread = "ask - bid" }': '{ spread = "ask - bid", interval = "1m" }'},
    "the other side of a trade": {'"side", "", "the taker\'s"': '"side", "flip", ""'},
    "another unit of time": {'"data[].interval", "interval", "1=1m': '"data[].interval", "interval", "1=1h'},
    "an event that is said to be none": {'event = "trade"': 'becomes = "nothing"'},
}  # fmt: skip


def prove_all(name: str, payloads: list[bytes]) -> None:
    """`prove` for each channel."""
    for channel in load(name).channels:
        prove(name, channel, {}, payloads)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_declaration_is_noticed(wrong: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = (FOLDER / "kraken.toml").read_text("utf-8")
    for right, other in wrong.items():
        assert right in text
        text = text.replace(right, other)
    tampered = msgspec.convert(tomllib.loads(text), Mapping)
    monkeypatch.setitem(globals(), "declared", lambda _name: tampered)
    recorded = messages(Run("kraken", {}, slice(4, None)))
    with pytest.raises(AssertionError):
        prove_all("kraken", recorded)


def test_each_recorded_message_is_declared_in_some_situation() -> None:
    silent: dict[bytes, bool] = {}
    for name, channel, settings, payloads in conversations():
        for message in (one for payload in payloads for one in proof.parsed(payload)):
            key = f"{name} {proof.written(message)}".encode()
            found = proof.entry_of(declared(name), message, channel, settings) is not None
            silent[key] = silent.get(key, True) and not found
    assert [key for key, alone in silent.items() if alone] == []


def test_each_declaration_is_proved_by_a_message() -> None:
    met: set[tuple[str, int]] = set()
    for name, channel, settings, payloads in conversations():
        for message in (one for payload in payloads for one in proof.parsed(payload)):
            entry = proof.entry_of(declared(name), message, channel, settings)
            if entry is not None:
                met.add((name, declared(name).messages.index(entry)))
    unproved = [
        (name, entry.name)
        for name in providers.names()
        for number, entry in enumerate(declared(name).messages)
        if (name, number) not in met and entry.event
    ]
    assert unproved == []


def test_each_declared_field_that_is_mapped_is_in_a_message() -> None:
    """A field that no message has would prove nothing."""
    met: set[tuple[str, str, str]] = set()
    for name, channel, settings, payloads in conversations():
        for message in (one for payload in payloads for one in proof.parsed(payload)):
            entry = proof.entry_of(declared(name), message, channel, settings)
            for one in entry.fields if entry is not None else ():
                if proof.at(message, one.path) is not None:
                    met.add((name, entry.name if entry else "", one.path))
    absent = [
        (name, entry.name, one.path)
        for name in providers.names()
        for entry in declared(name).messages
        for one in entry.fields
        if (name, entry.name, one.path) not in met
    ]
    assert absent == []


def entries() -> list[tuple[str, MessageMap]]:
    return [(name, entry) for name in providers.names() for entry in declared(name).messages]


@pytest.mark.parametrize(("name", "entry"), entries(), ids=lambda value: getattr(value, "name", value))
def test_a_declaration_names_events_fields_channels_and_settings_that_there_are(name: str, entry: MessageMap) -> None:
    spec = load(name)
    assert {*entry.channels} <= {*spec.channels}
    assert all(value in spec.settings[setting] for setting, value in entry.settings.items())
    assert bool(entry.event) != bool(entry.becomes)
    if entry.event:
        kind = EVENT_TYPES[entry.event]
        named = {field for one in entry.fields for field in one.to.split()} | {*entry.made}
        assert kind in MARKET_TYPES
        assert named <= {*wire_fields(kind)}
        assert {"symbol"} <= named


@pytest.mark.parametrize("name", providers.names())
def test_each_provider_has_its_declaration_and_every_channel_an_event(name: str) -> None:
    made = {entry.event for entry in declared(name).messages}
    kinds = {"bars": "bar", "quotes": "quote", "trades": "trade", "book": "book_snapshot", "orders": "order"}
    assert {kinds[channel] for channel in load(name).channels} <= made


def test_the_page_is_what_the_declarations_say() -> None:
    assert page.FILE.read_text("utf-8") == page.text(), "run: .venv/bin/python -m tests.generate.fields"
