"""The documents that the commands send are valid in the schema of this version."""

import importlib
import pkgutil
from pathlib import Path

from graphql import build_schema, parse, validate

import cli

SCHEMA = Path(__file__).parents[2] / "graph/schema.graphql"


def documents() -> dict[str, str]:
    """Return the constants of the command line that are documents, by module and name."""
    modules = [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(cli.__path__, "cli.")
        if each.name != "cli.__main__"
    ]
    return {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, str) and value.lstrip().startswith(("query ", "mutation ", "{\n"))
    }


def test_all_documents_are_valid() -> None:
    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    found = documents()
    assert len(found) > 20
    errors = {name: validate(schema, parse(text)) for name, text in found.items()}
    assert {name: each for name, each in errors.items() if each} == {}
