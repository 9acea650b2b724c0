"""What was shown when: versions as of an instant, timelines, the lowest price, exposures."""

import datetime
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest

from loaders.instants import SETTLED_AFTER
from storage import Store
from tests.graph.api import ROLLBACK, Api, expire_past_versions, row
from tests.graph.schema.test_deletion import delete, recreate

IMMUTABLE = "public, max-age=31536000, immutable"
HOUR = datetime.timedelta(hours=1)
AS_OF = """query ($at: DateTime, $v: Int, $c: String) { snapshot(priceList: "retail", asOf: $at, version: $v) {
  version prices(first: 1, after: $c) { nodes { sku amount } pageInfo { endCursor } } } }"""
TIMELINE = """query ($sku: ID!, $since: DateTime!, $until: DateTime) { snapshot(priceList: "retail") {
  price(sku: $sku) { timeline(since: $since, until: $until) { from until version price { id amount } } } } }"""
LOWEST = """query ($sku: ID!, $days: Int!, $before: DateTime) { snapshot(priceList: "retail") {
  price(sku: $sku) { lowest(days: $days, before: $before) { amount currency version from complete } } } }"""
EXPOSURES = """query ($v: Int!) { priceList(name: "retail") {
  exposures(version: $v) { from until event { kind by toVersion } } } }"""


async def now(api: Api) -> datetime.datetime:
    return await api.runtime.store.now()


