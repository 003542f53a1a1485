"""The rules of the house, over the syntax trees of all modules: whoever breaks one is told which and where."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from tickstream import providers, simulator, sinks
from tickstream.cli.app import COMMANDS
from tickstream.simulator.counterpart import Counterpart

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "tickstream"
TESTS = ROOT / "tests"

# --- the rules -----------------------------------------------------------------------------------------------------

FOUNDATION = frozenset({"errors", "events", "numbers", "timestamps"})
LAYER_OF_FOLDER = {
    "providers": 2, "pipeline": 2, "schedulers": 2, "session": 3, "sinks": 3, "simulator": 3, "capture": 4, "cli": 5,
}  # fmt: skip
"""Modules import from lower layers, and from their own folder. The foundation is 0, other top-level modules are 1."""
TOP = frozenset({"__init__", "__main__"})
SIDEWAYS = {("simulator", "tickstream.session.frames"): "both ends speak RFC 6455, and the frame codec is pure"}
"""What may be imported from a folder of the same layer, and why."""

PURE = ("providers/", "pipeline/", "session/frames.py", "session/backoff.py", "credits.py", "markets.py", "events.py",
        "numbers.py", "timestamps.py", "errors.py", "subscriptions.py")  # fmt: skip
IMPURE_IMPORTS = frozenset({
    "asyncio", "http", "logging", "multiprocessing", "requests", "select", "selectors", "signal", "socket", "ssl",
    "subprocess", "tempfile", "threading", "websocket",
})  # fmt: skip
IMPURE_ATTRIBUTES = frozenset({
    "os.environ", "os.getenv", "os.open", "os.read", "os.write", "sys.stdin", "sys.stdout", "sys.stderr", "sys.argv",
    "datetime.now", "datetime.today", "datetime.utcnow", "date.today",
    *(f"time.{name}" for name in dir(time) if not name.startswith("_") and name not in ("gmtime", "strftime")),
})  # fmt: skip
IMPURE_CALLS = frozenset({"print", "input", "open"})
PURE_EXCEPT = {("credits.py", "threading"): "the meter is shared by the sessions' threads"}

LAZY = frozenset({"rich", "websocket", "platformdirs", "pydantic"})
"""Never imported at the top of a module: only what needs them pays for them."""
LAZY_IN_CLI = LAZY | {"ssl", "subprocess", "asyncio", "sqlite3", "http", "email"}

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
"""Of code: without signature, docstring and literal tables. Around 40 is where a concept is usually missing."""

WORKPLACE = re.compile("|".join((r"\.\./sha" + "red", r"/wo" + r"rk/(main|sha" + "red)", r"\bwork" + r"place\b")))
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X{3})\b")


# --- the trees -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Module:
    path: Path

    @property
    def inside(self) -> str:
        """`session/frames.py`."""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def name(self) -> str:
        parts = self.path.relative_to(ROOT).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def area(self) -> str:
        """The folder in the package, or the name of a top-level module."""
        first = self.path.relative_to(PACKAGE).parts[0]
        return first.removesuffix(".py")

    @property
    def layer(self) -> int:
        return layer_of(self.area)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of the tree: walked once, since each rule looks at them."""
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[tuple[int, str, bool]]:
        """Line, absolute name, and whether it is imported when the module is."""
        return list(_imports(self.tree, at_import=True))

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        return (node for node in self.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _imports(node: ast.AST, *, at_import: bool) -> Iterator[tuple[int, str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name, at_import) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"line {child.lineno}: imports are absolute"
            yield from ((child.lineno, f"{child.module}.{alias.name}", at_import) for alias in child.names)
        else:
            inner = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            typing_only = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            yield from _imports(child, at_import=at_import and not inner and not typing_only)


def layer_of(area: str) -> int:
    if area in LAYER_OF_FOLDER:
        return LAYER_OF_FOLDER[area]
    if area in TOP:
        return 9
    return 0 if area in FOUNDATION else 1


def is_pure(module: Module) -> bool:
    """Where it stands, or what it says of itself."""
    return module.inside.startswith(PURE) or re.search(r"\bPure\b", ast.get_docstring(module.tree) or "") is not None


MODULES = [Module(path) for path in sorted(PACKAGE.rglob("*.py"))]
NAMES = {module.name for module in MODULES}
OURS = [*MODULES, *(Module(path) for path in sorted(TESTS.rglob("*.py")))]


def imported_module(name: str) -> str:
    """`tickstream.session.frames.Frames` -> `tickstream.session.frames`."""
    return name if name in NAMES else name.rpartition(".")[0]


def complain(found: list[str], rule: str) -> None:
    assert not found, f"{rule}:\n  " + "\n  ".join(found)


# --- the tests -----------------------------------------------------------------------------------------------------


def test_every_folder_has_its_layer() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders == set(LAYER_OF_FOLDER), "give the folder a layer here, and a line in CONTRIBUTING.md"


def test_imports_go_down_only() -> None:
    found = []
    for module in MODULES:
        for line, name, _ in module.imports:
            if not name.startswith("tickstream."):
                continue
            area = name.split(".")[1]
            sideways = layer_of(area) == module.layer and module.layer >= 2 and area != module.area
            excused = (module.area, imported_module(name)) in SIDEWAYS
            if module.area not in TOP and (layer_of(area) > module.layer or sideways) and not excused:
                found.append(f"{module.inside}:{line} imports {name}")
    complain([entry for entry in found if "__version__" not in entry], "imports go to lower layers")


def test_the_exception_for_sideways_imports_is_needed() -> None:
    used = {(module.area, imported_module(name)) for module in MODULES for _, name, _ in module.imports}
    assert set(SIDEWAYS) <= used


def test_no_module_needs_itself_to_be_imported() -> None:
    graph = {
        module.name: {imported_module(name) for _, name, now in module.imports if now} & NAMES - {module.name}
        for module in MODULES
    }
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, "imports in a circle: " + " -> ".join((*above, name))
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("module", [module for module in MODULES if is_pure(module)], ids=lambda module: module.inside)
def test_pure_modules_touch_nothing_outside(module: Module) -> None:
    found = [
        f"line {line}: imports {name}"
        for line, name, _ in module.imports
        if ((root := name.split(".")[0]) in IMPURE_IMPORTS or name in IMPURE_ATTRIBUTES)
        and (module.inside, root) not in PURE_EXCEPT
    ]
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node) in IMPURE_ATTRIBUTES:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
            found.append(f"line {node.lineno}: {node.func.id}()")
    complain(found, f"{module.inside} is pure: time and bytes come as arguments")


def test_only_the_transport_knows_websocket_client() -> None:
    found = {module.inside for module in MODULES for _, name, _ in module.imports if name.split(".")[0] == "websocket"}
    assert found == {"session/transport.py"}


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    found = [
        f"{module.inside}:{line} imports {name}"
        for module in MODULES
        for line, name, at_import in module.imports
        if at_import and name.split(".")[0] in (LAZY_IN_CLI if module.area == "cli" else LAZY)
    ]
    complain(found, "import inside the function that needs it")


def test_nothing_is_left_to_be_written() -> None:
    found = [
        f"{module.inside}:{node.lineno}"
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.Raise) and node.exc is not None and "NotImplemented" in ast.unparse(node.exc)
    ]
    complain(found, "what every subclass has to do is an abstract method")


