"""Versions in words: what one is, and how two of them differ."""

from console.client import Json

SUMMARY_FIELDS = "added removed changed"
"""The fields of a `DiffSummary` that its text needs."""


def version_text(version: int | None) -> str:
    """Return a version in words."""
    return "no version" if version is None else f"version {version}"


def snapshot_text(snapshot: Json) -> str:
    """Return a version in a line: `29 · 2026-10-29 · 31 prices`."""
    size = f"{snapshot['size']:,} {'price' if snapshot['size'] == 1 else 'prices'}"
    return " · ".join(str(each) for each in (snapshot["version"], snapshot["label"], size) if each is not None)


def move_text(before: int | None, after: int | None) -> str:
    """Return a change of the current version: `version 3 → 4`."""
    if before is None:
        return f"first version, {after}"
    return f"version {before} → {'none' if after is None else after}"


def summary_text(summary: Json | None) -> str:
    """Return how many prices differ: `10 added, 3 changed`; empty for None."""
    if summary is None:
        return ""
    counts = [f"{summary[kind]:,} {kind}" for kind in ("added", "removed", "changed") if summary[kind]]
    return ", ".join(counts) or "no price changes"
