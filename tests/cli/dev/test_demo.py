"""The demo: the ECB's rates as they were published, sent once through the public API."""

import re
import threading
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx
import msgspec
import pytest

from cli.client.sync_client import Api, ApiError
from cli.dev.demo import DAYS, ECB, HISTORY, publish_demo
from cli.dev.ecb import PublicationDay, parse_rates, read_rates

Json = dict[str, Any]

ENDPOINT = "http://pricebook.test/graphql"


class FakeServer:
    """The API as the demo meets it: lists with the batches that were published to them, in order."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Json]] = {}
        self.mutations = 0
        self.user_errors: list[Json] = []
        self.batch: Json = {"state": "PUBLISHED", "errorCount": 0, "errors": []}
        self.polls_fail = False
        self.polled = threading.Event()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = msgspec.json.decode(request.read())
        assert int(request.headers["content-length"]) == len(request.content)
        name = re.search(r"(?:query|mutation) (\w+)", body["query"])
        assert name is not None
        return getattr(self, name[1].lower())(body["variables"])  # type: ignore[no-any-return]

    def current(self, variables: Json) -> httpx.Response:
        batches = self.lists.get(variables["name"])
        if batches is None:
            return answer(priceList=None)
        current = {"label": batches[-1]["label"], **snapshot(batches)} if batches else None
        return answer(priceList={"current": current})

    def create(self, variables: Json) -> httpx.Response:
        self.mutations += 1
        assert variables["input"]["name"] not in self.lists
        self.lists[variables["input"]["name"]] = []
        return answer(createPriceList={"userErrors": []})

    def publish(self, variables: Json) -> httpx.Response:
        self.mutations += 1
        sent = variables["input"]
        if self.user_errors or self.batch["state"] != "PUBLISHED":
            batch = None if self.user_errors else {"id": "b1", **self.batch}
            return answer(publishBatch={"batch": batch, "snapshot": None, "userErrors": self.user_errors})
        if sent["priceList"] == HISTORY:
            assert self.polled.wait(10)
        batches = self.lists[sent["priceList"]]
        batches.append(sent)
        return answer(
            publishBatch={"batch": {"id": "b1", **self.batch}, "snapshot": snapshot(batches), "userErrors": []}
        )

    def progress(self, variables: Json) -> httpx.Response:
        self.polled.set()
        if self.polls_fail:
            raise httpx.ReadTimeout("no answer")
        return answer(batches={"nodes": [{"state": "SEALING", "progress": {"received": 9, "stored": 5}}]})


def answer(**data: object) -> httpx.Response:
    return httpx.Response(200, json={"data": data})


def snapshot(batches: list[Json]) -> Json:
    return {"version": len(batches), "size": len(batches[-1]["prices"])}


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def api(server: FakeServer) -> Iterator[Api]:
    with httpx.Client(transport=httpx.MockTransport(server)) as client:
        yield Api(ENDPOINT, client)


@pytest.fixture(scope="module")
def days() -> list[PublicationDay]:
    return read_rates()


@pytest.fixture(autouse=True)
def _only_some_days(days: list[PublicationDay], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.dev.demo.read_rates", lambda: [*days[:10], *days[-40:]])


# ---------------------------------------------------------------- the rates


def test_rates_come_oldest_day_first_without_the_days_a_currency_had_none() -> None:
    table = ["Date,USD,CYP,", "2026-10-30,1.1100,N/A,", "1999-01-04,1.1789,0.58231,"]
    assert parse_rates(table) == [
        PublicationDay("1999-01-04", {"USD": "1.1789", "CYP": "0.58231"}),
        PublicationDay("2026-10-30", {"USD": "1.1100"}),
    ]


def test_the_whole_history_is_read_exactly(days: list[PublicationDay]) -> None:
    assert sum(len(day.rates) for day in days) > 200_000
    assert [day.day for day in days] == sorted({day.day for day in days})
    assert days[0].day == "1999-01-04"
    assert days[0].rates["USD"] == "1.1789"
    assert days[0].rates["TRL"] == "372274"
    assert all(Decimal(rate) > 0 for day in days for rate in day.rates.values())


# ---------------------------------------------------------------- a first run


def test_the_last_thirty_days_become_versions_oldest_first(
    api: Api, server: FakeServer, days: list[PublicationDay]
) -> None:
    publish_demo(api)
    batches = server.lists[ECB]
    assert [batch["label"] for batch in batches] == [day.day for day in days[-DAYS:]]
    assert [batch["idempotencyKey"] for batch in batches] == [f"demo-ecb-{day.day}" for day in days[-DAYS:]]
    assert {batch["mode"] for batch in batches} == {"REPLACE"}
    last = days[-1]
    assert batches[-1]["prices"] == [
        {"sku": currency, "amount": rate, "currency": currency, "validFrom": last.day}
        for currency, rate in last.rates.items()
    ]


def test_the_whole_history_is_one_batch(
    api: Api, server: FakeServer, days: list[PublicationDay], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.dev.demo.read_rates", lambda: days)
    publish_demo(api)
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


def test_polls_that_fail_do_not_disturb_the_batch(api: Api, server: FakeServer) -> None:
    server.polls_fail = True
    publish_demo(api)
    assert len(server.lists[HISTORY]) == 1


# ---------------------------------------------------------------- a second run


def test_a_second_run_publishes_nothing_and_says_so(
    api: Api, server: FakeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    publish_demo(api)
    capsys.readouterr()
    server.mutations = 0
    publish_demo(api)
    assert server.mutations == 0
    said = capsys.readouterr().out
    assert f"Skipped {ECB}: version 30 is there" in said
    assert f"Skipped {HISTORY}: version 1 is there" in said


def test_a_run_that_was_cut_off_is_finished_by_the_next(api: Api, server: FakeServer) -> None:
    publish_demo(api)
    server.lists[HISTORY].clear()
    server.mutations = 0
    publish_demo(api)
    assert server.mutations == 1
    assert len(server.lists[HISTORY]) == 1


# ---------------------------------------------------------------- refusals


def test_user_errors_stop_the_demo_with_code_place_and_message(api: Api, server: FakeServer) -> None:
    server.user_errors = [{"code": "CONFLICT", "message": "Someone was quicker.", "path": ["input", "priceList"]}]
    with pytest.raises(ApiError) as caught:
        publish_demo(api)
    assert caught.value.exit_code == 1
    assert caught.value.message == "publishBatch was refused:\n  CONFLICT at input.priceList: Someone was quicker."
    assert server.mutations == 2  # created one list, tried one batch


def test_a_batch_that_is_not_published_stops_the_demo(api: Api, server: FakeServer) -> None:
    server.batch = {"state": "HELD", "errorCount": 0, "errors": []}
    with pytest.raises(ApiError, match=r"The batch b1 of ecb is HELD, not published\."):
        publish_demo(api)


def test_bad_prices_stop_the_demo_with_the_first_of_them(api: Api, server: FakeServer) -> None:
    errors = [
        {"index": index, "sku": f"S{index}", "field": "amount", "code": "AMOUNT", "message": "Not a number."}
        for index in range(100)
    ]
    server.batch = {"state": "REJECTED", "errorCount": 1200, "errors": errors}
    with pytest.raises(ApiError) as caught:
        publish_demo(api)
    assert "AMOUNT in price 4 (S4): Not a number." in caught.value.message
    assert "S5" not in caught.value.message
    assert "and 1,195 more bad prices" in caught.value.message


def test_a_server_that_does_not_answer_is_named_with_the_remedy() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with (
        httpx.Client(transport=httpx.MockTransport(refuse)) as client,
        pytest.raises(ApiError, match=r"No answer from http://pricebook\.test/graphql .*`pricebook dev` starts one"),
    ):
        publish_demo(Api(ENDPOINT, client))


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (httpx.Response(413, text="too large"), "answered 413, not GraphQL: too large"),
        (httpx.Response(200, json=[]), "answered 200, not GraphQL"),
        (
            httpx.Response(200, json={"errors": [{"message": "No.", "extensions": {"code": "FORBIDDEN"}}]}),
            "FORBIDDEN: No.",
        ),
    ],
)
def test_an_answer_that_holds_no_data_is_shown(response: httpx.Response, message: str) -> None:
    with (
        httpx.Client(transport=httpx.MockTransport(lambda _: response)) as client,
        pytest.raises(ApiError, match=re.escape(message)),
    ):
        publish_demo(Api(ENDPOINT, client))
