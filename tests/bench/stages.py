"""What each stage of the way costs by itself, in one thread: `python -m tests.bench.stages`, JSON on stdout.

The same objects that `watch` puts together, on the same quotes, in batches of one, sixteen, and what 64 KiB hold. What
the whole program costs beyond their sum is system calls, the hand-over between its threads, and its main loop.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from tests.bench.quotes import TWO, payloads
from tickstream.events import Batch, wire_fields
from tickstream.pipeline.gaps import GapStage
from tickstream.pipeline.limits import LimitStage
from tickstream.providers import load
from tickstream.providers.base import Feed, FeedProtocol
from tickstream.session.frames import TEXT, FrameReader, encode_frame
from tickstream.session.outbox import Outbox
from tickstream.session.queue import BatchQueue
from tickstream.sinks.encoders import JsonEncoder
from tickstream.sinks.raw import lines
from tickstream.sinks.rows import CsvEncoder
from tickstream.subscriptions import Subscription
from tickstream.timestamps import Timestamp

NOW = Timestamp(1_782_312_840_000_000_000)
BATCHES = {"1": 1, "16": 16, "64 KiB": 330}
MESSAGES = 20_000
REPEATS = 5


def live_protocol(symbols: tuple[str, ...] = TWO) -> FeedProtocol:
    """A TickAtlas conversation that has come to its quotes."""
    spec = load("tickatlas")
    protocol = spec.protocol(Feed(spec.url, Subscription(symbols)))
    protocol.open(0.0)
    protocol.receive([b'{"type":"authenticated","plan":"enterprise","max_symbols":100}'], NOW, 0.0)
    protocol.receive([json.dumps({"type": "subscribed", "symbols": symbols}).encode()], NOW, 0.0)
    protocol.take_events()
    return protocol


def best_us(work: Callable[[], object], messages: int) -> float:
    """The shortest of several times, in microseconds a message: what it costs when nobody disturbs."""
    times = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return round(min(times) / messages * 1e6, 3)


def _each(one: Callable[[Any], object], many: Iterable[Any]) -> Callable[[], None]:
    def work() -> None:
        for some in many:
            one(some)

    return work


def measure(size: int) -> dict[str, float]:
    """Microseconds a message, for batches of this size."""
    messages = payloads(TWO, MESSAGES)
    groups = [messages[start : start + size] for start in range(0, MESSAGES, size)]
    chunks = [b"".join(encode_frame(TEXT, message) for message in group) for group in groups]
    sizes = list(accumulate(map(len, chunks)))

    def frames() -> None:
        reader = FrameReader()
        for chunk in chunks:
            reader.feed(chunk)

    decoder = type(live_protocol()).decoder  # type: ignore[attr-defined]  # every JSON provider has one
    protocol = live_protocol()

    def decode_and_normalise() -> list[Batch]:
        made = []
        for group, seen in zip(groups, sizes, strict=True):
            protocol.receive(group, NOW, 1.0)
            made.append(Batch(1, 1, NOW, protocol.take_events(), protocol.take_payloads(), seen))
        return made

    batches = decode_and_normalise()
    gaps = GapStage("tickatlas", {1: TWO}, NOW, lambda *_: 1, 60)
    limit = LimitStage(10**12)
    queue = BatchQueue(max_bytes=1 << 40)
    outbox = Outbox(queue)

    def hand_over() -> None:
        for batch in batches:
            outbox.put(batch)
            queue.get(0)

    to_json, to_csv = JsonEncoder(None, "iso", False), CsvEncoder(wire_fields(type(batches[0].events[0])), "iso")
    stages: dict[str, Callable[[], object]] = {
        "frames": frames,
        "decode (msgspec)": _each(decoder.batch, groups),
        "decode, check, make events": decode_and_normalise,
        "hand-over (one thread)": hand_over,
        "gaps": _each(gaps.process, batches),
        "limit (--count)": _each(limit.process, batches),
        "encode jsonl": lambda: [to_json.encode(batch.events) for batch in batches],
        "encode csv": lambda: [to_csv.encode(batch.events) for batch in batches],
        "encode raw": lambda: [lines(batch.payloads) for batch in batches],
    }
    return {name: best_us(work, MESSAGES) for name, work in stages.items()}


if __name__ == "__main__":
    print(json.dumps({name: measure(size) for name, size in BATCHES.items()}))
