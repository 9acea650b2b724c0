"""`pricebook batches`, `batch`, `approve`, `reject`: what was sent, what became of it, what waits."""

import click

from cli import exit_codes
from cli.client.client import Json
from cli.ops.connection import Connection, command, found, limit_option
from cli.ops.diff import told
from cli.ops.rollback import reason_option
from cli.output import Column, Output, time

STATES = ("open", "sealing", "held", "published", "rejected", "aborted", "failed")
UNDER_WAY = {"OPEN", "SEALING"}
POLL_SECONDS = 1.0

BATCHES = """
query Batches($name: ID, $state: BatchState, $first: Int!, $after: String) {
  batches(priceList: $name, state: $state, first: $first, after: $after) {
    nodes { id priceList state mode version label submittedBy createdAt finishedAt }
    pageInfo { hasNextPage endCursor }
  }
}"""

WHOLE = """
fragment Whole on Batch {
  id priceList state mode version checksum label submittedBy createdAt finishedAt errorCount
  progress { received stored expected }
  served { by of }
  findings { gate severity message observed limit }
  errors { index line sku field code message }
  summary { added removed changed unchanged }
}"""

BATCH = f"""
query Batch($id: ID!) {{
  batch(id: $id) {{ ...Whole }}
}}
{WHOLE}"""

APPROVE = f"""
mutation Approve($input: ReviewBatchInput!) {{
  approveBatch(input: $input) {{ batch {{ ...Whole }} userErrors {{ code message path }} }}
}}
{WHOLE}"""

REJECT = f"""
mutation Reject($input: ReviewBatchInput!) {{
  rejectBatch(input: $input) {{ batch {{ ...Whole }} userErrors {{ code message path }} }}
}}
{WHOLE}"""


@command("batches")
@click.argument("price_list", metavar="[LIST]", required=False)
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Only those that stand there.")
@limit_option(20)
def batches(connection: Connection, output: Output, price_list: str | None, state: str | None, limit: int) -> None:
    """Show batches, of one price list or of all, newest first."""
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
        "There is no such batch.",
    )


@command(
    "batch",
    {
        exit_codes.REFUSED: "not found, or no answer; with --watch, also of a batch that was not published",
        exit_codes.HELD: "with --watch: held, and waits for approval",
    },
)
@click.argument("batch_id", metavar="ID")
@click.option("--watch", is_flag=True, help="Wait until it is published, held, or came to nothing.")
def batch(connection: Connection, output: Output, batch_id: str, watch: bool) -> None:
    """Show where a batch stands.

    With what the gates found, which items are bad, and what it changes.
    """
    seen = None
    while True:
        shown = found(
            connection.query(BATCH, id=batch_id)["batch"], f"batch {batch_id!r}", "`pricebook batches` names them."
        )
        if not watch or shown["state"] not in UNDER_WAY:
            break
        if (now := _standing(shown)) != seen:
            click.echo(now, err=True)
            seen = now
        connection.wait(POLL_SECONDS)
    _show(output, shown)
    if watch:
        codes = {"PUBLISHED": exit_codes.DONE, "HELD": exit_codes.HELD}
        raise SystemExit(codes.get(shown["state"], exit_codes.REFUSED))


@command("approve")
@click.argument("batch_id", metavar="ID")
@reason_option
def approve(connection: Connection, output: Output, batch_id: str, reason: str) -> None:
    """Publish a batch that waits.

    It was held by a gate or a pin, or was sent for approval. It is laid over what is current now.
    """
    approved = connection.mutate(APPROVE, batch=batch_id, reason=reason)["batch"]
    _show(output, approved, f"Approved batch {batch_id} of {approved['priceList']}.")


@command("reject")
@click.argument("batch_id", metavar="ID")
@reason_option
def reject(connection: Connection, output: Output, batch_id: str, reason: str) -> None:
    """Turn a batch that waits down: it is never published."""
    rejected = connection.mutate(REJECT, batch=batch_id, reason=reason)["batch"]
    _show(output, rejected, f"Rejected batch {batch_id} of {rejected['priceList']}.")


def _standing(batch: Json) -> str:
    progress = batch["progress"]
    expected = f" of {progress['expected']:,}" if progress["expected"] else ""
    return f"{batch['state']}: {progress['stored']:,}{expected} prices stored"


def _show(output: Output, batch: Json, said: str | None = None) -> None:
    served, finished = batch["served"], time(batch["finishedAt"])
    findings = [("finding", f"{each['severity']} {each['gate']}: {each['message']}") for each in batch["findings"]]
    bad = [
        ("bad item", f"{each['index']} {each['sku'] or ''} {each['code']}: {each['message']}")
        for each in batch["errors"]
    ]
    output.one(
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
            ("changes", batch["summary"] and told(batch["summary"])),
            ("served", served and f"by {served['by']} of {served['of']} processes"),
            *findings,
            ("bad items", batch["errorCount"] or None),
            *bad,
        ],
        said,
    )
