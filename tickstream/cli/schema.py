"""`tickstream schema`."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from tickstream.cli import completion
from tickstream.cli import options as opt
from tickstream.cli.app import environment
from tickstream.cli.tables import json_text
from tickstream.errors import UsageError
from tickstream.events import EVENT_TYPES
from tickstream.schema import DIALECT, TimeFormat, schema_of, schema_of_all
from tickstream.sinks.fields import check_fields
from tickstream.suggestions import did_you_mean, shown


def schema(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[EVENT]",
            help="One event: bar, quote, gap...",
            autocompletion=completion.one_of(EVENT_TYPES),
            show_default="all",
        ),
    ] = None,
    time: opt.Time = None,
    fields: opt.Fields = None,
) -> None:
    """Print the JSON Schema (2020-12) of the events: what every line of JSON looks like.

    \b
    Examples:
      tickstream schema > tickstream.schema.json    any line
      tickstream schema bar                         only bars
      tickstream schema trade | jq .required        what a trade always has
      tickstream schema --time ns                   with times as with `--time ns`
      tickstream schema --fields symbol,bid,ask     lines of `--fields symbol,bid,ask`

    Numbers have the provider's digits: a reader that turns them into floats may lose some. What is not required is
    left out when it is unknown.
    """
    here = environment()
    how = cast(TimeFormat, here.config().text("time", time))  # the config knows no other values
    chosen = None if fields is None else check_fields(part.strip() for part in fields.split(","))
    if name is None:
        here.print(json_text(schema_of_all(how, chosen)))
        return
    if name not in EVENT_TYPES:
        hint = f"{did_you_mean(name, EVENT_TYPES)} Events: {', '.join(EVENT_TYPES)}."
        raise UsageError(f"there is no event {shown(name)}", hint=hint.strip())
    here.print(json_text({"$schema": DIALECT, **schema_of(EVENT_TYPES[name], how, chosen)}))
