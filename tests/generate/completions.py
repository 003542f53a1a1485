"""Writes completions/ from Typer's templates: `python -m tests.generate.completions`. test_completions.py compares."""

from __future__ import annotations

from pathlib import Path

from typer.completion import get_completion_script

FOLDER = Path(__file__).resolve().parents[2] / "completions"
FILES = {"bash": "tickstream.bash", "zsh": "_tickstream", "fish": "tickstream.fish", "powershell": "tickstream.ps1"}
"""Shell -> the file's name, as that shell wants it."""


FIRST_TAB = """
# Found through fpath, zsh reads this file at the first Tab, which is to be answered as well.
[[ $zsh_eval_context[-1] == loadautofunc ]] && _tickstream_completion "$@"
"""


def script(shell: str) -> str:
    """What the shell has to read to complete `tickstream`."""
    text = get_completion_script(prog_name="tickstream", complete_var="_TICKSTREAM_COMPLETE", shell=shell) + "\n"
    return text + FIRST_TAB if shell == "zsh" else text


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for shell, name in FILES.items():
        (FOLDER / name).write_text(script(shell), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
