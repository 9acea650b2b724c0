"""The layers and their allowed imports, checked with the contracts of import-linter and by parsing the files."""

import ast
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "console", "graph", "loaders", "storage")
MAX_LINES = 400
MAX_TEST_LINES = 650
"""Higher for tests: a test module is a list that reads from top to bottom."""


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def imports(module: Path) -> Iterator[str]:
    """Yield the names of the modules that a file imports, at any level of nesting."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield node.module or ""


def test_the_import_contracts_hold() -> None:
    # In a separate process: import-linter disables existing loggers.
    command: list[str | Path] = [Path(sysconfig.get_path("scripts"), "lint-imports"), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_storage_imports_the_driver() -> None:
    importing = {
        str(module.relative_to(ROOT))
        for module in modules("cli", "console", "graph", "loaders")
        for name in imports(module)
        if name.split(".")[0] in {"pymongo", "bson", "motor", "gridfs"}
    }
    assert importing == set()


def test_graph_and_loaders_import_only_the_public_storage_package() -> None:
    internal = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules("graph", "loaders")  # the command line starts the embedded replica set
        for name in imports(module)
        if name.startswith("storage.")
    }
    assert internal == set()


def test_no_file_is_too_long() -> None:
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in modules(*PACKAGES, "tests", "bench")
    }
    allowed = {name: MAX_TEST_LINES if name.startswith("tests") else MAX_LINES for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > allowed[name]} == {}


def test_the_docs_name_files_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    path = re.compile(r"`((?:cli|console|graph|loaders|storage|tests|bench|helm)/[\w/.]+)`")
    named = {name for page in pages for name in path.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 50
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_there_are_no_circular_imports() -> None:
    names = {_name(module): module for module in modules(*PACKAGES, "bench")}
    graph = {name: set(_project_imports(module, names)) for name, module in names.items()}
    while leaves := {name for name, imported in graph.items() if not imported & graph.keys()}:
        graph = {name: imported for name, imported in graph.items() if name not in leaves}
    assert graph == {}


def _name(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _project_imports(module: Path, names: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules of the project that a file imports; `from package import module` imports the module."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module in names:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in names else node.module
