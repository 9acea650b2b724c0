"""The items of a release: what changes in each list, and what stands against it."""

from console.client import Json
from console.widgets.releases import item_changes, item_compare_href, item_move_text, obstacles

COUNTS = {"added": 2, "removed": 0, "changed": 0, "unchanged": 5}


def item(*gates: str, pin: Json | None = None, current: int | None = 4, **fields: object) -> Json:
    batch: Json = {
        "priceList": "shop",
        "state": "HELD",
        "mode": "REPLACE",
        "version": 6,
        "baseVersion": 4,
        "rebased": {"baseVersion": current},
        "publishAt": None,
        "release": {"id": "r", "name": "spring"},
        "findings": [
            {"gate": gate, "severity": "INFO" if gate == "approved" else "HOLD", "message": "m"}
            for gate in ("release", *gates)
        ],
        "summary": COUNTS,
    }
    price_list = {"name": "shop", "currentVersion": current, "pin": pin}
    return {"priceList": price_list, "batch": batch, "fromVersion": None, "toVersion": None} | fields


def test_nothing_stands_against_a_batch_that_waits_for_its_release_alone() -> None:
    assert obstacles(item()) == []


def test_a_pin_and_gates_stand_against_it_until_it_is_approved() -> None:
    pin = {"version": 4}
    assert obstacles(item("pin", "minSize", pin=pin)) == ["the list is pinned", "too few prices"]
    assert obstacles(item("minSize", "approved", pin=pin)) == ["the list is pinned"]


def test_before_it_is_published_an_item_shows_the_current_version_and_its_own() -> None:
    assert item_move_text({"state": "OPEN"}, item()) == "version 4 → 6"
    assert item_compare_href({"state": "OPEN"}, item()) == "/lists/shop/compare?from=4&to=6"
    assert item_changes({"state": "OPEN"}, item()) == "2 added"


def test_an_item_whose_list_has_moved_says_with_what_it_was_compared() -> None:
    moved = item(current=5)
    assert item_move_text({"state": "SCHEDULED"}, moved) == "version 5 → a new one"
    assert item_changes({"state": "SCHEDULED"}, moved) == "2 added, compared with version 4"


def test_afterwards_it_shows_the_versions_that_the_release_moved() -> None:
    moved = item(current=9, fromVersion=4, toVersion=8)
    assert item_move_text({"state": "PUBLISHED"}, moved) == "version 4 → 8"
    assert item_compare_href({"state": "ROLLED_BACK"}, moved) == "/lists/shop/compare?from=4&to=8"


def test_a_release_that_was_never_published_moved_nothing() -> None:
    assert item_move_text({"state": "DISCARDED"}, item()) == ""
    assert item_compare_href({"state": "DISCARDED"}, item()) is None
