"""The rows of an export: an import reads the same prices, in both formats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.client import Json
from cli.exports.rows import MAX_COLUMNS, Columns, NotInCsv, ndjson_of, row_of
from cli.imports.price_files import MAX_ROW_BYTES
from tests.storage.reading import good

PRICE: Json = {"tiers": [], "validFrom": None, "validUntil": None, "attributes": {}}


def price(sku: str, amount: str = "1.00", **more: object) -> Json:
    """A price as the API returns it."""
    return {"sku": sku, "amount": amount, "currency": "EUR", **PRICE, **more}


def csv_of(rows: list[Json]) -> bytes:
    columns = Columns()
    columns.add(rows)
    return columns.header() + columns.lines(rows)


# Rows that both formats can represent: skus have no control characters or spaces around, values have any characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SKUS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=12).map(str.strip).filter(bool)
AMOUNTS = st.decimals(0, 10**6, places=2).map("{:f}".format)
DATES = st.dates().map(str)
TIERS = st.dictionaries(st.integers(1, 10**6), AMOUNTS, max_size=3)
NAMES = TEXT.filter(lambda name: name == name.rstrip() and "\0" not in name)
PRICES = st.builds(
    lambda sku, amount, tiers, valid_from, valid_until, attributes: price(
        sku,
        amount,
        tiers=[{"minQuantity": quantity, "amount": each} for quantity, each in sorted(tiers.items())],
        validFrom=valid_from and min(valid_from, valid_until or valid_from),
        validUntil=valid_until and max(valid_until, valid_from or valid_until),
        attributes=attributes,
    ),
    SKUS,
    AMOUNTS,
    TIERS,
    st.none() | DATES,
    st.none() | DATES,
    st.dictionaries(NAMES, TEXT, max_size=3),
)


@given(st.lists(PRICES, max_size=5))
def test_both_formats_are_read_as_the_same_prices(prices: list[Json]) -> None:
    rows = [row_of(each) for each in prices]
    as_ndjson, as_csv = good("a.ndjson", ndjson_of(rows)), good("a.csv", csv_of(rows))
    assert as_csv == as_ndjson
    assert [each.sku for each in as_ndjson] == [each["sku"] for each in prices]
    assert [f"{each.amount:f}" for each in as_ndjson] == [each["amount"] for each in prices]
    assert [each.attributes for each in as_ndjson] == [each["attributes"] for each in prices]


def test_ndjson_represents_attributes_that_csv_cannot() -> None:
    attributes = {"a": None, "b": 1.0, "c": 2**62, "d": [{"e": True}], "f": "", "g ": "x", "": "y"}
    [read] = good("a.ndjson", ndjson_of([row_of(price("a", attributes=attributes))]))
    assert read.attributes == attributes


@pytest.mark.parametrize("attributes", [{"a": 1}, {"a": None}, {"a": ["x"]}, {"a": ""}, {"a ": "x"}, {"": "x"}])
def test_attributes_that_csv_cannot_represent_are_refused(attributes: Json) -> None:
    rows = [row_of(price("P-1", attributes={**attributes, "fine": "x"})), row_of(price("P-2"))]
    with pytest.raises(NotInCsv, match=r"P-1.*--format ndjson"):
        csv_of(rows)


def test_an_attribute_is_checked_in_every_price() -> None:
    rows = [row_of(price(f"P-{n}", attributes={"a": value})) for n, value in enumerate(["x", "y", 3])]
    with pytest.raises(NotInCsv, match="P-2"):
        csv_of(rows)


def test_too_many_columns_are_refused() -> None:
    rows = [row_of(price(f"P-{n}", attributes={f"name-{n}": "x"})) for n in range(MAX_COLUMNS + 1)]
    with pytest.raises(NotInCsv, match="10,001 columns"):
        csv_of(rows)


def test_a_header_that_is_too_long_to_import_is_refused() -> None:
    rows = [row_of(price(f"P-{n}", attributes={f"{n}" * 8000: "x"})) for n in range(MAX_ROW_BYTES // 8000 + 1)]
    with pytest.raises(NotInCsv, match="header row"):
        csv_of(rows)
