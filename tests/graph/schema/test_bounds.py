"""Every text, number and list that a caller sends has a bound, and a longer one gets a short error with a code."""

import base64
import datetime
import json
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from tests.graph.api import Api, codes, open_settings, row, serving

MEGABYTE = "a" * 1_000_000
"""A text that fits into a request."""

MAX_MESSAGE_LENGTH = 350
"""Characters of a message with the largest part of the input that may be repeated."""

BATCH = {"priceList": "retail", "mode": "MERGE", "idempotencyKey": "new"}
REASON = "because"
IN_A_YEAR, IN_ELEVEN_YEARS = (
    (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)).isoformat() for days in (365, 11 * 366)
)

INPUTS: dict[str, dict[str, Any]] = {
    "createPriceList": {"name": "new"},
    "updatePriceList": {"name": "retail"},
    "publishBatch": {**BATCH, "prices": [row("b")]},
    "openBatch": BATCH,
    "appendBatch": {"batch": "open", "sequence": 0, "prices": [row("b")]},
    "commitBatch": {"batch": "open", "parts": 1, "size": 1},
    "abortBatch": {"batch": "open"},
    "approveBatch": {"batch": "held", "reason": REASON},
    "rejectBatch": {"batch": "held", "reason": REASON},
    "rollback": {"priceList": "retail", "toVersion": 1, "reason": REASON},
    "pin": {"priceList": "retail", "version": 1, "reason": REASON},
    "unpin": {"priceList": "retail", "reason": REASON},
    "retain": {"priceList": "retail"},
    "restore": {"priceList": "retail", "version": 1, "reason": REASON},
    "keepVersion": {"priceList": "retail", "version": 1, "until": IN_A_YEAR, "reason": REASON},
    "createRelease": {"name": "spring", "idempotencyKey": "new"},
    "publishRelease": {"release": "filled"},
    "scheduleRelease": {"release": "empty", "publishAt": IN_A_YEAR, "reason": REASON},
    "discardRelease": {"release": "empty", "reason": REASON},
    "rollbackRelease": {"release": "published", "reason": REASON},
}
"""By mutation, a valid input. The batches `open` and `held`, and the releases `empty`, `filled` and `published`, stand
for their ids."""


class Bound(NamedTuple):
    """A field of an input, the largest value that is accepted, and larger ones. `path` is null in some errors."""

    mutation: str
    field: str
    largest: Any
    larger: Sequence[Any]
    code: str = "INVALID_ARGUMENT"
    has_path: bool = True


def texts(length: int, character: str = "a") -> tuple[str, list[str]]:
    """The longest text that is accepted, and longer ones."""
    return character * length, [character * (length + 1), character * 150_000]


def unknown(code: str, valid: str) -> tuple[str, list[str], str, bool]:
    """A name or an id that exists, and long ones, which do not exist."""
    return valid, ["a" * 64, "a" * 65, MEGABYTE], code, False


LIST_NOT_FOUND = unknown("PRICE_LIST_NOT_FOUND", "retail")
BATCHES = {"open": unknown("BATCH_NOT_FOUND", "open"), "held": unknown("BATCH_NOT_FOUND", "held")}

