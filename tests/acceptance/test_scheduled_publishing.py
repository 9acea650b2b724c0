"""Three servers publish 50 scheduled batches of 5 lists: each once, in order and never early, whatever fails meanwhile.

How late they are is printed and not asserted: it depends on the machine.
"""

import asyncio
import datetime
import math
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from pymongo.errors import PyMongoError

from storage import BatchMode, BatchState, Event, EventKind, Store
from storage.mongodb.server_time import server_time
from tests.acceptance.command import OPEN
from tests.graph.api import CREATE, Client, row
from tests.stack.replica_set import BreakableReplicaSet
from tests.stack.servers import Server, servers
from tests.storage.factories import amounts, current
from tests.waiting import until

LISTS = [f"list-{number}" for number in range(5)]
BATCHES = 10
"""Scheduled batches of each list."""

START_SECONDS = 30.0
"""Time until the first batch is due: all 50 are sent before."""

SPREAD_SECONDS = 10.0
"""Time from the first batch to the last."""

KILL_SECONDS, STEP_DOWN_SECONDS = 3.0, 6.0
"""When a server is killed, and the primary steps down, after the first batch is due."""

PUBLISH_AT = """
mutation ($input: PublishBatchInput!) {
  publishBatch(input: $input) { batch { id state publishAt findings { gate severity } } userErrors { code message } }
}"""

UPCOMING = "query ($list: ID!) { priceList(name: $list) { nextChangeAt upcoming { totalCount nodes { id } } } }"


class Planned(NamedTuple):
    """A scheduled batch: when it is due, and its id."""

    due: datetime.datetime
    batch: str


@pytest.fixture
def running(own_replica_set: BreakableReplicaSet, database: str, tmp_path: Path) -> Iterator[list[Server]]:
    """Three servers on a replica set of three members."""
    environ = {**OPEN, "PRICEBOOK_MONGODB_URI": own_replica_set.uri, "PRICEBOOK_MONGODB_DATABASE": database}
    with servers(tmp_path / "servers", 3, environ) as started:
        yield started


@pytest.fixture
def database() -> str:
    """The name of a new database."""
    return f"scheduled_{secrets.token_hex(6)}"


@pytest.fixture
async def store(own_replica_set: BreakableReplicaSet, database: str, running: list[Server]) -> AsyncIterator[Store]:
    """The database of the servers."""
    store = await Store.open(own_replica_set.uri, database)
    yield store
    await store.close()


async def schedule(client: Client, price_list: str, first: datetime.datetime) -> list[Planned]:
    """Create a list, and send its scheduled batches, the last first; two of them are due at the same moment."""
    assert (await client.execute(CREATE, input={"name": price_list}))["data"]["createPriceList"]["userErrors"] == []
    planned = []
    for number in reversed(range(BATCHES)):
        seconds = SPREAD_SECONDS * (5 if number == 6 else number) / (BATCHES - 1)
        due = first + timedelta(seconds=seconds)
        batch = {
            "priceList": price_list,
            "mode": BatchMode.MERGE,
            "prices": [row("all", f"{number}"), row(f"{number}")],
        }
        sent = {**batch, "idempotencyKey": f"{number}", "publishAt": due.isoformat()}
        payload = (await client.execute(PUBLISH_AT, input=sent))["data"]["publishBatch"]
        assert payload["userErrors"] == [], payload
        assert payload["batch"]["state"] == "HELD"
        assert [finding["gate"] for finding in payload["batch"]["findings"]] == ["schedule"]
        planned.append(Planned(datetime.datetime.fromisoformat(payload["batch"]["publishAt"]), payload["batch"]["id"]))
    return sorted(planned)


async def sleep_until(store: Store, instant: datetime.datetime) -> None:
    await asyncio.sleep((instant - await server_time(store.client)).total_seconds())


async def break_things(store: Store, running: list[Server], first: datetime.datetime) -> None:
    """Kill a server while batches are due, and let the primary step down."""
    await sleep_until(store, first + timedelta(seconds=KILL_SECONDS))
    running[0].kill()
    await sleep_until(store, first + timedelta(seconds=STEP_DOWN_SECONDS))
    with suppress(PyMongoError):  # the connection may be closed with the answer
        await store.client.admin.command("replSetStepDown", 10, secondaryCatchUpPeriodSecs=10)


async def break_nothing(store: Store, running: list[Server], first: datetime.datetime) -> None:
    pass


async def published(store: Store, price_list: str) -> list[Event]:
    """The events that moved the pointer of a list, oldest first."""
    events = [event for event in await store.events.newest(price_list, 1000) if event.moved]
    return events[::-1]


@pytest.mark.parametrize("disturb", [break_nothing, break_things])
async def test_each_scheduled_batch_is_published_once_in_order_and_not_early(
    store: Store,
    running: list[Server],
    disturb: Callable[[Store, list[Server], datetime.datetime], Awaitable[None]],
) -> None:
    first = await server_time(store.client) + timedelta(seconds=START_SECONDS)
    async with httpx.AsyncClient(base_url=running[1].url, timeout=60, trust_env=False) as http:
        client = Client(http)
        plans = dict(zip(LISTS, await asyncio.gather(*(schedule(client, each, first) for each in LISTS)), strict=True))
        for name, planned in plans.items():
            found = (await client.execute(UPCOMING, list=name))["data"]["priceList"]
            assert datetime.datetime.fromisoformat(found["nextChangeAt"]) == planned[0].due
            assert [node["id"] for node in found["upcoming"]["nodes"]] == [each.batch for each in planned]
    assert await server_time(store.client) < first, "the batches were not sent in time"
    await disturb(store, running, first)

    async def is_over() -> bool:
        return not await store.batches.due_before(datetime.datetime.max.replace(tzinfo=UTC), 1)

    await until(is_over, "published", seconds=90)
    late: list[float] = []
    for name, planned in plans.items():
        events = await published(store, name)
        assert [event.batch for event in events] == [each.batch for each in planned]
        assert {event.kind for event in events} == {EventKind.PUBLISHED}
        late += [(event.at - each.due).total_seconds() for event, each in zip(events, planned, strict=True)]
        assert {(await store.batches.get(each.batch)).state for each in planned} == {BatchState.PUBLISHED}
        prices = await amounts(store, await current(store, name) or 0, name)
        assert prices == {"all": f"{BATCHES - 1}", **{f"{number}": "1.00" for number in range(BATCHES)}}
        assert (await store.price_lists.get(name)).next_change_at is None
    assert min(late) >= 0
    print(f"{disturb.__name__}: {summary(late)}")  # noqa: T201 - the figures, with -s


def summary(late: list[float]) -> str:
    """The percentiles of how late batches were, by the clock of the database."""
    ordered = sorted(late)
    p50, p90, p99 = (ordered[math.ceil(len(ordered) * part) - 1] for part in (0.5, 0.9, 0.99))
    return f"{len(late)} batches, p50 {p50:.3f} s, p90 {p90:.3f} s, p99 {p99:.3f} s, max {ordered[-1]:.3f} s late"
