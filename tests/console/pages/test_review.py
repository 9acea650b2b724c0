"""The held batches: their order, their pages and their texts."""

from console.client import Json
from console.pages.review import PAGE_SIZE, changes_text, in_order, page_of, page_path


def held(number: int, *, is_scheduled: bool = False) -> Json:
    at = "2027-01-01T00:00:00+00:00" if is_scheduled else None
    return {"id": number, "publishAt": at, "release": None, "findings": []}


def test_batches_that_need_a_decision_come_first_and_keep_their_order() -> None:
    batches = [held(4, is_scheduled=True), held(3), held(2, is_scheduled=True), held(1)]
    decisions, others = in_order(batches)
    assert [each["id"] for each in decisions] == [3, 1]
    assert [each["id"] for each in others] == [4, 2]


def test_a_page_that_does_not_exist_is_the_nearest_one() -> None:
    batches = [held(number) for number in range(2 * PAGE_SIZE + 1)]
    assert page_of(batches, 2) == batches[PAGE_SIZE : 2 * PAGE_SIZE]
    assert page_of(batches, 99) == batches[2 * PAGE_SIZE :]
    assert page_of(batches, 0) == batches[:PAGE_SIZE]
    assert page_of([], 1) == []


def test_the_path_of_a_page_names_only_what_differs() -> None:
    assert page_path("", 1) == "/review"
    assert page_path("a.b", 2) == "/review?list=a.b&page=2"


def test_changes_name_the_version_that_they_were_counted_with() -> None:
    summary = {"added": 3, "removed": 0, "changed": 0, "unchanged": 0}
    batch: Json = {"summary": summary, "baseVersion": 4, "rebased": {"baseVersion": 4}}
    assert changes_text(batch) == "3 added, compared with version 4"
    assert changes_text(batch | {"rebased": {"baseVersion": 6}}) == (
        "3 added, compared with version 4; version 6 is current by now"
    )
    assert (
        changes_text(batch | {"baseVersion": None, "rebased": {"baseVersion": None}}) == "3 added, as the first version"
    )