BOUNDS = [
    *(
        Bound(mutation, "reason", *texts(1000))
        for mutation in (
            "abortBatch",
            "approveBatch",
            "rejectBatch",
            "rollback",
            "pin",
            "unpin",
            "restore",
            "keepVersion",
            "publishRelease",
            "scheduleRelease",
            "discardRelease",
            "rollbackRelease",
        )
    ),
    Bound("pin", "reason", "x" + " " * 999, ["x" + " " * 1000, " " * 1_000_000, ""]),
    Bound("abortBatch", "reason", None, ["", " "]),
    Bound("createPriceList", "description", *texts(1000)),
    Bound("updatePriceList", "description", *texts(1000, "é")),
    Bound("createPriceList", "name", *texts(63)),
    Bound("updatePriceList", "name", *LIST_NOT_FOUND),
    *(
        Bound(mutation, "priceList", *LIST_NOT_FOUND)
        for mutation in ("publishBatch", "openBatch", "rollback", "pin", "unpin", "retain", "restore", "keepVersion")
    ),
    *(
        Bound(mutation, "batch", *BATCHES[INPUTS[mutation]["batch"]])
        for mutation in ("appendBatch", "commitBatch", "abortBatch", "approveBatch", "rejectBatch")
    ),
    *(Bound(mutation, "idempotencyKey", *texts(255)) for mutation in ("publishBatch", "openBatch", "createRelease")),
    Bound("createRelease", "name", *texts(255)),
    *(
        Bound(mutation, "release", INPUTS[mutation].get("release"), ["a" * 65, MEGABYTE, ""], "RELEASE_NOT_FOUND")
        for mutation in ("publishBatch", "openBatch", "publishRelease", "scheduleRelease", "rollbackRelease")
    ),
    Bound(
        "publishRelease",
        "expected",
        [],
        [[{"priceList": "retail", "version": 1}] * 2, [{"priceList": MEGABYTE, "version": 1}]],
    ),
    *(Bound(mutation, "label", *texts(255)) for mutation in ("publishBatch", "openBatch")),
    *(
        Bound(mutation, "remove", [f"{number}" for number in range(10_000)], [["a"] * 10_001, ["a"] * 11_900])
        for mutation in ("publishBatch", "appendBatch")
    ),
    Bound("appendBatch", "sequence", 9999, [10_000, 2**31 - 1, -1]),
    Bound("commitBatch", "parts", 10_000, [10_001, 2**31 - 1]),
    Bound("createPriceList", "gates.maxShrinkPercent", "1000000", ["1000001", "0." + "1" * 35, "-1"]),
    Bound("updatePriceList", "gates.maxChangedPercent", "0." + "1" * 34, ["9" * 100, "0." + "1" * 98]),
    Bound("updatePriceList", "gates.maxPriceChangePercent", "1.5", ["0." + "1" * 98]),
    Bound("createPriceList", "gates.allowedCurrencies", ["EUR"] * 200, [["EUR"] * 201, ["EUR"] * 11_000, []]),
    Bound("updatePriceList", "gates.allowedCurrencies", ["EUR"], [[MEGABYTE], [MEGABYTE, "EUR"], ["EUR", "x" * 101]]),
    Bound("updatePriceList", "gates.minSize", 2**31 - 1, [-1]),
    Bound(
        "keepVersion",
        "until",
        IN_A_YEAR,
        [IN_ELEVEN_YEARS, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"],
        "INVALID_UNTIL",
    ),
    Bound("createPriceList", "retention.versions", 100_000, [100_001, 2**31 - 1, 0]),
    Bound("createPriceList", "retention.days", 36_500, [36_501, 2**31 - 1, -1]),
]

REVIEWS = {
    "approveBatch": "ReviewBatchInput",
    "rejectBatch": "ReviewBatchInput",
    "rollbackRelease": "ReviewReleaseInput",
    "discardRelease": "ReviewReleaseInput",
}
"""The types of inputs that are not called as their mutation."""


@pytest.fixture
async def retail(api: Api) -> Api:
    """A pinned list `retail` with two versions, an open batch and a held one."""
    await api.create("retail")
    await api.publish("retail", [row("a")])
    await api.publish("retail", [row("a", "2.00")])
    return api


async def prepared(api: Api, mutation: str) -> dict[str, Any]:
    """Return the valid input of a mutation, after what it needs was sent."""
    order = dict(INPUTS[mutation])
    if order.get("batch") == "open":
        order["batch"] = (await mutate(api, "openBatch", {**BATCH, "idempotencyKey": "open"}))["batch"]["id"]
    if order.get("batch") == "held":
        more = {"publish": "ON_APPROVAL", "idempotencyKey": "held", "mode": "REPLACE"}
        order["batch"] = (await api.submit("retail", [row("a")], "held", **more))["batch"]["id"]
    if "release" in order:
        order["release"] = await release(api, order["release"])
    if mutation == "unpin":
        await mutate(api, "pin", INPUTS["pin"])
    return order


async def release(api: Api, kind: str) -> str:
    """Create a release that is `empty`, `filled` or `published`; return its id."""
    release_id: str = (await mutate(api, "createRelease", {"name": "x", "idempotencyKey": "x"}))["release"]["id"]
    if kind != "empty":
        await api.submit("retail", [row("a")], release=release_id)
    if kind == "published":
        await mutate(api, "publishRelease", {"release": release_id})
    return release_id


async def mutate(api: Api, mutation: str, order: dict[str, Any]) -> dict[str, Any]:
    """Send a mutation and return its payload."""
    input_type = REVIEWS.get(mutation, f"{mutation[0].upper()}{mutation[1:]}Input")
    selected = next((f"{name.lower()} {{ id }}" for name in ("Batch", "Release") if mutation.endswith(name)), "")
    document = (
        f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) "
        f"{{ {selected} userErrors {{ code message path }} }} }}"
    )
    payload: dict[str, Any] = (await api.data(document, input=order))[mutation]
    return payload


