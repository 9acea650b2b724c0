"""`pricebook batches`, `batch`, `approve`, `reject`: the batches and their states."""

import click

from cli import exit_codes
from cli.client.client import Json
from cli.ops.connection import Connection, command, limit_option, require
from cli.ops.diff import summary_line
from cli.ops.rollback import reason_option
from cli.options import optional_list_argument
from cli.output import Column, Output, time

STATES = ("open", "sealing", "held", "published", "rejected", "aborted", "failed")
UNFINISHED_STATES = {"OPEN", "SEALING"}
POLL_INTERVAL_SECONDS = 1.0
"""Interval at which --watch reads the batch."""

BATCHES = """
query Batches($name: ID, $state: BatchState, $first: Int!, $after: String) {
  batches(priceList: $name, state: $state, first: $first, after: $after) {
    nodes { id priceList state mode version label submittedBy createdAt finishedAt }
    pageInfo { hasNextPage endCursor }
  }
}"""

ALL_FIELDS = """
fragment AllFields on Batch {
  id priceList state mode version checksum label submittedBy createdAt finishedAt errorCount
  progress { received stored expected }
  served { by of }
  findings { gate severity message observed limit }
  errors { index line sku field code message }
  summary { added removed changed unchanged }
}"""

BATCH = f"""
query Batch($id: ID!) {{
  batch(id: $id) {{ ...AllFields }}
}}
{ALL_FIELDS}"""

APPROVE = f"""
mutation Approve($input: ReviewBatchInput!) {{
  approveBatch(input: $input) {{ batch {{ ...AllFields }} userErrors {{ code message path }} }}
}}
{ALL_FIELDS}"""

REJECT = f"""
mutation Reject($input: ReviewBatchInput!) {{
  rejectBatch(input: $input) {{ batch {{ ...AllFields }} userErrors {{ code message path }} }}
}}
{ALL_FIELDS}"""


@command("batches")
@optional_list_argument
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Show only batches in this state.")
@limit_option(20)
def batches(connection: Connection, output: Output, price_list: str | None, state: str | None, limit: int) -> None:
    """Show the batches of one price list or of all, newest first."""
    output.rows(
        connection.pages(lambda data: data["batches"], BATCHES, limit, name=price_list, state=state and state.upper()),
        [
            Column("ID", lambda row: row["id"]),
            Column("LIST", lambda row: row["priceList"]),
            Column("STATE", lambda row: row["state"]),
            Column("VERSION", lambda row: row["version"], numeric=True),
            Column("CREATED", lambda row: time(row["createdAt"])),
            Column("LABEL", lambda row: row["label"]),
        ],
        "There are no such batches.",
    )


@command(
    "batch",
    {
        exit_codes.FAILURE: "not found, or no response; with --watch, also if the batch was not published",
        exit_codes.HELD: "with --watch: held, and waits for approval",
    },
)
@click.argument("batch_id", metavar="ID")
@click.option("--watch", is_flag=True, help="Wait until the batch is published, held, rejected, aborted or failed.")
def batch(connection: Connection, output: Output, batch_id: str, watch: bool) -> None:
    """Show the state of a batch.

    Includes the findings of the gates, the invalid items, and a summary of the changes.
    """
    last_printed = None
    while True:
        advice = "`pricebook batches` shows the batches."
        shown = require(connection.query(BATCH, id=batch_id)["batch"], f"batch {batch_id!r}", advice)
        if not watch or shown["state"] not in UNFINISHED_STATES:
            break
        if (progress := _progress(shown)) != last_printed:
            click.echo(progress, err=True)
            last_printed = progress
        connection.sleep(POLL_INTERVAL_SECONDS)
    _show(output, shown)
    if watch:
        codes = {"PUBLISHED": exit_codes.SUCCESS, "HELD": exit_codes.HELD}
        raise SystemExit(codes.get(shown["state"], exit_codes.FAILURE))


@command("approve")
@click.argument("batch_id", metavar="ID")
@reason_option
def approve(connection: Connection, output: Output, batch_id: str, reason: str) -> None:
    """Publish a held batch.

    A gate or a pin held it, or it was sent for approval. A merge is applied to the version that is current now.
    """
    approved = connection.mutate(APPROVE, batch=batch_id, reason=reason)["batch"]
    _show(output, approved, f"Approved batch {batch_id} of {approved['priceList']}.")


@command("reject")
@click.argument("batch_id", metavar="ID")
@reason_option
def reject(connection: Connection, output: Output, batch_id: str, reason: str) -> None:
    """Reject a held batch: it is never published."""
    rejected = connection.mutate(REJECT, batch=batch_id, reason=reason)["batch"]
    _show(output, rejected, f"Rejected batch {batch_id} of {rejected['priceList']}.")


def _progress(batch: Json) -> str:
    progress = batch["progress"]
    expected = f" of {progress['expected']:,}" if progress["expected"] else ""
    return f"{batch['state']}: {progress['stored']:,}{expected} prices stored"


def _show(output: Output, batch: Json, message: str | None = None) -> None:
    served, finished = batch["served"], time(batch["finishedAt"])
    findings = [("finding", f"{each['severity']} {each['gate']}: {each['message']}") for each in batch["findings"]]
    errors = [
        ("invalid item", f"{each['index']} {each['sku'] or ''} {each['code']}: {each['message']}")
        for each in batch["errors"]
    ]
    output.record(
        batch,
        [
            ("batch", batch["id"]),
            ("list", batch["priceList"]),
            ("state", batch["state"]),
            ("mode", batch["mode"]),
            ("version", batch["version"]),
            ("label", batch["label"]),
            ("sent", f"{time(batch['createdAt'])} by {batch['submittedBy']}"),
            ("finished", finished),
            ("prices", f"{batch['progress']['stored']:,} stored of {batch['progress']['received']:,} received"),
            ("changes", batch["summary"] and summary_line(batch["summary"])),
            ("served", served and f"by {served['by']} of {served['of']} processes"),
            *findings,
            ("invalid items", batch["errorCount"] or None),
            *errors,
        ],
        message,
    )
