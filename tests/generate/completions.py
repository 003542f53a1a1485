"""Writes completions/ from Typer's templates: `python -m tests.generate.completions`. test_completions.py compares."""

from __future__ import annotations

from pathlib import Path

from typer.completion import get_completion_script

FOLDER = Path(__file__).resolve().parents[2] / "completions"
FILES = {"bash": "tickstream.bash", "zsh": "_tickstream", "fish": "tickstream.fish", "powershell": "tickstream.ps1"}
"""Shell -> the file's name, as that shell wants it."""


def script(shell: str) -> str:
    """What the shell has to read to complete `tickstream`."""
    return get_completion_script(prog_name="tickstream", complete_var="_TICKSTREAM_COMPLETE", shell=shell) + "\n"


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
