"""A sku of a price list: its price now, and what it was over time, with who changed it and why."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from nicegui import ui

from console.charts.steps import step_chart, steps_of
from console.client import Json
from console.frame.paths import list_path, sku_path
from console.frame.viewer import parse_instant
from console.frame.visit import Visit
from console.pages.sku_periods import MAX_ROWS, Origins, period_rows, period_table
from console.pages.sku_reading import Reading, origins_of, read_sku
from console.widgets.parts import Text, badge, empty, fact, facts, link, notice, section, show_error
from console.widgets.prices import price_text, shortened, value_text
from console.widgets.refresher import Refresher
from console.widgets.tables import Column, cell, table

RANGES = {1: "24 h", 7: "7 d", 30: "30 d", 365: "1 y"}
"""The ranges that are offered, in days."""

DEFAULT_DAYS, MAX_DAYS = 30, 3650

MAX_ATTRIBUTES = 50
"""Attributes that are shown."""

MAX_VALUE_CHARACTERS = 300
"""Characters of an attribute that are shown."""


async def sku_page(visit: Visit, name: str, sku: str = "", days: str = str(DEFAULT_DAYS)) -> None:
    """Build the page. `days` is how far back it reaches."""
    wanted = int(days) if days.isdecimal() and len(days) < 5 and 1 <= int(days) <= MAX_DAYS else None
    if wanted is None:
        notice(f"days is a number from 1 to {MAX_DAYS}. These are the last {DEFAULT_DAYS}.")
    await SkuPage(visit, name, sku, wanted or DEFAULT_DAYS).build()


class SkuPage:
    """The page of a sku. It is read again when its price list changes."""

    def __init__(self, visit: Visit, name: str, sku: str, days: int) -> None:
        self._visit = visit
        self._name = name
        self._sku = sku
        self._days = days
        self._since = datetime.now(UTC) - timedelta(days=days)
        self._shown: Reading | None = None

    async def build(self) -> None:
        """Show the page, and keep it up to date."""
        self._show_bar()
        if not self._sku:
            empty("Enter a sku to see its price.")
            return
        refresher = Refresher(self._read)
        self._content = ui.element("div")
        await self._read()
        refresher.follow(self._visit, self._name)

    async def _read(self) -> None:
        """Read the sku, and show it again if anything has changed."""
        reading = await read_sku(self._visit, self._name, self._sku, self._since)
        if reading is not None and reading == self._shown:
            return
        origins, problem = await origins_of(self._visit, self._name, reading.periods if reading else [])
        self._shown = reading
        self._content.clear()
        with self._content:
            if reading is None:
                empty("There is no such price list within your reach, or it has no version yet.")
                return
            self._show_now(reading)
            if reading.last is not None:
                if problem:
                    show_error(problem)
                self._show_past(reading, origins)

    def _show_bar(self) -> None:
        with ui.element("div").classes("bar"):
            link(f"All of {self._name}", list_path(self._name))
            search = ui.input("Another sku of this list").props("outlined dense type=search").classes("search")
            search.props["maxlength"] = 256
            search.on("keydown.enter", lambda: self._open(search.value))
            ui.button("Open", on_click=lambda: self._open(search.value)).props("outline no-caps")

    def _open(self, sku: str) -> None:
        if sku.strip():
            ui.navigate.to(sku_path(self._name, sku.strip(), self._days))

    def _show_now(self, reading: Reading) -> None:
        if reading.price is not None:
            self._show_current(reading.price, reading.version)
        elif reading.last is not None:
            notice(f"The current version {reading.version} does not have this sku. Version {reading.last} had it.")
        else:
            empty("No version that is kept has this sku.")
            if reading.alike:
                self._show_alike(reading.alike)

    def _show_alike(self, skus: Sequence[str]) -> None:
        with section("Skus that begin with it"), ui.element("ul").classes("plain"):
            for sku in skus:
                with ui.element("li"):
                    link(sku, sku_path(self._name, sku, self._days))

    def _show_current(self, price: Json, version: int) -> None:
        with section("Now", note=f"version {version}"):
            with facts():
                fact("Price", price_text(price))
                _lowest_fact(self._visit, price["lowest"])
                fact("Valid from", price["validFrom"] or "no limit", tone="" if price["validFrom"] else "muted")
                fact("Valid until", price["validUntil"] or "no limit", tone="" if price["validUntil"] else "muted")
            with ui.element("div").classes("columns"):
                if price["tiers"]:
                    _tiers_table(price)
                if price["attributes"]:
                    _attributes_table(price["attributes"])

    def _show_past(self, reading: Reading, origins: Origins) -> None:
        periods, viewer = reading.periods, self._visit.viewer
        with section("Price over time", note="what customers were shown"):
            self._show_ranges()
            if steps := steps_of(periods, reading.now, origins.rollbacks(periods)):
                step_chart(viewer, self._sku, steps, parse_instant(periods[0]["from"]), reading.now)
                if any(step.mark for step in steps):
                    badge("dots of this colour: rollbacks", "warn")
            else:
                empty("No price was shown in this time.")
        if periods:
            note = f"the newest {MAX_ROWS} of {len(periods):,}" if len(periods) > MAX_ROWS else f"{len(periods):,}"
            with section("Periods", note=note):
                rows = period_rows(viewer, self._name, self._sku, periods, origins)
                period_table(rows, has_events=self._visit.works_on(self._name))

    def _show_ranges(self) -> None:
        with ui.element("nav").classes("bar ways") as ranges:
            ranges.props["aria-label"] = "Range"
            for days, text in RANGES.items():
                element = link(text, sku_path(self._name, self._sku, days))
                if days == self._days:
                    element.props["aria-current"] = "true"


def _lowest_fact(visit: Visit, lowest: Json | None) -> None:
    if lowest is None:
        fact("Lowest in 30 days", "unknown", tone="muted")
        return
    with ui.element("div"):
        Text("dt", "Lowest in 30 days")
        with ui.element("dd"):
            Text("span", price_text(lowest))
            known = "" if lowest["complete"] else " · not all of the 30 days is known"
            Text("span", f"version {lowest['version']}, {visit.viewer.time(lowest['from'])}{known}").classes("note")


def _tiers_table(price: Json) -> None:
    columns = (Column("quantity", "From quantity", numeric=True), Column("amount", "Amount", numeric=True))
    rows = [
        {"id": each["minQuantity"], "quantity": cell(f"{each['minQuantity']:,}"), "amount": cell(each["amount"])}
        for each in price["tiers"]
    ]
    table("Tiers", columns, rows)


def _attributes_table(attributes: Json) -> None:
    columns = (Column("name", "Attribute"), Column("value", "Value"))
    rows = [
        {"id": name, "name": cell(name), "value": cell(shortened(value_text(value), MAX_VALUE_CHARACTERS))}
        for name, value in sorted(attributes.items())[:MAX_ATTRIBUTES]
    ]
    table("Attributes", columns, rows)
    if len(attributes) > MAX_ATTRIBUTES:
        Text("p", f"The first {MAX_ATTRIBUTES} of {len(attributes):,} attributes.").classes("note")
