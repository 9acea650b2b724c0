"""Invalid input: the whole batch is refused, each invalid item is reported, and the list stays unchanged."""

from typing import Any

import pytest

from storage.batches import multipart
from tests.graph.api import PUBLISH, Api, Row, codes, row


def nested(depth: int) -> dict[str, Any]:
    """Return an object nested `depth` deep."""
    return {"a": nested(depth - 1)} if depth > 1 else {}


@pytest.fixture
async def retail(api: Api) -> Api:
    """A list `retail` with version 1: sku `a` at 1.00."""
    await api.create("retail")
    await api.publish("retail", [row("a")])
    return api


BAD_ROWS: list[tuple[Any, str | None, str]] = [
    # row, field, code
    (row(""), "sku", "SKU_EMPTY"),
    (row("x" * 257), "sku", "SKU_TOO_LONG"),
    (row("é" * 129), "sku", "SKU_TOO_LONG"),
    (row("a\nb"), "sku", "SKU_CONTROL_CHARACTER"),
    (row("a\0"), "sku", "SKU_CONTROL_CHARACTER"),
    (row("a\u2028"), "sku", "SKU_CONTROL_CHARACTER"),
    (row("good"), "sku", "DUPLICATE_SKU"),
    (row("n1", "-1.00"), "amount", "AMOUNT_NEGATIVE"),
    (row("n2", "NaN"), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n3", "Infinity"), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n4", "1e3"), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n5", "1,50"), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n6", ""), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n7", "1_000"), "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n8", "\N{ARABIC-INDIC DIGIT ONE}"), "amount", "AMOUNT_NOT_DECIMAL"),
    ({**row("n9"), "amount": 1.5}, "amount", "AMOUNT_NOT_DECIMAL"),
    ({**row("n10"), "amount": None}, "amount", "AMOUNT_NOT_DECIMAL"),
    (row("n11", "1" * 35), "amount", "AMOUNT_TOO_LONG"),
    (row("n12", "0." + "1" * 34), "amount", "AMOUNT_TOO_LONG"),
    (row("c1", currency="XYZ"), "currency", "CURRENCY_UNKNOWN"),
    (row("c2", currency="eur"), "currency", "CURRENCY_UNKNOWN"),
    (row("c3", currency=""), "currency", "CURRENCY_UNKNOWN"),
    (row("v1", validFrom="2026-02-01", validUntil="2026-01-31"), "validUntil", "VALIDITY_INVERTED"),
    (row("v2", validFrom="2026-02-30"), "validFrom", "DATE_INVALID"),
    (row("v3", validUntil="soon"), "validUntil", "DATE_INVALID"),
    (row("t1", tiers=[{"minQuantity": 0, "amount": "1"}]), "tiers", "TIER_QUANTITY_INVALID"),
    (row("t2", tiers=[{"minQuantity": 5, "amount": "1"}] * 2), "tiers", "TIER_QUANTITY_REPEATED"),
    (row("t3", tiers=[{"minQuantity": 5, "amount": "-1"}]), "tiers", "AMOUNT_NEGATIVE"),
    (row("t4", tiers=[{"minQuantity": i, "amount": "1"} for i in range(1, 102)]), "tiers", "TIERS_TOO_MANY"),
    (row("a1", attributes={"a": "x" * 16 * 1024}), "attributes", "ATTRIBUTES_TOO_LARGE"),
    (row("a2", attributes=nested(9)), "attributes", "ATTRIBUTES_TOO_DEEP"),
    (row("a3", attributes=[1]), "attributes", "ATTRIBUTES_INVALID"),
    (row("a4", attributes={"n": 2**64}), "attributes", "ATTRIBUTES_INVALID"),
    ({"sku": "m1", "currency": "EUR"}, "amount", "FIELD_MISSING"),
    (row("u1", colour="red"), "colour", "FIELD_UNKNOWN"),
    ("not a row", None, "ROW_NOT_OBJECT"),
    (None, None, "ROW_NOT_OBJECT"),
]


