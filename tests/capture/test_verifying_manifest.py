"""What a manifest says, against what files hold: who was asked for, which files changed, which runs ended."""

from __future__ import annotations

from typing import Any

import msgspec

from tickstream.capture.manifest import BY_OTHERS, FileDeleted, FileFinished, PartOpened, RunEnd, RunStart, Tally, Torn
from tickstream.capture.verifying_manifest import Book, Held
from tickstream.capture.verifying_series import Reach
from tickstream.events import Gap, Notice
from tickstream.timestamps import Timestamp

DAY = Timestamp(1_782_086_400 * 10**9)


def started(run: str, *symbols: str, provider: str = "tickatlas") -> RunStart:
    return RunStart(run=run, started=DAY, pid=1, version="1", provider=provider, channel="bars", symbols=symbols,
                    format="jsonl", compression="none", template="x")  # fmt: skip


def finished(file: str, *, run: str = "A", part: str = "", **fields: Any) -> FileFinished:
    said = {"events": 3, "first": DAY, "last": Timestamp(DAY + 5), "symbols": {"EURUSD": {"bar": 3}}, "bytes": 100}
    return FileFinished(run=run, file=file, format="jsonl", compression="none", gaps=0, missed=0, sha256="ab",
                        finished=DAY, part=part, **(said | fields))  # fmt: skip


def held(count: int = 3, **fields: Any) -> Held:
    tally = Tally(events=count, first=DAY, last=Timestamp(DAY + 5), symbols={"EURUSD": {"bar": count}})
    return Held(**({"bytes": 100, "sha256": "ab", "tally": tally} | fields))


def tallied(*symbols: str, first: int = 0, last: int = 9) -> Tally:
    return Tally(first=Timestamp(DAY + first), last=Timestamp(DAY + last), symbols={one: {"bar": 1} for one in symbols})


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_as_it_was_finished_agrees() -> None:
    assert Book([finished("a.jsonl")]).disagreements("a.jsonl", held()) == []


def test_a_file_that_is_not_listed_has_nothing_to_agree_with() -> None:
    assert Book([]).disagreements("a.jsonl", held()) == []


def test_another_size_another_content_and_other_counts_are_told() -> None:
    book = Book([finished("a.jsonl")])
    assert book.disagreements("a.jsonl", held(bytes=90)) == ["it has 90 bytes, and had 100 when it was finished"]
    [changed] = book.disagreements("a.jsonl", held(sha256="cd"))
    assert "changed" in changed
    assert book.disagreements("a.jsonl", held(sha256=None)) == []
    assert book.disagreements("a.jsonl", held(2)) == ["EURUSD: 2 bar, the manifest has 3"]
    other = Tally(first=DAY, last=Timestamp(DAY + 5), symbols={"XAUUSD": {"bar": 3}})
    assert book.disagreements("a.jsonl", held(tally=other)) == [
        "EURUSD: 0 bar, the manifest has 3", "XAUUSD: 3 bar, the manifest has 0",
    ]  # fmt: skip
    shifted = Tally(events=3, first=DAY, last=Timestamp(DAY + 6), symbols={"EURUSD": {"bar": 3}})
    assert book.disagreements("a.jsonl", held(tally=shifted)) == ["its first or last ts_event is not the manifest's"]


def test_a_raw_file_that_a_mended_decoder_reads_differently_has_not_changed() -> None:
    book = Book([msgspec.structs.replace(finished("a.jsonl"), format="raw")])
    assert book.disagreements("a.jsonl", held(2)) == []
    assert len(book.disagreements("a.jsonl", held(2, sha256="cd"))) == 2


def test_a_file_is_listed_unfinished_or_unknown() -> None:
    opened = {
        name: PartOpened(run="A", ts=DAY, file=name, part=f"{name}.part", format="jsonl", compression="none")
        for name in ("a.jsonl", "b.jsonl")
    }
    book = Book([*opened.values(), finished("a.jsonl", part="a.jsonl.part")])
    assert book.state("a.jsonl") == "listed"
    assert book.state("b.jsonl.part") == "unfinished"
    assert book.state("a.jsonl.part") == "unfinished"
    assert book.state("c.jsonl") == "unlisted"
    assert set(book.parts) == {"b.jsonl.part"}


def test_what_was_deleted_is_listed_no_more() -> None:
    gone = FileDeleted(run="A", file="a.jsonl", ts=DAY, reason="--keep")
    book = Book([finished("a.jsonl"), gone])
    assert (book.state("a.jsonl"), book.retired) == ("unlisted", True)
    empty = FileDeleted(run="A", file="b.jsonl.part", ts=DAY, reason="empty")
    assert not Book([empty]).retired


