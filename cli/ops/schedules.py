"""`pricebook upcoming`, `reschedule`: the batches that are published at an instant, and when."""

import datetime

import click

from cli.client import Json
from cli.holds import holds
from cli.instants import Instant
from cli.ops.batches import confirm_review, find_held
from cli.ops.confirmation import EXIT_CODES, reason_option, yes_option
from cli.ops.connection import Connection, command, limit_option, require_list
from cli.options import list_argument
from cli.output import Column, Output, time

UPCOMING = """
query Upcoming($name: ID!, $first: Int!, $after: String) {
  priceList(name: $name) {
    upcoming(first: $first, after: $after) {
      nodes { id publishAt mode version label submittedBy findings { gate severity } }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""

RESCHEDULE = """
mutation Reschedule($input: RescheduleBatchInput!) {
  rescheduleBatch(input: $input) {
    batch { id priceList state publishAt version }
    userErrors { code message path }
  }
}"""


@command("upcoming")
@list_argument
@limit_option(20)
def upcoming(connection: Connection, output: Output, price_list: str, limit: int) -> None:
    """Show the scheduled batches of a price list, the next first.

    FINDINGS are the gates that would hold a batch now. They are checked again when it is due.
    """
    output.rows(
        connection.pages(lambda data: require_list(data, price_list)["upcoming"], UPCOMING, limit, name=price_list),
        [
            Column("PUBLISH AT", lambda row: time(row["publishAt"])),
            Column("ID", lambda row: row["id"]),
            Column("MODE", lambda row: row["mode"]),
            Column("FINDINGS", _findings),
            Column("LABEL", lambda row: row["label"]),
        ],
        f"Nothing is scheduled for {price_list}.",
    )


@command("reschedule", EXIT_CODES)
@click.argument("batch_id", metavar="ID")
@click.option(
    "--at",
    type=Instant(spans=True),
    metavar="INSTANT",
    help="When to publish it: an instant with an offset, such as 2026-11-28T00:00:00+01:00, or a span from now, such "
    "as 12h.",
)
@click.option("--never", is_flag=True, help="Take its schedule away: it stays held, and waits for a review.")
@reason_option
@yes_option
def reschedule(
    connection: Connection,
    output: Output,
    batch_id: str,
    at: datetime.datetime | None,
    never: bool,
    reason: str,
    yes: bool,
) -> None:
    """Give a held batch another time to be published.

    Also one that has none yet. The command shows the batch and its changes and asks for confirmation; with --yes, it
    shows only the batch.
    """
    if (at is None) is not never:
        raise click.UsageError("Give either --at INSTANT or --never.")
    held = find_held(connection, "rescheduleBatch", batch_id)
    instant = at.isoformat() if at else None
    question = f"Publish batch {batch_id} at {time(instant)}?" if at else f"Take the schedule of batch {batch_id} away?"
    confirm_review(connection, question, held, yes=yes)
    batch = connection.mutate(RESCHEDULE, batch=batch_id, publishAt=instant, reason=reason)["batch"]
    scheduled = f"is scheduled for {time(batch['publishAt'])}"
    message = f"Batch {batch_id} of {batch['priceList']} {scheduled if at else 'waits for a review'}."
    output.record(batch, message=message)


def _findings(batch: Json) -> str | None:
    return ", ".join(sorted(holds(batch))) or None
