"""The periods of a sku: who began each, and how it differs from the one before."""

from zoneinfo import ZoneInfo

from console.client import Json
from console.frame.viewer import Viewer
from console.pages.sku_periods import MAX_ROWS, Origins, moves_pointer, period_rows
from tests.console.prices import price

VIEWER = Viewer(ZoneInfo("UTC"), is_dark=False)


def at(minute: int) -> str:
    return f"2026-11-30T{minute // 60:02}:{minute % 60:02}:00+00:00"


def period(minute: int, version: int, shown: Json | None) -> Json:
    return {"from": at(minute), "until": at(minute + 1), "version": version, "price": shown}


def event(minute: int, version: int, kind: str = "PUBLISHED", by: str = "erp") -> Json:
    return {
        "version": version,
        "kind": kind,
        "at": at(minute),
        "by": by,
        "reason": "wrong",
        "fromVersion": 2,
        "toVersion": version,
    }


def test_a_period_is_led_back_to_the_event_that_began_it() -> None:
    origins = Origins([event(1, 1), event(2, 2), event(3, 1, "ROLLED_BACK", "ops")], {1: "first", 2: "second"})
    shown = [period(1, 1, price("1")), period(2, 2, price("2")), period(3, 1, price("1"))]
    newest, middle, oldest = period_rows(VIEWER, "retail", "A", shown, origins)
    assert (newest["by"]["text"], newest["by"]["note"], newest["reason"]["text"]) == (
        "ops",
        "Rolled back from version 2 to 1",
        "wrong",
    )
    assert (newest["change"]["text"], middle["change"]["text"]) == ("▼ -50.00 %", "▲ +100.00 %")
    assert newest["version"]["href"] == "/lists/retail/compare?from=2&to=1&prefix=A"
    assert (middle["by"]["text"], middle["version"]["note"]) == ("erp", "second")
    assert oldest["change"].get("text") == ""
    assert origins.rollbacks(shown) == {at(3)}


def test_a_period_that_the_range_cuts_off_began_earlier() -> None:
    (row,) = period_rows(VIEWER, "retail", "A", [period(5, 1, price())], Origins([event(2, 1)], {}))
    assert (row["from"]["text"], row["from"]["note"]) == ("earlier", "30 Nov 2026, 00:02:00")
    assert row["by"]["text"] == "erp"


def test_a_period_whose_event_is_not_known_names_no_one() -> None:
    (row,) = period_rows(VIEWER, "retail", "A", [period(5, 3, None)], Origins([event(2, 1)], {}))
    assert (row["by"]["text"], row["price"]["text"], row["from"]["text"]) == ("", "no price", "30 Nov 2026, 00:05:00")


def test_only_the_newest_periods_are_shown_each_with_the_one_before_it() -> None:
    shown = [period(minute, minute + 1, price(str(minute + 1))) for minute in range(MAX_ROWS + 10)]
    rows = period_rows(VIEWER, "retail", "A", shown, Origins([], {}))
    assert len(rows) == MAX_ROWS
    assert rows[0]["version"]["text"] == str(MAX_ROWS + 10)
    assert rows[-1]["change"]["text"] == "▲ +10.00 %"


def test_only_events_that_change_the_current_version_move_the_pointer() -> None:
    assert moves_pointer({"fromVersion": None, "toVersion": 1})
    assert moves_pointer({"fromVersion": 2, "toVersion": 1})
    assert not moves_pointer({"fromVersion": 2, "toVersion": 2})
    assert not moves_pointer({"fromVersion": None, "toVersion": None})
