"""Writes tickstream/providers/README.md from the declarations: `python -m tests.generate.fields`.

tests/providers/test_fields.py compares it, and proves the declarations.
"""

from __future__ import annotations

from pathlib import Path

from tickstream.cli.mapping import MessageMap, mapping_of, rows
from tickstream.providers import load, names
from tickstream.providers.base import ProviderSpec

FILE = Path(__file__).resolve().parents[2] / "tickstream" / "providers" / "README.md"

INTRODUCTION = """\
# What each provider's messages become

Made by `python -m tests.generate.fields` from the files in [fields/](fields), which declare for each provider what
becomes of every field of its messages. [A test](../../tests/providers/test_fields.py) sends the recorded and documented
messages of `tests/data/` through the decoders and compares: every field is declared, each value is the one on the
wire after the conversion that is named here, no field of an event comes from anywhere else, and what is dropped could
have any other value. `tickstream providers NAME` shows the same.

For all of them: prices and sizes keep the provider's digits; a field that is not in the message, or is null, is absent
from the event; `ts_recv` is our clock when the bytes were read; `provider` is our name of it; `spread` is ask - bid,
exact. In a path `[]` is each element of a list. The events are in the [README](../../README.md#events).
"""


def text() -> str:
    """The whole page."""
    return "\n".join([INTRODUCTION, *(section(load(name)) for name in names())])


def section(spec: ProviderSpec) -> str:
    """One provider."""
    mapping = mapping_of(spec)
    assert mapping is not None
    facts = {
        "Time": mapping.time,
        "Numbers": mapping.numbers,
        "Units": mapping.units,
        "Taker side": mapping.taker_side,
        "Books": mapping.books,
        "Order, duplicates, gaps": mapping.order,
    }
    lines = [f"## {spec.title} (`{spec.name}`)", "", *(f"* **{fact}:** {words}" for fact, words in facts.items()), ""]
    for message in mapping.messages:
        if message.event:
            lines += _table(message)
    others = [f"| {one.name} | {one.becomes} |" for one in mapping.messages if one.becomes]
    return "\n".join([*lines, "| other messages | become |", "|---|---|", *others, ""])


def _table(message: MessageMap) -> list[str]:
    when = [f"channel {' or '.join(message.channels)}"] if message.channels else []
    when += [f"`{name} = {value}`" for name, value in message.settings.items()]
    situation = f" ({', '.join(when)})" if when else ""
    each = f", one for each of `{message.each}`" if message.each else ""
    lines = [f"### `{message.name}` -> {message.event}{each}{situation}", ""]
    lines += ["| field | event.field | conversion, remark |", "|---|---|---|"]
    lines += [
        f"| {f'`{path}`' if path else ''} | {' '.join(f'`{one}`' for one in to.split())} | {how} |"
        for path, to, how in rows(message)
    ]
    dropped = "; ".join(f"`{path}` ({why})" for path, why in message.dropped.items())
    return [*lines, "", f"Dropped: {dropped or 'nothing'}.", ""]


def main() -> None:
    """Write it."""
    FILE.write_text(text(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
