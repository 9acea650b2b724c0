"""All price lists: what is current in each, and what waits."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui
from nicegui.events import GenericEventArguments

from console.charts.sparkline import sparkline
from console.client import Json
from console.client.errors import ApiError
from console.frame.paths import list_path, review_path
from console.frame.viewer import age, utc
from console.frame.visit import Visit
from console.widgets.parts import Text, empty
from console.widgets.tables import Column, cell, table

_ROW = """
fragment Row on PriceList {
  name
  description
  nextChangeAt
  pin @include(if: $works) { version reason by at }
  current { version size label publishedAt }
}"""

LISTS = (
    """
query ConsoleLists($first: Int!, $after: String, $works: Boolean!) {
  priceLists(first: $first, after: $after) {
    nodes { ...Row }
    pageInfo { hasNextPage endCursor }
  }
}"""
    + _ROW
)

WAITING = """
query ConsoleWaiting {
  held: batches(state: HELD, first: 1000) { nodes { priceList publishAt release { id } } }
  open: batches(state: OPEN, first: 1000) { nodes { priceList } }
  sealing: batches(state: SEALING, first: 1000) { nodes { priceList } }
}"""

LISTS_OF_REQUEST = 500
MAX_LISTS = 5_000
"""Price lists that the overview knows: the first by name."""

ROWS_OF_PAGE = 50

FULL_REFRESH_SECONDS = 60.0
"""How often all lists are read again, for changes that are not publications: pins, schedules, new lists."""

WAITING_REFRESH_SECONDS = 10.0
"""How often the batches that wait are counted again."""

CHANGES_REFRESH_SECONDS = 1.0
"""How often the lists that have changed are read again, however many publications arrive."""

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


ORDERS: dict[str, Callable[[Json, int], Any]] = {
    "list": lambda each, _: each["name"],
    "version": lambda each, _: (each["current"] or {}).get("version") or 0,
    "size": lambda each, _: (each["current"] or {}).get("size") or 0,
    "since": lambda each, _: (each["current"] or {}).get("publishedAt") or "",
    "state": lambda each, _: (not each.get("pin"), each["current"] is None),
    "next": lambda each, _: each["nextChangeAt"] or "9",
    "waiting": lambda _, waiting: -waiting,
}
"""The sort key of each column, from the list and the number of batches that wait."""


async def overview_page(visit: Visit) -> None:
    """Build the page."""
    await Overview(visit).build()


class Overview:
    """The table of all lists, one page at a time. Lists that a publication changes are read again."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._works = visit.works_anywhere()
        self._lists: dict[str, Json] = {}
        self._waiting: Counter[str] = Counter()
        self._planned: Counter[str] = Counter()
        self._sizes: dict[str, list[int]] = {}
        self._changed: set[str] = set()
        self._pagination: Json = {"page": 1, "rowsPerPage": ROWS_OF_PAGE, "sortBy": "list", "descending": False}

    async def build(self) -> None:
        """Show the table, and keep it up to date."""
        await asyncio.gather(self._read(), self._count_waiting())
        if not self._lists:
            empty("There are no price lists yet that you may read. `pricebook create NAME` creates one.")
            return
        with ui.element("div").classes("bar"):
            self._search = ui.input("Search by name", on_change=self._search_again)
            self._search.props("outlined dense clearable type=search").classes("search")
            self._summary = Text("p", "").classes("note")
            self._summary.props["role"] = "status"
        self._table = table("Price lists", COLUMNS, [], key="name", page_size=ROWS_OF_PAGE)
        self._table.on("request", self._turn_page, [["pagination"]])
        self._show()
        self._visit.follow(self._note)
        ui.timer(CHANGES_REFRESH_SECONDS, self._guarded(self._read_changed))
        ui.timer(WAITING_REFRESH_SECONDS, self._guarded(self._count_waiting), immediate=False)
        ui.timer(FULL_REFRESH_SECONDS, self._guarded(self._read), immediate=False)

    def _note(self, publication: Json | None) -> None:
        self._changed.update([publication["priceList"]] if publication else self._lists)

    def _search_again(self) -> None:
        self._pagination["page"] = 1
        self._show()

    def _turn_page(self, event: GenericEventArguments) -> None:
        self._pagination = event.args["pagination"]
        self._show()

    def _guarded(self, refresh: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Show the table after a refresh; say so if the API does not respond, and go on."""

        async def run() -> None:
            try:
                await refresh()
            except ApiError as error:
                self._summary.set_text(f"Not up to date: {error}")
                return
            self._show()

        return run

    async def _read(self) -> None:
        after: str | None = None
        lists: dict[str, Json] = {}
        for _ in range(MAX_LISTS // LISTS_OF_REQUEST):
            data = await self._visit.api.query_allowed(LISTS, first=LISTS_OF_REQUEST, after=after, works=self._works)
            lists |= {each["name"]: each for each in data["priceLists"]["nodes"]}
            after = data["priceLists"]["pageInfo"]["endCursor"]
            if not data["priceLists"]["pageInfo"]["hasNextPage"]:
                break
        self._lists = lists

    async def _read_changed(self) -> None:
        """Read the lists on this page that have changed, or whose sizes are not known yet, and others that changed."""
        unknown = {name for name in self._page() if name not in self._sizes}
        names = [*unknown, *(self._changed - unknown)][:ROWS_OF_PAGE]
        if not names:
            return
        self._changed.difference_update(names)
        variables = {f"n{index}": each for index, each in enumerate(names)}
        data = await self._visit.api.query_allowed(_by_name(len(names)), works=self._works, **variables)
        for each in filter(None, data.values()):
            sizes = [version["size"] for version in each.pop("snapshots")["nodes"] if version["state"] == "PUBLISHED"]
            self._sizes[each["name"]] = sizes[::-1]
            self._lists[each["name"]] = each

    async def _count_waiting(self) -> None:
        if not self._works:
            return
        states = await self._visit.api.query(WAITING)
        batches = [each for state in states.values() for each in state["nodes"]]
        self._planned = Counter(each["priceList"] for each in batches if _is_planned(each))
        self._waiting = Counter(each["priceList"] for each in batches if not _is_planned(each))

    def _found(self) -> list[str]:
        wanted = (self._search.value or "").strip().lower()
        return [name for name in self._lists if wanted in name]

    def _page(self) -> list[str]:
        """Return the names of the lists on this page, in order."""
        key = ORDERS.get(self._pagination["sortBy"] or "list", ORDERS["list"])
        names = sorted(self._found(), key=lambda name: key(self._lists[name], self._waiting[name]))
        if self._pagination["descending"]:
            names.reverse()
        start = (self._pagination["page"] - 1) * ROWS_OF_PAGE
        return names[start : start + ROWS_OF_PAGE]

    def _show(self) -> None:
        found = len(self._found())
        self._table.pagination = {**self._pagination, "rowsNumber": found}
        self._table.rows = [self._row(self._lists[name]) for name in self._page()]
        pinned = sum(1 for each in self._lists.values() if each.get("pin"))
        pins = f" · {pinned:,} pinned" if self._works else ""
        self._summary.set_text(f"{found:,} of {len(self._lists):,} lists{pins}")

    def _row(self, each: Json) -> Json:
        name, current = each["name"], each["current"] or {}
        version, size, published = current.get("version"), current.get("size"), current.get("publishedAt")
        waiting, planned = self._waiting[name], self._planned[name]
        return {
            "name": name,
            "list": cell(name, href=list_path(name), note=each["description"]),
            "version": cell("" if version is None else version, sort=version or 0, note=current.get("label")),
            "size": cell("" if size is None else f"{size:,}", sort=size or 0),
            "sizes": cell(
                spark=sparkline(self._sizes.get(name, ())) or None, title=f"Sizes of the newest versions of {name}"
            ),
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
                note=f"{planned:,} planned" if planned else None,
                note_title="scheduled, or in a release",
            ),
        }


def _is_planned(batch: Json) -> bool:
    """Whether a batch is scheduled, or in a release."""
    return bool(batch.get("publishAt") or batch.get("release"))


def _by_name(count: int) -> str:
    """Return the document that reads lists by their names."""
    variables = ", ".join(f"$n{index}: ID!" for index in range(count))
    fields = "\n".join(
        f"l{index}: priceList(name: $n{index}) {{ ...Row snapshots(first: 20) {{ nodes {{ size state }} }} }}"
        for index in range(count)
    )
    return f"query ConsoleSomeLists($works: Boolean!, {variables}) {{ {fields} }}{_ROW}"


def _state(each: Json) -> Json:
    pin = each.get("pin")
    if pin:
        return cell(f"pinned to {pin['version']}", tone="warn", title=f"{pin['by']}: {pin['reason']}")
    return cell("live", tone="good") if each["current"] else cell("empty", tone="muted")