def changed(order: dict[str, Any], field: str, value: Any) -> dict[str, Any]:
    """Return the input with another value of a field, or of a field of a field."""
    name, _, inner = field.partition(".")
    return {**order, name: {inner: value} if inner else value}


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: f"{bound.mutation}.{bound.field}")
async def test_a_field_of_a_mutation_is_bounded(retail: Api, bound: Bound) -> None:
    order = await prepared(retail, bound.mutation)
    for value in bound.larger:
        payload = await mutate(retail, bound.mutation, changed(order, bound.field, value))
        [error] = payload["userErrors"]
        assert error["code"] == bound.code, error["message"][:500]
        assert error["path"] == (["input", *bound.field.split(".")] if bound.has_path else None)
        assert len(error["message"]) < MAX_MESSAGE_LENGTH
    if bound.largest not in ("retail", "open", "held", "empty", "filled", "published"):
        order = changed(order, bound.field, bound.largest)
    payload = await mutate(retail, bound.mutation, order)
    assert all(
        error["path"] != ["input", *bound.field.split(".")] or error["code"] != bound.code
        for error in payload["userErrors"]
    ), payload


FILTERED = """
query ($filter: PriceFilter, $after: String, $before: String, $list: ID = "retail") {
  snapshot(priceList: $list) { prices(filter: $filter, after: $after, before: $before) { totalCount } }
}"""

FILTERS: list[tuple[str, Any, Sequence[Any]]] = [
    ("skuPrefix", "a" * 256, ["a" * 257, MEGABYTE]),
    ("currency", "EUR", ["x" * 101, MEGABYTE]),
    ("attributes", [{"name": "a", "value": 1}] * 20, [[{"name": "a", "value": 1}] * 21]),
    ("attributes", [{"name": "a" * 16_000, "value": 1}], [[{"name": MEGABYTE, "value": 1}]]),
    ("attributes", [{"name": "a", "value": "x" * 16_000}], [[{"name": "a", "value": MEGABYTE}]]),
    ("attributes", [{"name": "a", "value": [1] * 5000}], [[{"name": "a", "value": [1] * 11_000}]]),
]


async def test_a_filter_is_bounded(retail: Api) -> None:
    for field, largest, larger in FILTERS:
        await retail.data(FILTERED, filter={field: largest})
        for value in larger:
            body = await retail.execute(FILTERED, filter={field: value})
            [error] = body["errors"]
            assert error["extensions"]["code"] == "INVALID_ARGUMENT"
            assert len(json.dumps(body)) < 2 * MAX_MESSAGE_LENGTH


SCALARS: list[tuple[str, Any, Sequence[Any]]] = [
    ("amount", {"gte": "9" * 100}, [{"gte": "9" * 101}, {"lte": "9" * 1_000_000}, {"lte": MEGABYTE}]),
    ("validOn", "2026-11-28", ["2026-11-28" * 10, MEGABYTE]),
]