def test_a_part_that_somebody_has_taken_is_remembered_and_one_that_was_empty_is_not() -> None:
    opened = [
        PartOpened(run="A", ts=DAY, file=name, part=f"{name}.part", format="jsonl", compression="none")
        for name in ("a.jsonl", "b.jsonl")
    ]
    moved = FileDeleted(run="A", file="a.jsonl.part", ts=DAY, reason=f"moved {BY_OTHERS}")
    empty = FileDeleted(run="A", file="b.jsonl.part", ts=DAY, reason="empty")
    book = Book([*opened, moved, empty])
    assert (book.taken, book.parts) == ([moved], {})


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_without_an_end_was_killed_or_goes_on() -> None:
    book = Book([started("A", "EURUSD"), RunEnd("A", Timestamp(DAY + 7), 143, 2, 1), started("B", "EURUSD")])
    first, second = book.run_reports()
    assert (first.ended, first.exit_code, first.dropped, first.quarantined) == (DAY + 7, 143, 2, 1)
    assert (second.ended, second.exit_code) == (None, None)


def test_gaps_and_torn_tails_are_kept() -> None:
    gap = Gap("tickatlas", ("EURUSD",), "restart", DAY, DAY)
    torn = Torn(run="A", file="a", bytes=3, saved_to="b", ts=DAY)
    book = Book([gap, torn, {"type": "something newer"}])
    assert (book.gaps, book.torn) == ([gap], [torn])


# --- who was asked for, and from when to when ------------------------------------------------------------------------


def reaches(book: Book, *tallies: Tally, at_rest: bool = True) -> dict[str, Reach]:
    found = book.reaches({str(at): one for at, one in enumerate(tallies)}, at_rest=at_rest)
    return {symbol: reach for (_, symbol), reach in found.items()}


def test_all_symbols_of_a_single_run_are_owed_from_its_first_event_to_its_last() -> None:
    book = Book([started("A", "EURUSD", "XAUUSD")])
    found = reaches(book, tallied("EURUSD", first=1, last=9), tallied("XAUUSD", first=3, last=5))
    assert found == dict.fromkeys(("EURUSD", "XAUUSD"), Reach(DAY + 1, DAY + 9))


def test_what_another_run_added_or_left_out_is_owed_only_where_that_is_known() -> None:
    book = Book([started("A", "EURUSD", "GBPUSD"), started("B", "EURUSD", "XAUUSD")])
    found = reaches(book, tallied("EURUSD"))
    assert found["EURUSD"] == Reach(DAY, DAY + 9)
    assert found["GBPUSD"] == Reach(DAY, None)
    assert found["XAUUSD"] == Reach(None, DAY + 9)


def test_providers_are_judged_apart() -> None:
    book = Book([started("A", "EURUSD"), started("B", "BTC-USD", provider="coinbase")])
    found = reaches(book, tallied("EURUSD", first=1, last=2), tallied("BTC-USD", first=5, last=6))
    assert found == {"EURUSD": Reach(DAY + 1, DAY + 2), "BTC-USD": Reach(DAY + 5, DAY + 6)}


def test_while_a_run_goes_on_the_end_is_open_and_after_deletions_the_beginning() -> None:
    book = Book([started("A", "EURUSD")])
    assert reaches(book, tallied("EURUSD"), at_rest=False) == {"EURUSD": Reach(DAY, None)}
    kept = Book([started("A", "EURUSD"), finished("a"), FileDeleted(run="A", file="a", ts=DAY, reason="--keep")])
    assert reaches(kept, tallied("EURUSD")) == {"EURUSD": Reach(None, DAY + 9)}


def test_where_nothing_was_written_nothing_is_known_of_the_ends() -> None:
    assert reaches(Book([started("A", "EURUSD")])) == {"EURUSD": Reach(None, None)}


def test_what_every_run_was_refused_is_not_owed() -> None:
    refusal = Notice("tickatlas", DAY, "symbol_refused", "no", ("NOSUCH", "LATER"))
    book = Book([started("A", "EURUSD", "NOSUCH", "LATER"), refusal, started("B", "EURUSD", "LATER")])
    assert set(reaches(book, tallied("EURUSD"))) == {"EURUSD", "LATER"}
    assert [run.refused for run in book.run_reports()] == [("NOSUCH", "LATER"), ()]


def test_a_notice_before_any_run_concerns_nobody() -> None:
    assert Book([Notice("tickatlas", DAY, "symbol_refused", "no", ("X",))]).run_reports() == []
