"""A provider in a package of its own: the worked example of CONTRIBUTING.md, installed by pip, run by the real CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.end_to_end.watching import COMMAND
from tickstream.errors import ExitCode

EXAMPLE = Path(__file__).resolve().parents[1] / "example_provider"
SHOWN = ("pyproject.toml", "tickstream_example/provider.py", "tickstream_example/simulator.py",
         "tickstream_example/fields/example.toml")  # fmt: skip
PATIENCE_S = 30


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pip installed it into. From a copy: a build leaves things behind. Without a network."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index")
    there = ("--no-build-isolation", "--target", str(folder / "site"), str(folder / "source"))
    subprocess.run([*pip, *there], check=True, capture_output=True, timeout=PATIENCE_S)
    return folder / "site"


def tickstream(site: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The command with what is installed there."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH", ""))))}
    return subprocess.run(
        [*COMMAND, *args], env=env, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def broken(site: Path, **entries: str) -> Path:
    """Add a package whose entry points are these."""
    info = site / "sorry-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sorry\nVersion: 2.0\n", "utf-8")
    lines = [f"{name} = {value}\n" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("".join(["[tickstream.providers]\n", *lines]), "utf-8")
    (site / "sorry.py").write_text("import a_driver_that_is_not_there\n", "utf-8")
    return site


def test_it_is_listed_beside_the_others(installed: Path) -> None:
    listed = tickstream(installed, "providers")
    assert (listed.returncode, listed.stderr) == (0, "")
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert "example" in names
    assert "kraken" in names
    assert "Example Exchange (example)" in tickstream(installed, "providers", "example").stdout
    assert "trade.ts_event  milliseconds since 1970" in tickstream(installed, "providers", "example", "--fields").stdout
    assert "Example Exchange error code" in tickstream(installed, "explain", "slow_down").stdout


def test_its_demo_streams_events_that_are_valid_under_the_schema(installed: Path) -> None:
    watched = tickstream(
        installed, "watch", "BTC-USD", "NO-WAY", "--provider", "example", "--demo", "--count", "3", "-o", "jsonl",
        "--events",
    )  # fmt: skip
    assert watched.returncode == ExitCode.OK, watched.stderr
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    trades = [event for event in events if event["type"] == "trade"]
    assert [(trade["provider"], trade["symbol"]) for trade in trades] == [("example", "BTC-USD")] * 3
    assert int(trades[1]["trade_id"]) == int(trades[0]["trade_id"]) + 1
    (refused,) = (event for event in events if event["type"] == "notice")
    assert (refused["code"], refused["symbols"]) == ("symbol_refused", ["NO-WAY"])
    validator = Draft202012Validator(json.loads(tickstream(installed, "schema").stdout))
    for event in events:
        validator.validate(event)


def test_its_simulator_serves_it_with_the_faults_that_all_have(installed: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(installed)}
    command = [*COMMAND, "simulate", "example", "--speed", "60", "--fault", "drop@4"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            args = ("BTC-USD", "-p", "example", "--url", url, "--count", "8", "-o", "jsonl", "--events")
            watched = tickstream(installed, "watch", *args)
        finally:
            server.terminate()
    events = [json.loads(line) for line in watched.stdout.splitlines()]
    kinds = [event["type"] for event in events]
    assert watched.returncode == ExitCode.OK, watched.stderr
    assert kinds.count("trade") == 8
    assert "disconnect" in [event["reason"] for event in events if event["type"] == "gap"]


def test_a_broken_package_costs_only_who_asks_for_it(tmp_path: Path) -> None:
    site = broken(tmp_path / "site", hopeless="sorry:SPEC", odd="json:dumps")
    listed = tickstream(site, "providers")
    assert listed.returncode == 0
    assert "tickatlas" in listed.stdout
    said = "tickstream: The provider {!r} of the package sorry 2.0 cannot be used: {}"
    assert listed.stderr.splitlines() == [
        said.format("hopeless", "ModuleNotFoundError: No module named 'a_driver_that_is_not_there'."),
        said.format("odd", "its entry point is no ProviderSpec, but function."),
    ]
    asked = tickstream(site, "watch", "EURUSD", "-p", "hopeless", "--count", "1")
    assert asked.returncode == ExitCode.CONFIG
    assert "No module named 'a_driver_that_is_not_there'" in asked.stderr
    assert "Update that package, or uninstall it" in asked.stderr
    assert tickstream(site, "watch", "--demo", "--count", "1", "-q", "-o", "jsonl").returncode == ExitCode.OK


@pytest.mark.parametrize("name", SHOWN)
def test_contributing_shows_it_as_it_is(name: str, repository: Path) -> None:
    text = (EXAMPLE / name).read_text("utf-8")
    language = "toml" if name.endswith("toml") else "python"
    page = (repository / "CONTRIBUTING.md").read_text("utf-8")
    assert f"`{name}`:\n\n```{language}\n{text}```\n" in page
