"""A doctor's report, as text or JSON. Safe to paste: no key, no home folder, nothing that drives a terminal."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tickstream.cli.environment import Environment
from tickstream.cli.tables import BOLD, RESET, json_text
from tickstream.diagnosis import Examination, Status, Step, Verdict
from tickstream.sinks.clean import clean
from tickstream.timestamps import rfc3339

PLAIN_WIDTH = 80
"""Where there is no terminal."""
MIN_WIDTH, MAX_WIDTH = 50, 120
STATUS_WIDTH, NAME_WIDTH, TIME_WIDTH = 4, 11, 7

_COLOURS = {Status.OK: "\x1b[32m", Status.WARN: "\x1b[33m", Status.FAIL: "\x1b[1;31m", Status.SKIP: "\x1b[2m"}
_SIDES = {
    Verdict.NOBODY: "",
    Verdict.YOU: "It is on your side.",
    Verdict.THEM: "It is on the provider's side.",
    Verdict.NETWORK: "It is the network in between.",
}
_HOMES = re.compile(r"((?:/home|/Users|\\Users)[/\\])[^/\\\s,;:]+")
"""The folder of some user, as Linux, macOS and Windows name them."""


def shareable(env: Environment) -> Callable[[str], str]:
    """What makes a text safe to paste: keys become ***, the home folder ~, the folders of other users nameless."""
    homes = {env.env.get("HOME", ""), env.env.get("USERPROFILE", ""), os.path.expanduser("~")}  # noqa: PTH111 - no RuntimeError
    known = sorted((home.rstrip("/\\") for home in homes), key=len, reverse=True)
    own = re.compile("|".join(rf"{re.escape(home)}(?![\w.-])" for home in known if len(home) > 1) or "(?!)")

    def share(text: str) -> str:
        return clean(_HOMES.sub(r"\1***", own.sub("~", env.redact(text))))

    return share


class TextReport:
    """Prints each step as it is over: status, name, time, detail; below it whose fault it is and what to do."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._share = shareable(env)
        self._colour = env.colour()
        self._width = _width(env)

    def step(self, step: Step) -> None:
        """One step."""
        indent = STATUS_WIDTH + NAME_WIDTH + TIME_WIDTH + 6
        head = f"{step.name:{NAME_WIDTH}}  {_time(step.duration_ms):>{TIME_WIDTH}}  "
        lines = self._wrapped(step.detail, indent) or [""]
        status = self._paint(f"{step.status:{STATUS_WIDTH}}", _COLOURS[step.status])
        out = [f"{status}  {head}{lines[0]}".rstrip(), *(" " * indent + line for line in lines[1:])]
        if step.verdict is not Verdict.NOBODY:
            first, *rest = self._wrapped(f"{step.verdict}: {step.advice}", indent)
            verdict, colon, words = first.partition(":")
            out.append(" " * indent + self._paint(verdict, BOLD) + colon + words)
            out += [" " * indent + line for line in rest]
        self._env.print("\n".join(out))

    def end(self, exam: Examination) -> None:
        """The last line: how it went."""
        self._env.print()
        for line in self._wrapped(_conclusion(exam), 0):
            self._env.print(line)

    def _wrapped(self, text: str, indent: int) -> list[str]:
        return textwrap.wrap(self._share(text), self._width - indent, break_on_hyphens=False)

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{RESET}" if self._colour else text


class JsonReport:
    """Prints one document in the end."""

    def __init__(self, env: Environment, versions: Mapping[str, str], demo: bool) -> None:
        self._env = env
        self._versions = versions
        self._demo = demo

    def step(self, step: Step) -> None:
        """One step: it is printed in the end."""

    def end(self, exam: Examination) -> None:
        """All of it."""
        document = {
            "time": rfc3339(self._env.clock.now_ns()),
            "versions": dict(self._versions),
            "demo": self._demo,
            "status": str(_worst(exam.steps)),
            "verdict": str(_culprit(exam.steps)),
            "exit_code": int(exam.exit_code),
            "steps": [msgspec.to_builtins(step) for step in exam.steps],
        }
        self._env.print(json_text(_shared(document, shareable(self._env))))


def _shared(value: Any, share: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return share(value)
    if isinstance(value, dict):
        return {name: _shared(one, share) for name, one in value.items()}
    return [_shared(one, share) for one in value] if isinstance(value, list) else value


def _worst(steps: Sequence[Step]) -> Status:
    found = {step.status for step in steps}
    return next((status for status in (Status.FAIL, Status.WARN) if status in found), Status.OK)


def _culprit(steps: Sequence[Step]) -> Verdict:
    """Whose fault the worst is."""
    worst = _worst(steps)
    return next((step.verdict for step in steps if step.status is worst), Verdict.NOBODY)


def _conclusion(exam: Examination) -> str:
    by_status = {status: [step.name for step in exam.steps if step.status is status] for status in Status}
    if by_status[Status.FAIL]:
        side = _SIDES[_culprit(exam.steps)]
        code = exam.exit_code
        return f"Failed at {by_status[Status.FAIL][0]}. {side} Exit code {int(code)}: {code.meaning}."
    if by_status[Status.WARN]:
        return f"It works, with a warning at: {', '.join(by_status[Status.WARN])}."
    if exam.steps[-1].status is Status.SKIP:
        return "All is well so far; whether data flows was not seen."
    return "All is well."


def _time(duration_ms: float | None) -> str:
    if duration_ms is None:
        return ""
    if duration_ms >= 10_000:
        return f"{duration_ms / 1000:.1f} s"
    return f"{duration_ms:.0f} ms" if duration_ms >= 1 else "<1 ms"


def _width(env: Environment) -> int:
    """Columns to fill."""
    if not env.stdout_isatty:
        return PLAIN_WIDTH
    given = env.env.get("COLUMNS", "")
    try:
        columns = int(given) if given.isdigit() else os.get_terminal_size(env.stdout.fileno()).columns
    except (OSError, ValueError):  # no terminal after all
        columns = PLAIN_WIDTH
    return min(max(columns, MIN_WIDTH), MAX_WIDTH)
