"""Tables of differences between two versions of a price list."""

from collections.abc import Sequence

from nicegui import ui

from console.client import Json
from console.frame.paths import sku_path
from console.widgets.prices import PRICE_FIELDS, change_cell, price_cell
from console.widgets.tables import Column, cell, table

DIFFERENCE_FIELDS = f"sku before {{ {PRICE_FIELDS} }} after {{ {PRICE_FIELDS} }}"
"""The fields of a `PriceDiff` that a row needs."""

DIFFERENCE_COLUMNS = (
    Column("sku", "Sku"),
    Column("before", "Before", numeric=True),
    Column("after", "After", numeric=True),
    Column("change", "Change"),
)


def difference_row(name: str, difference: Json) -> Json:
    """Return the row of a difference in a price list."""
    sku, before, after = difference["sku"], difference["before"], difference["after"]
    return {
        "id": sku,
        "sku": cell(sku, href=sku_path(name, sku)),
        "before": price_cell(before),
        "after": price_cell(after),
        "change": change_cell(before, after),
    }


def difference_table(label: str, name: str, differences: Sequence[Json]) -> ui.table:
    """Show a few differences in a price list."""
    return table(label, DIFFERENCE_COLUMNS, [difference_row(name, each) for each in differences])
