"""The comparison of two versions of a price list: what changed in sum, the largest changes, and each of them."""

from typing import Annotated

from fastapi import Query
from nicegui import ui

from console.actions.rollback import rollback_dialog
from console.charts.histogram import histogram, totals
from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import batch_path, compare_path
from console.frame.visit import Visit
from console.pages.compare_bar import VersionBar, newest_pair, parse_version
from console.pages.compare_table import all_differences_table
from console.widgets.dialogs import DialogHost
from console.widgets.differences import DIFFERENCE_FIELDS, difference_table
from console.widgets.parts import Text, empty, fact, facts, link, notice, section, show_error, time_fact
from console.widgets.refresher import Refresher

VERSIONS = """
query ConsoleOfferedVersions($name: ID!, $first: Int!) {
  priceList(name: $name) {
    name
    currentVersion
    snapshots(first: $first) { nodes { version label state publishedAt } totalCount }
  }
}"""

COMPARISON = """
query ConsoleComparison($name: ID!, $from: Int!, $to: Int!, $works: Boolean!) {
  before: snapshot(priceList: $name, version: $from) { ...side }
  after: snapshot(priceList: $name, version: $to) { ...side }
  priceList(name: $name) {
    currentVersion
    diff(from: $from, to: $to, first: 1) { summary { added removed changed unchanged } }
  }
}
fragment side on Snapshot {
  version
  label
  size
  state
  publishedAt
  batch @include(if: $works) { id submittedBy }
}"""

CHANGES = f"""
query ConsoleChanges($name: ID!, $from: Int!, $to: Int!, $prefix: String) {{
  priceList(name: $name) {{
    diff(from: $from, to: $to, skuPrefix: $prefix, first: 1) {{
      totalCount
      largest(first: 20) {{ {DIFFERENCE_FIELDS} }}
      distribution {{ from to count }}
    }}
  }}
}}"""

CURRENT = """
query ConsoleCurrentVersion($name: ID!) {
  priceList(name: $name) { currentVersion }
}"""

MAX_OFFERED = 500
"""Versions that are offered, the newest; the number of any other can be typed."""


async def compare_page(
    visit: Visit, name: str, from_: Annotated[str, Query(alias="from")] = "", to: str = "", prefix: str = ""
) -> None:
    """Build the page. Without both versions, it compares the current one with the one before it."""
    price_list = (await visit.api.query(VERSIONS, name=name, first=MAX_OFFERED))["priceList"]
    if price_list is None:
        empty("There is no such price list, or you may not read it.")
        return
    offered = price_list["snapshots"]["nodes"]
    pair = newest_pair(offered, price_list["currentVersion"])
    before, after = parse_version(from_.strip()), parse_version(to.strip())
    if (from_ and before is None) or (to and after is None):
        notice("A version is a whole number from 1 on. Choose two versions.")
    elif pair is not None and (before is None or after is None):
        before, after = before or pair[0], after or pair[1]
        ui.navigate.history.replace(compare_path(name, before, after, prefix))
    VersionBar(visit.viewer, price_list, before, after, prefix).build()
    if pair is None and (before is None or after is None):
        empty("This list has fewer than two versions: there is nothing to compare yet.")
    elif before is not None and after is not None:
        await Comparison(visit, name, before, after, prefix).build()


