"""`tickstream explain`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tickstream.cli import completion
from tickstream.cli.app import environment
from tickstream.errors import ConfigError, ExitCode, Recovery, UsageError
from tickstream.suggestions import did_you_mean, shown

if TYPE_CHECKING:
    from tickstream.providers.base import ErrorCode, ProviderSpec

ADVICE: dict[ExitCode, str] = {
    ExitCode.OK: "Nothing to do.",
    ExitCode.BUG: "Please report it, with the command and the traceback that TICKSTREAM_DEBUG=1 shows.",
    ExitCode.USAGE: "Read the two lines on stderr; 'tickstream COMMAND --help' has the options and examples.",
    ExitCode.CONFIG: "'tickstream config show' says which values are in force and where each comes from; "
    "'tickstream config set-key' stores a key.",
    ExitCode.INVALID_KEY: "Check with 'tickstream config show' which key is used, or make a new one in your account.",
    ExitCode.FORBIDDEN: "'tickstream credits --compare' shows the plans that stream.",
    ExitCode.CONNECTION_LIMIT: "Stop another run that uses this key, or wait: a dead connection is freed after some "
    "minutes. --hold-max sets for how long tickstream waits.",
    ExitCode.QUOTA: "Credits come back at 00:00 UTC. Raise --max-credits, watch fewer symbols, or see "
    "'tickstream credits --compare'.",
    ExitCode.AUTH_TIMEOUT: "'tickstream doctor' shows which step is slow; a proxy is the usual reason.",
    ExitCode.REFUSED: "Check how the provider writes its symbols, and how many the plan allows: "
    "'tickstream credits --compare'.",
    ExitCode.NETWORK: "'tickstream doctor' checks name, connection, TLS and provider one by one. --retries and "
    "--retry-for say how long to try.",
    ExitCode.TLS: "Something between you and the provider may read along: a proxy of your company, or a wrong URL. "
    "If the authority is yours, name it with --ca-file.",
    ExitCode.PROTOCOL: "Try again; if it stays, keep what '-vv' shows, and report it to the provider or to us.",
    ExitCode.NO_DATA: "Is the market open? 'tickstream doctor' tells a closed market from a mute feed.",
    ExitCode.OUTPUT: "Free space, or check the permissions of the place that is written to or read from.",
    ExitCode.INCOMPLETE: "The gap lines on stderr say what is missing and since when; 'tickstream verify' lists it for "
    "files. Without --strict a run ends with 0 all the same.",
    ExitCode.RATE_LIMITED: "Wait before the next try, and connect less often.",
    ExitCode.LOCKED: "Another run writes there: end it, or write somewhere else.",
    ExitCode.SIGHUP: "The terminal was closed. Nothing is lost that had arrived.",
    ExitCode.SIGINT: "You, or a script, stopped it. Nothing is lost that had arrived.",
    ExitCode.SIGTERM: "The system or a supervisor stopped it. Nothing is lost that had arrived.",
}
"""What to do about each exit code."""

_REACTION = {
    Recovery.FATAL: "ends at once with exit code {code}",
    Recovery.BACKOFF: "connects again, 1 to 60 s apart; when the retries are used up, it ends with exit code {code}",
    Recovery.HOLD: "waits 30, 60, 120, then 300 s between tries; after --hold-max it ends with exit code {code}",
    Recovery.RATE: "waits as long as the server says; when the retries are used up, it ends with exit code {code}",
}


def explain(
    code: Annotated[
        str,
        typer.Argument(
            help="A provider's error code, or an exit code by number or name.", autocompletion=completion.codes
        ),
    ],
) -> None:
    """What an error code or an exit code means, and what to do.

    \b
    Examples:
      tickstream explain quota_exceeded    a provider's error code
      tickstream explain 7                 an exit code
      tickstream explain $?                the last command's
    """
    ours, theirs = list(_exit_codes(code)), list(_provider_codes(code))
    found = ours + theirs if code.isdigit() else theirs + ours  # a bare number is most often `$?`
    if not found:
        hint = did_you_mean(code, _known()) or "See 'tickstream exit-codes'; error codes are those a provider sends."
        raise UsageError(f"there is no code {shown(code)}", hint=hint)
    environment().print("\n\n".join(found))


def _provider_codes(code: str) -> Iterator[str]:
    for spec in _specs():
        for known in spec.errors:
            if known.code.casefold() == code.casefold():
                yield _provider_code(spec, known)


def _provider_code(spec: ProviderSpec, known: ErrorCode) -> str:
    source = "error code" if known.documented else "error code, not documented"
    if known.error is None:
        reaction = "goes on, and shows a notice"
    else:
        reaction = _REACTION[known.error.recovery].format(code=int(known.error.exit_code))
    return _paragraph(
        f"{known.code} ({spec.title} {source})",
        meaning=f"{known.meaning[:1].upper()}{known.meaning[1:]}.",
        advice=known.advice,
        reaction=f"{reaction[:1].upper()}{reaction[1:]}.",
    )


def _exit_codes(code: str) -> Iterator[str]:
    wanted = code.upper().replace("-", "_")
    for one in ExitCode:
        if wanted in (str(one.value), one.name):
            yield _paragraph(
                f"{one.value} {one.name} (exit code)",
                meaning=f"{one.meaning[:1].upper()}{one.meaning[1:]}.",
                advice=ADVICE[one],
            )


def _paragraph(title: str, meaning: str, advice: str, reaction: str = "") -> str:
    lines = [title, f"  Means:       {meaning}"]
    if reaction:
        lines.append(f"  tickstream:  {reaction}")
    return "\n".join([*lines, f"  Do:          {advice}"])


def _specs() -> Iterator[ProviderSpec]:
    """Of all providers but broken ones of other packages."""
    from tickstream.providers import all_names, load

    for name in all_names():
        with contextlib.suppress(ConfigError):
            yield load(name)


def _known() -> list[str]:
    return [code.code for spec in _specs() for code in spec.errors] + [code.name for code in ExitCode]
