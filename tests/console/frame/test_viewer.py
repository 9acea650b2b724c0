"""Instants are written in the viewer's zone; UTC and ages beside them."""

from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request

from console.frame.viewer import Viewer, age, utc


def viewer(**cookies: str) -> Viewer:
    header = "; ".join(f"{name.replace('_', '-')}={value}" for name, value in cookies.items()).encode()
    return Viewer.of(Request({"type": "http", "headers": [(b"cookie", header)]}))


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Europe%2FParis", "30 Nov 2026, 15:05:09"),
        ("Asia%2FKathmandu", "30 Nov 2026, 19:50:09"),
        ("UTC", "30 Nov 2026, 14:05:09"),
        ("..%2F..%2Fetc%2Fpasswd", "30 Nov 2026, 14:05:09"),
        ("Nowhere", "30 Nov 2026, 14:05:09"),
        ("", "30 Nov 2026, 14:05:09"),
    ],
)
def test_an_instant_is_in_the_zone_of_the_browser_or_in_utc(zone: str, text: str) -> None:
    instant = "2026-11-30T14:05:09+00:00"
    assert viewer(pricebook_zone=zone).time(instant) == text
    assert utc(instant) == "2026-11-30 14:05:09 UTC"


@pytest.mark.parametrize(
    ("theme", "is_dark"), [("dark", True), ("chosen-dark", True), ("chosen-light", False), ("", False)]
)
def test_the_theme_is_that_of_the_system_or_the_one_that_was_chosen(theme: str, is_dark: bool) -> None:
    assert viewer(pricebook_zone="UTC", pricebook_theme=theme).is_dark is is_dark


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "just now"), (300, "5 min ago"), (7_205, "2 h ago"), (-172_805, "in 2 d"), (-20, "in a moment")],
)
def test_an_age_is_in_the_largest_unit(seconds: int, text: str) -> None:
    assert age((datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()) == text
