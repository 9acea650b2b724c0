"""Every transport executes the document that was checked: what one refuses, all refuse."""

import asyncio
import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from graph.http.persisted_queries import RequestedDocuments
from graph.http.pipeline import MAX_REQUESTS_PER_ITERATION
from graph.http.requests import GraphQLRequest
from tests.graph.api import Api, open_settings, row, serving
from tests.graph.transports import TRANSPORTS, Answer, answer

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS)

COSTLY = '{ snapshot(priceList: "shop") { prices(first: 1000) { nodes { history(first: 100) { price { sku } } } } } }'
DEEP = '{ snapshot(priceList: "shop") { prices { ' + "nodes { history { price { " * 8 + "sku" + " } } }" * 8 + " } } }"
ALIASES = "{ " + " ".join(f"a{number}: __typename" for number in range(101)) + " }"
BURST = 20
"""Requests that are sent at once: as many as the connections that a WebSocket client may open at once."""
PAGE = 'query ($n: Int) { snapshot(priceList: "shop") { prices(first: $n) { nodes { sku } } } }'


@pytest.fixture
async def shop(api: Api) -> Api:
    """An application with the list `shop`, which has two prices."""
    await api.create("shop")
    await api.publish("shop", [row("a"), row("b", "2.50")])
    return api


@pytest.fixture
async def hidden(mongodb_uri: str) -> AsyncIterator[Api]:
    """An application without introspection, which executes queries for a second."""
    settings = open_settings(mongodb_uri=mongodb_uri, mongodb_database="hidden", introspection=False, max_seconds=1)
    async with serving(settings) as api:
        yield api


async def test_a_query_is_answered(shop: Api, transport: str) -> None:
    document = 'query ($sku: ID!) { snapshot(priceList: "shop") { version price(sku: $sku) { amount } } }'
    answered = await answer(shop.app, transport, {"query": document, "variables": {"sku": "b"}})
    assert answered == Answer({"snapshot": {"version": 1, "price": {"amount": "2.50"}}}, [], [])


async def test_a_mutation_is_answered(api: Api, transport: str) -> None:
    document = 'mutation { createPriceList(input: {name: "new"}) { priceList { name } } }'
    answered = await answer(api.app, transport, {"query": document})
    assert answered.data == {"createPriceList": {"priceList": {"name": "new"}}}


