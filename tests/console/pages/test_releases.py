"""The rows of releases, and the paths of their pages."""

from zoneinfo import ZoneInfo

from console.client import Json
from console.frame.viewer import Viewer
from console.pages.releases import page_path, release_row

VIEWER = Viewer(ZoneInfo("UTC"), is_dark=False)
AT = "2026-11-30T13:05:09+00:00"


def release(state: str, *names: str) -> Json:
    items = [{"priceList": {"name": name}} for name in names]
    fields = {"id": "r", "name": "{{7*7}}", "createdBy": "ci", "createdAt": AT, "publishedAt": None, "publishAt": AT}
    return fields | {"state": state, "items": items}


def test_a_row_names_a_few_lists_and_counts_the_others() -> None:
    row = release_row(VIEWER, release("OPEN", *"abcdef"))
    assert row["lists"] == {"text": "a, b, c, d and 2 more", "title": "a, b, c, d, e, f"}
    assert release_row(VIEWER, release("OPEN"))["lists"] == {"text": "none yet"}


def test_only_a_scheduled_release_is_due() -> None:
    assert release_row(VIEWER, release("SCHEDULED", "a"))["due"]["text"] == "30 Nov 2026, 13:05:09"
    assert release_row(VIEWER, release("PUBLISHED", "a"))["due"]["text"] == ""


def test_the_path_of_a_page_quotes_its_cursor() -> None:
    assert page_path("", "") == "/releases"
    assert page_path("OPEN", "a=&b") == "/releases?state=OPEN&after=a%3D%26b"
