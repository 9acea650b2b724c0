"""Scheduled batches in the API: `publishAt`, `nextChangeAt`, `upcoming`, `rescheduleBatch`."""

import datetime
from datetime import timedelta
from typing import Any

import pytest

from tests.graph.api import Api, codes, row

PUBLISH = """
mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) {
    batch { id state version publishAt findings { gate severity } }
    snapshot { version }
    userErrors { code message path }
  }
}"""

OPEN = """
mutation ($input: OpenBatchInput!) {
  openBatch(input: $input) { batch { id publishAt } userErrors { code path } }
}"""

RESCHEDULE = """
mutation ($input: RescheduleBatchInput!) {
  rescheduleBatch(input: $input) { batch { id state publishAt } userErrors { code message path } }
}"""

REJECT = "mutation ($input: ReviewBatchInput!) { rejectBatch(input: $input) { userErrors { code } } }"

APPROVE = """
mutation ($input: ReviewBatchInput!) {
  approveBatch(input: $input) { batch { state publishAt } userErrors { code path } }
}"""

LIST = """
query ($first: Int, $after: String) {
  priceList(name: "retail") {
    nextChangeAt
    upcoming(first: $first, after: $after) {
      totalCount nodes { id publishAt } edges { cursor } pageInfo { hasNextPage endCursor }
    }
  }
}"""

EVENTS = '{ events(priceList: "retail", first: 1) { nodes { kind reason batch { id } } } }'


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list with a version."""
    await api.create("retail")
    await api.publish("retail", [row("a")])
    return api


def ahead(hours: float) -> datetime.datetime:
    """An instant some hours ahead, in the precision of the database."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return now + timedelta(hours=hours)


def batch(key: str, publish_at: str | None) -> dict[str, Any]:
    rows = [row("a", "9")]
    return {"priceList": "retail", "mode": "REPLACE", "prices": rows, "idempotencyKey": key, "publishAt": publish_at}


async def scheduled(client: Api, key: str, at: datetime.datetime) -> str:
    payload = (await client.execute(PUBLISH, input=batch(key, at.isoformat())))["data"]["publishBatch"]
    assert payload["userErrors"] == []
    return str(payload["batch"]["id"])


async def price_list(client: Api, **variables: object) -> Any:
    return (await client.execute(LIST, **variables))["data"]["priceList"]


async def reschedule(client: Api, batch_id: str, publish_at: str | None) -> Any:
    fields = {"batch": batch_id, "publishAt": publish_at, "reason": "the shop asked"}
    return (await client.execute(RESCHEDULE, input=fields))["data"]["rescheduleBatch"]


async def test_a_batch_is_scheduled(retail: Api) -> None:
    at = ahead(1)
    payload = (await retail.execute(PUBLISH, input=batch("k", at.isoformat())))["data"]["publishBatch"]
    sent = payload["batch"]
    assert (sent["state"], sent["version"], payload["snapshot"]) == ("HELD", 2, {"version": 2})
    assert sent["findings"] == [{"gate": "schedule", "severity": "HOLD"}]
    assert datetime.datetime.fromisoformat(sent["publishAt"]) == at
    found = await price_list(retail)
    assert datetime.datetime.fromisoformat(found["nextChangeAt"]) == at
    assert [node["id"] for node in found["upcoming"]["nodes"]] == [sent["id"]]


async def test_without_a_schedule_nothing_is_upcoming(retail: Api) -> None:
    found = await price_list(retail)
    assert (found["nextChangeAt"], found["upcoming"]["totalCount"], found["upcoming"]["nodes"]) == (None, 0, [])


@pytest.mark.parametrize("publish_at", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"])
async def test_an_instant_that_is_past_or_too_far_ahead_is_refused(retail: Api, publish_at: str) -> None:
    payload = (await retail.execute(PUBLISH, input=batch("k", publish_at)))["data"]["publishBatch"]
    assert (codes(payload), payload["userErrors"][0]["path"]) == (["INVALID_PUBLISH_AT"], ["input", "publishAt"])
    fields = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "publishAt": publish_at}
    assert codes((await retail.execute(OPEN, input=fields))["data"]["openBatch"]) == ["INVALID_PUBLISH_AT"]


async def test_an_instant_without_an_offset_is_an_invalid_value(retail: Api) -> None:
    assert await retail.error_codes(PUBLISH, input=batch("k", "2030-01-01T00:00:00")) == ["BAD_REQUEST"]
    fields = 'priceList: "retail", mode: REPLACE, idempotencyKey: "k", publishAt: "2030-01-01T00:00:00"'
    literal = f"mutation {{ openBatch(input: {{{fields}}}) {{ batch {{ id }} }} }}"
    assert await retail.error_codes(literal) == ["GRAPHQL_VALIDATION_FAILED"]