def test_the_library_never_prints() -> None:
    found = [
        f"{module.inside}:{node.lineno}"
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("print", "breakpoint")
    ]
    complain(found, "stdout is data, and belongs to Environment and the sinks")


def test_only_the_entry_point_exits() -> None:
    found = [
        f"{module.inside}:{node.lineno} {ast.unparse(node.func)}"
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "exit", "quit", "os._exit", "os.abort")
    ]
    allowed = ("__main__.py", "cli/signals.py")  # the second signal ends at once
    complain([entry for entry in found if not entry.startswith(allowed)], "errors are raised; cli/app.py maps them")


@pytest.mark.parametrize("module", OURS, ids=lambda module: module.path.relative_to(ROOT).as_posix())
def test_files_stay_readable(module: Module) -> None:
    lines = module.text.count("\n")
    assert lines < MAX_FILE_LINES or module.path.is_relative_to(TESTS), f"{lines} lines: name the missing concept"
    assert not UNFINISHED.search(module.text)


def _code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of statements, without the docstring; a literal table counts as one."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    lines: set[int] = set()
    for statement in body:
        lines.update(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
    for node in ast.walk(function):
        if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Set) and node.end_lineno:
            lines -= set(range(node.lineno + 1, node.end_lineno + 1))
    return len(lines)


