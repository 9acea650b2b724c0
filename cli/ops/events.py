"""`pricebook events`: the audit log of a price list."""

from collections.abc import Iterator
from itertools import islice, takewhile

import click

from cli.client import Json
from cli.ops.connection import Connection, command, limit_option, require_list
from cli.options import list_argument
from cli.output import Column, Output, Table, time

POLL_INTERVAL_SECONDS = 1.0
"""Interval at which --follow reads new events."""

EVENTS = """
query Events($name: ID!, $first: Int!, $after: String) {
  priceList(name: $name) { name }
  events(priceList: $name, first: $first, after: $after) {
    nodes { id kind at by reason fromVersion toVersion version release batch { id } }
    pageInfo { hasNextPage endCursor }
  }
}"""


def _by(event: Json) -> str:
    release = f", release {event['release']}" if event["release"] else ""
    reason = f": {event['reason']}" if event["reason"] else ""
    return f"{event['by']}{release}{reason}"


_COLUMNS = [
    Column("AT", lambda row: f"{time(row['at']):.16}Z"),
    Column("KIND", lambda row: row["kind"]),
    Column("VERSION", lambda row: row["version"], numeric=True),
    Column("BATCH", lambda row: row["batch"] and row["batch"]["id"]),
    Column("BY", _by),
]
"""A batch has 24 characters, so the time is to the minute, and the caller and the reason share the last column."""


@command("events", prints_lines=True)
@list_argument
@limit_option(20)
@click.option("--follow", "-f", is_flag=True, help="Print the oldest event first, then each new event, until Ctrl-C.")
def events(connection: Connection, output: Output, price_list: str, limit: int, follow: bool) -> None:
    """Show the audit log of a price list, newest first.

    The log of a deleted price list is kept.

    VERSION is the version that an event is about, such as that of a batch that was held. BY is the caller, with the
    release if it is part of one, and the reason. Times in JSON include seconds, and each event has the current version
    before and after it.
    """
    if follow:
        _follow(connection, output, price_list, limit)
        return
    output.rows(_events(connection, price_list, limit), _COLUMNS, f"{price_list} has no events.")


def _events(connection: Connection, price_list: str, limit: int) -> Iterator[Json]:
    def found(data: Json) -> Json:
        page: Json = data["events"]
        if not page["nodes"]:
            require_list(data, price_list)  # a deleted list has events
        return page

    return connection.pages(found, EVENTS, limit, name=price_list)


def _since(connection: Connection, price_list: str, last: str | None) -> list[Json]:
    """Return the events after the last one, newest first."""
    return list(takewhile(lambda event: event["id"] != last, _events(connection, price_list, 0)))


def _follow(connection: Connection, output: Output, price_list: str, limit: int) -> None:
    table = Table(_COLUMNS)
    # --limit bounds past events only; `islice` avoids the notice that there are more.
    new_events = list(islice(_events(connection, price_list, 0), limit or None))
    last = new_events[0]["id"] if new_events else None
    while True:
        new_events.reverse()
        if output.as_json:
            for event in new_events:
                output.line(event)
        elif new_events:
            table.add(new_events)
        connection.sleep(POLL_INTERVAL_SECONDS)
        new_events = _since(connection, price_list, last)
        last = new_events[0]["id"] if new_events else last
