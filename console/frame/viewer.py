"""The person in front of the browser: their time zone, and whether they want it dark."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from starlette.requests import Request

ZONE_COOKIE = "pricebook-zone"
THEME_COOKIE = "pricebook-theme"

NOTE_VIEWER = f"""<script>
(() => {{
  const cookie = (name) => document.cookie.split("; ").find((each) => each.startsWith(name + "="))?.split("=")[1];
  const note = (name, value) => {{
    if (cookie(name) === value) return false;
    document.cookie = `${{name}}=${{value}}; path=/; max-age=31536000; samesite=lax`;
    return cookie(name) === value;
  }};
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const zone = note("{ZONE_COOKIE}", encodeURIComponent(Intl.DateTimeFormat().resolvedOptions().timeZone));
  const theme = !cookie("{THEME_COOKIE}")?.startsWith("chosen-") && note("{THEME_COOKIE}", dark ? "dark" : "light");
  if (zone || theme) location.reload();
}})();
</script>"""
"""Notes the zone and the theme of the browser in cookies, and loads the page again when they have changed: pages are
written in the right zone and colours from the start."""

FIRST_PAGE = f"""<!doctype html>
<html lang="en"><head><title>Pricebook</title><meta name="color-scheme" content="light dark">{NOTE_VIEWER}</head>
<body><p>The console needs cookies and JavaScript. Allow them for this address, and load it again.</p></body></html>"""
"""The response to a browser that has not sent its zone and theme yet. It loads the page again at once."""

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


@dataclass(frozen=True, slots=True)
class Viewer:
    """How a person reads pages."""

    zone: ZoneInfo
    is_dark: bool

    @classmethod
    def of(cls, request: Request) -> "Viewer":
        """Return the viewer of a request."""
        return cls(_zone(request.cookies.get(ZONE_COOKIE, "")), request.cookies.get(THEME_COOKIE, "").endswith("dark"))

    def time(self, instant: str | None) -> str:
        """Return an instant in the viewer's zone, to the second: `30 Nov 2026, 14:05:09`; empty for None."""
        if instant is None:
            return ""
        local = parse_instant(instant).astimezone(self.zone)
        return f"{local.day} {local:%b %Y, %H:%M:%S}"


def is_first_request(request: Request) -> bool:
    """Whether the browser has not sent its zone and theme yet."""
    return ZONE_COOKIE not in request.cookies


def parse_instant(instant: str) -> datetime:
    """Return an instant of the API."""
    return datetime.fromisoformat(instant)


def utc(instant: str | None) -> str:
    """Return an instant in UTC: `2026-11-30 14:05:09 UTC`; empty for None."""
    return "" if instant is None else f"{parse_instant(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(instant: str | None) -> str:
    """Return how long ago an instant was, or how far ahead it is: `5 min ago`, `in 2 d`; empty for None."""
    if instant is None:
        return ""
    seconds = (datetime.now(UTC) - parse_instant(instant)).total_seconds()
    for length, unit in _UNITS:
        if abs(seconds) >= length:
            text = f"{abs(seconds) / length:.0f} {unit}"
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds >= 0 else "in a moment"


def _zone(cookie: str) -> ZoneInfo:
    try:
        return ZoneInfo(cookie.replace("%2F", "/"))
    except (ValueError, OSError, KeyError):  # no zone, or one that is unknown here
        return ZoneInfo("UTC")
