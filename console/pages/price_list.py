"""One price list: what is current, how it came to be so, its versions and its audit log; and what can be done."""

import asyncio
from collections.abc import Callable, KeysView
from datetime import UTC, datetime
from functools import partial

from nicegui import ui

from console.actions.keep import keep_dialog
from console.actions.pin import pin_dialog, publish_latest_dialog, unpin_dialog
from console.actions.rollback import rollback_dialog
from console.charts.track import TRACK_EVENT, Track, track_chart, track_of, track_options
from console.client import Json
from console.frame.paths import list_path, review_path, sku_path
from console.frame.viewer import age
from console.frame.visit import Visit
from console.pages.price_list_log import log_table
from console.pages.price_list_settings import show_settings
from console.pages.price_list_versions import KEEP, versions_table
from console.widgets.batches import served_fact
from console.widgets.dialogs import ActionDialog, DialogHost
from console.widgets.paged import PagedTable
from console.widgets.parts import Text, empty, fact, facts, link, notice, section, time_fact
from console.widgets.refresher import Refresher

PRICE_LIST = """
query ConsolePriceList($name: ID!) {
  priceList(name: $name) { description nextChangeAt current { version label size publishedAt } }
}"""

WORK = f"""
query ConsolePriceListWork($name: ID!, $events: Int!) {{
  priceList(name: $name) {{
    description
    nextChangeAt
    current {{ version label size publishedAt batch {{ served {{ by of }} }} }}
    pin {{ version by at reason }}
    heldByPin(first: 1) {{ totalCount }}
    upcoming(first: 1) {{ totalCount }}
    gates {{ maxShrinkPercent maxChangedPercent maxPriceChangePercent allowedCurrencies minSize }}
    retention {{ versions days thin }}
    events(first: $events) {{ nodes {{ {TRACK_EVENT} }} }}
  }}
  batches(priceList: $name, state: HELD, first: 1) {{ totalCount }}
}}"""
"""For those who work on the list: others see neither its pin nor its batches and events."""

TRACK_EVENTS = 300
"""Events of the picture; the audit log pages through all of them."""

REFRESH_SECONDS = 15.0
"""How often the page is read again, for what no publication tells: pins, schedules, batches that wait."""


async def price_list_page(visit: Visit, name: str) -> None:
    """Build the page."""
    await PriceListPage(visit, name).build()


