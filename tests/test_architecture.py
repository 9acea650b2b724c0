"""The rooms and who may enter which: held by import-linter's contracts, and by what the files say."""

import ast
import re
import subprocess
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("cli", "graph", "loaders", "storage")
MAX_LINES = 400
MAX_TEST_LINES = 650  # a test module is a list, and reads from top to bottom


def modules(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from sorted((ROOT / package).rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """The names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            yield node.module or ""


def test_the_import_contracts_hold() -> None:
    # A process of its own: within this one it would switch off every logger that is there already.
    command: list[str | Path] = [Path(sysconfig.get_path("scripts"), "lint-imports"), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_only_storage_knows_the_driver() -> None:
    knowing = {
        str(module.relative_to(ROOT))
        for module in modules("cli", "graph", "loaders")
        for name in imported(module)
        if name.split(".")[0] in {"pymongo", "bson", "motor", "gridfs"}
    }
    assert knowing == set()


def test_the_upper_rooms_enter_storage_by_its_door() -> None:
    around = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules("graph", "loaders")  # the command line starts the embedded replica set
        for name in imported(module)
        if name.startswith("storage.")
    }
    assert around == set()


def test_no_file_is_too_long_to_have_one_purpose() -> None:
    lengths = {
        str(module.relative_to(ROOT)): len(module.read_text().splitlines())
        for module in modules(*PACKAGES, "tests", "bench")
    }
    allowed = {name: MAX_TEST_LINES if name.startswith("tests") else MAX_LINES for name in lengths}
    assert {name: lines for name, lines in lengths.items() if lines > allowed[name]} == {}


def test_the_docs_name_files_that_exist() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
    path = re.compile(r"`((?:cli|graph|loaders|storage|tests|bench|helm)/[\w/.]+)`")
    named = {name for page in pages for name in path.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 50
    assert [each for each in sorted(named) if not (ROOT / each).exists()] == []


def test_no_modules_import_one_another_in_a_circle() -> None:
    names = {_name(module): module for module in modules(*PACKAGES, "bench")}
    graph = {name: set(_known(module, names)) for name, module in names.items()}
    while leaves := {name for name, needed in graph.items() if not needed & graph.keys()}:
        graph = {name: needed for name, needed in graph.items() if name not in leaves}
    assert graph == {}


def _name(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _known(module: Path, names: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the project that a file imports; `from package import module` imports the module."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module in names:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                yield submodule if submodule in names else node.module
