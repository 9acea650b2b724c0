"""The track of a pointer: its steps and marks follow from the audit log, which comes newest first."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from console.charts.track import Track, track_of, track_options
from console.client import Json
from console.frame.viewer import Viewer

START = datetime(2026, 11, 30, 3, 0, tzinfo=UTC)
NOW = 60
"""The instant of the picture, in minutes after `START`, as are all instants here."""


def event(kind: str, minute: int, before: int | None, after: int | None, **fields: Any) -> Json:
    at = START.replace(minute=minute).isoformat()
    versions = {"fromVersion": before, "toVersion": after, "version": fields.pop("version", after)}
    return {"kind": kind, "at": at, "by": "ann", "reason": None, "batch": None, **versions, **fields}


def track(*events: Json) -> Track:
    """Return the track of events that are given oldest first."""
    return track_of(events[::-1], START.replace(hour=4))


def steps(track: Track) -> list[tuple[int, int | None]]:
    return [(minute(at), version) for at, version in track.steps]


def marks(track: Track) -> dict[str, list[tuple[int, int]]]:
    return {kind: [(minute(mark.at), mark.version) for mark in found] for kind, found in track.marks.items()}


def minute(milliseconds: int) -> int:
    return (milliseconds - round(START.timestamp() * 1000)) // 60_000


def test_a_rollback_steps_down_and_what_is_pinned_and_held_is_marked() -> None:
    found = track(
        event("CREATED", 0, None, None),
        event("PUBLISHED", 1, None, 1),
        event("PUBLISHED", 2, 1, 2),
        event("ROLLED_BACK", 3, 2, 1),
        event("HELD", 4, 1, 1, version=3),
        event("UNPINNED", 5, 1, 1),
        event("PUBLISHED", 6, 1, 3),
        event("PINNED", 7, 3, 3),
    )
    assert steps(found) == [(1, 1), (2, 2), (3, 1), (6, 3), (NOW, 3)]
    assert marks(found) == {
        "PUBLISHED": [(1, 1), (2, 2), (6, 3)],
        "ROLLED_BACK": [(3, 1)],
        "HELD": [(4, 3)],
        "UNPINNED": [(5, 1)],
        "PINNED": [(7, 3)],
    }
    assert found.since == START.replace(minute=6).isoformat()


def test_a_list_that_was_deleted_and_created_again_has_a_gap() -> None:
    found = track(
        event("PUBLISHED", 1, None, 1),
        event("DELETED", 2, 1, None),
        event("CREATED", 3, None, None),
        event("PUBLISHED", 4, None, 2),
    )
    assert steps(found) == [(1, 1), (2, 1), (2, None), (4, 2), (NOW, 2)]
    assert marks(found)["DELETED"] == [(2, 1)]
    assert steps(track(event("PUBLISHED", 1, None, 1), event("DELETED", 2, 1, None))) == [(1, 1), (2, 1), (2, None)]


def test_the_track_begins_with_what_was_current_at_the_oldest_event_that_is_known() -> None:
    pinned = track(event("PINNED", 5, 40, 40))
    assert steps(pinned) == [(5, 40), (NOW, 40)]
    assert pinned.since is None
    assert steps(track(event("PUBLISHED", 5, 40, 41))) == [(5, 40), (5, 41), (NOW, 41)]


def test_events_of_one_instant_keep_the_order_of_the_log() -> None:
    found = track(event("PUBLISHED", 1, 7, 8), event("ROLLED_BACK", 1, 8, 7), event("PUBLISHED", 1, 7, 9))
    assert steps(found) == [(1, 7), (1, 8), (1, 7), (1, 9), (NOW, 9)]


def test_a_log_without_a_pointer_gives_nothing() -> None:
    assert track() == Track()
    assert track(event("CREATED", 0, None, None), event("FAILED", 1, None, None)) == Track()


def test_a_tooltip_shows_the_texts_of_others_as_they_are_and_not_all_of_a_long_reason() -> None:
    reason = "{a|b} " + "wrong " * 160
    found = track(event("ROLLED_BACK", 3, 2, 1, reason=reason, batch={"label": "<b>"}))
    (_, series) = track_options(Viewer(ZoneInfo("Europe/Paris"), is_dark=False), found)["series"]
    first, label, who, *lines = series["data"][0]["tip"].split("\n")
    assert (first, label) == ("Rolled back from version 2 to 1", "<b>")
    assert who == "30 Nov 2026, 04:03:00, by ann"
    assert lines[0].startswith("{\u200ba|b} wrong")
    assert (len(lines), lines[-1][-1]) == (4, "…")