async def test_a_scalar_is_bounded(retail: Api) -> None:
    for field, largest, larger in SCALARS:
        await retail.data(FILTERED, filter={field: largest})
        for value in larger:
            body = await retail.execute(FILTERED, filter={field: value})
            [error] = body["errors"]
            assert len(error["message"]) < 2 * MAX_MESSAGE_LENGTH


async def test_a_cursor_is_bounded(retail: Api) -> None:
    for argument in ("after", "before"):
        await retail.data(FILTERED, **{argument: padded_cursor(1000)})
        for length in (1004, 1_000_000):
            body = await retail.execute(FILTERED, **{argument: padded_cursor(length)})
            [error] = body["errors"]
            assert error["extensions"]["code"] == "INVALID_ARGUMENT"
            assert len(error["message"]) < MAX_MESSAGE_LENGTH


def padded_cursor(length: int) -> str:
    """Return a cursor of version 2 with spaces, which JSON allows, so that it has this length, a multiple of 4."""
    return base64.urlsafe_b64encode(b'["price",2,"a"]'.ljust(length // 4 * 3)).decode()


LOOK_UPS = [
    ("query ($text: ID!) { priceList(name: $text) { name } }", {"priceList": None}),
    ("query ($text: ID!) { batch(id: $text) { id } }", {"batch": None}),
    ("query ($text: ID!) { release(id: $text) { id } }", {"release": None}),
    (
        'query ($text: ID!) { snapshot(priceList: "retail") { price(sku: $text) { sku } } }',
        {"snapshot": {"price": None}},
    ),
    (
        'query ($text: ID!) { snapshot(priceList: "retail", version: 1) { pricesBySku(skus: [$text]) { sku } } }',
        {"snapshot": {"pricesBySku": [None]}},
    ),
]


async def test_what_no_list_batch_release_or_price_can_be_called_is_not_looked_up(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = retail.runtime.store
    monkeypatch.setattr(store.price_lists, "_collection", None)
    monkeypatch.setattr(store.batches, "_collection", None)
    monkeypatch.setattr(store.releases, "_collection", None)
    monkeypatch.setattr(store.query_reader, "find", None)
    for document, data in LOOK_UPS:
        for text in ("a" * 257, MEGABYTE):
            assert await retail.data(document, text=text) == data


REFUSED = [
    ("query ($text: ID!) { snapshot(priceList: $text) { version } }", "PRICE_LIST_NOT_FOUND"),
    ("query ($text: ID!) { batches(priceList: $text) { totalCount } }", "INVALID_ARGUMENT"),
    (
        'query ($text: ID!) { snapshot(priceList: "retail") { quote(lines: [{sku: $text, quantity: 1}]) '
        "{ lines { sku } } } }",
        "INVALID_ARGUMENT",
    ),
]


async def test_a_name_that_is_too_long_is_refused_with_a_short_message(retail: Api) -> None:
    for document, code in REFUSED:
        for text in ("a" * 257, MEGABYTE):
            body = await retail.execute(document, text=text)
            [error] = body["errors"]
            assert error["extensions"]["code"] == code
            assert len(json.dumps(body)) < 2 * MAX_MESSAGE_LENGTH


async def test_a_reused_key_is_named_in_part(retail: Api) -> None:
    key = "k" * 255
    await retail.submit("retail", [row("b")], key)
    payload = await retail.submit("retail", [row("c")], key)
    [error] = payload["userErrors"]
    assert error["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert "k" * 80 in error["message"]
    assert "k" * 81 not in error["message"]


async def test_skus_to_remove_and_rows_are_refused_one_by_one(retail: Api) -> None:
    batch = (await retail.submit("retail", [row("b"), row(MEGABYTE)], mode="MERGE", remove=[MEGABYTE, "a"]))["batch"]
    assert [(error["code"], len(error["sku"])) for error in batch["errors"]] == [("SKU_TOO_LONG", 256)] * 2
    assert len(json.dumps(batch)) < 4 * MAX_MESSAGE_LENGTH


async def test_the_name_of_a_file_is_bounded(retail: Api) -> None:
    order = {**BATCH, "file": None}
    document = "mutation ($input: PublishBatchInput!) { publishBatch(input: $input) { userErrors { code message } } }"
    for name, code in (("a" * 3000, "UNKNOWN_ENCODING"), (MEGABYTE, "MULTIPART_MALFORMED")):
        response = await retail.http.post(
            "/graphql",
            data={
                "operations": json.dumps({"query": document, "variables": {"input": order}}),
                "map": json.dumps({"0": ["variables.input.file"]}),
            },
            files={"0": (name, b"{}")},
            headers={"GraphQL-Preflight": "1"},
        )
        body = response.text
        assert code in body, body[:500]
        assert len(body) < 2 * MAX_MESSAGE_LENGTH


async def test_the_message_of_a_gate_names_some_currencies(retail: Api) -> None:
    gates = {"allowedCurrencies": ["EUR"] * 200}
    assert codes(await mutate(retail, "updatePriceList", {"name": "retail", "gates": gates})) == []
    payload = await retail.submit("retail", [row("b", currency="USD")])
    [error] = payload["userErrors"]
    assert "the list allows EUR, EUR" in error["message"]
    assert error["message"].endswith("and 180 more.")
    assert len(error["message"]) < MAX_MESSAGE_LENGTH


async def test_open_batches_are_limited_and_the_error_says_what_to_do(mongodb_uri: str) -> None:
    settings = open_settings(
        mongodb_uri=mongodb_uri, mongodb_database=f"test_{secrets.token_hex(6)}", max_open_batches=2
    )
    async with serving(settings) as api:
        await api.create("retail")
        first, second = [
            (await mutate(api, "openBatch", {**BATCH, "idempotencyKey": key}))["batch"]["id"] for key in "ab"
        ]
        payload = await mutate(api, "openBatch", {**BATCH, "idempotencyKey": "c"})
        [error] = payload["userErrors"]
        assert (payload["batch"], error["code"]) == (None, "TOO_MANY_OPEN_BATCHES")
        assert error["path"] == ["input", "priceList"]
        assert error["message"] == (
            "The price list 'retail' has 2 batches in progress; PRICEBOOK_MAX_OPEN_BATCHES allows 2. Commit or abort "
            "some of them (`batches(state: OPEN)` lists them), and try again."
        )
        assert codes(await api.submit("retail", [row("a")])) == ["TOO_MANY_OPEN_BATCHES"]
        assert (await mutate(api, "openBatch", {**BATCH, "idempotencyKey": "b"}))["batch"]["id"] == second
        assert codes(await mutate(api, "abortBatch", {"batch": first})) == []
        assert (await mutate(api, "openBatch", {**BATCH, "idempotencyKey": "c"}))["batch"]
        await api.runtime.store.client.drop_database(settings.mongodb_database)
        await api.runtime.store.client.drop_database(f"{settings.mongodb_database}_layers")


NUMBERS = [
    '{ snapshot(priceList: "retail", version: %s) { version } }',
    "{ priceLists(first: %s) { totalCount } }",
    '{ snapshot(priceList: "retail") { price(sku: "a") { unitAmount(quantity: %s) } } }',
    '{ snapshot(priceList: "retail") { prices(filter: {attributes: [{name: "a", value: %s}]}) { totalCount } } }',
    'mutation { commitBatch(input: {batch: "a", parts: 1, size: %s}) { userErrors { code } } }',
]


async def test_a_number_of_many_digits_is_no_internal_error(retail: Api) -> None:
    for document in NUMBERS:
        for digits in (50, 4300, 5000, 50_000):
            body = await retail.execute(document % ("9" * digits))
            assert "INTERNAL" not in {error["extensions"]["code"] for error in body.get("errors", ())}, body