async def test_a_batch_in_parts_has_its_instant_from_the_start(retail: Api) -> None:
    at = ahead(1).isoformat()
    fields = {"priceList": "retail", "mode": "REPLACE", "idempotencyKey": "k", "publishAt": at}
    opened = (await retail.execute(OPEN, input=fields))["data"]["openBatch"]["batch"]
    assert datetime.datetime.fromisoformat(opened["publishAt"]) == datetime.datetime.fromisoformat(at)


async def test_upcoming_is_paged_with_cursors_that_stay_valid(retail: Api) -> None:
    at = ahead(2)
    second, third = [await scheduled(retail, key, at) for key in ("2", "3")]
    first = await scheduled(retail, "1", ahead(1))
    page = (await price_list(retail, first=2))["upcoming"]
    assert [node["id"] for node in page["nodes"]] == [first, second]
    assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (3, True)
    await reschedule(retail, second, ahead(0.5).isoformat())
    after = page["pageInfo"]["endCursor"]
    assert [node["id"] for node in (await price_list(retail, first=2, after=after))["upcoming"]["nodes"]] == [third]


@pytest.mark.parametrize("after", ["nonsense", "WyJkdWUiLC0xLCJhIl0", "WyJkdWUiLDk5OTk5OTk5OTk5OTk5OTk5LCJhIl0"])
async def test_a_forged_cursor_is_refused(retail: Api, after: str) -> None:
    response = await retail.execute(LIST, after=after)
    assert response["errors"][0]["extensions"]["code"] == "INVALID_ARGUMENT"


async def test_a_batch_is_rescheduled_and_its_schedule_taken_away(retail: Api) -> None:
    batch_id = await scheduled(retail, "k", ahead(1))
    later = ahead(2).isoformat()
    moved = await reschedule(retail, batch_id, later)
    assert datetime.datetime.fromisoformat(moved["batch"]["publishAt"]) == datetime.datetime.fromisoformat(later)
    [event] = (await retail.execute(EVENTS))["data"]["events"]["nodes"]
    assert event == {"kind": "RESCHEDULED", "reason": "the shop asked", "batch": {"id": batch_id}}
    assert (await reschedule(retail, batch_id, None))["batch"] == {"id": batch_id, "state": "HELD", "publishAt": None}
    assert (await price_list(retail))["nextChangeAt"] is None


async def test_a_schedule_is_taken_away_only_by_an_explicit_null(retail: Api) -> None:
    at = ahead(1)
    batch_id = await scheduled(retail, "k", at)
    document = """mutation ($batch: ID!, $publishAt: DateTime) {
      rescheduleBatch(input: {batch: $batch, publishAt: $publishAt, reason: "why"}) {
        batch { publishAt } userErrors { code message path } } }"""
    for payload in (
        (await retail.data(RESCHEDULE, input={"batch": batch_id, "reason": "why"}))["rescheduleBatch"],
        (await retail.data(document, batch=batch_id, publish_at=None))["rescheduleBatch"],
    ):
        [error] = payload["userErrors"]
        assert (error["code"], error["path"]) == ("INVALID_ARGUMENT", ["input", "publishAt"])
        assert error["message"].endswith("Give an instant, or null to take the schedule away.")
        assert datetime.datetime.fromisoformat((await price_list(retail))["nextChangeAt"]) == at
    payload = (await retail.data(document, batch=batch_id, publishAt=None))["rescheduleBatch"]
    assert (payload["batch"], payload["userErrors"]) == ({"publishAt": None}, [])


async def test_an_approval_keeps_the_schedule_if_it_is_asked_to(retail: Api) -> None:
    batch_id = await scheduled(retail, "k", ahead(1))
    review = {"batch": batch_id, "reason": "as agreed", "keepSchedule": True}
    approved = (await retail.data(APPROVE, input=review))["approveBatch"]
    assert (approved["batch"]["state"], approved["userErrors"]) == ("HELD", [])
    assert approved["batch"]["publishAt"] is not None
    assert codes((await retail.data(REJECT, input=review))["rejectBatch"]) == ["INVALID_ARGUMENT"]
    now = (await retail.data(APPROVE, input={"batch": batch_id, "reason": "now"}))["approveBatch"]
    assert now["batch"]["state"] == "PUBLISHED"


async def test_what_cannot_be_rescheduled(retail: Api) -> None:
    batch_id = await scheduled(retail, "k", ahead(1))
    past = await reschedule(retail, batch_id, "2020-01-01T00:00:00Z")
    assert (codes(past), past["userErrors"][0]["path"]) == (["INVALID_PUBLISH_AT"], ["input", "publishAt"])
    assert past["userErrors"][0]["message"].endswith("already. Send a later instant.")
    await retail.data(REJECT, input={"batch": batch_id, "reason": "wrong"})
    assert codes(await reschedule(retail, batch_id, None)) == ["BATCH_NOT_HELD"]
    assert codes(await reschedule(retail, "none", None)) == ["BATCH_NOT_FOUND"]
