"""All price lists: what is current in each, and what waits."""

from collections import Counter
from collections.abc import AsyncIterator

from nicegui import ui

from console.charts.sparkline import sparkline
from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import list_path, review_path
from console.frame.viewer import age, utc
from console.frame.visit import Visit
from console.widgets.parts import Text, empty
from console.widgets.tables import Column, cell, table

LISTS = """
query ConsoleLists($first: Int!, $after: String) {
  priceLists(first: $first, after: $after) {
    nodes {
      name
      description
      nextChangeAt
      pin { version reason by at }
      current { version size label publishedAt }
    }
    totalCount
    pageInfo { hasNextPage endCursor }
  }
}"""

WAITING = """
query ConsoleWaiting {
  held: batches(state: HELD, first: 1000) { nodes { priceList publishAt } totalCount }
  open: batches(state: OPEN, first: 1000) { nodes { priceList } totalCount }
  sealing: batches(state: SEALING, first: 1000) { nodes { priceList } totalCount }
}"""

SIZES = """
query ConsoleSizes($first: Int!, $after: String) {
  priceLists(first: $first, after: $after) {
    nodes { name snapshots(first: 20) { nodes { size state } } }
    pageInfo { hasNextPage endCursor }
  }
}"""

PAGE_SIZE = 500
"""Price lists of one request."""

MAX_LISTS = 5_000
"""Price lists that the overview shows."""

REFRESH_SECONDS = 15.0
"""How often the table is read again, for what no publication tells: pins, schedules, batches that wait."""

MIN_REFRESH_SECONDS = 1.0
"""Shortest time between two readings, however many publications arrive."""

COLUMNS = (
    Column("list", "Price list", sortable=True),
    Column("version", "Version", numeric=True, sortable=True),
    Column("size", "Prices", numeric=True, sortable=True),
    Column("sizes", "Sizes"),
    Column("since", "Published", sortable=True),
    Column("state", "State", sortable=True),
    Column("next", "Next change", sortable=True),
    Column("waiting", "Waiting", sortable=True),
)


async def overview(visit: Visit) -> None:
    """Build the page."""
    await Overview(visit).build()


class Overview:
    """The table of all lists. It follows publications, and is read again from time to time."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._lists: list[Json] = []
        self._waiting: Counter[str] = Counter()
        self._scheduled: Counter[str] = Counter()
        self._sparks: dict[str, str] = {}
        self._is_stale = False

    async def build(self) -> None:
        """Show the table, and keep it up to date."""
        await self._read()
        if not self._lists:
            empty("There are no price lists yet that you may read. `pricebook create NAME` creates one.")
            return
        with ui.element("div").classes("bar"):
            self._search = ui.input("Search by name", on_change=self._show).props(
                "outlined dense clearable type=search"
            )
            self._search.classes("search")
            self._summary = Text("p", "").classes("note")
        self._table = table("Price lists", COLUMNS, [], key="name")
        self._show()
        self._visit.follow(self._note)
        ui.timer(MIN_REFRESH_SECONDS, self._refresh_if_stale)
        ui.timer(REFRESH_SECONDS, self._note)
        ui.timer(0.1, self._read_sizes, once=True)

    def _note(self, _: Json | None = None) -> None:
        self._is_stale = True

    async def _refresh_if_stale(self) -> None:
        if not self._is_stale:
            return
        self._is_stale = False
        before = {each["name"]: each["current"] for each in self._lists}
        try:
            await self._read()
            if {each["name"]: each["current"] for each in self._lists} != before:
                await self._read_sizes()
        except ApiError as error:
            self._summary.set_text(f"Not up to date: {error}")
            return
        self._show()

    async def _read(self) -> None:
        self._lists = [each async for each in self._pages(LISTS)]
        waiting = await self._visit.api.query(WAITING)
        batches = [each for state in waiting.values() for each in state["nodes"]]
        self._scheduled = Counter(each["priceList"] for each in batches if each.get("publishAt"))
        self._waiting = Counter(each["priceList"] for each in batches if not each.get("publishAt"))

    async def _read_sizes(self) -> None:
        async for each in self._pages(SIZES):
            sizes = [version["size"] for version in each["snapshots"]["nodes"] if version["state"] == "PUBLISHED"]
            self._sparks[each["name"]] = sparkline(sizes[::-1])
        self._show()

    async def _pages(self, document: str) -> AsyncIterator[Json]:
        after: str | None = None
        for _ in range(MAX_LISTS // PAGE_SIZE):
            page = (await self._visit.api.query(document, first=PAGE_SIZE, after=after))["priceLists"]
            for each in page["nodes"]:
                yield each
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def _show(self) -> None:
        wanted = (self._search.value or "").strip().lower()
        rows = [self._row(each) for each in self._lists if wanted in each["name"]]
        self._table.rows = rows
        pinned = sum(1 for each in self._lists if each["pin"])
        self._summary.set_text(f"{len(rows):,} of {len(self._lists):,} lists · {pinned:,} pinned")

    def _row(self, each: Json) -> Json:
        name, current = each["name"], each["current"] or {}
        version, size, published = current.get("version"), current.get("size"), current.get("publishedAt")
        waiting, scheduled = self._waiting[name], self._scheduled[name]
        return {
            "name": name,
            "list": cell(name, href=list_path(name), note=each["description"]),
            "version": cell("" if version is None else version, sort=version or 0, note=current.get("label")),
            "size": cell("" if size is None else f"{size:,}", sort=size or 0),
            "sizes": cell(spark=self._sparks.get(name) or None, title=f"Sizes of the newest versions of {name}"),
            "since": cell(
                age(published), title=f"{self._visit.viewer.time(published)} · {utc(published)}", sort=published
            ),
            "state": _state(each),
            "next": cell(age(each["nextChangeAt"]), title=utc(each["nextChangeAt"]), sort=each["nextChangeAt"]),
            "waiting": cell(
                f"{waiting:,} to review" if waiting else "",
                href=review_path(name),
                tone="warn" if waiting else None,
                sort=-waiting,
                note=f"{scheduled:,} scheduled" if scheduled else None,
            ),
        }


def _state(each: Json) -> Json:
    pin = each["pin"]
    if pin:
        return cell(f"pinned to {pin['version']}", tone="warn", title=f"{pin['by']}: {pin['reason']}")
    return cell("live", tone="good") if each["current"] else cell("empty", tone="muted")
