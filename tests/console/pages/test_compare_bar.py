"""Choosing what to compare: which versions by default, how they are named, and what can be typed."""

from zoneinfo import ZoneInfo

import pytest

from console.client import Json
from console.frame.viewer import Viewer
from console.pages.compare_bar import newest_pair, parse_version, version_name


def snapshots(*versions: int, state: str = "PUBLISHED") -> list[Json]:
    return [{"version": version, "state": state} for version in versions]


def test_the_current_version_is_compared_with_the_one_before_it() -> None:
    assert newest_pair(snapshots(9, 7, 3), 9) == (7, 9)
    assert newest_pair(snapshots(9, 7, 3), 7) == (3, 7)
    assert newest_pair(snapshots(9, 7, 3), 3) == (3, 7)
    assert newest_pair(snapshots(1), 1) is None
    assert newest_pair([], None) is None


def test_a_version_that_was_never_published_is_not_compared_unless_it_is_chosen() -> None:
    assert newest_pair([*snapshots(4, state="SEALED"), *snapshots(3, 2)], 3) == (2, 3)
    assert newest_pair([*snapshots(2, state="SEALED"), *snapshots(3)], 3) is None


def test_a_version_is_offered_with_its_label_and_time() -> None:
    viewer = Viewer(ZoneInfo("UTC"), is_dark=False)
    snapshot = {"version": 3, "label": "x" * 50, "publishedAt": "2026-11-30T14:05:09+00:00"}
    assert version_name(viewer, snapshot, 3) == f"3 · {'x' * 40}… · 30 Nov 2026, 14:05:09 · current"
    assert version_name(viewer, {"version": 4, "label": None, "publishedAt": None}, 3) == "4 · never published"


@pytest.mark.parametrize(("text", "version"), [("12", 12), ("0", None), ("-1", None), ("²", None), ("9" * 20, None)])
def test_a_typed_version_is_a_number(text: str, version: int | None) -> None:
    assert parse_version(text) == version
