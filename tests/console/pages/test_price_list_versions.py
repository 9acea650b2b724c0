"""The rows of versions: their state, what to compare them with, and what can be done with them."""

from dataclasses import dataclass
from typing import Any, cast
from zoneinfo import ZoneInfo

from console.client import Json
from console.frame.viewer import Viewer
from console.frame.visit import Visit
from console.pages.price_list_versions import version_rows

COUNTS = {"added": 1, "removed": 0, "changed": 2_000}


@dataclass
class Looker:
    """A visit, as far as rows need one."""

    operates: bool
    viewer: Viewer = Viewer(ZoneInfo("UTC"), is_dark=False)  # noqa: RUF009

    def may_operate(self, _: str) -> bool:
        return self.operates


def version(number: int, state: str = "PUBLISHED", **fields: Any) -> Json:
    batch = {"id": f"b{number}", "state": "HELD", "submittedBy": "ann", "summary": COUNTS}
    published = "2026-11-30T03:00:00+00:00" if state == "PUBLISHED" else None
    base = {"version": number, "label": None, "size": 5, "state": state, "publishedAt": published, "batch": batch}
    return {**base, "keptUntil": None, **fields}


def rows(*nodes: Json, current: int | None, pin: Json | None = None, operates: bool = True) -> list[Json]:
    price_list = {"snapshots": {"nodes": list(nodes)}, "currentVersion": current, "pin": pin}
    return version_rows(cast("Visit", Looker(operates)), "shop", price_list)


def names(row: Json) -> list[str]:
    return [action["name"] for action in row["actions"].get("actions", [])]


def test_states_and_actions_follow_what_a_version_is() -> None:
    held, newer, current, old = rows(
        version(9, "SEALED"), version(8), version(7), version(6), current=7, pin={"version": 7}
    )
    assert [each["state"]["text"] for each in (held, newer, current, old)] == [
        "held",
        "published",
        "current, pinned",
        "published",
    ]
    assert [names(each) for each in (held, newer, current, old)] == [
        [],
        ["roll-back", "keep"],
        ["keep"],
        ["roll-back", "keep"],
    ]


def test_a_version_is_compared_with_the_current_one_and_that_with_the_one_before() -> None:
    newer, current, _, old = rows(version(8), version(7), version(6, "SEALED"), version(5), current=7)
    assert newer["compare"]["href"] == "/lists/shop/compare?from=7&to=8"
    assert current["compare"]["href"] == "/lists/shop/compare?from=5&to=7"
    assert old["compare"]["href"] == "/lists/shop/compare?from=5&to=7"
    (only,) = rows(version(1), current=1)
    assert only["compare"].get("href") is None


def test_what_changed_is_counted_and_zeros_are_left_out() -> None:
    (row,) = rows(version(1), current=1)
    assert row["changes"]["text"] == "+1 ~2,000"
    assert row["changes"]["title"] == "1 added, 2,000 changed"


def test_a_version_is_marked_as_kept_while_it_is() -> None:
    kept, over = rows(
        version(2, keptUntil="2999-01-01T00:00:00+00:00"), version(1, keptUntil="2020-01-01T00:00:00+00:00"), current=2
    )
    assert kept["state"]["note"] == "kept until 1 Jan 2999, 00:00:00"
    assert "note" not in over["state"]


def test_who_only_reads_sees_neither_batches_nor_actions() -> None:
    node = version(1)
    del node["batch"], node["keptUntil"]
    row, _ = rows(node, version(2), current=2, operates=False)
    assert names(row) == []
    assert row["by"]["text"] == row["changes"]["text"] == ""
