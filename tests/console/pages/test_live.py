"""The rows of what happens live."""

from zoneinfo import ZoneInfo

from console.client import Json
from console.frame.viewer import Viewer
from console.pages.live import MAX_FINISHED, finished_last, finished_row, publication_row

VIEWER = Viewer(ZoneInfo("Europe/Paris"), is_dark=False)
AT = "2026-11-30T13:05:09+00:00"


def publication(kind: str, before: int | None, after: int) -> Json:
    return {"priceList": "shop", "kind": kind, "previousVersion": before, "version": after, "at": AT}


def finished(number: int, **fields: object) -> Json:
    batch: Json = {"id": str(number), "priceList": "shop", "state": "PUBLISHED", "version": 2, "label": None}
    batch |= {"finishedAt": f"2026-11-30T13:00:{number:02}+00:00", "errorCount": 0, "summary": None, "served": None}
    return batch | fields


def test_a_publication_leads_to_the_comparison_of_its_versions() -> None:
    row = publication_row(VIEWER, publication("ROLLED_BACK", 5, 3))
    assert row["version"] == {"text": "version 5 → 3", "href": "/lists/shop/compare?from=5&to=3"}
    assert row["kind"] == {"text": "rolled back", "tone": "warn"}
    assert row["at"]["text"] == "30 Nov 2026, 14:05:09"


def test_a_first_version_and_a_pin_of_the_current_one_have_nothing_to_compare() -> None:
    assert publication_row(VIEWER, publication("PUBLISHED", None, 1))["version"] == {"text": "first version, 1"}
    assert "href" not in publication_row(VIEWER, publication("PINNED", 3, 3))["version"]


def test_the_batches_that_finished_last_come_first_whatever_their_state() -> None:
    data = {
        "published": {"nodes": [finished(number) for number in range(0, 50, 2)]},
        "failed": {"nodes": [finished(number) for number in range(1, 50, 2)]},
    }
    assert [each["id"] for each in finished_last(data)] == [str(number) for number in range(49, 49 - MAX_FINISHED, -1)]


def test_a_finished_batch_shows_who_serves_it_or_how_many_items_are_invalid() -> None:
    served = finished_row(VIEWER, finished(1, served={"by": 2, "of": 3}))
    assert served["served"] == {"text": "by 2 of 3 processes"}
    failed = finished_row(VIEWER, finished(2, state="FAILED", version=None, errorCount=1))
    assert (failed["state"]["tone"], failed["result"]["text"]) == ("bad", "1 invalid item")
