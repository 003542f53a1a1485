"""What is shipped: a wheel made from the sdist has all that it should, and nothing else."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import HeaderParser
from email.policy import compat32
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tickstream
from tests.generate.completions import FILES

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
REQUIREMENT = re.compile(r"^[a-z][a-z0-9.-]*>=[0-9.]+,<[0-9.]+(; .+)?$")


class Built(NamedTuple):
    """The names in the sdist (below its folder) and in the wheel, and the wheel's METADATA."""

    sdist: frozenset[str]
    wheel: frozenset[str]
    metadata: Any


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Built once, the wheel from the sdist, as `python -m build` does it for a release; without a network."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tarfile.open(sdist) as archive:
        sources = frozenset(name.partition("/")[2] for name in archive.getnames())
    with zipfile.ZipFile(wheel) as archive:
        names = frozenset(archive.namelist())
        (place,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(place).decode()
    return Built(sources, names, HeaderParser(policy=compat32).parsestr(text))


def test_the_wheel_has_every_module_and_the_marker_for_types(built: Built) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tickstream").rglob("*.py")}
    assert modules <= built.wheel
    assert "tickstream/py.typed" in built.wheel


def test_the_wheel_has_what_providers_declare_of_their_fields_and_the_sdist_the_page_that_is_made_of_it(
    built: Built,
) -> None:
    declared = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tickstream/providers/fields").glob("*.toml")}
    assert declared
    assert declared <= built.wheel
    page = "tickstream/providers/README.md"
    assert (page in built.sdist, page in built.wheel) == (True, False)


def test_the_wheel_has_the_licence(built: Built) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in built.wheel)
    assert built.metadata["License-Expression"] == "MIT"


def test_the_wheel_has_the_completions(built: Built) -> None:
    shared = {name.partition(".data/data/")[2] for name in built.wheel if ".data/data/" in name}
    assert shared == {
        "share/bash-completion/completions/tickstream",
        "share/zsh/site-functions/_tickstream",
        "share/fish/vendor_completions.d/tickstream.fish",
        "share/tickstream/tickstream.ps1",
    }


def test_the_wheel_has_nothing_else(built: Built) -> None:
    tops = {name.split("/")[0] for name in built.wheel}
    assert {top for top in tops if not top.startswith(f"tickstream-{tickstream.__version__}.")} == {"tickstream"}
    assert not [name for name in built.wheel if "test" in name or "__pycache__" in name]


def test_the_sdist_has_what_the_tests_need(built: Built) -> None:
    wanted = {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", ".github/table.svg"}
    wanted |= {f"completions/{name}" for name in FILES.values()}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py")}
    assert wanted - built.sdist == set()


def test_the_metadata_says_what_it_is_and_what_it_needs(built: Built) -> None:
    assert built.metadata["Name"] == "tickstream"
    assert built.metadata["Version"] == tickstream.__version__
    assert built.metadata["Requires-Python"] == ">=3.11"
    assert built.metadata.get_payload().startswith("# tickstream\n")
    needed = [name for name in built.metadata.get_all("Requires-Dist") if "extra ==" not in name]
    assert len(needed) == len(PYPROJECT["project"]["dependencies"])


def test_the_version_is_in_one_place() -> None:
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert metadata.version("tickstream") == tickstream.__version__
    found = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tickstream").rglob("*.py")
        if f'"{tickstream.__version__}"' in path.read_text("utf-8")
    ]
    assert found == ["tickstream/__init__.py"]


@pytest.mark.parametrize(
    "requirement", [*PYPROJECT["project"]["dependencies"], *PYPROJECT["project"]["optional-dependencies"]["dev"]]
)
def test_every_dependency_has_a_tested_range(requirement: str) -> None:
    assert REQUIREMENT.match(requirement)


def test_every_dependency_and_every_rule_left_out_has_its_reason() -> None:
    """A comment on the line, or on the line above."""
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    alone = re.compile(r'\s+"[^":]+",\s*(#.*)?')
    bare = [
        line
        for above, line in itertools.pairwise(lines)
        if alone.fullmatch(line) and "#" not in line and not above.strip().startswith("#")
    ]
    assert bare == []


def test_the_core_is_five_packages() -> None:
    names = {re.split(r"[><=]", requirement)[0] for requirement in PYPROJECT["project"]["dependencies"]}
    assert names == {"typer", "rich", "websocket-client", "platformdirs", "msgspec"}
