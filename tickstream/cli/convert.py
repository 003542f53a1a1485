"""`tickstream convert`."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Literal, cast

import typer

from tickstream.capture.new_file import NewFile
from tickstream.capture.progress import size
from tickstream.cli import completion
from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.flags import expanded
from tickstream.cli.meter import Meter
from tickstream.cli.reading import Paths, ReadFlags
from tickstream.cli.signals import tidying_up
from tickstream.config import TIMES
from tickstream.errors import ExitCode, Incomplete, OutputError, UsageError
from tickstream.suggestions import did_you_mean, shown

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tickstream.capture.converting import Outcome, Wanted
    from tickstream.capture.reading import Source
    from tickstream.cli.environment import Environment
    from tickstream.sinks.encoders import TimeFormat

Format = Literal["jsonl", "csv", "parquet"]
FORMATS = ("jsonl", "csv", "parquet")
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}


@expanded
def convert(  # noqa: PLR0913, PLR0917 - one parameter for each option, or group of them
    paths: Paths,
    to: Annotated[
        str, typer.Option("--to", metavar="FILE|FOLDER/|-", help="Where to; -: stdout; a folder: a file for each file.")
    ],
    read: ReadFlags,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="|".join(FORMATS),
            help="The format; else the name of --to says it.",
            autocompletion=completion.one_of(FORMATS),
            show_default=False,
        ),
    ] = None,
    compress: Annotated[
        str | None,
        typer.Option(
            "--compress",
            metavar="|".join(SUFFIXES),
            help="Else the name of --to says it; in Parquet zstd.",
            autocompletion=completion.one_of(SUFFIXES),
            show_default=False,
        ),
    ] = None,
    fields: opt.Fields = None,
    time: Annotated[
        str | None,
        typer.Option(
            "--time",
            metavar="|".join(TIMES),
            help="How times are written; else as they are in the input.",
            autocompletion=completion.one_of(TIMES),
            show_default=False,
        ),
    ] = None,
    csv_raw: opt.CsvRaw = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Lines that are no events are no reason to fail.")
    ] = False,
    quiet: opt.Quiet = False,
) -> int:
    """Convert captures between JSON lines, CSV and Parquet, and other people's files into them: exact and in order.

    \b
    Examples:
      tickstream convert data/ --to all.parquet               a whole capture as one file
      tickstream convert data/ --to parquet/ -o parquet       each of its files by itself
      tickstream convert day.jsonl.gz --to day.csv
      tickstream convert day.parquet --to - | jq .close       JSON lines on stdout
      tickstream convert ticks.csv --columns ts_event=time,price=px --type trade --symbol BTCUSD --to ticks.jsonl
      tickstream convert 'data/**/*.raw' --provider tickatlas --to data.jsonl.zst

    Prices keep their digits. A line that is no event is named on stderr, and the run exits 15 for it; all the others
    are converted. A file gets its name when it is whole, and none is overwritten. CSV holds market data only: what
    else there is, is counted on stderr.
    """
    from tickstream.capture.converting import Wanted
    from tickstream.capture.reading import sources

    here = environment()
    options = read.options(here, paths)
    each = to.endswith(("/", "\\")) or Path(to).is_dir()
    format_, compression = _format(to, each, output, compress)
    wanted = Wanted(
        format=format_,
        compression=compression or ("zstd" if format_ == "parquet" else "none"),
        fields=tuple(name.strip() for name in fields.split(",")) if fields else None,
        time=_time(time),
        csv_raw=csv_raw,
    )
    wanted.check()
    suffix = "" if format_ == "parquet" else SUFFIXES[wanted.compression]
    found = sources(paths, options)
    jobs: dict[str, list[Source]] = {to if to == "-" or to.endswith(suffix) else to + suffix: found}
    if each:
        jobs = _each(found, Path(to), f".{format_}{suffix}")
    conversion = _Conversion(here, wanted, force=force, quiet=quiet)
    for name in jobs:
        conversion.check(name)
    with tidying_up():
        for name, some in jobs.items():
            conversion.run(some, name)
    return conversion.end(skip_bad=skip_bad)


def _format(to: str, each: bool, output: str | None, compress: str | None) -> tuple[Format, str | None]:
    """The format and the compression, None where nothing says it. Raises UsageError."""
    for option, said, known in (("--output", output, FORMATS), ("--compress", compress, tuple(SUFFIXES))):
        if said is not None and said not in known:
            raise UsageError(f"{option}: {shown(said)} is none of {', '.join(known)}.", hint=did_you_mean(said, known))
    by_name = next((name for name, suffix in SUFFIXES.items() if suffix and to.endswith(suffix)), None)
    bare = to.removesuffix(SUFFIXES[by_name or "none"])
    if by_name is not None and compress not in (None, by_name):
        raise UsageError(f"--to {to} says {by_name}, --compress says {compress}.")
    named = None if each else next((one for one in FORMATS if bare.endswith(f".{one}")), None)
    if named is not None and output not in (None, named):
        raise UsageError(f"--to {to} says {named}, -o says {output}.")
    found = output or named or ("jsonl" if to == "-" else None)
    if found is None:
        raise UsageError(f"--to {to} does not say which format.", hint=f"Add -o with one of {', '.join(FORMATS)}.")
    if found == "parquet" and by_name is not None:
        raise UsageError("Parquet is compressed inside.", hint="Leave out the suffix; --compress says how.")
    return cast(Format, found), compress or by_name


def _time(said: str | None) -> TimeFormat | None:
    if said is not None and said not in TIMES:
        raise UsageError(f"--time: {shown(said)} is none of {', '.join(TIMES)}.", hint=did_you_mean(said, TIMES))
    return cast("TimeFormat | None", said)


def _each(found: list[Source], folder: Path, suffix: str) -> dict[str, list[Source]]:
    """A file for each file, below the folder as they are below theirs. Raises UsageError when two are one."""
    from tickstream.capture.finding import bare_name

    jobs: dict[str, list[Source]] = {}
    for source in found:
        if source.path is None:
            raise UsageError("- cannot be converted into a folder: it has no name.", hint="Name a file with --to.")
        name = str(folder / source.relative.with_name(bare_name(source.relative.name) + suffix))
        if name in jobs:
            raise UsageError(f"{jobs[name][0].name} and {source.name} would both become {name}.")
        jobs[name] = [source]
    return jobs


class _Conversion:
    """Conversions one after the other, and what is said about them."""

    def __init__(self, env: Environment, wanted: Wanted, *, force: bool, quiet: bool) -> None:
        self._env = env
        self._wanted = wanted
        self._force = force
        self._quiet = quiet
        self._bad = 0

    def check(self, name: str) -> None:
        """Raises OutputError for a file that is there already, UsageError for what does no terminal good."""
        if name != "-":
            NewFile(Path(name), replace=self._force).check()
        elif self._env.stdout_isatty and (self._wanted.format == "parquet" or self._wanted.compression != "none"):
            raise UsageError("that is not for a terminal.", hint="Name a file with --to, or pipe it somewhere.")

    def run(self, sources: list[Source], name: str) -> None:
        """Convert these files into one."""
        from tickstream.capture import converting

        file = None if name == "-" else NewFile(Path(name), replace=self._force)
        meter = Meter(self._env, "converting")
        again = file is not None and all(source.path is not None for source in sources)
        began = self._env.clock.monotonic()
        try:
            outcome = converting.convert(
                sources,
                lambda: file or contextlib.nullcontext(cast(BinaryIO, _Stdout(self._env))),
                self._wanted,
                again=again,
                progress=None if self._quiet else meter,
            )
        finally:
            meter.clear()
        self._bad += outcome.bad
        self._tell(sources, name, outcome, self._env.clock.monotonic() - began)

    def end(self, *, skip_bad: bool) -> int:
        """The exit code. Raises Incomplete when something could not be converted."""
        if self._bad and not skip_bad:
            raise Incomplete(
                f"{_counted(self._bad, 'line')} could not be converted; everything else was.",
                hint="Add --skip-bad if that is no reason to fail.",
            )
        return int(ExitCode.OK)

    def _tell(self, sources: list[Source], name: str, outcome: Outcome, seconds: float) -> None:
        say = self._env.say
        for line in outcome.first_bad:
            say(f"tickstream: {line}")
        if (more := outcome.bad - len(outcome.first_bad)) > 0:
            say(f"tickstream: and {_counted(more, 'more bad line')}")
        if self._quiet:
            return
        for kind, count in outcome.left_out.items():
            say(f"tickstream: left out, since CSV holds market data only: {_counted(count, f'{kind} event')}")
        where = "stdout" if name == "-" else f"{name} ({size(Path(name).stat().st_size)})"
        kept = outcome.events - outcome.left_out.total()
        what = f"{_counted(kept, 'event')} from {_counted(len(sources), 'file')}"
        speed = f", {outcome.events / seconds:,.0f} events/s" if seconds >= 1 else ""
        say(f"tickstream: converted {what} to {where} in {seconds:.1f} s{speed}")


class _Stdout(io.RawIOBase):
    """Standard output as a file that one can only append to. Raises OutputError, BrokenPipeError."""

    def __init__(self, env: Environment) -> None:
        super().__init__()
        self._env = env
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Buffer, /) -> int:
        size = memoryview(data).nbytes
        try:
            self._env.stdout.write(data)
            self._env.stdout.flush()
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot write to stdout: {getattr(error, 'strerror', None) or error}") from error
        self._written += size
        return size


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