async def at(api: Api, revision: int, ago: datetime.timedelta) -> datetime.datetime:
    """Set the time of an event to a time before now, and return it."""
    time = await now(api) - ago
    await api.runtime.store.db["events"].update_one({"list": "retail", "revision": revision}, {"$set": {"at": time}})
    return time


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list whose sku `a` costs 1, 2, 1 and 3: version 1 from 5 hours ago, 2 from 4, 1 again from 3, 3 from 2 on."""
    await api.create("retail")
    await api.publish("retail", [row("a", "1"), row("b", "5")])
    await api.publish("retail", [row("a", "2"), row("b", "5")])
    sent = {"priceList": "retail", "toVersion": 1, "reason": "wrong", "pin": False}
    assert not (await api.data(ROLLBACK, input=sent))["rollback"]["userErrors"]
    await api.publish("retail", [row("a", "3"), row("b", "5"), row("c", "1")])
    for revision, hours in enumerate((6, 5, 4, 3, 2), 1):
        await at(api, revision, hours * HOUR)
    return api


async def times(api: Api) -> list[datetime.datetime]:
    """Return the times of the moves, oldest first."""
    return [event.at for event in (await api.runtime.store.events.newest("retail", 9))[::-1] if event.moved]


async def post(api: Api, document: str, if_none_match: str = "", **variables: Any) -> httpx.Response:
    headers = {"if-none-match": if_none_match} if if_none_match else {}
    return await api.http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)


async def version_at(api: Api, instant: datetime.datetime) -> Any:
    snapshot = (await api.data(AS_OF, at=instant.isoformat()))["snapshot"]
    return snapshot and snapshot["version"]


# ---------------------------------------------------------------- asOf


async def test_the_version_as_of_an_instant_is_the_one_that_was_current_then(retail: Api) -> None:
    moves, millisecond = await times(retail), datetime.timedelta(milliseconds=1)
    assert [await version_at(retail, move) for move in moves] == [1, 2, 1, 3]
    assert [await version_at(retail, move - millisecond) for move in moves] == [None, 1, 2, 1]
    assert await version_at(retail, await now(retail)) == 3


async def test_several_instants_are_read_in_one_request(retail: Api) -> None:
    fields = [
        f'v{n}: snapshot(priceList: "retail", asOf: "{move}") {{ version }}'
        for n, move in enumerate([move.isoformat() for move in await times(retail)])
    ]
    data = await retail.data(f'{{ {" ".join(fields)} now: snapshot(priceList: "retail") {{ version }} }}')
    assert [snapshot["version"] for snapshot in data.values()] == [1, 2, 1, 3, 3]


async def test_there_is_no_version_in_the_future(retail: Api) -> None:
    response = await post(retail, AS_OF, at=(await now(retail) + HOUR).isoformat())
    assert response.json() == {"data": {"snapshot": None}}
    assert response.headers["cache-control"] == "no-store"


async def test_version_and_instant_exclude_each_other(retail: Api) -> None:
    body = await retail.execute(AS_OF, at="2026-01-01T00:00:00Z", v=1)
    [error] = body["errors"]
    assert error["extensions"]["code"] == "INVALID_ARGUMENT"
    assert "`version` and `asOf` exclude each other" in error["message"]


async def test_an_instant_of_a_missing_list_is_an_error(api: Api) -> None:
    assert await api.error_codes(AS_OF, at="2026-01-01T00:00:00Z") == ["PRICE_LIST_NOT_FOUND"]


async def test_an_expired_version_is_an_error(retail: Api) -> None:
    second = (await times(retail))[1].isoformat()
    assert (await post(retail, AS_OF, at=second)).json()["data"]["snapshot"]["version"] == 2
    await expire_past_versions(retail.runtime.store)
    assert await retail.error_codes(AS_OF, at=second) == ["SNAPSHOT_EXPIRED"]


async def test_a_cursor_of_the_version_of_that_instant_continues_it(retail: Api) -> None:
    first, second, *_ = [time.isoformat() for time in await times(retail)]
    page = (await retail.data(AS_OF, at=first))["snapshot"]
    cursor = page["prices"]["pageInfo"]["endCursor"]
    following = (await retail.data(AS_OF, at=first, c=cursor))["snapshot"]
    assert (following["version"], following["prices"]["nodes"]) == (1, [{"sku": "b", "amount": "5"}])
    assert await retail.error_codes(AS_OF, at=second, c=cursor) == ["INVALID_ARGUMENT"]


INVALID = {
    "no offset": "2026-11-29T10:00:00",
    "a day": "2026-11-29",
    "no day": "2026-02-30T10:00:00Z",
    "a text": "now",
    "a number": 5,
    "before the year 1": "0001-01-01T00:00:00+01:00",
    "after the year 9999": "9999-12-31T23:59:59-01:00",
    "an offset of days": "2026-11-29T10:00:00+99:00",
    "an offset of a day": "2026-11-29T10:00:00+24:00",
    "an hour after the last": "2026-11-29T24:00:00Z",
    "a second after the last": "2026-11-29T10:00:60Z",
    "a long text": "2026-11-29T10:00:00Z" + "0" * 100_000,
}


@pytest.mark.parametrize("name", INVALID)
async def test_an_instant_is_refused_unless_it_is_valid_and_has_an_offset(retail: Api, name: str) -> None:
    body = await retail.execute(AS_OF, at=INVALID[name])
    [error] = body["errors"]
    assert error["extensions"]["code"] == "BAD_REQUEST"
    assert len(error["message"]) < 400
    assert "time zone" not in error["message"]
    if name == "no offset":
        assert "has no offset from UTC" in error["message"]
        assert "2026-11-29T10:00:00Z" in error["message"]
    if name in ("no day", "a second after the last", "before the year 1"):
        assert "is not a valid date and time, or is outside the years 1 to 9999 in UTC" in error["message"]


async def test_an_instant_may_be_written_with_any_offset(retail: Api) -> None:
    second = (await times(retail))[1]
    kolkata = second.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    for text in (kolkata.isoformat(), second.isoformat().replace("+00:00", "z"), f"{second:%Y-%m-%dT%H:%M:%S.%f}999Z"):
        assert (await retail.data(AS_OF, at=text))["snapshot"]["version"] == 2, text
    literal = f'{{ snapshot(priceList: "retail", asOf: "{kolkata.isoformat()}") {{ version }} }}'
    assert (await retail.data(literal))["snapshot"]["version"] == 2


# ---------------------------------------------------------------- caches


async def test_the_answer_of_a_settled_instant_is_immutable(retail: Api) -> None:
    second = (await times(retail))[1].isoformat()
    response = await post(retail, AS_OF, at=second)
    assert response.headers["cache-control"] == IMMUTABLE
    again = await post(retail, AS_OF, response.headers["etag"], at=second)
    assert (again.status_code, again.headers["cache-control"]) == (304, IMMUTABLE)
    assert len(retail.runtime.responses) == 1
    await post(retail, AS_OF, at=second)
    assert retail.runtime.responses.hits == 2


@pytest.mark.parametrize("lag", [0, 300])
async def test_the_first_moment_of_a_settled_instant(retail: Api, monkeypatch: pytest.MonkeyPatch, lag: float) -> None:
    """A majority read cannot have what was committed after the last write that a majority has."""
    times = await retail.runtime.store.times()
    majority = times.now - datetime.timedelta(seconds=lag)
    monkeypatch.setattr(Store, "times", AsyncMock(return_value=times._replace(majority=majority)))
    for seconds, directives in ((0, "no-store"), (0.001, IMMUTABLE)):
        instant = majority - SETTLED_AFTER - datetime.timedelta(seconds=seconds)
        response = await post(retail, AS_OF, at=instant.isoformat())
        assert response.json()["data"]["snapshot"]["version"] == 3
        assert response.headers["cache-control"] == directives


async def test_an_instant_before_the_first_publish_is_settled_too(retail: Api) -> None:
    response = await post(retail, AS_OF, at="1999-12-31T00:00:00Z")
    assert response.json() == {"data": {"snapshot": None}}
    assert response.headers["cache-control"] == IMMUTABLE


async def test_one_unsettled_instant_makes_a_response_uncacheable(retail: Api) -> None:
    document = """query ($at: DateTime!, $late: DateTime!) {
      one: snapshot(priceList: "retail", asOf: $at) { size } other: snapshot(priceList: "retail", asOf: $late) { size }
    }"""
    second, late = (await times(retail))[1].isoformat(), (await now(retail)).isoformat()
    for order in ({"at": second, "late": late}, {"at": late, "late": second}):
        response = await post(retail, document, **order)
        assert response.headers["cache-control"] == "no-store"
        assert "etag" not in response.headers
    assert len(retail.runtime.responses) == 0


async def test_a_response_of_an_instant_and_the_current_version_is_revalidated(retail: Api) -> None:
    document = """query ($at: DateTime!) {
      then: snapshot(priceList: "retail", asOf: $at) { version } now: snapshot(priceList: "retail") { version } }"""
    second = (await times(retail))[1].isoformat()
    response = await post(retail, document, at=second)
    assert response.headers["cache-control"] == "public, max-age=0, must-revalidate"
    assert (await post(retail, document, response.headers["etag"], at=second)).status_code == 304
    await retail.publish("retail", [row("a", "4")])
    changed = await post(retail, document, response.headers["etag"], at=second)
    assert changed.json()["data"] == {"then": {"version": 2}, "now": {"version": 4}}


async def test_an_etag_is_no_answer_without_a_look_at_the_moves(retail: Api) -> None:
    """A process cannot know from its pointers which version was current, or whether it has expired."""
    second = (await times(retail))[1].isoformat()
    etag = (await post(retail, AS_OF, at=second)).headers["etag"]
    await expire_past_versions(retail.runtime.store)
    response = await post(retail, AS_OF, etag, at=second)
    assert response.status_code == 200
    assert response.json()["errors"][0]["extensions"]["code"] == "SNAPSHOT_EXPIRED"


async def test_null_is_the_current_version(retail: Api) -> None:
    assert (await retail.data(AS_OF, at=None))["snapshot"]["version"] == 3
    assert (await post(retail, AS_OF, at=None)).headers["cache-control"] == "public, max-age=0, must-revalidate"


async def test_an_earlier_list_of_the_name_never_shows(retail: Api) -> None:
    moves = await times(retail)
    etag = (await post(retail, AS_OF, at=moves[1].isoformat())).headers["etag"]
    await delete(retail)
    await recreate(retail)
    for move in moves:
        assert await version_at(retail, move) is None
    response = await post(retail, AS_OF, etag, at=moves[1].isoformat())
    assert (response.status_code, response.json()) == (200, {"data": {"snapshot": None}})
    version = await retail.publish("retail", [row("a", "9")])
    assert [await version_at(retail, move) for move in moves] == [None] * 4
    timeline = (await retail.data(TIMELINE, sku="a", since=moves[0].isoformat()))["snapshot"]["price"]["timeline"]
    assert [(period["version"], period["price"]["amount"]) for period in timeline] == [(version, "9")]
    for each in range(1, version):
        assert (await retail.data(EXPOSURES, v=each))["priceList"]["exposures"] == []


# ---------------------------------------------------------------- timelines


async def timeline(api: Api, sku: str = "a", **arguments: str) -> list[tuple[Any, ...]]:
    found = (await api.data(TIMELINE, sku=sku, **arguments))["snapshot"]["price"]["timeline"]
    return [(each["from"], each["until"], each["version"], each["price"] and each["price"]["amount"]) for each in found]


async def test_a_timeline_has_what_was_shown_oldest_first(retail: Api) -> None:
    one, two, three, four = [time.isoformat() for time in await times(retail)]
    everything = "2000-01-01T00:00:00Z"
    assert await timeline(retail, since=everything) == [
        (one, two, 1, "1"),
        (two, three, 2, "2"),
        (three, four, 1, "1"),
        (four, None, 3, "3"),
    ]
    assert await timeline(retail, "b", since=everything) == [(one, None, 1, "5")]
    assert await timeline(retail, "c", since=everything) == [(one, four, 1, None), (four, None, 3, "1")]


async def test_a_timeline_is_clipped(retail: Api) -> None:
    one, two, three, _ = await times(retail)
    since, until_ = (one + HOUR / 2).isoformat(), (two + HOUR / 2).isoformat()
    assert await timeline(retail, since=since, until=until_) == [
        (since, two.isoformat(), 1, "1"),
        (two.isoformat(), until_, 2, "2"),
    ]
    assert await timeline(retail, since=two.isoformat(), until=three.isoformat()) == [
        (two.isoformat(), three.isoformat(), 2, "2")
    ]
    assert await timeline(retail, since=two.isoformat(), until=two.isoformat()) == []
    assert await timeline(retail, since="1999-01-01T00:00:00Z", until="2000-01-01T00:00:00Z") == []


async def test_the_ends_of_a_timeline_are_checked(retail: Api) -> None:
    future, past = (await now(retail) + HOUR).isoformat(), "2026-01-01T00:00:00Z"
    for ends in ({"since": past, "until": future}, {"since": future}, {"since": past, "until": "2025-01-01T00:00:00Z"}):
        assert await retail.error_codes(TIMELINE, sku="a", **ends) == ["INVALID_ARGUMENT"]


async def test_expired_versions_are_a_gap(retail: Api) -> None:
    await at(retail, 2, 30 * HOUR)
    one, two, three, _ = [time.isoformat() for time in await times(retail)]
    snapshots = retail.runtime.store.db["snapshots"]
    await snapshots.update_one({"_id": {"list": "retail", "version": 2}}, {"$set": {"state": "RETIRED"}})
    assert await timeline(retail, "b", since="2000-01-01T00:00:00Z") == [
        (one, two, 1, "5"),
        (three, None, 1, "5"),
    ]
    found = await lowest(retail, days=1)
    assert (found["amount"], found["complete"]) == ("1", False)


async def test_the_prices_of_a_page_have_timelines(retail: Api) -> None:
    document = """{ snapshot(priceList: "retail") { prices { nodes { sku timeline(since: "2000-01-01T00:00:00Z") {
      version price { amount version } } } } } }"""
    document = document.replace("prices {", "prices(first: 3) {")
    nodes = (await retail.data(document))["snapshot"]["prices"]["nodes"]
    assert {node["sku"]: [period["version"] for period in node["timeline"]] for node in nodes} == {
        "a": [1, 2, 1, 3],
        "b": [1],
        "c": [1, 3],
    }
    assert [period["price"]["version"] for period in nodes[0]["timeline"]] == [1, 2, 1, 3]


async def test_a_timeline_of_too_many_moves_is_refused(retail: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.layers.timeline.MAX_MOVES", 3)
    body = await retail.execute(TIMELINE, sku="a", since="2000-01-01T00:00:00Z")
    assert body["errors"][0]["extensions"]["code"] == "SCAN_LIMIT"
    assert "shorter period" in body["errors"][0]["message"]
    assert await timeline(retail, since=(await times(retail))[0].isoformat())
    lowest = """{ snapshot(priceList: "retail") { prices { nodes { lowest { amount } } } } }"""
    assert await retail.error_codes(lowest) == ["SCAN_LIMIT"] * 3


async def test_all_timelines_of_a_request_share_a_limit(retail: Api) -> None:
    fields = " ".join(f't{n}: timeline(since: "20{n}-01-01T00:00:00Z") {{ version }}' for n in (10, 11, 12))
    document = f'{{ snapshot(priceList: "retail") {{ price(sku: "a") {{ {fields} }} }} }}'
    assert len((await retail.data(document))["snapshot"]["price"]) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.layers.timeline.LookUpBudget.__init__.__defaults__", (11,))
        assert set(await retail.error_codes(document)) == {"SCAN_LIMIT"}


async def test_the_periods_that_a_request_returns_are_limited_however_often_it_asks_for_them(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = 'timeline(since: "2000-01-01T00:00:00Z") { version }'
    twice = f'{{ snapshot(priceList: "retail") {{ price(sku: "a") {{ one: {field} two: {field} }} }} }}'
    monkeypatch.setattr("storage.layers.timeline.MAX_PERIODS", 8)
    assert len((await retail.data(twice))["snapshot"]["price"]) == 2
    monkeypatch.setattr("storage.layers.timeline.MAX_PERIODS", 7)
    assert await retail.error_codes(twice) == ["SCAN_LIMIT"]


# ---------------------------------------------------------------- the lowest price


async def lowest(api: Api, sku: str = "a", days: int = 30, before: datetime.datetime | None = None) -> Any:
    found = await api.data(LOWEST, sku=sku, days=days, before=before and before.isoformat())
    return found["snapshot"]["price"]["lowest"]


async def test_the_lowest_price_is_the_earliest_of_equal_ones(retail: Api) -> None:
    one, *_ = await times(retail)
    assert await lowest(retail) == {
        "amount": "1",
        "currency": "EUR",
        "version": 1,
        "from": one.isoformat(),
        "complete": False,
    }


async def test_the_window_of_the_lowest_price_excludes_its_end(retail: Api) -> None:
    for revision, hours in enumerate((80, 60, 30), 2):
        await at(retail, revision, hours * HOUR)
    one, two, three, _ = await times(retail)
    assert await lowest(retail, days=1, before=three) == {
        "amount": "2",
        "currency": "EUR",
        "version": 2,
        "from": two.isoformat(),
        "complete": True,
    }
    found = await lowest(retail, days=1, before=three + datetime.timedelta(milliseconds=1))
    assert (found["amount"], found["from"], found["complete"]) == ("1", three.isoformat(), True)
    assert (await lowest(retail, "b", 1, three))["from"] == two.isoformat()
    assert [(await lowest(retail, "b", 1, one + hours * HOUR))["complete"] for hours in (23, 24)] == [False, True]


async def test_the_lowest_price_is_null_without_a_price(retail: Api) -> None:
    _, _, _, four = await times(retail)
    assert await lowest(retail, "c", before=four) is None
    assert await lowest(retail, before=datetime.datetime(1, 1, 2, tzinfo=datetime.UTC), days=3650) is None
    await retail.publish("retail", [row("a", "0.50", "USD"), row("c", "1")])
    assert (await lowest(retail))["amount"] == "0.50"


async def test_the_arguments_of_the_lowest_price_are_checked(retail: Api) -> None:
    for days in (0, -1, 3651):
        assert await retail.error_codes(LOWEST, sku="a", days=days) == ["INVALID_ARGUMENT"]
    future = (await now(retail) + HOUR).isoformat()
    assert await retail.error_codes(LOWEST, sku="a", days=1, before=future) == ["INVALID_ARGUMENT"]


# ---------------------------------------------------------------- exposures


async def test_the_exposures_of_a_version_are_its_periods_newest_first(retail: Api) -> None:
    one, two, three, four = [time.isoformat() for time in await times(retail)]

    async def exposures(version: int) -> list[tuple[Any, ...]]:
        found = (await retail.data(EXPOSURES, v=version))["priceList"]["exposures"]
        return [(each["from"], each["until"], each["event"]["kind"]) for each in found]

    assert await exposures(1) == [(three, four, "ROLLED_BACK"), (one, two, "PUBLISHED")]
    assert await exposures(2) == [(two, three, "PUBLISHED")]
    assert await exposures(3) == [(four, None, "PUBLISHED")]
    assert await exposures(4) == []
