"""The periods in which a sku had one price: who began each of them, and why."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nicegui import ui

from console.client import Json
from console.frame.paths import compare_path
from console.frame.viewer import Viewer, parse_instant, utc
from console.frame.visit import Visit
from console.widgets.events import event_text
from console.widgets.prices import change_cell, price_cell, shortened
from console.widgets.tables import Column, cell, table, time_cell

EVENTS = """
query ConsoleMoves($name: ID!, $after: String) {
  events(priceList: $name, first: 1000, after: $after) {
    nodes { kind at by reason version fromVersion toVersion }
    pageInfo { hasNextPage endCursor }
  }
}"""

MAX_ROWS = 50
"""Periods that are shown, the newest. Each may be of a version that is read for its label."""

MAX_EVENT_PAGES = 3
"""Pages of the audit log that are read, the newest."""

MAX_LABEL_CHARACTERS = 40
"""Characters of a label that are shown; all of it is shown on hover."""

COLUMNS = (
    Column("from", "From"),
    Column("until", "Until"),
    Column("price", "Price", numeric=True),
    Column("change", "Change"),
    Column("version", "Version"),
    Column("by", "By"),
    Column("reason", "Reason"),
)


@dataclass(frozen=True, slots=True)
class Origins:
    """Where periods come from: the events that changed the current version, oldest first, and labels by version."""

    events: Sequence[Json]
    labels: Mapping[int, str | None]

    def event(self, period: Json) -> Json | None:
        """Return the event that began a period, or that led to its version before; None if it is not known."""
        index = bisect_right(self.events, parse_instant(period["from"]), key=lambda each: parse_instant(each["at"]))
        event = self.events[index - 1] if index else None
        return event if event and event["toVersion"] == period["version"] else None

    def rollbacks(self, periods: Sequence[Json]) -> set[str]:
        """Return when rollbacks began periods."""
        instants = {each["at"] for each in self.events if each["kind"] == "ROLLED_BACK"}
        return instants & {each["from"] for each in periods}


async def read_origins(visit: Visit, name: str, periods: Sequence[Json]) -> Origins:
    """Return where periods come from; to those who do not work on the list, the labels alone. Raises `ApiError`."""
    if not periods:
        return Origins([], {})
    moves = await _read_moves(visit, name, periods[0]["from"]) if visit.works_on(name) else []
    return Origins(moves, await _read_labels(visit, name, periods))


async def _read_moves(visit: Visit, name: str, since: str) -> list[Json]:
    moves: list[Json] = []
    after: str | None = None
    for _ in range(MAX_EVENT_PAGES):
        page = (await visit.api.query(EVENTS, name=name, after=after))["events"]
        moves += [each for each in page["nodes"] if moves_pointer(each)]
        if not page["pageInfo"]["hasNextPage"] or (moves and parse_instant(moves[-1]["at"]) <= parse_instant(since)):
            break
        after = page["pageInfo"]["endCursor"]
    return moves[::-1]


def moves_pointer(event: Json) -> bool:
    """Whether an event changed the current version."""
    return event["toVersion"] is not None and event["toVersion"] != event["fromVersion"]


async def _read_labels(visit: Visit, name: str, periods: Sequence[Json]) -> dict[int, str | None]:
    versions = sorted({int(each["version"]) for each in periods})
    fields = " ".join(f"v{version}: snapshot(priceList: $name, version: {version}) {{ label }}" for version in versions)
    found = await visit.api.query(f"query ConsoleLabels($name: ID!) {{ {fields} }}", name=name)
    return {version: (found[f"v{version}"] or {}).get("label") for version in versions}


def period_rows(viewer: Viewer, name: str, sku: str, periods: Sequence[Json], origins: Origins) -> list[Json]:
    """Return the rows of the newest periods, newest first. Each is compared with the period before it."""
    pairs = list(pairwise([None, *periods]))[-MAX_ROWS:]
    return [_row(viewer, name, sku, before, period, origins) for before, period in reversed(pairs) if period]


def _row(viewer: Viewer, name: str, sku: str, before: Json | None, period: Json, origins: Origins) -> Json:
    event = origins.event(period) or {}
    version, since = period["version"], period["from"]
    began = time_cell(viewer, since)
    if event and event["at"] != since:  # the range cuts this period off
        began = cell("earlier", note=viewer.time(event["at"]), note_title=utc(event["at"]), sort=since)
    return {
        "id": since,
        "from": began,
        "until": time_cell(viewer, period["until"]) if period["until"] else cell("now"),
        "price": price_cell(period["price"]),
        "change": change_cell(before["price"], period["price"]) if before else cell(),
        "version": cell(
            version,
            href=compare_path(name, before["version"], version, sku) if before else None,
            title="Compare with the version before" if before else None,
            note=shortened(origins.labels.get(version) or "", MAX_LABEL_CHARACTERS) or None,
            note_title=origins.labels.get(version),
        ),
        "by": cell(event.get("by") or "", note=_deed(event)),
        "reason": cell(event.get("reason") or ""),
    }


def _deed(event: Json) -> str | None:
    return event_text(event) if event and event["kind"] != "PUBLISHED" else None


def period_table(rows: list[Json], *, has_events: bool) -> ui.table:
    """Show the periods; without `has_events`, not who began them."""
    return table("Periods", COLUMNS if has_events else COLUMNS[:-2], rows)
