"""`pricebook events`: who did what to a price list, when and why."""

from collections.abc import Iterator
from itertools import islice, takewhile

import click

from cli.client.client import Json
from cli.ops.connection import Connection, command, found_list, limit_option
from cli.output import Column, Output, Table, time

POLL_SECONDS = 1.0

EVENTS = """
query Events($name: ID!, $first: Int!, $after: String) {
  priceList(name: $name) {
    events(first: $first, after: $after) {
      nodes { id kind at by reason fromVersion toVersion batch { id } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""

_COLUMNS = [
    Column("AT", lambda row: time(row["at"])),
    Column("KIND", lambda row: row["kind"]),
    Column("FROM", lambda row: row["fromVersion"], numeric=True),
    Column("TO", lambda row: row["toVersion"], numeric=True),
    Column("BY", lambda row: row["by"]),
    Column("REASON", lambda row: row["reason"]),
]


@command("events", as_lines=True)
@click.argument("price_list", metavar="LIST")
@limit_option(20)
@click.option("--follow", "-f", is_flag=True, help="Oldest first, then each event as it happens, until Ctrl-C.")
def events(connection: Connection, output: Output, price_list: str, limit: int, follow: bool) -> None:
    """Show who did what to a price list, when and why: newest first."""
    if follow:
        _follow(connection, output, price_list, limit)
        return
    output.rows(_events(connection, price_list, limit), _COLUMNS, f"Nothing was done to {price_list} yet.")


def _events(connection: Connection, price_list: str, limit: int) -> Iterator[Json]:
    return connection.pages(lambda data: found_list(data, price_list)["events"], EVENTS, limit, name=price_list)


def _since(connection: Connection, price_list: str, last: str | None) -> list[Json]:
    """Return what was done since an event, newest first."""
    return list(takewhile(lambda event: event["id"] != last, _events(connection, price_list, 0)))


def _follow(connection: Connection, output: Output, price_list: str, limit: int) -> None:
    table = Table(_COLUMNS)
    # The limit is on what lies back; `islice` leaves out the remark that there is more.
    news = list(islice(_events(connection, price_list, 0), limit or None))
    last = news[0]["id"] if news else None
    while True:
        news.reverse()
        if output.as_json:
            for event in news:
                output.line(event)
        elif news:
            table.add(news)
        connection.wait(POLL_SECONDS)
        news = _since(connection, price_list, last)
        last = news[0]["id"] if news else last
