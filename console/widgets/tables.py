"""Tables: of records with cells that may be links, times, badges or small pictures; stacked on a narrow screen."""

from collections.abc import Sequence
from dataclasses import dataclass

from nicegui import ui

from console.client import Json
from console.frame.viewer import Viewer, age, utc

PAGE_SIZE = 50
"""Rows of a page of a table that has all its rows."""

# One slot for all columns: what a cell is follows from what it has. Texts are never read as HTML.
_CELL = """
<q-td :props="props">
  <div class="cell" v-for="cell in [props.row[props.col.name] ?? {}]"
    :class="cell.text || cell.spark || cell.actions ? '' : 'blank'">
    <span class="cell-label" aria-hidden="true">{{ props.col.label }}</span>
    <div>
      <svg v-if="cell.spark" class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img"
        :aria-label="cell.title"><polyline :points="cell.spark" /></svg>
      <span v-if="cell.text" :class="cell.tone ? 'badge ' + cell.tone : ''">
        <a v-if="cell.href" :href="cell.href" :title="cell.title">{{ cell.text }}</a>
        <span v-else :title="cell.title">{{ cell.text }}</span>
      </span>
      <span v-if="cell.note" class="note" :title="cell.noteTitle">{{ cell.note }}</span>
      <button v-for="action in cell.actions" :key="action.name" class="row-action" type="button"
        :aria-label="action.title" @click="() => $parent.$emit('act', { action: action.name, key: props.key })"
        >{{ action.label }}</button>
    </div>
  </div>
</q-td>
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the key of its cells in each row, and its heading."""

    key: str
    label: str
    numeric: bool = False
    sortable: bool = False

    def props(self) -> Json:
        """Return the column as the table component takes it. Cells are ordered by `sort`, or else by their text."""
        return {
            "name": self.key,
            "label": self.label,
            ":field": f"row => row[{self.key!r}]?.sort ?? row[{self.key!r}]?.text ?? ''",
            "align": "right" if self.numeric else "left",
            "sortable": self.sortable,
        }


def cell(
    text: object = "",
    *,
    href: str | None = None,
    title: str | None = None,
    tone: str | None = None,
    sort: object = None,
    note: str | None = None,
    note_title: str | None = None,
    spark: str | None = None,
) -> Json:
    """Return a cell.

    It has a text, with a link, a title on hover, a tone (`good`, `warn`, `bad`, `muted`) that makes it a badge, and a
    value to sort by; a quieter note below; or the points of a sparkline, whose `title` describes it.
    """
    fields = {"text": str(text), "href": href, "title": title, "tone": tone, "sort": sort}
    fields |= {"note": note, "noteTitle": note_title, "spark": spark}
    return {name: value for name, value in fields.items() if value is not None}


def actions_cell(*actions: Json) -> Json:
    """Return a cell with buttons, each with its `name`, `label`, and a `title` that names the row for screen readers.

    The table emits `act` with the name as `action`, and the `key` of the row.
    """
    return {"actions": list(actions)} if actions else {}


def time_cell(viewer: Viewer, instant: str | None) -> Json:
    """Return a cell with an instant in the viewer's zone, its age, and UTC on hover."""
    if instant is None:
        return cell("")
    return cell(viewer.time(instant), title=utc(instant), note=age(instant), sort=instant)


def table(
    label: str, columns: Sequence[Column], rows: list[Json], *, page_size: int = PAGE_SIZE, key: str = "id"
) -> ui.table:
    """Show a table that has all its rows: it pages through them in the browser. `label` names it for screen readers.

    Each row has a plain value as `key`, and a `cell` for each column.
    """
    shown = ui.table(
        columns=[column.props() for column in columns],
        rows=rows,
        row_key=key,
        pagination={"rowsPerPage": page_size} if len(rows) > page_size else None,
    )
    shown.props('flat wrap-cells no-data-label="Nothing to show." :rows-per-page-options="[0]"')
    shown.props["table-aria-label"] = label
    shown.classes("data-table").add_slot("body-cell", _CELL)
    return shown
