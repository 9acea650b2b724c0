"""The same request gets the same answer, or the same refusal, by JSON, server-sent events and WebSocket."""

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.conftest import REQUESTS, TRUSTED, Target
from tests.fuzz.test_documents import FUZZ

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

READ = 'query Read { snapshot(priceList: "retail") { version prices(first: 2) { nodes { sku amount } } } }'
PAGE = """query Page($l: ID! = "retail", $n: Int, $s: [ID!]! = ["a"], $f: PriceFilter, $only: Boolean = true) {
  snapshot(priceList: $l) { prices(first: $n, filter: $f) { nodes { sku history(first: $n) { version } } }
    pricesBySku(skus: $s) @include(if: $only) { sku amount } } }"""
COSTLY = """query Costly { snapshot(priceList: "retail") {
  prices(first: 1000) { nodes { history(first: 1000) { version price { amount } } } } } }"""
PRICES = ", ".join(f'{{sku: "{sku}", amount: "1.5", currency: "EUR"}}' for sku in "abc")
HARMLESS = [
    f"""mutation {{ publishBatch(input: {{
      priceList: "retail", mode: REPLACE, idempotencyKey: "first", prices: [{PRICES}]
    }}) {{ batch {{ state version }} userErrors {{ code }} }} }}""",
    'mutation { abortBatch(input: {batchId: "none", reason: "r"}) { batch { state } userErrors { code } } }',
    'mutation { createPriceList(input: {name: "retail"}) { userErrors { code path } } }',
    'mutation { createPriceList(input: {name: "no such name!"}) { userErrors { code path } } }',
    'mutation { rollback(input: {priceList: "none", toVersion: 1, reason: "r"}) { userErrors { code } } }',
    'mutation { a: unpin(input: {priceList: "none"}) { userErrors { code } } b: __typename }',
]
"""Mutations that change nothing, however often they are sent."""


def aliases(number: int) -> str:
    return "{" + " ".join(f"a{each}: __typename" for each in range(number)) + "}"


def nested(depth: int) -> str:
    return '{ snapshot(priceList: "retail") ' + "{ batch " * depth + "{ id }" + " }" * (depth + 1)


def fields_of_object(number: int) -> str:
    fields = " ".join(f"a{each}: 1" for each in range(number))
    return f'{{ snapshot(priceList: "retail") {{ prices(filter: {{{fields}}}) {{ totalCount }} }} }}'


limits = (
    st.sampled_from([1, 50, 99, 101, 300]).map(aliases)
    | st.sampled_from([1, 10, 30, 200]).map(nested)
    | st.sampled_from([1, 5, 200]).map(fields_of_object)
    | st.sampled_from([500, 2_500, 12_000]).map(lambda tokens: "{" + " __typename" * tokens + "}")
    | st.sampled_from([90_000, 100_001, 120_000, 300_000]).map(lambda length: f"{READ} #{'x' * length}")
    | st.sampled_from(
        [
            COSTLY,
            READ.replace("2", "1001"),
            READ.replace("2", "999999999999"),
            READ.replace("2", "1000.0"),
            '{ snapshot(priceList: "retail") { pricesBySku(skus: [' + '"a",' * 1001 + "]) { sku } } }",
        ]
    )
)
introspection = st.sampled_from(
    [
        "{ __schema { types { name } } }",
        '{ __type(name: "Price") { fields { name } } }',
        "query ($t: String!) { __type(name: $t) { name } }",
        "{ snapshots { version } }",
        '{ snapshot(priceLis: "retail") { versio } }',
        "{ ...F } fragment F on Query { __schema { queryType { name } } }",
    ]
)
invalid = st.sampled_from(
    [
        "",
        " ",
        "#",
        "{",
        "}",
        "{ a: __typename",
        "\ufeff{ __typename }",
        "query { snapshot }",
        "{ ...F } fragment F on Query { ...F }",
        "{ __typename @skip(if: 1) }",
        "{ __typename @unknown }",
        "query Q { __typename } query Q { __typename }",
        "type Price { sku: ID }",
        'query ($n: Int = "x") { __typename }',
        "{ batch(id: null) { id } }",
        "subscription { __typename }",
        'subscription { a: published(priceList: "retail") { version } b: published(priceList: "retail") { version } }',
    ]
)
documents = st.sampled_from([READ, PAGE, "{ __typename }", *HARMLESS]) | limits | introspection | invalid

names = st.sampled_from([None, "", "A", "B", "Read", "Page", "Costly", "NoSuchOperation", "x" * 1000])
fillers = st.sampled_from([0, 1, 50, 300]).map(
    lambda number: " ".join(f"query F{each} {{ __typename }}" for each in range(number))
)


