"""Who is compared: how each is run, on how many messages, and what it needs to be there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.quotes import TWO

CLIENTS = Path(__file__).resolve().parent / "clients"
WS_VERSION = "8"
"""Of the npm package `ws`."""


@dataclass(frozen=True)
class Contender:
    """One program with its arguments.

    `messages` for a run of throughput: about three seconds' worth. `plan` is what it asks of the server (server.py).
    """

    name: str
    title: str
    messages: int
    command: Callable[[str, int], list[str]]
    """(URL, count) -> command line."""
    target: str = "pipe"
    """Where it writes: pipe, file or null."""
    tls: bool = False
    latency: Callable[[str, int], list[str]] | None = None
    """The command line for runs at a fixed rate, where it differs: unbuffered."""
    plan: tuple[tuple[str, int], ...] = ()


def _script(name: str, *more: str, unbuffered: bool = False) -> Callable[[str, int], list[str]]:
    flags = ["-u"] if unbuffered else []
    return lambda url, count: [sys.executable, *flags, str(CLIENTS / name), url, str(count), *more]


def _floor(*more: str) -> Callable[[str, int], list[str]]:
    return lambda url, _count: [sys.executable, str(CLIENTS / "floor.py"), url, *more]


def _c_floor(program: str, *more: str) -> Callable[[str, int], list[str]]:
    def command(url: str, _count: int) -> list[str]:
        parts = urlsplit(url)
        return [program, str(parts.port), f"{parts.path}?{parts.query}", *more]

    return command


def tickstream(output: str, *more: str, symbols: tuple[str, ...] = TWO) -> Callable[[str, int], list[str]]:
    """The whole program of this checkout, as `tickstream watch ...` on a command line."""
    return lambda url, count: [
        sys.executable, "-m", "tickstream", "watch", *symbols, "--url", url, "-o", output, "-q", "--count", str(count),
        *more,
    ]  # fmt: skip


def contenders(cache: Path, ca_file: str) -> tuple[list[Contender], list[str]]:
    """All that can run here, and a line for each that cannot."""
    skipped: list[str] = []
    found = [
        Contender("usual", "the usual script: WebSocketApp, json, print", 30_000, _script("usual.py"),
                  latency=_script("usual.py", unbuffered=True)),
        Contender("usual-json", "the same, printing json.dumps", 30_000, _script("usual.py", "--json"),
                  latency=_script("usual.py", "--json", unbuffered=True)),
    ]  # fmt: skip
    for package, messages in (("websockets", 100_000), ("picows", 200_000)):
        if find_spec(package) is None:
            skipped.append(f"{package} is not installed: pip install -e '.[bench]'")
            continue
        script = f"{package}_json.py"
        found.append(Contender(package, f"{package}, json, print(json.dumps)", messages, _script(script),
                               latency=_script(script, unbuffered=True)))  # fmt: skip
    node = _node(cache)
    if node is None:
        skipped.append("node ws is left out: node, npm and the package `ws` are needed")
    else:
        script = str(CLIENTS / "node_ws.js")
        found += [
            Contender("node", "node ws, JSON lines", 200_000, lambda url, count: [node, script, url, str(count)]),
            Contender("node-batch", "node ws, JSON lines, one write a turn of the event loop", 200_000,
                      lambda url, count: [node, script, url, str(count), "--batch"]),
        ]  # fmt: skip
    found += _ours(ca_file)
    found += [
        Contender("floor", "floor: Python reads the bytes", 4_000_000, _floor(), latency=_floor("--copy"),
                  plan=(("close", 1),)),
        Contender("floor-tls", "floor: Python reads the bytes, TLS", 4_000_000, _floor("--ca-file", ca_file), tls=True,
                  plan=(("close", 1),)),
    ]  # fmt: skip
    program = _compiled(cache)
    if program is None:
        skipped.append("the floor in C is left out: there is no C compiler")
    else:
        found.append(Contender("floor-c", "floor: C takes the frames apart and writes the payloads", 4_000_000,
                               _c_floor(program), plan=(("close", 1),)))  # fmt: skip
    return found, skipped


def _ours(ca_file: str) -> list[Contender]:
    return [
        Contender("jsonl", "tickstream -o jsonl", 1_000_000, tickstream("jsonl")),
        Contender("jsonl-file", "tickstream -o jsonl, into a file", 1_000_000, tickstream("jsonl"), target="file"),
        Contender("jsonl-null", "tickstream -o jsonl, to /dev/null", 1_000_000, tickstream("jsonl"), target="null"),
        Contender("csv", "tickstream -o csv", 1_000_000, tickstream("csv")),
        Contender("raw", "tickstream -o raw", 1_500_000, tickstream("raw")),
        Contender("raw-null", "tickstream -o raw, to /dev/null", 1_500_000, tickstream("raw"), target="null"),
        Contender("jsonl-tls", "tickstream -o jsonl, TLS", 1_000_000, tickstream("jsonl", "--ca-file", ca_file),
                  tls=True),
        Contender("jsonl-tls-small", "tickstream -o jsonl, TLS, a record for each message", 300_000,
                  tickstream("jsonl", "--ca-file", ca_file), tls=True, plan=(("records", 1),)),
    ]  # fmt: skip


def _node(cache: Path) -> str | None:
    """The program, when the package is there or could be installed into the cache."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    folder = cache / "node"
    if not (folder / "node_modules" / "ws").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"ws@{WS_VERSION}"],
            capture_output=True, check=False, timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            return None
    return node


def _compiled(cache: Path) -> str | None:
    """The floor in C, compiled anew when its source has changed."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    source, program = CLIENTS / "floor.c", cache / "floor"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        cache.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([compiler, "-O2", "-o", str(program), str(source)], capture_output=True, check=False)
        if done.returncode:
            return None
    return str(program)
