"""The demo: the ECB's rates as published, sent once through the public API."""

import asyncio
import re
from collections.abc import AsyncIterator
from decimal import Decimal

import httpx
import msgspec
import pytest

from cli.client import Json
from cli.client import client as module
from cli.client.client import ApiClient
from cli.client.errors import ApiError
from cli.dev.demo import DAYS, ECB, HISTORY, publish_demo
from cli.dev.ecb import PublicationDay, parse_rates, read_rates

ENDPOINT = "http://pricebook.test/graphql"


class FakeServer:
    """An in-memory API: lists with their published batches, in order."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Json]] = {}
        self.mutations = 0
        self.user_errors: list[Json] = []
        self.batch: Json = {"state": "PUBLISHED", "errorCount": 0, "errors": []}
        self.fail_polls = False
        self.is_polled = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(await request.aread())
        name = re.search(r"(?:query|mutation) (\w+)", body["query"])
        assert name is not None
        return await getattr(self, name[1].lower())(body["variables"])  # type: ignore[no-any-return]

    async def current(self, variables: Json) -> httpx.Response:
        batches = self.lists.get(variables["name"])
        if batches is None:
            return response(priceList=None)
        current = {"label": batches[-1]["label"], **snapshot(batches)} if batches else None
        return response(priceList={"current": current})

    async def create(self, variables: Json) -> httpx.Response:
        self.mutations += 1
        assert variables["input"]["name"] not in self.lists
        self.lists[variables["input"]["name"]] = []
        return response(createPriceList={"userErrors": []})

    async def publish(self, variables: Json) -> httpx.Response:
        self.mutations += 1
        request = variables["input"]
        if self.user_errors or self.batch["state"] != "PUBLISHED":
            batch = None if self.user_errors else {"id": "b1", **self.batch}
            return response(publishBatch={"batch": batch, "snapshot": None, "userErrors": self.user_errors})
        if request["priceList"] == HISTORY:
            await asyncio.wait_for(self.is_polled.wait(), 10)
        batches = self.lists[request["priceList"]]
        batches.append(request)
        return response(
            publishBatch={"batch": {"id": "b1", **self.batch}, "snapshot": snapshot(batches), "userErrors": []}
        )

    async def progress(self, variables: Json) -> httpx.Response:
        self.is_polled.set()
        if self.fail_polls:
            raise httpx.ReadTimeout("no response")
        return response(batches={"nodes": [{"state": "SEALING", "progress": {"received": 9, "stored": 5}}]})


def response(**data: object) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


def snapshot(batches: list[Json]) -> Json:
    return {"version": len(batches), "size": len(batches[-1]["prices"])}


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def api(server: FakeServer) -> AsyncIterator[ApiClient]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(server)) as http:
        yield ApiClient(ENDPOINT, http, print)


@pytest.fixture(scope="module")
def days() -> list[PublicationDay]:
    return read_rates()


@pytest.fixture(autouse=True)
def _fewer_days(days: list[PublicationDay], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.dev.demo.read_rates", lambda: [*days[:10], *days[-40:]])


# ---------------------------------------------------------------- the rates


def test_rates_are_sorted_by_day_and_missing_rates_omitted() -> None:
    table = ["Date,USD,CYP,", "2026-10-30,1.1100,N/A,", "1999-01-04,1.1789,0.58231,"]
    assert parse_rates(table) == [
        PublicationDay("1999-01-04", {"USD": "1.1789", "CYP": "0.58231"}),
        PublicationDay("2026-10-30", {"USD": "1.1100"}),
    ]


def test_the_complete_history_is_read_exactly(days: list[PublicationDay]) -> None:
    assert sum(len(day.rates) for day in days) > 200_000
    assert [day.day for day in days] == sorted({day.day for day in days})
    assert days[0].day == "1999-01-04"
    assert days[0].rates["USD"] == "1.1789"
    assert days[0].rates["TRL"] == "372274"
    assert all(Decimal(rate) > 0 for day in days for rate in day.rates.values())


# ---------------------------------------------------------------- a first run


async def test_the_last_thirty_days_become_versions_oldest_first(
    api: ApiClient, server: FakeServer, days: list[PublicationDay]
) -> None:
    await publish_demo(api)
    batches = server.lists[ECB]
    assert [batch["label"] for batch in batches] == [day.day for day in days[-DAYS:]]
    assert [batch["idempotencyKey"] for batch in batches] == [f"demo-ecb-{day.day}" for day in days[-DAYS:]]
    assert {batch["mode"] for batch in batches} == {"REPLACE"}
    last = days[-1]
    assert batches[-1]["prices"] == [
        {"sku": currency, "amount": rate, "currency": currency, "validFrom": last.day}
        for currency, rate in last.rates.items()
    ]


async def test_the_complete_history_is_one_batch(
    api: ApiClient, server: FakeServer, days: list[PublicationDay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.dev.demo.read_rates", lambda: days)
    await publish_demo(api)
    [batch] = server.lists[HISTORY]
    assert batch["idempotencyKey"] == f"demo-ecb-history-{days[-1].day}"
    assert batch["label"] == days[-1].day
    assert len(batch["prices"]) == sum(len(day.rates) for day in days)
    assert len({price["sku"] for price in batch["prices"]}) == len(batch["prices"])
    assert batch["prices"][0] == {
        "sku": "USD/1999-01-04",
        "amount": "1.1789",
        "currency": "USD",
        "attributes": {"currency": "USD", "day": "1999-01-04"},
    }


async def test_failed_polls_do_not_disturb_the_batch(api: ApiClient, server: FakeServer) -> None:
    server.fail_polls = True
    await publish_demo(api)
    assert len(server.lists[HISTORY]) == 1


# ---------------------------------------------------------------- a second run


async def test_a_second_run_publishes_nothing_and_prints_it(
    api: ApiClient, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    await publish_demo(api)
    capsys.readouterr()
    server.mutations = 0
    await publish_demo(api)
    assert server.mutations == 0
    output = capsys.readouterr().out
    assert f"Skipped {ECB}: version 30 is current" in output
    assert f"Skipped {HISTORY}: version 1 is current" in output


async def test_an_interrupted_run_is_finished_by_the_next(api: ApiClient, server: FakeServer) -> None:
    await publish_demo(api)
    server.lists[HISTORY].clear()
    server.mutations = 0
    await publish_demo(api)
    assert server.mutations == 1
    assert len(server.lists[HISTORY]) == 1


# ---------------------------------------------------------------- refusals


async def test_user_errors_stop_the_demo_with_code_and_message(api: ApiClient, server: FakeServer) -> None:
    server.user_errors = [{"code": "CONFLICT", "message": "Someone was quicker.", "path": ["input", "priceList"]}]
    with pytest.raises(ApiError) as caught:
        await publish_demo(api)
    assert caught.value.exit_code == 1
    assert caught.value.message == "publishBatch was refused:\n  CONFLICT: Someone was quicker."
    assert server.mutations == 2  # one list, one batch


async def test_a_batch_that_is_not_published_stops_the_demo(api: ApiClient, server: FakeServer) -> None:
    server.batch = {"state": "HELD", "errorCount": 0, "errors": []}
    with pytest.raises(ApiError, match=r"The batch b1 of ecb is HELD, not published\."):
        await publish_demo(api)


async def test_invalid_prices_stop_the_demo_with_the_first_of_them(api: ApiClient, server: FakeServer) -> None:
    errors = [
        {"index": index, "sku": f"S{index}", "field": "amount", "code": "AMOUNT", "message": "Not a number."}
        for index in range(5)
    ]
    server.batch = {"state": "REJECTED", "errorCount": 1200, "errors": errors}
    with pytest.raises(ApiError) as caught:
        await publish_demo(api)
    assert "AMOUNT in price 4 (S4): Not a number." in caught.value.message
    assert "S5" not in caught.value.message
    assert "and 1,195 more invalid prices" in caught.value.message


async def test_a_server_that_does_not_respond_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    monkeypatch.setattr(module, "FIRST_DELAY_SECONDS", 0)
    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        with pytest.raises(ApiError, match=r"No response from http://pricebook\.test/graphql .*`pricebook dev`"):
            await publish_demo(ApiClient(ENDPOINT, http, print))


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        (httpx.Response(413, text="too large"), "responded 413, not GraphQL: too large"),
        (httpx.Response(200, json=[]), "responded 200, not GraphQL"),
        (
            httpx.Response(200, json={"errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]}),
            "FORBIDDEN: No.",
        ),
    ],
)
async def test_a_response_without_data_is_shown(refusal: httpx.Response, message: str) -> None:
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: refusal)) as http:
        with pytest.raises(ApiError, match=re.escape(message)):
            await publish_demo(ApiClient(ENDPOINT, http, print))