@st.composite
def several_operations(draw: st.DrawFn) -> str:
    """Return a document with several operations, any of which may be over a limit or have no name."""
    operations = st.sampled_from(
        [
            READ,
            COSTLY,
            "query A { __typename }",
            "query B { __schema { types { name } } }",
            "{ __typename }",
            aliases(300).replace("{", "query A {", 1),
            nested(30).replace("{", "query B {", 1),
            HARMLESS[1].replace("mutation", "mutation A"),
        ]
    )
    return "\n".join([*draw(st.lists(operations, min_size=1, max_size=3, unique=True)), draw(fillers)])


numbers = st.sampled_from([0, 1, 2, -1, 1000, 1001, 1.0, 1000.0, 1001.0, 1e6, 1.5, 1e300, 2**31, 2**53, -1.0])
values = numbers | st.sampled_from([None, True, "a", "", [], {}, ["a"], [["a"]], {"a": 1}, ["a"] * 1001, [None]])
variables = st.fixed_dictionaries(
    {},
    optional={
        "l": st.sampled_from(["retail", "bystander", "none", "", "$where"]) | values,
        "n": numbers | values,
        "s": st.lists(st.sampled_from(["a", "b", "zz", "", 5, 5.0, None]), max_size=3) | values,
        "f": st.dictionaries(st.sampled_from(["skuPrefix", "currency", "amount", "validOn", "x"]), values, max_size=2)
        | values,
        "only": values,
        "undeclared": values | st.just({"a": [0] * 10_000}),
    },
)


def persisted(text: str, version: Any = 1) -> dict[str, Any]:
    return {"persistedQuery": {"version": version, "sha256Hash": hashlib.sha256(text.encode()).hexdigest()}}


extensions = st.sampled_from(
    [
        None,
        {},
        {"unknown": 1},
        {"persistedQuery": None},
        {"persistedQuery": {"version": 1}},
        {"persistedQuery": {"version": 1, "sha256Hash": 5}},
        persisted("{ unknown }"),
        persisted(READ),
        persisted(READ, 2),
        persisted(READ, "1"),
        persisted(PAGE),
        persisted(TRUSTED["names"]),
    ]
)
document_ids = st.sampled_from(
    [None, "", "names", "unknown", f"sha256:{hashlib.sha256(TRUSTED['names'].encode()).hexdigest()}", "x" * 1000]
)
anything = st.sampled_from([None, True, 0, 1.5, "", "a", [], {}, [1], {"a": 1}, [{"query": "{ __typename }"}]])


@given(query=documents, name=names)
@settings(FUZZ, max_examples=max(REQUESTS // 4, 25))
def test_documents_within_and_over_the_limits(target: Target, query: str, name: str | None) -> None:
    target.ask({"query": query, "operationName": name} if name else {"query": query})


@given(query=several_operations(), name=names)
@settings(FUZZ, max_examples=max(REQUESTS // 5, 20))
def test_documents_with_several_operations(target: Target, query: str, name: str | None) -> None:
    target.ask({"query": query, "operationName": name})


@given(query=st.sampled_from([PAGE, READ]), variables=variables)
@settings(FUZZ, max_examples=max(REQUESTS // 4, 25))
def test_variables_that_are_invalid_or_not_declared(target: Target, query: str, variables: dict[str, Any]) -> None:
    target.ask({"query": query, "variables": variables})


@given(query=st.sampled_from([None, READ, PAGE]), extensions=extensions, document_id=document_ids, name=names)
@settings(FUZZ, max_examples=max(REQUESTS // 5, 20))
def test_documents_that_are_named(target: Target, **request: Any) -> None:
    members = {"documentId": request.pop("document_id"), "operationName": request.pop("name"), **request}
    target.ask({name: value for name, value in members.items() if value is not None})


@given(
    request=anything
    | st.fixed_dictionaries(
        {},
        optional={
            "query": st.just(READ) | anything,
            "variables": st.just({}) | anything,
            "operationName": st.just("Read") | anything,
            "extensions": st.just({}) | anything,
            "documentId": anything,
            "unknown": anything,
        },
    )
)
@settings(FUZZ, max_examples=max(REQUESTS // 5, 20))
def test_envelopes_with_members_of_the_wrong_type(target: Target, request: Any) -> None:
    target.ask(request)


@given(
    field=st.sampled_from(["published(priceList: $l)", "batchProgress(id: $l)", "published(priceList: 5)", "unknown"]),
    selection=st.sampled_from(["{ __typename }", "{ version }", "{ state }", ""]),
    variables=st.fixed_dictionaries({}, optional={"l": st.sampled_from(["retail", "none", "", None, 5, []])}),
)
@settings(FUZZ, max_examples=max(REQUESTS // 10, 10))
def test_the_first_event_of_subscriptions(
    target: Target, field: str, selection: str, variables: dict[str, Any]
) -> None:
    target.first_event({"query": f"subscription ($l: ID!) {{ {field} {selection} }}", "variables": variables})
