"""Every request is counted by operation, code and status, whether it is executed, cached or refused."""

from typing import Any
from unittest.mock import patch

import pytest

from graph.request_state import RequestState
from graph.telemetry.request_metrics import RequestMetrics
from graph.telemetry.requests import Requests
from tests.graph.api import Api, row
from tests.graph.telemetry.samples import request_counts, sample

PRICE = '{ snapshot(priceList: "retail") { price(sku: "a") { amount } } }'

Counted = dict[tuple[str, str, int], int]


@pytest.fixture
async def retail(api: Api) -> Api:
    """An API with a list that has one price. No request is counted yet."""
    await api.create("retail")
    await api.publish("retail", [row("a")])
    api.runtime.requests.by_operation.clear()
    return api


def counted(api: Api) -> Counted:
    return request_counts(api.runtime.requests)


async def test_a_cached_response_is_counted_like_any_other(retail: Api) -> None:
    for _ in range(3):
        await retail.data(PRICE)
    assert retail.runtime.responses.hits == 2
    assert counted(retail) == {("query snapshot", "OK", 200): 3}
    assert sum(retail.runtime.requests.by_operation["query snapshot"].counts) == 3


async def test_a_not_modified_response_is_counted(retail: Api) -> None:
    body = {"query": PRICE}
    etag = (await retail.http.post("/graphql", json=body)).headers["etag"]
    assert (await retail.http.post("/graphql", json=body, headers={"if-none-match": etag})).status_code == 304
    assert counted(retail) == {("query snapshot", "OK", 200): 1, ("query snapshot", "OK", 304): 1}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"json": {"query": "{ snapshot"}}, ("none", "GRAPHQL_PARSE_FAILED", 200)),
        ({"json": {"query": "{ mine }"}}, ("none", "GRAPHQL_VALIDATION_FAILED", 200)),
        ({"json": {"query": '{ priceList(name: "no") { name } }'}}, ("query priceList", "OK", 200)),
        (
            {"json": {"query": '{ snapshot(priceList: "retail", version: 9) { version } }'}},
            ("query snapshot", "SNAPSHOT_NOT_FOUND", 200),
        ),
        (
            {"json": {"query": '{ snapshot(priceList: "retail") { prices(first: -1) { totalCount } } }'}},
            ("query snapshot", "INVALID_ARGUMENT", 200),
        ),
        ({"json": {"query": "subscription { published { version } }"}}, ("none", "GRAPHQL_VALIDATION_FAILED", 200)),
        ({"content": b"?", "headers": {"content-type": "text/plain"}}, ("none", "UNSUPPORTED_MEDIA_TYPE", 415)),
        ({"json": {}}, ("none", "BAD_REQUEST", 400)),
        ({"json": {"query": PRICE}, "headers": {"pricebook-min-version": "?"}}, ("none", "MIN_VERSION_INVALID", 400)),
        (
            {"json": {"query": "mutation { openBatch }"}, "headers": {"accept": "application/graphql-response+json"}},
            ("none", "GRAPHQL_VALIDATION_FAILED", 400),
        ),
    ],
)
async def test_a_refusal_is_counted_with_its_code(
    retail: Api, request_: dict[str, Any], expected: tuple[str, str, int]
) -> None:
    await retail.http.post("/graphql", **request_)
    assert counted(retail) == {expected: 1}


async def test_an_unexpected_error_is_counted_as_internal(retail: Api) -> None:
    with patch("loaders.view.View.version", side_effect=ZeroDivisionError):
        await retail.execute('{ snapshot(priceList: "retail", version: 1) { version } }')
    assert counted(retail) == {("query snapshot", "INTERNAL", 200): 1}
    broken = patch("graph.http.endpoint.Endpoint._respond", side_effect=ZeroDivisionError)
    with broken, pytest.raises(ZeroDivisionError):
        await retail.execute(PRICE)
    assert counted(retail)["none", "INTERNAL", 500] == 1


async def test_a_subscription_is_counted_when_it_ends_with_its_error_code(retail: Api) -> None:
    query = 'subscription { batchProgress(id: "none") { state } }'
    response = await retail.http.post("/graphql", json={"query": query}, headers={"accept": "text/event-stream"})
    assert "BATCH_NOT_FOUND" in response.text
    assert counted(retail) == {("subscription batchProgress", "BATCH_NOT_FOUND", 200): 1}


def test_a_request_in_flight_has_its_operation_and_counts_its_first_error() -> None:
    requests, state = Requests(), RequestState({})
    with requests.track(state):
        state.operation_name = "query snapshot"
        state.add_error("FIRST")
        state.add_error("SECOND")
        state.status = 200
        assert requests.in_flight == {state}
    assert requests.in_flight == set()
    assert request_counts(requests) == {("query snapshot", "FIRST", 200): 1}


def test_requests_are_exported_with_the_class_of_their_status() -> None:
    requests, operation = Requests(), "query exported"
    metrics = RequestMetrics(requests)
    stats = requests.by_operation[operation]
    stats.record("OK", 200, 0.01)
    stats.record_cached(200, 0.00001)
    stats.record_cached(304, 0.00001)
    state = RequestState({})
    state.operation_name = operation
    with requests.track(state):
        metrics.update()
        assert sample("pricebook_requests_in_flight", operation=operation) == 1
    metrics.update()
    assert sample("pricebook_requests_in_flight", operation=operation) == 0
    assert sample("pricebook_requests_total", operation=operation, code="OK", status="2xx") == 2
    assert sample("pricebook_requests_total", operation=operation, code="OK", status="3xx") == 1
    assert sample("pricebook_requests_total", operation=operation, code="INTERNAL", status="5xx") == 1
    assert sample("pricebook_request_duration_seconds_count", operation=operation) == 4
    assert sample("pricebook_request_duration_seconds_bucket", operation=operation, le="0.0001") >= 2