class Comparison:
    """The differences between two versions, of all skus or of those with a prefix."""

    def __init__(self, visit: Visit, name: str, before: int, after: int, prefix: str) -> None:
        self._visit = visit
        self._name = name
        self._range = {"name": name, "from": before, "to": after}
        self._prefix = prefix
        self._current: int | None = None

    async def build(self) -> None:
        """Show the comparison; the statistics, which may take longer, once the rest is there. Raises `ApiError`."""
        found = await self._visit.api.query(COMPARISON, **self._range, works=self._visit.works_on(self._name))
        self._current = found["priceList"]["currentVersion"]
        self._dialogs = DialogHost()
        refresher = Refresher(self._tell_what_is_current)
        self._show_sides(found["before"], found["after"])
        summary = found["priceList"]["diff"]["summary"]
        self._show_summary(summary)
        self._statistics = ui.element("div")
        with self._statistics:
            Text("p", "Counting the changes …").classes("pending")
        with section("All differences", note=f"of skus that begin with {self._prefix}" if self._prefix else ""):
            self._differences = all_differences_table(self._visit, self._range, self._prefix)
        await self._differences.refresh()
        if not self._prefix:
            self._differences.show_total(summary["added"] + summary["removed"] + summary["changed"])
        ui.timer(0.05, self._show_statistics, once=True)
        refresher.follow(self._visit, self._name)

    def _show_sides(self, before: Json, after: Json) -> None:
        with ui.element("div").classes("columns sides"):
            self._show_side("From", before)
            self._show_side("To", after)

    def _show_side(self, title: str, snapshot: Json) -> None:
        version, batch = snapshot["version"], snapshot.get("batch")
        is_current, is_published = version == self._current, snapshot["state"] == "PUBLISHED"
        with section(f"{title} version {version}"):
            with facts():
                if is_current:
                    fact("State", "current", tone="good")
                else:
                    fact("State", "not current" if is_published else "never published", tone="muted")
                fact("Label", snapshot["label"] or "none", tone="" if snapshot["label"] else "muted")
                time_fact(self._visit.viewer, "Published", snapshot["publishedAt"])
                fact("Prices", f"{snapshot['size']:,}")
                if batch:
                    _batch_fact(batch)
            if is_published and not is_current and self._visit.may_operate(self._name):
                self._dialogs.button(
                    f"Roll back to version {version}", lambda: rollback_dialog(self._visit, self._name, version)
                )

    def _show_summary(self, summary: Json) -> None:
        with section("Summary", note="of all skus" if self._prefix else ""), facts():
            fact("Added", f"{summary['added']:,}", tone="good" if summary["added"] else "muted")
            fact("Removed", f"{summary['removed']:,}", tone="bad" if summary["removed"] else "muted")
            fact("Changed", f"{summary['changed']:,}", tone="" if summary["changed"] else "muted")
            fact("Unchanged", f"{summary['unchanged']:,}", tone="" if summary["unchanged"] else "muted")

    async def _show_statistics(self) -> None:
        try:
            found = await self._visit.api.query(CHANGES, **self._range, prefix=self._prefix)
        except ApiError as error:
            self._statistics.clear()
            with self._statistics, section("Changes of amounts"):
                show_error(error)
            return
        diff = found["priceList"]["diff"]
        self._differences.show_total(diff["totalCount"])
        falls, rises = totals(diff["distribution"])
        self._statistics.clear()
        with self._statistics:
            if not falls + rises:
                Text("p", f"No amount changed{self._of_prefix()}.").classes("note")
                return
            with section("Changes in percent", note=f"{falls:,} fell · {rises:,} rose{self._of_prefix()}"):
                histogram(self._visit.viewer, diff["distribution"])
            with section("Largest changes", note=f"of {falls + rises:,} amounts"):
                difference_table("Largest changes", self._name, diff["largest"])

    def _of_prefix(self) -> str:
        return f" · skus that begin with {self._prefix}" if self._prefix else ""

    async def _tell_what_is_current(self) -> None:
        """Say so when another version becomes current: versions never change, but what is current does."""
        found = await self._visit.api.query(CURRENT, name=self._name)
        current = (found["priceList"] or {}).get("currentVersion")
        if current is not None and current != self._current:
            self._current = current
            ui.notify(f"Version {current} is current now.", type="info", timeout=0, close_button="OK")


def _batch_fact(batch: Json) -> None:
    with ui.element("div"):
        Text("dt", "Sent by")
        with ui.element("dd"):
            Text("span", batch["submittedBy"])
            link("its batch", batch_path(batch["id"])).classes("note")
