"""Books of a run: the options, the way of a request to the session, snapshots by the clock, and replays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.running import Rig
from tests.pipeline.events import at, batch, gaps_in
from tests.pipeline.test_book import SECOND, snapshot, update
from tickstream.cli.books import BookKeeper, BookOptions
from tickstream.errors import ExitCode, UsageError
from tickstream.events import BookSnapshot, BookUpdate, Event, MarketEvent
from tickstream.pipeline.base import TimedStage
from tickstream.pipeline.book import BookStage
from tickstream.providers import load
from tickstream.sinks.encoders import JsonEncoder
from tickstream.subscriptions import Channel

KRAKEN = load("kraken")


class TestTheOptions:
    def test_nothing_is_said_and_nothing_is_changed(self) -> None:
        BookOptions().check(Channel.BARS)
        assert BookOptions().settings(KRAKEN, {"depth": "25"}) == {"depth": "25"}

    @pytest.mark.parametrize("options", [BookOptions(depth=5), BookOptions(every_s=1.0)])
    def test_they_are_about_books(self, options: BookOptions) -> None:
        options.check(Channel.BOOK)
        with pytest.raises(UsageError, match="is about order books"):
            options.check(Channel.TRADES)

    @pytest.mark.parametrize(("asked", "given"), [(1, "10"), (10, "10"), (11, "25"), (1000, "1000")])
    def test_the_provider_is_asked_for_the_least_depth_that_has_so_many_levels(self, asked: int, given: str) -> None:
        assert BookOptions(depth=asked).settings(KRAKEN, {"depth": "500", "interval": "1m"}) == {
            "depth": given, "interval": "1m",
        }  # fmt: skip

    def test_more_than_the_provider_has_is_refused(self) -> None:
        with pytest.raises(UsageError, match="Kraken gives 1000 levels at the most"):
            BookOptions(depth=1001).settings(KRAKEN, {})

    def test_a_provider_that_gives_whole_books_is_asked_for_nothing(self) -> None:
        assert BookOptions(depth=7).settings(load("tickatlas"), {"a": "b"}) == {"a": "b"}

    @pytest.mark.parametrize(
        ("argv", "said"),
        [
            (("watch", "--demo", "--depth", "5"), "--depth is about order books"),
            (("watch", "--demo", "--book-every", "1s"), "--book-every is about order books"),
            (("watch", "--demo", "-p", "kraken", "--channel", "book", "--book-every", "0s"), "an interval above 0"),
            (
                ("watch", "--demo", "-p", "kraken", "--channel", "book", "--book-every", "1s", "-o", "raw"),
                "does not go with -o raw",
            ),
            (("capture", "--demo", "--depth", "5"), "--depth is about order books"),
        ],
    )
    def test_what_makes_no_sense_is_refused_before_anything_is_connected(
        self, argv: tuple[str, ...], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert said in run(*argv).failed(ExitCode.USAGE)


class TestTheKeeper:
    def test_a_wrong_book_is_asked_for_at_once_of_the_connection_it_came_from(self) -> None:
        asked: list[tuple[int, int, str]] = []
        keeper = BookKeeper(BookStage(), lambda *request: asked.append(request))
        keeper.process(batch(0, snapshot(0), session=2, epoch=3))
        assert asked == []
        keeper.process(batch(1, update(1, bids=(("1.20", "1"),)), session=2, epoch=3))
        assert asked == [(2, 3, "S")]
        (gap,) = gaps_in(keeper.finish(at(2)))
        assert (gap.reason, gap.session, gap.epoch) == ("book", 2, 3)

    def test_it_is_a_stage_that_looks_at_the_time(self) -> None:
        keeper = BookKeeper(BookOptions(every_s=1).stage(), lambda *_: None)
        assert isinstance(keeper, TimedStage)


def books(rig: Rig) -> list[Event]:
    return [event for event in rig.sink.events if isinstance(event, MarketEvent)]


class TestARun:
    def every(self, seconds: float) -> BookKeeper:
        return BookKeeper(BookOptions(every_s=seconds).stage(), lambda *_: None)

    def test_a_book_that_has_changed_is_shown_when_its_interval_is_over_though_nothing_comes(self) -> None:
        first, then = batch(0, snapshot(0)), batch(0.1 * SECOND, update(0.1 * SECOND, bids=(("1.11", "1"),)))
        seen: list[int] = []
        rig = Rig(first, then, 0.5, lambda: seen.append(len(books(rig))), 0.7, lambda: seen.append(len(books(rig))),
                  stages=(self.every(1),))  # fmt: skip
        assert rig.play() is ExitCode.OK
        assert seen == [1, 2]
        assert [type(event) for event in books(rig)] == [BookSnapshot] * 2

    def test_the_last_state_is_written_at_the_end_and_counted(self) -> None:
        rig = Rig(
            batch(0, snapshot(0)), batch(0, update(0, bids=(("1.11", "1"),))), stages=(self.every(60),), events=True
        )
        assert rig.play() is ExitCode.OK
        assert len(books(rig)) == 2
        assert (rig.summary.events, rig.summary.written) == (2, 2)

    def test_a_bound_counts_the_last_states_too(self) -> None:
        batches = [batch(0, snapshot(0, symbol=symbol), update(0, symbol=symbol)) for symbol in "STU"]
        rig = Rig(*batches, stages=(self.every(60),), count=4)
        assert rig.play() is ExitCode.OK
        assert len(books(rig)) == 4

    def test_the_gap_of_a_book_that_stays_wrong_is_counted(self) -> None:
        stages = (BookKeeper(BookStage(), lambda *_: None),)
        rig = Rig(batch(0, snapshot(0)), batch(0, update(0, bids=(("1.20", "1"),))), stages=stages, events=True)
        assert rig.play() is ExitCode.OK
        assert rig.summary.gaps == 1
        assert [type(event) for event in books(rig)] == [BookSnapshot]


class TestAReplay:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        events: list[BookSnapshot | BookUpdate] = [snapshot(0)]
        events += [
            update(tenth * SECOND / 10, bids=(("1.11", str(tenth)),), asks=(("1.22", str(tenth)),))
            for tenth in range(1, 26)
        ]
        path = tmp_path / "book.jsonl"
        path.write_bytes(JsonEncoder(None, "iso", events=True).encode(events))
        return path

    def test_of_books_is_what_was_recorded(self, file: Path) -> None:
        result = run("replay", str(file), "--speed", "max", "-o", "jsonl")
        assert result.out == file.read_text()

    def test_in_snapshots_by_the_clock_of_the_capture(self, file: Path) -> None:
        result = run("replay", str(file), "--speed", "max", "-o", "jsonl", "--book-every", "1s", "--depth", "1")
        shown = [json.loads(line) for line in result.out.splitlines()]
        assert [(one["type"], one["ts_recv"][17:22], one["bids"], len(one["asks"])) for one in shown] == [
            ("book_snapshot", "00.00", [[1.1, 5]], 1),
            ("book_snapshot", "00.90", [[1.11, 9]], 1),
            ("book_snapshot", "01.90", [[1.11, 19]], 1),
            ("book_snapshot", "02.50", [[1.11, 25]], 1),
        ]

    def test_of_anything_else_has_no_depth(self, tmp_path: Path) -> None:
        path = tmp_path / "bars.jsonl"
        path.write_text(
            '{"type":"trade","provider":"kraken","symbol":"S","ts_event":"2026-06-24T14:00:00Z",'
            '"ts_recv":"2026-06-24T14:00:00Z","price":1.1}\n'
        )
        said = run("replay", str(path), "--depth", "3").failed(ExitCode.USAGE)
        assert "--depth is about order books" in said