class PriceListPage:
    """The page of one list. It follows publications, and is read again from time to time."""

    def __init__(self, visit: Visit, name: str) -> None:
        self._visit = visit
        self._name = name
        self._works = visit.works_on(name)
        self._shown: Json | None = None
        self._offered: KeysView[str] = {}.keys()
        self._chart: ui.echart | None = None

    async def build(self) -> None:
        """Show the list, and keep it up to date."""
        found = await self._read()
        if found is None:
            empty(f"There is no price list {self._name}, or you may not read it.")
            return
        refresher = Refresher(self._refresh)
        self._head = ui.element("div")
        self._actions = ui.element("div").classes("bar")
        with ui.element("div").classes("bar"):
            link("Compare versions", f"{list_path(self._name)}/compare")
            link("Look up a sku", sku_path(self._name, ""))
        self._dialogs = DialogHost()
        self._show_head(found)
        if self._works:
            is_whole = len(found["events"]["nodes"]) < TRACK_EVENTS
            with section("What was current when", note="" if is_whole else f"the newest {TRACK_EVENTS} events"):
                self._track = ui.element("div").classes("track")
            ui.timer(0, lambda: self._show_track(found), once=True)  # charts take long to load: the tables do not wait
        with section("Versions", note="" if self._works else "those that were published"):
            self._tables: list[PagedTable] = [versions_table(self._visit, self._name, self._act)]
        if self._works:
            with section("Audit log"):
                self._tables.append(log_table(self._visit, self._name))
            show_settings(found["gates"], found["retention"])
        await asyncio.gather(*(each.refresh() for each in self._tables))
        refresher.follow(self._visit, self._name)
        refresher.repeat(REFRESH_SECONDS)

    async def _refresh(self) -> None:
        found = await self._read()
        if found is None:
            ui.navigate.reload()
            return
        self._show_head(found)
        if self._works:
            self._show_track(found)
        await asyncio.gather(*(each.refresh() for each in self._tables))

    async def _read(self) -> Json | None:
        if not self._works:
            found: Json | None = (await self._visit.api.query(PRICE_LIST, name=self._name))["priceList"]
            return found
        data = await self._visit.api.query(WORK, name=self._name, events=TRACK_EVENTS)
        return data["priceList"] and {**data["priceList"], "waiting": data["batches"]["totalCount"]}

    def _show_head(self, found: Json) -> None:
        seen = {**found, "age": age(found["current"] and found["current"]["publishedAt"])}
        if seen == self._shown:
            return
        self._shown = seen
        self._head.clear()
        with self._head:
            if found["description"]:
                Text("p", found["description"])
            if pin := found.get("pin"):
                notice(f"Pinned to version {pin['version']} by {pin['by']}, {age(pin['at'])}: {pin['reason']}")
            self._show_facts(found)
        if self._visit.may_operate(self._name):
            self._show_actions(found)

    def _show_facts(self, found: Json) -> None:
        viewer, current = self._visit.viewer, found["current"]
        with facts():
            if current:
                with fact("Current version", str(current["version"])):
                    Text("span", current["label"] or "").classes("note")
                fact("Prices", f"{current['size']:,}")
                time_fact(viewer, "Published", current["publishedAt"])
            else:
                fact("Current version", "none", tone="muted")
            if self._works:
                self._show_state(found)
            time_fact(viewer, "Next change", found["nextChangeAt"], missing="none scheduled")
            if self._works:
                self._show_waiting(found)
                served_fact(current and current["batch"] and current["batch"]["served"])

    def _show_state(self, found: Json) -> None:
        current = found["current"]
        since = _track(found).since
        if current and since and since != current["publishedAt"]:
            time_fact(self._visit.viewer, "Current since", since)
        if found["pin"]:
            time_fact(self._visit.viewer, "Pinned", found["pin"]["at"])
        else:
            fact("State", "live" if current else "empty", tone="good" if current else "muted")

    def _show_waiting(self, found: Json) -> None:
        scheduled = found["upcoming"]["totalCount"]
        value = fact("Waiting batches", "" if found["waiting"] else "none", tone="" if found["waiting"] else "muted")
        if found["waiting"]:
            with value:
                link(f"{found['waiting']:,} held", review_path(self._name))
                if scheduled:
                    Text("span", f"{scheduled:,} of them scheduled").classes("note")

    def _show_actions(self, found: Json) -> None:
        actions: dict[str, Callable[[Visit, str], ActionDialog]] = {}
        if found["current"]:
            actions["Roll back"] = rollback_dialog
            if found["pin"]:
                actions["Unpin"] = unpin_dialog
            else:
                actions["Pin"] = pin_dialog
            if found["heldByPin"]["totalCount"]:
                actions["Unpin and publish the latest"] = publish_latest_dialog
        if actions.keys() == self._offered:
            return
        self._offered = actions.keys()
        self._actions.clear()
        with self._actions:
            for label, build in actions.items():
                self._dialogs.button(label, partial(build, self._visit, self._name))

    async def _act(self, action: str, version: int) -> None:
        build = keep_dialog if action == KEEP else rollback_dialog
        await self._dialogs.open(lambda: build(self._visit, self._name, version))

    def _show_track(self, found: Json) -> None:
        track = _track(found)
        if self._chart:
            self._chart.options["series"] = track_options(self._visit.viewer, track)["series"]
            self._chart.update()
            return
        self._track.clear()
        with self._track:
            if track.steps or track.marks:
                self._chart = track_chart(self._visit.viewer, track)
            else:
                empty("No version has been current yet.")


def _track(found: Json) -> Track:
    return track_of(found["events"]["nodes"], datetime.now(UTC))
