"""The versions of a price list, newest first, on its page."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from nicegui.events import GenericEventArguments

from console.client import Json
from console.frame.paths import batch_path, compare_path
from console.frame.viewer import parse_instant, utc
from console.frame.visit import Visit
from console.widgets.paged import Page, PagedTable, next_cursor
from console.widgets.tables import Column, actions_cell, cell, time_cell
from console.widgets.versions import summary_text

VERSIONS = """
query ConsoleVersions($name: ID!, $first: Int!, $after: String, $works: Boolean!) {
  priceList(name: $name) {
    currentVersion
    pin @include(if: $works) { version }
    snapshots(first: $first, after: $after) {
      nodes {
        version
        label
        size
        state
        publishedAt
        keptUntil @include(if: $works)
        batch @include(if: $works) { id state submittedBy summary { added removed changed } }
      }
      totalCount
      pageInfo { hasNextPage endCursor }
    }
  }
}"""

COLUMNS = (
    Column("number", "Version"),
    Column("state", "State"),
    Column("size", "Prices", numeric=True),
    Column("published", "Published"),
    Column("compare", "Compare"),
)

BATCH_COLUMNS = (Column("changes", "Changed"), Column("by", "Batch of"))
"""For those who work on the list."""

PAGE_SIZE = 30
"""Versions of a page of the table."""

ACTIONS = Column("actions", "Actions")

ROLL_BACK, KEEP = "roll-back", "keep"


def versions_table(visit: Visit, name: str, act: Callable[[str, int], Awaitable[None]]) -> PagedTable:
    """Show the table of versions. `act` is called with an action, `ROLL_BACK` or `KEEP`, and a version."""

    async def read(first: int, after: str | None) -> Page:
        data = await visit.api.query(VERSIONS, name=name, first=first, after=after, works=visit.works_on(name))
        snapshots = data["priceList"]["snapshots"]
        return Page(version_rows(visit, name, data["priceList"]), next_cursor(snapshots), snapshots["totalCount"])

    async def acted(event: GenericEventArguments) -> None:
        if event.args["action"] in (ROLL_BACK, KEEP):
            await act(event.args["action"], int(event.args["key"]))

    columns = [*COLUMNS]
    if visit.works_on(name):
        columns[-1:-1] = BATCH_COLUMNS
    if visit.may_operate(name):
        columns.append(ACTIONS)
    shown = PagedTable(
        "Versions",
        columns,
        read,
        key="version",
        page_size=PAGE_SIZE,
        nothing=f"No version yet. `pricebook import --list {name} FILE` publishes one.",
    )
    shown.table.on("act", acted)
    return shown


def version_rows(visit: Visit, name: str, price_list: Json) -> list[Json]:
    """Return the rows of a page of versions of a list: its `snapshots`, with its current version and its pin."""
    nodes = price_list["snapshots"]["nodes"]
    published = [each["version"] for each in nodes if each["state"] == "PUBLISHED"]
    return [_row(visit, name, price_list, each, published) for each in nodes]


def _row(visit: Visit, name: str, price_list: Json, each: Json, published: list[int]) -> Json:
    version, batch = each["version"], each.get("batch")
    return {
        "version": version,
        "number": cell(version, note=each["label"]),
        "state": _state(visit, price_list, each),
        "size": cell(f"{each['size']:,}"),
        "published": time_cell(visit.viewer, each["publishedAt"]),
        "changes": _changes(batch),
        "by": cell(batch["submittedBy"], href=batch_path(batch["id"])) if batch else cell(),
        "compare": _compare(name, version, _other(version, price_list["currentVersion"], published)),
        "actions": _actions(visit, name, price_list, each),
    }


def _state(visit: Visit, price_list: Json, each: Json) -> Json:
    kept = each.get("keptUntil")
    is_kept = kept is not None and parse_instant(kept) > datetime.now(UTC)
    note = f"kept until {visit.viewer.time(kept)}" if is_kept else None
    text, tone = _state_text(price_list, each)
    return cell(text, tone=tone, note=note, note_title=utc(kept) if is_kept else None)


def _state_text(price_list: Json, each: Json) -> tuple[str, str]:
    if each["version"] == price_list["currentVersion"]:
        return ("current, pinned", "warn") if price_list.get("pin") else ("current", "good")
    if each["state"] == "PUBLISHED":
        return "published", "muted"
    is_held = (each.get("batch") or {}).get("state") == "HELD"
    return ("held", "warn") if is_held else ("never published", "muted")


def _changes(batch: Json | None) -> Json:
    if not batch or not batch["summary"]:
        return cell()
    counts = batch["summary"]
    signs = (("+", "added"), ("\N{MINUS SIGN}", "removed"), ("~", "changed"))
    text = " ".join(f"{sign}{counts[kind]:,}" for sign, kind in signs if counts[kind])
    return cell(text or "no price changes", title=summary_text(counts))


def _other(version: int, current: int | None, published: list[int]) -> int | None:
    """Return the version to compare with: the current one, or for that the one before it, if the page has it."""
    if version != current:
        return current
    return max((each for each in published if each < version), default=None)


def _compare(name: str, version: int, other: int | None) -> Json:
    if other is None:
        return cell()
    older, newer = sorted((version, other))
    return cell(f"with {other}", href=compare_path(name, older, newer), title=f"Compare version {older} with {newer}")


def _actions(visit: Visit, name: str, price_list: Json, each: Json) -> Json:
    if each["state"] != "PUBLISHED" or not visit.may_operate(name):
        return actions_cell()
    version = each["version"]
    keep = {"name": KEEP, "label": "Keep", "title": f"Keep version {version}"}
    if version == price_list["currentVersion"]:
        return actions_cell(keep)
    return actions_cell(
        {"name": ROLL_BACK, "label": "Roll back to this", "title": f"Roll back to this: version {version}"}, keep
    )
