"""Random documents: each causes at most a client error."""

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import schemathesis
from graphql import parse, print_ast
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import graphql
from schemathesis.core.result import Ok

from tests.fuzz.conftest import REQUESTS, Target

SCHEMA = Path(__file__).parents[2] / "graph" / "schema.graphql"

nodes = graphql.nodes
words = st.sampled_from(["", "0", "-1", "1.5", "1e9", "NaN", "9" * 40, "2026-02-30", "2026-11-23", "\x00", "a" * 300])
for scalar in ("Decimal", "DateTime", "Date", "BigInt"):
    graphql.scalar(scalar, (words | st.text(max_size=20)).map(nodes.String))
graphql.scalar("JSON", st.sampled_from(['{"a": {"$gt": 1}}', "[]", "{}"]).map(nodes.String))
graphql.scalar("Upload", st.just("x").map(nodes.String))

FUZZ = settings(
    max_examples=max(REQUESTS // 2, 50),
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)

_strings = re.compile(r'\b(priceList|name|sku|currency): "(?:[^"\\]|\\.)*"')
EXISTING = {"priceList": "retail", "name": "retail", "sku": "a", "currency": "EUR"}


def with_existing_names(document: str) -> str:
    """Return a document with its names and skus replaced by existing ones."""
    return _strings.sub(lambda found: f'{found[1]}: "{EXISTING[found[1]]}"', document)


schema = schemathesis.graphql.from_path(str(SCHEMA))
operations: list[Any] = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
queries = st.one_of([operation.as_strategy() for operation in operations if operation.definition.is_query])
others = st.one_of([operation.as_strategy() for operation in operations if not operation.definition.is_query])
documents = queries | others


@given(case=documents, use_existing_names=st.booleans())
@FUZZ
def test_valid_documents(target: Target, case: Any, use_existing_names: bool) -> None:
    document = with_existing_names(case.body) if use_existing_names else case.body
    if document.startswith("mutation"):  # does something else if it is repeated
        target.send(json={"query": document})
    elif not document.startswith("subscription"):
        target.ask({"query": document})


@given(
    case=documents,
    cuts=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.3)), min_size=1, max_size=3),
    noise=st.text(max_size=5),
)
@FUZZ
def test_mutated_documents(target: Target, case: Any, cuts: list[tuple[float, float]], noise: str) -> None:
    document = print_ast(parse(case.body))
    for begin, length in cuts:
        start = int(begin * len(document))
        document = document[:start] + noise + document[start + int(length * len(document)) :]
    document = document.encode("utf-8", "replace").decode()
    if "mutation" in document or "subscription" in document:
        target.send(json={"query": document})
    else:
        target.ask({"query": document})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["query", "variables", "operationName", "extensions", "documentId", "$gt"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(body=st.binary(max_size=200) | st.just(b"[" * 100_000) | st.just(b'{"query":' * 10_000))
@settings(FUZZ, max_examples=max(REQUESTS // 20, 10))
def test_invalid_bodies(target: Target, body: bytes) -> None:
    by_json = target.transports.ask_with_body(body, "application/json")
    assert by_json.codes
    assert target.transports.ask_with_body(body, "text/event-stream") == by_json


@given(variables=st.dictionaries(st.sampled_from(["l", "s", "n", "i"]), json_values, max_size=4))
@settings(FUZZ, max_examples=max(REQUESTS // 5, 20))
def test_arbitrary_variables(target: Target, variables: dict[str, Any]) -> None:
    query = """query ($l: ID!, $s: [ID!]!, $n: Int, $i: ID) { snapshot(priceList: $l) { pricesBySku(skus: $s) { sku }
      prices(first: $n) { nodes { sku } } } batch(id: $i) { state } }""".replace("$i: ID)", "$i: ID!)")
    with suppress(ValueError):  # values that JSON does not have, such as NaN, are not sent
        json.dumps(variables, allow_nan=False)
        target.ask({"query": query, "variables": variables})
