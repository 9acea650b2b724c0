"""The client acts in the name of one caller, and says what the API did not do."""

from collections.abc import AsyncIterator

import pytest

from console.client.client import ApiClient
from console.client.errors import ApiError, Refused, Unauthenticated, Unreachable
from tests.console.conftest import Stage

CALLER = "query { caller { name } }"
LISTS = "query { priceLists(first: 1) { nodes { name pin { version } } } }"
PIN = "mutation ($input: PinInput!) { pin(input: $input) { userErrors { code message } } }"


@pytest.fixture
async def operator(stage: Stage) -> AsyncIterator[ApiClient]:
    client = ApiClient(f"{stage.url}/graphql", stage.keys["olivia"])
    yield client
    await client.close()


@pytest.fixture
async def reader(stage: Stage) -> AsyncIterator[ApiClient]:
    client = ApiClient(f"{stage.url}/graphql", stage.keys["rhea"])
    yield client
    await client.close()


async def test_a_query_is_answered_in_the_name_of_the_caller(operator: ApiClient) -> None:
    assert await operator.query(CALLER) == {"caller": {"name": "olivia"}}


async def test_an_error_has_its_code_and_message(operator: ApiClient) -> None:
    with pytest.raises(ApiError) as caught:
        await operator.query("{ nothing }")
    [problem] = caught.value.problems
    assert problem.code == "GRAPHQL_VALIDATION_FAILED"
    assert "nothing" in problem.message


async def test_what_the_caller_may_not_read_is_null_if_the_page_allows_it(reader: ApiClient) -> None:
    with pytest.raises(ApiError, match="FORBIDDEN"):
        await reader.query(LISTS)
    [node] = (await reader.query_allowed(LISTS))["priceLists"]["nodes"]
    assert node["name"]
    assert node["pin"] is None


async def test_other_errors_are_raised_all_the_same(reader: ApiClient) -> None:
    with pytest.raises(ApiError, match="GRAPHQL_VALIDATION_FAILED"):
        await reader.query_allowed("{ nothing }")


async def test_a_refused_mutation_has_the_user_errors(operator: ApiClient) -> None:
    with pytest.raises(Refused) as caught:
        await operator.mutate(PIN, priceList="none", version=1, reason="test")
    assert [problem.code for problem in caught.value.problems] == ["PRICE_LIST_NOT_FOUND"]


async def test_a_mutation_without_a_response_may_have_been_done() -> None:
    client = ApiClient("http://127.0.0.1:9/graphql", None)
    with pytest.raises(Unreachable, match="It may have been done"):
        await client.mutate(PIN, priceList="ecb", version=1, reason="test")
    await client.close()


async def test_an_endpoint_that_is_not_graphql_is_unreachable(stage: Stage) -> None:
    client = ApiClient(f"{stage.url}/healthz", None)
    with pytest.raises(Unreachable, match="is not GraphQL"):
        await client.query(CALLER)
    await client.close()


async def test_a_revoked_token_is_told_from_other_errors(stage: Stage) -> None:
    client = ApiClient(f"{stage.url}/graphql", "pb_wrong")
    with pytest.raises(Unauthenticated):
        await client.query(CALLER)
    with pytest.raises(Unauthenticated):
        await anext(client.subscribe("subscription { publications { version } }"))
    await client.close()
