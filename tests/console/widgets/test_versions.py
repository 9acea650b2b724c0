"""Versions in words, and how two of them differ."""

from console.widgets.versions import move_text, snapshot_text, summary_text


def test_summaries_leave_out_what_is_none() -> None:
    counts = {"added": 1_200, "removed": 0, "changed": 3, "unchanged": 9}
    assert summary_text(counts) == "1,200 added, 3 changed"
    assert summary_text(counts | {"added": 0, "changed": 0}) == "no price changes"
    assert summary_text(None) == ""


def test_a_return_to_no_version_is_said() -> None:
    assert move_text(1, None) == "version 1 → none"


def test_a_version_is_a_line_with_its_label_and_size() -> None:
    assert snapshot_text({"version": 29, "label": "night", "size": 1_000}) == "29 · night · 1,000 prices"
    assert snapshot_text({"version": 1, "label": None, "size": 1}) == "1 · 1 price"