REFUSED: dict[str, tuple[Any, str]] = {
    "no operation": ({"query": "query A { __typename } query B { __typename }"}, "OPERATION_NOT_FOUND"),
    "an unknown operation": ({"query": "query A { __typename }", "operationName": "B"}, "OPERATION_NOT_FOUND"),
    "cost": ({"query": COSTLY}, "QUERY_TOO_COSTLY"),
    "cost of an unnamed operation": ({"query": f"query A {COSTLY} query B {{ __typename }}"}, "OPERATION_NOT_FOUND"),
    "cost of one of two": (
        {"query": f"query A {COSTLY} query B {{ __typename }}", "operationName": "A"},
        "QUERY_TOO_COSTLY",
    ),
    "depth": ({"query": DEEP}, "QUERY_TOO_DEEP"),
    "depth of one of two": ({"query": f"query A {DEEP} query B {{ __typename }}"}, "QUERY_TOO_DEEP"),
    "aliases": ({"query": f"query A {{ __typename }} query B {ALIASES}"}, "TOO_MANY_ALIASES"),
    "tokens": ({"query": "{ " + "a " * 2000 + "}"}, "GRAPHQL_PARSE_FAILED"),
    "syntax": ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    "an unknown field": ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
    "length": ({"query": "{ __typename } #" + " " * 100_000}, "DOCUMENT_TOO_LARGE"),
    "no document": ({}, "BAD_REQUEST"),
    "an empty document": ({"query": ""}, "BAD_REQUEST"),
    "a document of another type": ({"query": 5}, "BAD_REQUEST"),
    "a comment alone": ({"query": "# nothing"}, "GRAPHQL_PARSE_FAILED"),
    "no request": ("{ __typename }", "BAD_REQUEST"),
    "several requests": ([{"query": "{ __typename }"}], "BATCHING_NOT_SUPPORTED"),
    "variables of another type": ({"query": "{ __typename }", "variables": []}, "BAD_REQUEST"),
    "a malformed hash": ({"extensions": {"persistedQuery": {}}}, "BAD_REQUEST"),
    "the hash of another document": (
        {"query": "{ __typename }", "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
        "PERSISTED_QUERY_HASH_MISMATCH",
    ),
    "an unknown hash": (
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
        "PERSISTED_QUERY_NOT_FOUND",
    ),
    "an unknown id": ({"documentId": "nope"}, "DOCUMENT_NOT_FOUND"),
    "a missing variable": ({"query": "query ($l: ID!) { priceList(name: $l) { name } }"}, "BAD_REQUEST"),
    "a float that is an integer": ({"query": PAGE, "variables": {"n": 1001.0}}, "PAGE_TOO_LARGE"),
    "many values": ({"query": PAGE, "variables": {"n": [0] * 12_001}}, "VARIABLES_TOO_LARGE"),
    "a wide object": (
        {
            "query": '{ snapshot(priceList: "shop", version: {'
            + "".join(f"a{n}:1 " for n in range(51))
            + "}) { size } }"
        },
        "QUERY_TOO_LARGE",
    ),
}


async def test_a_refused_request_has_the_same_code(api: Api, transport: str) -> None:
    for name, (request, code) in REFUSED.items():
        answered = await answer(api.app, transport, request)
        assert (answered.data, answered.codes[:1]) == (None, [code]), name


INVALID = [
    "fragment F on Query { __typename }",
    "{ ...F }",
    "{ __typename } fragment F on Query { __typename }",
    "{ priceList { name } }",
    '{ priceLists(first: "x", nope: 1) { totalCount } }',
    "{ priceLists }",
    "{ __typename { name } }",
    "{ __typename @nope }",
    "{ ... @defer { __typename } }",
    "query ($x: Nope) { __typename }",
    "query A { __typename } query A { __typename }",
    '{ a: priceLists { totalCount } a: priceList(name: "x") { name } }',
    '{ snapshot(priceList: "shop", version: 99999999999) { size } }',
    "type Nope { a: Int }",
    'subscription { published(priceList: "shop") @skip(if: true) { version } }',
    'subscription { a: published(priceList: "shop") { version } b: published(priceList: "shop") { version } }',
]


async def test_each_error_of_an_invalid_document_has_a_code(api: Api, transport: str) -> None:
    for document in INVALID:
        answered = await answer(api.app, transport, {"query": document})
        assert (answered.data, {*answered.codes}) == (None, {"GRAPHQL_VALIDATION_FAILED"}), document


async def test_a_burst_leaves_turns_to_other_tasks(shop: Api, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise each command of a batch, which needs several iterations of the event loop, waits for all of them."""
    iteration, started, find = 0, Counter[int](), RequestedDocuments.find

    def note(documents: RequestedDocuments, request: GraphQLRequest) -> str:
        started[iteration] += 1
        return find(documents, request)

    monkeypatch.setattr(RequestedDocuments, "find", note)
    answers = asyncio.gather(*(answer(shop.app, transport, {"query": "{ __typename }"}) for _ in range(BURST)))
    while not answers.done():
        await asyncio.sleep(0)
        iteration += 1
    assert {each.data["__typename"] for each in answers.result()} == {"Query"}
    assert started.total() == BURST
    assert max(started.values()) <= MAX_REQUESTS_PER_ITERATION


async def test_a_caller_without_the_scope_gets_the_same_code(mongodb_uri: str, transport: str) -> None:
    reading = open_settings(mongodb_uri=mongodb_uri, mongodb_database="reading", anonymous="prices:read")
    async with serving(reading) as api:
        for document in (
            "{ batches { totalCount } }",
            'mutation { createPriceList(input: {name: "x"}) { priceList { name } } }',
        ):
            assert (await answer(api.app, transport, {"query": document})).codes == ["UNAUTHENTICATED"], document


async def test_a_subscription_that_is_refused_has_the_same_code(shop: Api, transport: str) -> None:
    if transport == "json":
        codes = dict.fromkeys(("none", "shop"), "BAD_REQUEST")
    else:
        codes = {"none": "PRICE_LIST_NOT_FOUND", "shop": "INVALID_ARGUMENT"}
    for price_list, code in codes.items():
        document = f'subscription {{ published(priceList: "{price_list}", after: 99) {{ version }} }}'
        assert (await answer(shop.app, transport, {"query": document})).codes == [code]


async def test_the_schema_is_hidden_without_introspection(hidden: Api, transport: str) -> None:
    for document in ("{ __schema { queryType { name } } }", "{ priceListz { totalCount } }"):
        answered = await answer(hidden.app, transport, {"query": document})
        assert set(answered.codes) == {"GRAPHQL_VALIDATION_FAILED"}
        assert "Did you mean" not in str(answered.messages)
    variable = "query ($f: PriceFilter) { snapshot(priceList: 1) { prices(filter: $f) { totalCount } } }"
    answered = await answer(hidden.app, transport, {"query": variable, "variables": {"f": {"skuPrefixx": "a"}}})
    assert "Did you mean" not in str(answered.messages)


async def test_a_query_has_a_timeout(hidden: Api, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(hidden.runtime.pointers, "current_with", wait)
    answered = await answer(hidden.app, transport, {"query": '{ priceList(name: "none") { name } }'})
    assert answered.codes == ["QUERY_TIMEOUT"]


async def test_an_unexpected_error_is_masked(
    shop: Api, transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("driver secret")

    monkeypatch.setattr(shop.runtime.pointers, "current_with", fail)
    answered = await answer(shop.app, transport, {"query": '{ priceList(name: "none") { name } }'})
    assert answered.codes == ["INTERNAL"]
    assert "driver secret" not in str(answered.messages)
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == ["pricebook.graph"]


async def test_errors_of_users_are_not_logged(api: Api, transport: str, caplog: pytest.LogCaptureFixture) -> None:
    for document in ("{ nope }", '{ snapshot(priceList: "none") { size } }', "{"):
        assert (await answer(api.app, transport, {"query": document})).codes
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_document_that_was_sent_with_its_hash_is_found_by_it(api: Api, transport: str) -> None:
    document = "{ __typename }"
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}}
    for request in ({"query": document, "extensions": extensions}, {"extensions": extensions}):
        assert (await answer(api.app, transport, request)).data == {"__typename": "Query"}


async def test_undeclared_variables_are_ignored(api: Api, transport: str) -> None:
    for value in (1, [0] * 20_000, "x" * 50_000):
        request = {"query": "{ __typename }", "variables": {"undeclared": value}}
        assert (await answer(api.app, transport, request)).data == {"__typename": "Query"}


async def test_the_number_and_the_length_of_errors_are_bounded(api: Api, transport: str) -> None:
    fields = " ".join(f"f{number}" for number in range(500))
    answered = await answer(api.app, transport, {"query": f"{{ {fields} }}"})
    assert len(answered.codes) == 5
    document = '{ snapshot(priceList: "shop", version: "' + "9" * 50_000 + '") { size } }'
    answered = await answer(api.app, transport, {"query": document})
    assert max(map(len, answered.messages)) <= 501
    variables = {"f": {f"f{number}": 1 for number in range(500)}}
    document = "query ($f: PriceFilter) { snapshot(priceList: 1) { prices(filter: $f) { totalCount } } }"
    assert len((await answer(api.app, transport, {"query": document, "variables": variables})).codes) == 5


async def test_a_caller_who_sends_ever_new_documents_is_slowed_down(
    api: Api, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {"query": "{ __typename }"}
    assert (await answer(api.app, transport, known)).data
    monkeypatch.setattr("graph.limits.cpu_budget.CPU_BURST_SECONDS", 0.0)
    for document in ("{ a: __typename }", "{ nope }", "{"):
        assert (await answer(api.app, transport, {"query": document})).codes == ["RATE_LIMITED"]
    assert (await answer(api.app, transport, known)).data
