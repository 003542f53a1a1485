"""What stands above and below the table: the run, its sessions, its credits, its counters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from tickstream.credits import CreditMeter
from tickstream.markets import State, state
from tickstream.sinks.board import Board, Row
from tickstream.sinks.boards import Boards
from tickstream.sinks.clean import clean
from tickstream.sinks.columns import local_time, time_of_day
from tickstream.sinks.terminal import Glyphs, Line, both_ends, cell_width, fit_line, line_width
from tickstream.status import ProviderStatus, RunStatus, SessionStatus

_LABEL_STYLES = {"DEMO": "bold reverse yellow", "REPLAY": "bold reverse cyan", "LIVE": "bold reverse green"}
_RANK = {"closed": 0, "held": 1, "down": 2, "connecting": 3, "up": 4}

URGENT_S = 3600
"""A quota that ends sooner is shown in red."""


class Now(msgspec.Struct, frozen=True):
    """The moment that is drawn, and how. `wall_ns` is UTC, `monotonic` the clock of all deadlines, seconds."""

    wall_ns: int
    monotonic: float
    width: int
    glyphs: Glyphs
    tz: tzinfo | None = None


def state_of(row: Row, session: SessionStatus | None, now: Now, provider: ProviderStatus) -> State:
    """What a symbol is at, from its data's age, its session and its market's hours (see markets.state)."""
    age = None if row.seen_at is None else now.monotonic - row.seen_at
    at = "up" if session is None else "held" if session.paused else session.state
    return state(provider.market_of(row.symbol), age, provider.silence_s, at, now.wall_ns)


def title_line(boards: Boards, status: RunStatus, now: Now) -> Line:
    """The tool, DEMO or LIVE, the provider and the plan; the time on the right."""
    left: Line = [
        ("tickstream ", "bold"),
        (f" {status.label} ", _LABEL_STYLES.get(status.label, "bold reverse")),
        (f" {', '.join(clean(one.name) for one in status.providers)}", ""),
    ]
    if not status.several and (plan := _plan(boards.each)):
        left.append((f"{now.glyphs.dot}{plan}", "dim"))
    moment = local_time(now.wall_ns, now.tz)
    right: Line = [(moment.strftime("%H:%M:%S "), ""), (moment.tzname() or "", "dim")]
    return both_ends(left, right, now.width, now.glyphs.ellipsis)


def provider_lines(boards: Boards, status: RunStatus, now: Now) -> list[Line]:
    """How the connections to the provider are, and what is left of its credits: a line each; of several providers one
    line for each of them."""
    if not status.several:
        meter = status.providers[0].credits
        return [session_line(status.sessions, meter, now), credits_line(meter, now) if meter else []]
    widest = max(cell_width(clean(one.name)) for one in status.providers)
    lines = []
    for provider in status.providers:
        name = clean(provider.name)
        sessions = [one for one in status.sessions if one.provider == provider.name]
        board = [one for one in boards.each if one.provider == provider.name]
        plan, meter = _plan(board), provider.credits
        pieces = [_worst(sessions, meter, now), [(plan, "dim")] if plan else [], _in_short(meter, now) if meter else []]
        said = [part for piece in pieces if piece for part in ((now.glyphs.dot, "dim"), *piece)][1:]
        if said:  # of a recording there is nothing to say
            line: Line = [(name + " " * (widest - cell_width(name) + 2), "bold"), *said]
            lines.append(both_ends(line, _ping(sessions), now.width, now.glyphs.ellipsis))
    return lines


def _plan(boards: Sequence[Board]) -> str:
    return next((f"{board.plan} plan" for board in boards if board.plan), "")


def session_line(sessions: Sequence[SessionStatus], meter: CreditMeter | None, now: Now) -> Line:
    """How the connection is: the worst one, where there are several; its latency on the right."""
    return both_ends(_worst(sessions, meter, now), _ping(sessions), now.width, now.glyphs.ellipsis) if sessions else []


def _worst(sessions: Sequence[SessionStatus], meter: CreditMeter | None, now: Now) -> Line:
    if not sessions:
        return []
    worst = min(sessions, key=lambda one: (_RANK.get(one.state, 0), one.session))
    line = _session(worst, meter, now)
    if len(sessions) > 1:
        up = sum(one.state == "up" for one in sessions)
        line.append((f"{now.glyphs.dot}{up} of {len(sessions)} sessions up", "dim"))
    return line


def _ping(sessions: Sequence[SessionStatus]) -> Line:
    pings = [one.ping_ms for one in sessions if one.ping_ms is not None and one.state == "up"]
    return [("ping ", "dim"), (f"{max(pings):.{0 if max(pings) >= 10 else 1}f} ms", "")] if pings else []


def _session(session: SessionStatus, meter: CreditMeter | None, now: Now) -> Line:
    """One session: a sign, what it does, and since it matters, why and until when."""
    glyphs, reason = now.glyphs, clean(session.reason).rstrip(".")
    why = f": {reason}" if reason else ""
    wait = "" if session.retry_at is None else f" in {countdown(session.retry_at - now.monotonic)}"
    match session.state:
        case "up" if session.paused:
            until = f"; resumes at {_clock(meter.next_reset_ns(now.wall_ns), now)}" if meter else ""
            return [(f"{glyphs.paused} paused by the provider", "yellow"), (f"{why or ': quota used up'}{until}", "")]
        case "up":
            again = f" again (connection {session.epoch})" if session.epoch > 1 else ""
            slow: Line = [(f"{glyphs.dot}the reader of the output is slow", "yellow")] if session.blocked else []
            return [(f"{glyphs.good} connected{again}", "green"), *slow]
        case "held":
            return [(f"{glyphs.paused} held", "yellow"), (f", next attempt{wait}{why}" if wait else why, "")]
        case "down":
            attempt = f" (attempt {session.attempts + 1})" if session.attempts else ""
            return [(f"{glyphs.waiting} reconnecting{wait}", "bold red"), (f"{attempt}{why}", "")]
        case "connecting":
            return [(f"{glyphs.waiting} connecting", "yellow"), (f": {session.step}" if session.step else "", "dim")]
    return [(f"{glyphs.ended} closed", "dim"), (why, "")]


def credits_line(meter: CreditMeter, now: Now) -> Line:
    """Used, left, how fast, and until when: whole pieces, the last ones dropped where there is no room."""
    pieces: list[Line] = [[("credits ", "dim"), (f"{meter.used:,}", ""), (" used", "dim")]]
    left, burn = meter.remaining(now.wall_ns), meter.burn_per_hour(now.wall_ns)
    if left is not None:
        pieces.append([(f"{left:,}", ""), (" left", "dim")])
    elif meter.unlimited:
        pieces.append([("no daily quota", "dim")])
    end, reset = meter.runs_out_at(now.wall_ns), _clock(meter.next_reset_ns(now.wall_ns), now)
    if left == 0:
        pieces.append([("quota used up", "bold red"), (f" until {reset}", "dim")])
    elif end is not None:
        left_s = (end - now.wall_ns) / 1e9
        # Whole minutes: the pace is an estimate, and a running second hand would only draw the eye.
        within = f", in {countdown(left_s // 60 * 60)}"
        pieces.append([("runs out at ", "dim"), (_clock(end, now), _urgency(end, now)), (within, "dim")])
    elif left is not None and burn:
        pieces.append([("lasts until the reset at ", "dim"), (reset, "")])
    if burn is not None:
        pieces.insert(2, [(f"{burn:,}", ""), (" an hour", "dim")])
    return _joined(pieces, now)


def _in_short(meter: CreditMeter, now: Now) -> Line:
    """The same in a few words, for a line that says other things too."""
    line: Line = [(f"{meter.used:,}", ""), (" credits used", "dim")]
    left, end = meter.remaining(now.wall_ns), meter.runs_out_at(now.wall_ns)
    if left == 0:
        reset = _clock(meter.next_reset_ns(now.wall_ns), now)
        return [*line, (", ", "dim"), ("quota used up", "bold red"), (f" until {reset}", "dim")]
    if left is not None:
        line += [(", ", "dim"), (f"{left:,}", ""), (" left", "dim")]
    if end is not None:
        line += [(", until ", "dim"), (_clock(end, now), _urgency(end, now))]
    return line


def _urgency(end_ns: int, now: Now) -> str:
    return "bold red" if (end_ns - now.wall_ns) / 1e9 < URGENT_S else "yellow"


def counters_line(boards: Boards, status: RunStatus, now: Now) -> Line:
    """What came in, and what is missing."""
    counts = (
        ("events", status.events, ""),
        ("gaps", status.gaps, "yellow"),
        ("dropped", status.dropped, "bold red"),
        ("quarantined", status.quarantined, "yellow"),
        ("refused", boards.refused, "yellow"),
    )
    pieces: list[Line] = [
        [(f"{name} ", "dim"), (f"{count:,}", style if count else "")]
        for name, count, style in counts
        if count or name != "refused"
    ]
    pieces.append([("running ", "dim"), (countdown(now.monotonic - status.started), "")])
    return _joined(pieces, now)


def notice_line(boards: Boards, now: Now) -> Line:
    """The last thing to know about the stream; empty where nothing happened."""
    notice = boards.notice
    if notice is None:
        return []
    at, text = notice
    return fit_line([(f"{time_of_day(at, now.tz)} ", "dim"), (text, "")], now.width, now.glyphs.ellipsis)


def countdown(seconds: float) -> str:
    """A span in two units at the most: `0 s`, `59 s`, `3 min 20 s`, `3 h 12 min`, `2 d 4 h`."""
    whole = max(0, int(seconds + 0.999)) if seconds < 60 else int(seconds)
    for unit, size, small, part in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def _clock(ns: int, now: Now) -> str:
    """`16:40`, or `Sat 00:00` when that is another day."""
    at, today = local_time(ns, now.tz), local_time(now.wall_ns, now.tz)
    return at.strftime("%H:%M" if at.date() == today.date() else "%a %H:%M")


def _joined(pieces: list[Line], now: Now) -> Line:
    """As many whole pieces as fit, three columns apart; the first one in any case."""
    line: Line = pieces[0]
    for piece in pieces[1:]:
        if line_width(line) + 3 + line_width(piece) > now.width:
            break
        line = [*line, ("   ", ""), *piece]
    return fit_line(line, now.width, now.glyphs.ellipsis)