async def test_each_invalid_item_is_reported_with_index_sku_field_and_code(retail: Api) -> None:
    payload = await retail.submit("retail", [row("good"), *(bad for bad, _, _ in BAD_ROWS)])
    assert codes(payload) == ["BATCH_INVALID"]
    assert payload["snapshot"] is None
    batch = payload["batch"]
    assert (batch["state"], batch["version"], batch["errorCount"]) == ("FAILED", None, len(BAD_ROWS))
    reported = [(error["index"], error["sku"], error["field"], error["code"]) for error in batch["errors"]]
    assert reported == [
        (index, bad["sku"][:256] if isinstance(bad, dict) else None, field, code)
        for index, (bad, field, code) in enumerate(BAD_ROWS, 1)
    ]
    assert all(error["message"] for error in batch["errors"])
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_one_invalid_item_refuses_the_whole_batch(retail: Api) -> None:
    for bad in (row("b", "-1.00"), row("x" * 257), row("good"), row("b", attributes=nested(9))):
        payload = await retail.submit("retail", [row("good"), bad, row("better")])
        assert (codes(payload), payload["batch"]["state"]) == (["BATCH_INVALID"], "FAILED"), bad
        assert [error["index"] for error in payload["batch"]["errors"]] == [1]
        assert await retail.amounts("retail") == {"a": "1.00"}
    assert (await retail.data('{ priceList(name: "retail") { snapshots { totalCount } } }'))["priceList"] == {
        "snapshots": {"totalCount": 1}
    }
    assert await retail.publish("retail", [row("b")]) == 2


ERRORS = """
query ($id: ID!, $first: Int, $after: String) {
  batch(id: $id) { errors(first: $first, after: $after) { index sku code cursor } }
}"""


