"""Messages for dates that cannot be decoded."""

import datetime
import re

from storage.prices.item_error import quoted

_iso = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_timestamp = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]\S{1,40}").fullmatch
_year_first = re.compile(r"([0-9]{4})[-/.]?([0-9]{1,2})[-/.]?([0-9]{1,2})").fullmatch
_year_last = re.compile(r"([0-9]{1,2})([-/.])([0-9]{1,2})\2([0-9]{4})").fullmatch


def date_message(text: str) -> str:
    """Return what is wrong with a text that is not an ISO 8601 date, and how to write it."""
    if not text.strip():
        return "The date is empty. Leave the field out, or write a date, such as 2026-12-31."
    if _iso(text):
        return f"{quoted(text)} is not a day of the calendar. Correct it."
    if (found := _timestamp(text)) and (day := _day(found[1])):
        return f"{quoted(text)} has a time. Write {day}."
    readings = [str(day) for day in _readings(text.strip())]
    advice = " or ".join(readings) if readings else "the year first, such as 2026-12-31"
    return f"{quoted(text)} is not a date in ISO 8601. Write {advice}."


def _readings(text: str) -> list[datetime.date]:
    """Return the dates that a text may mean. With slashes, the day or the month may be first."""
    if found := _year_first(text):
        readings = [_day(f"{found[1]}-{found[2]:0>2}-{found[3]:0>2}")]
    elif found := _year_last(text):
        first, separator, second, year = found.groups()
        readings = [_day(f"{year}-{second:0>2}-{first:0>2}")]
        if separator != "." and first != second:
            readings.append(_day(f"{year}-{first:0>2}-{second:0>2}"))
    else:
        readings = []
    return [day for day in readings if day]


def _day(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None
