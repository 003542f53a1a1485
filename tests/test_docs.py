"""The README and its kin say what is so: every example runs, every table is the code's own."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import readme
from tests.generate import screenshot
from tests.readme import Block
from tickstream import __version__, config, providers, sinks
from tickstream.canonical import parse
from tickstream.cli.app import COMMANDS
from tickstream.credits import Usage, estimate, refuse
from tickstream.errors import ExitCode, SymbolRefused
from tickstream.events import EVENT_TYPES, wire_fields
from tickstream.simulator.options import SimulatorOptions
from tickstream.simulator.server import Simulator
from tickstream.sinks.table import PlainTable
from tickstream.symbols import Named, resolve_symbols

ROOT = readme.FILE.parent
SCRIPTS = Path(sys.executable).parent
TOOLS = re.compile(r"(?<![\w/-])(jq|mlr|tmux)(?= )")
BOUND = re.compile(r"--(count|once|duration|until|demo|help)\b")
PATIENCE_S = 30


def shortened(command: str) -> str:
    """The example as it is run here: hours become a second, and what would never end stops after 3 events."""
    return "\n".join(map(_shortened_line, command.splitlines()))


def _shortened_line(line: str) -> str:
    command = re.search(r"tickstream (watch|capture) ", line)
    if command is None:
        return line
    line = re.sub(r"--(duration \d+[hm]|until 16:00)", "--duration 1s", line)
    line = re.sub(r"--count \d{2,}", "--count 8", line)
    if BOUND.search(line):
        return line
    bound = "--duration 1s" if "-o line" in line else "--count 3"
    return line.replace(command[0], f"{command[0]}{bound} ", 1)


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The URL of a TickAtlas that is in a hurry: ten minutes a second."""
    with Simulator(SimulatorOptions(speed=600, quota="unlimited")) as simulator:
        yield simulator.url


@pytest.fixture(scope="module")
def keyless() -> Iterator[str]:
    """The URL of a Kraken."""
    with Simulator(SimulatorOptions(provider="kraken", speed=30)) as simulator:
        yield simulator.url


@pytest.fixture
def shell(provider: str, keyless: str, tmp_path: Path) -> dict[str, str]:
    """The environment of an example: `tickstream` in the PATH, the config of the README, a key."""
    (tmp_path / "home").mkdir()
    place = tmp_path / "config.toml"
    place.write_text(readme.blocks("toml")[0].text.replace('key_command = ["pass', '# key_command = ["pass'), "utf-8")
    place.chmod(0o600)
    return os.environ | {
        "PATH": f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "TICKSTREAM_CONFIG": str(place),
        "TICKSTREAM_TICKATLAS_URL": provider,
        "TICKSTREAM_KRAKEN_URL": keyless,
        "TICKATLAS_API_KEY": "tk_example",
    }