async def errors(api: Api, batch: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return some errors of a batch."""
    found: list[dict[str, Any]] = (await api.data(ERRORS, id=batch, **arguments))["batch"]["errors"]
    return found


async def test_all_invalid_items_are_counted_and_reported_in_pages(retail: Api) -> None:
    rows: list[Row] = [row(f"{i}", "1.00" if i % 10 == 0 else "-1.00") for i in range(2500)]
    batch = (await retail.submit("retail", rows))["batch"]
    assert batch["errorCount"] == 2250
    assert batch["progress"]["received"] == 2500
    assert [error["index"] for error in batch["errors"]] == [i for i in range(112) if i % 10][:100]
    found: list[int] = []
    after: str | None = None
    while page := await errors(retail, batch["id"], first=700, after=after):
        found += [error["index"] for error in page]
        after = page[-1]["cursor"]
    assert found == [i for i in range(2500) if i % 10]
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_every_error_has_a_cursor_also_where_an_item_has_the_same_error_twice(retail: Api) -> None:
    batch = (await retail.submit("retail", [row("b", "x")] * 3))["batch"]
    one, two, three = await errors(retail, batch["id"])
    assert (await errors(retail, batch["id"], first=2)) == [one, two]
    for error, following in ((one, [two, three]), (two, [three]), (three, [])):
        assert await errors(retail, batch["id"], first=2, after=error["cursor"]) == following


async def test_errors_that_have_expired_are_no_longer_reported_and_still_counted(retail: Api) -> None:
    batch = (await retail.submit("retail", [row("b", "x")]))["batch"]
    await retail.runtime.store.db["item_errors"].delete_many({})
    assert await errors(retail, batch["id"]) == []
    assert (await retail.data("query ($id: ID!) { batch(id: $id) { errorCount } }", id=batch["id"])) == {
        "batch": {"errorCount": 1}
    }


async def test_a_page_of_errors_is_bounded_and_its_cursor_is_checked(retail: Api) -> None:
    batch = (await retail.submit("retail", [row("b", "x")]))["batch"]
    for arguments, message in (
        ({"first": 0}, "`first` must be from 1 to 1000, not 0."),
        ({"first": 1001}, "`errors` requests 1001 records at once; the limit is 1000."),
        ({"after": "abc"}, "`after` is not a cursor of this connection."),
    ):
        [error] = (await retail.execute(ERRORS, id=batch["id"], **arguments))["errors"]
        assert error["message"].startswith(message)


async def test_a_duplicate_sku_is_reported_at_its_second_position_however_far_apart(retail: Api) -> None:
    rows = [row(f"{i}") for i in range(5000)]
    batch = (await retail.submit("retail", [*rows, row("7"), row("4999")]))["batch"]
    assert [(error["index"], error["sku"], error["code"]) for error in batch["errors"]] == [
        (5000, "7", "DUPLICATE_SKU"),
        (5001, "4999", "DUPLICATE_SKU"),
    ]
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_items_just_within_the_limits_are_accepted(retail: Api) -> None:
    rows = [
        row("x" * 256),
        row("é" * 128),
        row("n1", "1" * 34),
        row("n2", "0." + "1" * 33),
        row("n3", "0"),
        row("c1", currency="DEM"),
        row("v1", validFrom="2026-02-01", validUntil="2026-02-01"),
        row("t1", tiers=[{"minQuantity": i, "amount": "1"} for i in range(1, 101)]),
        row("a1", attributes={"a": "x" * (16 * 1024 - len('{"a":""}'))}),
        row("a2", attributes=nested(8)),
    ]
    await retail.publish("retail", rows)
    assert await retail.amounts("retail") == {sent["sku"]: sent["amount"] for sent in rows}


async def test_an_empty_batch_is_refused(retail: Api) -> None:
    payload = await retail.submit("retail", [])
    assert (payload["batch"], codes(payload)) == (None, ["EMPTY_BATCH"])
    assert payload["userErrors"][0]["path"] == ["input", "prices"]
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_a_batch_for_an_unknown_list_is_refused(api: Api) -> None:
    payload = await api.submit("nope", [row("a")])
    assert (payload["batch"], codes(payload)) == (None, ["PRICE_LIST_NOT_FOUND"])
    assert (await api.data("{ batches { totalCount } priceLists { totalCount } }")) == {
        "batches": {"totalCount": 0},
        "priceLists": {"totalCount": 0},
    }


async def test_an_invalid_key_or_label_is_refused(retail: Api) -> None:
    order = {"priceList": "retail", "mode": "REPLACE", "prices": [row("b")], "idempotencyKey": "k"}
    for more, field in (
        ({"idempotencyKey": ""}, "idempotencyKey"),
        ({"idempotencyKey": "k" * 256}, "idempotencyKey"),
        ({"idempotencyKey": "a\nb"}, "idempotencyKey"),
        ({"label": ""}, "label"),
        ({"label": "l" * 256}, "label"),
    ):
        payload = (await retail.data(PUBLISH, input={**order, **more}))["publishBatch"]
        assert codes(payload) == ["INVALID_ARGUMENT"], more
        assert payload["userErrors"][0]["path"] == ["input", field]
    assert await retail.amounts("retail") == {"a": "1.00"}


async def test_a_part_whose_errors_are_not_stored_is_still_reported_as_invalid(
    retail: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multipart, "MAX_ITEM_ERRORS", 1)
    opened = await retail.data(
        "mutation ($input: OpenBatchInput!) { openBatch(input: $input) { batch { id } } }",
        input={"priceList": "retail", "mode": "MERGE", "idempotencyKey": "parts"},
    )
    messages = []
    for sequence in range(2):
        appended = await retail.data(
            "mutation ($input: AppendBatchInput!) { appendBatch(input: $input) { userErrors { code message } } }",
            input={"batch": opened["openBatch"]["batch"]["id"], "sequence": sequence, "prices": [row("b", "-1")]},
        )
        [error] = appended["appendBatch"]["userErrors"]
        assert error["code"] == "BATCH_INVALID"
        messages.append(error["message"])
    advice = "The batch can no longer be published; commit it to see all errors, or abort it."
    first = "The first is item 0: '-1' is negative. Write an amount of at least 0, or leave the item out."
    assert messages == [
        f"1 items of part 0 are invalid. {first} {advice}",
        f"1 items of part 1 are invalid. {advice}",
    ]