def test_functions_stay_short() -> None:
    found = [
        f"{module.inside}:{function.lineno} {function.name}: {lines} lines"
        for module in MODULES
        for function in module.functions()
        if (lines := _code_lines(function)) > MAX_FUNCTION_LINES
    ]
    complain(found, f"more than {MAX_FUNCTION_LINES} lines: a concept is missing, name it")


def _documented_once() -> set[str]:
    """Methods of protocols and abstract classes: what implements them need not say it again."""
    return {
        child.name
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.ClassDef) and {"Protocol", "ABC"} & {ast.unparse(base) for base in node.bases}
        for child in node.body
        if isinstance(child, ast.FunctionDef) and ast.get_docstring(child)
    }


def _undocumented(module: Module, known: set[str]) -> Iterator[str]:
    if not ast.get_docstring(module.tree):
        yield f"{module.inside}: the module"
    public: list[tuple[str, ast.AST]] = [("", module.tree)]
    while public:
        prefix, node = public.pop()
        bases = [ast.unparse(base) for base in getattr(node, "bases", [])]
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if child.name.startswith("_"):
                continue
            if isinstance(child, ast.ClassDef):
                public.append((f"{prefix}{child.name}.", child))
            method = isinstance(node, ast.ClassDef) and not isinstance(child, ast.ClassDef)
            if not ast.get_docstring(child) and not (method and (bases or child.name in known)):
                yield f"{module.inside}:{child.lineno} {prefix}{child.name}"


def test_everything_public_says_what_it_is() -> None:
    known = _documented_once()
    complain([entry for module in MODULES for entry in _undocumented(module, known)], "public names have docstrings")


def test_functions_without_types_do_not_exist() -> None:
    found = [
        f"{module.inside}:{function.lineno} {function.name}"
        for module in MODULES
        for function in module.functions()
        if function.returns is None and function.name != "__init__"
    ]
    complain(found, "say what it returns")


def test_each_exception_to_a_rule_gives_its_reason() -> None:
    without = re.compile(r"#\s*(noqa(:\s*[A-Z0-9, ]+)?|type:\s*ignore(\[[\w, -]+\])?)\s*$")
    found = [
        f"{module.path.relative_to(ROOT)}:{number}"
        for module in MODULES
        for number, line in enumerate(module.text.splitlines(), 1)
        if without.search(line)
    ]
    complain(found, "write the reason on the same line")


def _modules_of(folder: str) -> set[str]:
    return {path.stem for path in (PACKAGE / folder).glob("*.py")}


@pytest.mark.parametrize("name", providers.names())
def test_every_provider_has_its_tests_and_its_simulator(name: str) -> None:
    assert (TESTS / "providers" / f"test_{name}.py").is_file()
    assert name in simulator.names(), "a counterpart of the same name, so that it can be tried without a key"
    assert issubclass(simulator.load(name), Counterpart)
    assert (TESTS / "simulator" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", sinks.names())
def test_every_output_has_its_tests_and_a_module_of_its_name(name: str) -> None:
    assert name in _modules_of("sinks")
    assert (TESTS / "sinks" / f"test_{name}.py").is_file()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_tests_and_a_module_of_its_name(name: str) -> None:
    module = name.replace("-", "_")
    assert module in _modules_of("cli")
    assert (TESTS / "cli" / f"test_{module}.py").is_file()


def test_nothing_names_the_place_it_was_written_at() -> None:
    kept = {".py", ".md", ".toml", ".svg", ".txt", ".yml", ".yaml", ".jsonl", ".csv", ""}
    files = [
        path
        for top in ("tickstream", "tests", "completions", ".ci", ".github")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and path.suffix in kept and "__pycache__" not in path.parts
    ]
    files += [path for path in ROOT.iterdir() if path.is_file() and path.suffix in kept and path.name != ".coverage"]
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files
        if (match := WORKPLACE.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    complain(found, "the project stands alone")


def test_the_top_level_holds_what_it_should() -> None:
    allowed = {"pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "tickstream", "tests",
               "completions"}  # fmt: skip
    made_by_tools = {"dist", "build", "htmlcov", "venv"}
    found = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert allowed <= found
    assert found - allowed - made_by_tools == set()


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.inside)
def test_every_module_can_be_imported_and_exports_what_it_says(module: Module) -> None:
    if module.area == "__main__":
        return
    imported = importlib.import_module(module.name)
    for name in getattr(imported, "__all__", ()):
        assert hasattr(imported, name), f"__all__ names {name}, which is not there"
    assert sys.modules[module.name] is imported
