"""`tickstream config`: init, show, path, set-key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from tickstream import private_files
from tickstream.cli import completion
from tickstream.cli.app import environment
from tickstream.cli.environment import Environment
from tickstream.cli.tables import Format, csv_text, json_text, text_table
from tickstream.config import MAX_FILE_BYTES, SETTINGS, UNLIMITED, Config, config_path
from tickstream.config_text import TEMPLATE, with_key
from tickstream.errors import ConfigError, UsageError
from tickstream.keys import MASK, Secret, checked, read_key

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=True,
    help="""Show and change the configuration and the keys.

    What is in force: flags, then environment variables, then the config file, then defaults.

    \b
    Examples:
      tickstream config init                      make a config file to fill in
      tickstream config set-key                   store the key, typed without echo
      pass show tickatlas | tickstream config set-key --key-stdin
      tickstream config show                      every value, and where it comes from
    """,
)


class Row(NamedTuple):
    """A line of `config show`."""

    name: str
    value: str
    origin: str


@app.command()
def init() -> None:
    """Make a config file to fill in, which only you can read. An existing one is left alone.

    \b
    Examples:
      tickstream config init
      TICKSTREAM_CONFIG=./feed.toml tickstream config init
    """
    here = environment()
    path = _path(here)
    try:
        private_files.create(path, TEMPLATE)
    except FileExistsError as error:
        raise ConfigError(f"there is a config file already: {path}", hint="It was left as it is.") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    here.print(str(path))


@app.command()
def path() -> None:
    """Print where the config file is, or would be.

    \b
    Examples:
      $EDITOR "$(tickstream config path)"
    """
    here = environment()
    here.print(str(_path(here)))


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="Only this value.", autocompletion=completion.settings)
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option("--provider", help="Show what is in force for this one.", autocompletion=completion.providers),
    ] = None,
    output: Format = "table",
) -> None:
    """Print every value in force with its origin; keys are masked.

    \b
    Examples:
      tickstream config show
      tickstream config show output
      tickstream config show -o json | jq -r '.[] | select(.origin != "default") | .name'
    """
    here = environment()
    rows = [Row(row.name, here.redact(row.value), row.origin) for row in rows_of(here, provider)]
    if name is not None:
        rows = _only(rows, name)
    fields: list[dict[str, object]] = [row._asdict() for row in rows]
    if output == "json":
        here.print(json_text(fields))
    elif output == "csv":
        here.print(csv_text(fields))
    else:
        here.print(text_table(Row._fields, rows, bold_head=here.colour()))


@app.command("set-key")
def set_key(
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Whose key.", autocompletion=completion.providers)
    ] = None,
    key_stdin: Annotated[bool, typer.Option("--key-stdin", help="Read the key from the first line of stdin.")] = False,
) -> None:
    """Store a key in the config file, which only you can read; the rest of the file stays as it is.

    The key is typed without echo, or read from stdin. It is never an argument: others could read it in the list of
    processes, and the shell would keep it in its history.

    \b
    Examples:
      tickstream config set-key
      pass show tickatlas | tickstream config set-key --key-stdin
    """
    from tickstream.providers import load, names

    here = environment()
    target = _path(here)
    try:
        name = load(provider or _provider_in_use(here)).name
    except UsageError:  # which would repeat the word, and it may be the key itself
        raise UsageError(
            "there is no such provider", hint=f"Known providers: {', '.join(names())}. A key is never an argument."
        ) from None
    key = read_key(here.stdin, "stdin") if key_stdin else _typed(here, name)
    try:
        try:
            text = private_files.read(target, MAX_FILE_BYTES).data.decode("utf-8-sig")
        except FileNotFoundError:
            private_files.create(target, with_key(TEMPLATE, name, key.reveal()))
        else:
            private_files.replace(target, with_key(text, name, key.reveal()))
    except OSError as error:
        raise _unwritable(target, error) from error
    except UnicodeDecodeError:
        raise ConfigError(f"the config file {target} is not UTF-8 text") from None
    here.say(f"tickstream: the key for {name} is in {target}")


def _provider_in_use(here: Environment) -> str:
    """Also where the file has yet to be made, or is refused because others can read it: that is about to be mended."""
    try:
        return here.config().text("provider")
    except ConfigError:
        return str(SETTINGS["provider"].default)


def _typed(here: Environment, provider: str) -> Secret:
    if not here.stdin_isatty:
        raise UsageError("stdin is no terminal to type a key into", hint="Hand it over with --key-stdin.")
    import getpass
    import warnings

    with warnings.catch_warnings():
        # Where the echo cannot be switched off, getpass warns and reads on: for us that is an error.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return checked(getpass.getpass(f"Key for {provider}: "), "what was typed")
        except EOFError:
            raise typer.Abort from None
        except getpass.GetPassWarning as error:
            raise ConfigError(f"the terminal cannot hide a key: {error}", hint="Use --key-stdin.") from error


def _path(here: Environment) -> Path:
    place = config_path(here.env, here.user_folder)
    if place is None:
        raise ConfigError(
            "there is no place for a config file: no home folder", hint="Set HOME, or TICKSTREAM_CONFIG to a file."
        )
    return place


def _unwritable(place: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write the config file {place}: {error.strerror}")


def _only(rows: list[Row], name: str) -> list[Row]:
    from tickstream.suggestions import did_you_mean, shown

    found = [row for row in rows if row.name == name or row.name.startswith(f"{name}.")]
    if not found:
        hint = did_you_mean(name, (row.name for row in rows))
        raise UsageError(f"there is no setting {shown(name)}", hint=hint)
    return found


def rows_of(here: Environment, provider: str | None = None) -> Iterator[Row]:
    """Every value in force with its origin. Keys are masked, and of a key_command only the program is shown."""
    config = here.config()
    for name in SETTINGS:
        value, origin = config.value(name, provider if name == "provider" else None)
        yield Row(name, value if isinstance(value, str) else " ".join(value), origin)
    for name, symbols in config.watchlists.items():
        yield Row(f"watchlists.{name}", " ".join(symbols), config.origin("watchlists", name))
    for name in dict.fromkeys((config.text("provider", provider), *config.provider_names)):
        yield from _provider_rows(here, config, name)


def _provider_rows(here: Environment, config: Config, name: str) -> Iterator[Row]:
    from tickstream.providers import load

    spec = load(name)
    found = config.provider(name, spec.settings)
    at = f"providers.{name}"
    yield Row(f"{at}.url", shown_url(str(found.url.value) if found.url else spec.url), _origin(found.url))
    yield Row(f"{at}.plan", str(found.plan.value) if found.plan else "", _origin(found.plan))
    for key, setting in found.settings.items():
        yield Row(f"{at}.{key}", str(setting.value), setting.origin)
    if spec.key_env and here.env.get(spec.key_env):
        yield Row(f"{at}.key", MASK, f"environment {spec.key_env}")
    elif found.keys.key_command:
        yield Row(f"{at}.key", f"what {found.keys.key_command[0]} prints", config.origin(*at.split("."), "key_command"))
    elif found.keys.key:
        yield Row(f"{at}.key", MASK, config.origin(*at.split("."), "key"))
    else:
        yield Row(f"{at}.key", "", "not set")
    for plan, fields in found.plans.items():
        for field, value in fields.items():
            origin = config.origin("providers", name, "plans", plan, field)
            yield Row(f"{at}.plans.{plan}.{field}", UNLIMITED if value is None else str(value).lower(), origin)


def _origin(value: object) -> str:
    return "default" if value is None else str(getattr(value, "origin", ""))


def shown_url(url: str) -> str:
    """A URL without what may be a secret in it: user, password, query and fragment."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        authority = parts.netloc.rpartition("@")[2]
    except ValueError:
        return MASK
    hidden = f"?{MASK}" if parts.query or parts.fragment else ""
    return f"{parts.scheme}://{authority}{parts.path}{hidden}"