def run(command: str, env: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command in bash, and the end of all that it started; skips where a tool is missing."""
    for tool in sorted(set(TOOLS.findall(command))):
        if shutil.which(tool) is None:
            pytest.skip(f"an example needs {tool}, which is not installed")
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("the examples need bash, which is not installed")
    process = subprocess.Popen(
        [bash, "-uo", "pipefail", "-c", command],
        env=env,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):  # whatever the example has left running
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def by_line(block: Block) -> str:
    return f"line {block.line}"


def examples() -> list[Block]:
    """Each command of a `bash` block by itself, but for those blocks that are one script."""
    found: list[Block] = []
    for block in readme.blocks("bash"):
        if re.search(r"^(case|until|printf|exec)\b", block.text, re.MULTILINE):
            found.append(block)
        else:
            found += [
                Block("bash", line, block.line + offset)
                for offset, line in enumerate(block.text.splitlines())
                if line.strip()
            ]
    return found


@pytest.mark.parametrize("example", examples(), ids=by_line)
def test_every_example_works(example: Block, shell: dict[str, str], tmp_path: Path) -> None:
    done = run(f"set -e\n{shortened(example.text)}", shell, tmp_path)
    assert done.returncode == 0, done.stderr
    written = done.stdout + "".join(path.read_text("utf-8") for path in tmp_path.rglob("*.[cjt][s]*[vl]"))
    silent_unless = "wide:"  # an alert says nothing while all is well
    assert written or silent_unless in example.text


def test_the_example_with_a_fault_shows_its_gap(shell: dict[str, str], tmp_path: Path) -> None:
    script = next(block for block in readme.blocks("bash") if "--fault" in block.text)
    done = run(f"set -e\n{shortened(script.text)}", shell, tmp_path)
    gap = json.loads(done.stdout.splitlines()[-1])
    assert (gap["type"], gap["symbols"], gap["reason"]) == ("gap", ["EURUSD"], "disconnect")


def transcript() -> list[tuple[str, str, int]]:
    """Command, what it prints, line."""
    found = []
    for block in readme.blocks("console"):
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output, block.line))
    return found


@pytest.mark.parametrize(("command", "output", "line"), transcript())
def test_every_transcript_is_what_is_printed(
    command: str, output: str, line: int, shell: dict[str, str], tmp_path: Path
) -> None:
    shell["TICKSTREAM_CONFIG"] = str(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text("", "utf-8")
    done = run(f"{{ {command}; }} 2>&1", shell, tmp_path)
    assert done.stdout == output, f"README.md, from line {line}"


@pytest.mark.parametrize("block", readme.blocks("crontab"), ids=by_line)
def test_every_cron_line_runs_with_the_little_that_cron_gives(
    block: Block, shell: dict[str, str], tmp_path: Path
) -> None:
    home = Path(shell["HOME"])
    (home / ".local" / "bin").mkdir(parents=True)
    (home / ".local" / "bin" / "tickstream").symlink_to(SCRIPTS / "tickstream")
    kept = {name: value for name, value in shell.items() if name == "HOME" or name.startswith("TICK")}
    for line in block.text.splitlines():
        *when, command = line.split(None, 5)
        assert all(re.fullmatch(r"[\d*,/-]+", field) for field in when)
        assert "%" not in command, "cron turns % into a newline"
        env = kept | {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "nobody"}
        done = subprocess.run(
            ["/bin/sh", "-c", shortened(command)], env=env, cwd=home, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=PATIENCE_S,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert (home / "ticks.jsonl").read_text("utf-8").startswith('{"type":"bar","provider":"tickatlas",')


@pytest.mark.parametrize("block", readme.blocks("tmux"), ids=by_line)
def test_the_tmux_status_line_shows_prices(block: Block, shell: dict[str, str], tmp_path: Path) -> None:
    pty, termios = pytest.importorskip("pty"), pytest.importorskip("termios")
    command = re.search(r"#\((.*)\)", block.text)
    assert command is not None
    done = run(shortened(command[1]), shell, tmp_path)
    assert re.search(r"^EURUSD \d\S*/\d\S*", done.stdout, re.MULTILINE)
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed: its configuration was not tried")
    place = tmp_path / "tmux.conf"
    place.write_text(block.text, "utf-8")
    socket = tmp_path / "tmux"
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 160))
    client = subprocess.Popen(
        ["tmux", "-S", str(socket), "-f", str(place), "new-session", "sleep 60"],
        env=shell | {"TERM": "xterm", "LC_ALL": "C.UTF-8"}, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    try:
        assert _read_until(ours, b"EURUSD 1.")
    finally:
        subprocess.run(["tmux", "-S", str(socket), "kill-server"], check=False, capture_output=True)
        client.wait(PATIENCE_S)
        os.close(ours)
        os.close(theirs)


def _read_until(descriptor: int, wanted: bytes) -> bool:
    """Whether this is seen on the terminal before our patience ends."""
    seen, deadline = b"", time.monotonic() + PATIENCE_S
    while wanted not in seen and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.5)[0]:
            seen += os.read(descriptor, 65536)
    return wanted in seen


def test_there_are_two_set_up_commands() -> None:
    commands = readme.setup_commands()
    assert re.search(r"pip install -q \. && ", commands["demo"])
    assert re.search(r"pip install -q -e '\.\[dev\]' && ", commands["test"])


# --- tables --------------------------------------------------------------------------------------------------------


def test_the_exit_codes_are_the_enum() -> None:
    rows = readme.table("code", "name", "when")
    assert rows == [[str(code.value), code.name, code.meaning] for code in ExitCode]


@pytest.mark.parametrize("name", providers.names())
def test_the_error_codes_are_the_providers_own(name: str) -> None:
    spec = providers.load(name)
    assert readme.table(f"{spec.title} says", "it means", "do") == [
        [f"`{error.code}`" + ("" if error.documented else " (not documented)"), error.meaning, error.advice]
        for error in spec.errors
    ]


def test_the_credits_are_what_is_computed() -> None:
    rates = providers.load("tickatlas").credit_rates
    assert rates is not None
    rows = readme.table("plan", "credits a push", "5 symbols, a day", "20 symbols, a day")
    assert [row[0] for row in rows] == [plan.name for plan in rates.plans if plan.streaming]
    for name, per_push, *days in rows:
        plan = rates.plan(name)
        assert plan is not None
        assert int(per_push) == plan.credits_per_push
        for symbols, cell in zip((5, 20), days, strict=True):
            if cell.startswith("refused"):
                with pytest.raises(SymbolRefused, match="5-symbol limit"):
                    refuse(plan, symbols)
            else:
                assert int(cell.replace(",", "")) == estimate(plan, Usage(symbols)).per_day


def test_the_providers_are_all_there() -> None:
    rows = readme.table("`--provider`", "who it is", "`--channel`, the default first", "key")
    assert [row[0].strip("`") for row in rows] == providers.names()
    for name, title, channels, key in rows:
        spec = providers.load(name.strip("`"))
        assert title == f"[{spec.title}]({spec.site})"
        assert channels == ", ".join(spec.channels)
        assert ("no" if spec.key_env is None else spec.key_env) in key
        assert ("demo key" in key) is (spec.demo_key is not None)


def test_the_spellings_are_the_providers_own() -> None:
    words = ("EURUSD", "BTCUSD", "BTCUSDT", "XAUUSD", "AAPL")
    rows = readme.table("provider", *(f"`{word}`" for word in words))
    assert [row[0] for row in rows] == providers.names()
    for name, *cells in rows:
        form = providers.load(name).symbol_form()
        for word, cell in zip(words, cells, strict=True):
            meaning = parse(word)
            assert meaning is not None
            assert form.alias is not None
            spelled = form.alias(meaning)
            assert cell == (f"`{spelled}`" if spelled else "none"), (name, word)
            if spelled:
                assert resolve_symbols([Named(word)], form).symbols == (spelled,)


def test_the_settings_are_all_of_them() -> None:
    assert readme.table("setting", "environment variable", "default", "meaning") == [
        [f"`{one.name}`", f"`{one.env}`", f"`{one.default}`" if one.default else "", one.meaning]
        for one in config.SETTINGS.values()
    ]


def test_the_configuration_example_is_accepted(tmp_path: Path) -> None:
    for number, block in enumerate(readme.blocks("toml")):
        place = tmp_path / f"{number}.toml"
        place.write_text(block.text, "utf-8")
        place.chmod(0o600)
        loaded = config.load({"TICKSTREAM_CONFIG": str(place)}, lambda: None)
        assert loaded.provider_names == ("tickatlas",)
        assert loaded.provider("tickatlas", providers.load("tickatlas").settings).plan is not None


def test_the_events_are_the_schema() -> None:
    rows = {row[0].strip("`"): row[2] for row in readme.table("`type`", "what it is", "fields after the first")}
    assert rows == {
        name: ", ".join(f"`{field}`" for field in wire_fields(kind)[1:]) for name, kind in EVENT_TYPES.items()
    }


def _lines_of_json() -> list[str]:
    return [line for block in readme.blocks("json") for line in block.text.splitlines()]


@pytest.mark.parametrize("line", _lines_of_json(), ids=lambda line: line[:20])
def test_every_event_in_the_text_has_the_fields_and_their_order(line: str) -> None:
    event = json.loads(line)
    known = wire_fields(EVENT_TYPES[event["type"]])
    assert list(event) == [name for name in known if name in event]
    assert json.dumps(event, separators=(",", ":"), ensure_ascii=False) == line


def test_all_commands_and_outputs_are_mentioned() -> None:
    text = readme.text()
    assert [name for name in COMMANDS if f"tickstream {name}" not in text] == []
    assert [name for name in sinks.names() if name not in text] == []


def test_no_option_is_mentioned_that_does_not_exist() -> None:
    known = set()
    for command in (*COMMANDS, "config set-key"):
        done = subprocess.run(
            [sys.executable, "-m", "tickstream", *command.split(), "--help"], capture_output=True, text=True, check=True
        )
        known |= set(re.findall(r"(?<![\w-])--[a-z0-9-]+", done.stdout))
    known |= {"--install-completion", "--show-completion", "--version"}
    others = {"--unbuffered", "--icsv", "--opprint"}  # of jq and Miller
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", readme.text())) - known - others == set()


def _contributing() -> str:
    return (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_house_has_every_module() -> None:
    house = re.search(r"## The house\n\n```text\n(.*?)```", _contributing(), re.DOTALL)
    assert house is not None
    names = set(re.findall(r"[a-z_]+\.py|[a-z_]+/", house[1]))
    modules = {path for path in (ROOT / "tickstream").rglob("*.py") if path.stem not in ("__init__", "__main__")}
    assert {path.name for path in modules} - names == set()
    assert {name for name in names if name.endswith(".py")} - {path.name for path in modules} == set()


def test_providers_of_more_than_300_lines_are_explained() -> None:
    folder = ROOT / "tickstream" / "providers"
    lines = {
        name: sum(len(file.read_text().splitlines()) for file in (folder / f"{name}.py", *folder.glob(f"{name}_*.py")))
        for name in providers.names()
    }
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("these took more:")[2].partition("\n### ")[0]
    explained = re.findall(r"^\| (\w+) \|", table, re.MULTILINE)
    assert set(explained) - {"provider"} == {name for name, count in lines.items() if count > 300}


def test_the_tests_that_are_named_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", _contributing()))
    assert len(named) > 10
    assert [name for name in sorted(named) if "NAME" not in name and not (ROOT / name).is_file()] == []


def test_links_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        headings = {
            re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-")
            for line in text.splitlines()
            if line.startswith("#")
        }
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in headings, f"{name}: {target}"
            elif not target.startswith("https://"):
                assert (ROOT / target.partition("#")[0]).exists(), f"{name}: {target}"


def test_the_picture_shows_the_table_as_it_is_drawn_now() -> None:
    kept = screenshot.FILE.read_text("utf-8")
    shown = html.unescape("".join(re.findall(r"<text[^>]*>([^<]*)</text>", kept)))
    drawn = "".join(part for line in screenshot.demo_picture() for part, _ in line)
    assert "".join(drawn.split()) in "".join(shown.split()), "run: python -m tests.generate.screenshot"
    assert isinstance(screenshot.Demo().table, PlainTable)


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0].split()[0] in (__version__, "Unreleased")
    assert any(heading.split()[0] == __version__ for heading in headings)
