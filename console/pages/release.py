"""A release: its lists with their batches, who serves it, and what an operator can do with it."""

from nicegui import ui

from console.actions.releases import discard_dialog, publish_dialog, rollback_dialog, schedule_dialog, unschedule_dialog
from console.client import Json
from console.frame.paths import batch_path, list_path
from console.frame.visit import Visit
from console.sessions.caller import Scope
from console.widgets.batches import STATES as BATCH_STATES
from console.widgets.batches import served_fact
from console.widgets.dialogs import DialogHost
from console.widgets.parts import Text, badge, empty, fact, facts, time_fact
from console.widgets.refresher import Refresher
from console.widgets.releases import (
    RELEASE_FIELDS,
    STATES,
    UNPUBLISHED,
    item_changes,
    item_compare_href,
    item_move_text,
    obstacles,
)
from console.widgets.tables import Column, cell, table

RELEASE = f"""
query ConsoleRelease($id: ID!) {{
  release(id: $id) {{ {RELEASE_FIELDS} publishedAt createdBy createdAt served {{ by of }} }}
}}"""

REFRESH_SECONDS = 5.0


async def release_page(visit: Visit, release_id: str) -> None:
    """Build the page."""
    found = (await visit.api.query(RELEASE, id=release_id))["release"]
    if found is None:
        empty("There is no such release, or you work on none of its price lists.")
        return
    ui.page_title(f"{found['name']} · Pricebook")
    ReleasePage(visit, found).build()


class ReleasePage:
    """The page. It is built again when the release has changed, but not below an open dialog."""

    def __init__(self, visit: Visit, release: Json) -> None:
        self._visit = visit
        self._release = release

    def build(self) -> None:
        """Show the release, and keep it up to date."""
        self._dialogs = DialogHost()
        refresher = Refresher(self._refresh, is_paused=lambda: self._dialogs.is_open)
        self._content = ui.element("div")
        self._show()
        refresher.repeat(REFRESH_SECONDS)

    async def _refresh(self) -> None:
        found = (await self._visit.api.query(RELEASE, id=self._release["id"]))["release"]
        if found and found != self._release and not self._dialogs.is_open:
            self._release = found
            self._show()

    def _show(self) -> None:
        release, viewer = self._release, self._visit.viewer
        self._content.clear()
        with self._content:
            with ui.element("div").classes("bar"):
                badge(*STATES[release["state"]])
                Text("h2", release["name"])
            with facts():
                if release["state"] == "SCHEDULED":
                    time_fact(viewer, "Due", release["publishAt"])
                if release["publishedAt"]:
                    time_fact(viewer, "Published", release["publishedAt"])
                served_fact(release["served"])
                fact("Created by", release["createdBy"])
                time_fact(viewer, "Created", release["createdAt"])
            self._show_actions()
            if release["items"]:
                table("Price lists of the release", _COLUMNS, [item_row(release, each) for each in release["items"]])
            elif release["state"] not in UNPUBLISHED:
                empty("No batch of a list that you work on was sent with it.")
            else:
                empty(f"No batch waits in it. `pricebook import FILE --list LIST --release {release['id']}` sends one.")

    def _show_actions(self) -> None:
        visit, release = self._visit, self._release
        if not self._may_operate():
            return
        with ui.element("div").classes("bar"):
            if release["state"] == "PUBLISHED":
                self._dialogs.button("Roll back", lambda: rollback_dialog(visit, release))
            if release["state"] not in UNPUBLISHED:
                return
            if release["items"]:
                self._dialogs.button("Publish", lambda: publish_dialog(visit, release), primary=True)
            is_scheduled = release["state"] == "SCHEDULED"
            self._dialogs.button("Reschedule" if is_scheduled else "Schedule", lambda: schedule_dialog(visit, release))
            if is_scheduled:
                self._dialogs.button("Take off the schedule", lambda: unschedule_dialog(visit, release))
            self._dialogs.button("Discard", lambda: discard_dialog(visit, release))

    def _may_operate(self) -> bool:
        """Whether the caller may operate all lists of the release, as far as it sees them."""
        names = [each["priceList"]["name"] for each in self._release["items"]]
        return self._visit.caller.may_anywhere(Scope.SNAPSHOTS_OPERATE) and all(map(self._visit.may_operate, names))


def item_row(release: Json, item: Json) -> Json:
    """Return the row of a list of a release."""
    batch = item["batch"]
    text, tone = BATCH_STATES[batch["state"]]
    against = obstacles(item) if release["state"] in UNPUBLISHED else []
    if batch["state"] == "HELD":
        text, tone = ("ready", "good") if not against else ("; ".join(against), "warn")
    return {
        "id": item["priceList"]["name"],
        "list": cell(item["priceList"]["name"], href=list_path(item["priceList"]["name"])),
        "state": cell(text, tone=tone),
        "batch": cell("batch", href=batch_path(batch["id"]), note=batch["label"]),
        "versions": cell(item_move_text(release, item), href=item_compare_href(release, item)),
        "changes": cell(item_changes(release, item)),
    }


_COLUMNS = (
    Column("list", "Price list"),
    Column("state", "State"),
    Column("batch", "Batch"),
    Column("versions", "Versions"),
    Column("changes", "Changes"),
)
