"""Every document of the console fits the schema, and has a name of its own."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from graphql import OperationDefinitionNode, build_schema, parse, validate

import console
from console.pages.overview import _by_name

SCHEMA = Path(__file__).parents[2] / "graph" / "schema.graphql"


def documents() -> Iterator[str]:
    """Yield each document that stands in a module of the console, or is made by one."""
    for found in pkgutil.walk_packages(console.__path__, "console."):
        for name, value in vars(import_module(found.name)).items():
            if name[0] != "_" and name.isupper() and isinstance(value, str) and " Console" in value and "{" in value:
                yield value
    yield _by_name(2)


def test_documents_fit_the_schema_and_have_names_of_their_own() -> None:
    schema = build_schema(SCHEMA.read_text(encoding="utf-8"))
    texts: dict[str, str] = {}
    for text in dict.fromkeys(documents()):
        document = parse(text)
        assert validate(schema, document) == [], text
        for each in document.definitions:
            if isinstance(each, OperationDefinitionNode):
                assert each.name is not None
                assert texts.setdefault(each.name.value, text) == text
    assert len(texts) > 20
