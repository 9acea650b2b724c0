"""`pricebook batches`, `batch`, `approve`, `reject`: the batches and their states."""

import click

from cli import exit_codes
from cli.client import Json
from cli.holds import is_scheduled
from cli.ops.confirmation import EXIT_CODES, changes_field, confirm, reason_option, yes_option
from cli.ops.connection import Connection, command, limit_option, refused, require
from cli.ops.diff import summary_line
from cli.options import optional_list_argument
from cli.output import Column, Output, counted, time, version_text

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
  id priceList state mode version madeOnVersion baseVersion checksum label submittedBy createdAt finishedAt publishAt
  errorCount
  rebased { baseVersion }
  release { id name }
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

REBASED = """
query Rebased($id: ID!) {
  batch(id: $id) { rebased { summary { added removed changed unchanged } } }
}"""

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
        exit_codes.HELD: "with --watch: held",
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
        shown = find_batch(connection, batch_id)
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


@command("approve", EXIT_CODES)
@click.argument("batch_id", metavar="ID")
@click.option("--keep-schedule", is_flag=True, help="Publish a scheduled batch when it is due, and not now.")
@reason_option
@yes_option
def approve(connection: Connection, output: Output, batch_id: str, keep_schedule: bool, reason: str, yes: bool) -> None:
    """Publish a held batch.

    A gate or a pin held it, or it was sent for approval; one that is scheduled is published now, unless --keep-schedule
    is set. A merge is applied to the current version; if it was made on another, that is shown. A batch of a release is
    approved, and published with its release.

    The command shows the batch and its changes to the current version and asks for confirmation; with --yes, it shows
    only the batch. If another version becomes current meanwhile, the approval is refused with CONFLICT and nothing is
    changed.
    """
    held = find_held(connection, "approveBatch", batch_id)
    confirm_review(connection, _question(held, keep_schedule=keep_schedule), held, yes=yes)
    current = held["rebased"]["baseVersion"] or 0
    kept = {"keepSchedule": True} if keep_schedule and not held["release"] else {}
    approved = connection.mutate(APPROVE, batch=batch_id, reason=reason, expectedVersion=current, **kept)["batch"]
    _show(output, approved, f"Approved batch {batch_id} of {approved['priceList']}.")


@command("reject", EXIT_CODES)
@click.argument("batch_id", metavar="ID")
@reason_option
@yes_option
def reject(connection: Connection, output: Output, batch_id: str, reason: str, yes: bool) -> None:
    """Reject a held batch: it is never published.

    The command shows the batch and its changes and asks for confirmation; with --yes, it shows only the batch.
    """
    held = find_held(connection, "rejectBatch", batch_id)
    confirm_review(connection, f"Reject batch {batch_id}, and its changes?", held, yes=yes)
    rejected = connection.mutate(REJECT, batch=batch_id, reason=reason)["batch"]
    _show(output, rejected, f"Rejected batch {batch_id} of {rejected['priceList']}.")


def review_fields(batch: Json) -> list[tuple[str, object]]:
    """Return what a reviewer needs to know of a held batch."""
    label = f", {batch['label']}" if batch["label"] else ""
    sent = f"sent {time(batch['createdAt'])} by {batch['submittedBy']}"
    return [
        ("List", batch["priceList"]),
        ("Current", version_text(batch["rebased"]["baseVersion"])),
        ("Batch", f"{batch['id']}, {batch['mode']}, {counted(batch['progress']['stored'], 'price')}, {sent}{label}"),
        ("Base", _base(batch)),
        ("Scheduled", time(batch["publishAt"])),
        ("Release", release_text(batch["release"])),
        *(("Finding", text) for text in _findings(batch)),
    ]


def rebased_summary(connection: Connection, batch_id: str) -> Json | None:
    """Return the numbers of changes of a held batch to the current version; None if it is no longer held."""
    rebased: Json | None = find_batch(connection, batch_id, REBASED)["rebased"]
    return rebased and rebased["summary"]


def release_text(release: Json | None) -> str | None:
    """Return the name and the id of a release."""
    return f"{release['name']} ({release['id']})" if release else None


def find_batch(connection: Connection, batch_id: str, document: str = BATCH) -> Json:
    """Return a batch. Raises `ApiError`."""
    advice = "`pricebook batches` shows the batches."
    return require(connection.query(document, id=batch_id)["batch"], f"batch {batch_id!r}", advice)


def find_held(connection: Connection, mutation: str, batch_id: str) -> Json:
    """Return a held batch for a mutation that changes it. Raises `ApiError`."""
    held = find_batch(connection, batch_id)
    if held["rebased"] is None:
        raise refused(mutation, "BATCH_NOT_HELD", f"Batch {batch_id} is {held['state']}, not HELD.")
    return held


def confirm_review(connection: Connection, question: str, held: Json, *, yes: bool) -> None:
    """Let the user confirm a change of a held batch. Raises as `confirm`."""
    confirm(
        question,
        review_fields(held),
        lambda: changes_field(rebased_summary(connection, held["id"])),
        yes=yes,
        preview_command=f"pricebook batch {held['id']}",
    )


def _question(held: Json, *, keep_schedule: bool) -> str:
    """Return what an approval asks."""
    if held["release"]:
        return f"Approve batch {held['id']}, to be published with release {held['release']['name']}?"
    ahead = " now, ahead of its schedule" if is_scheduled(held) else ""
    return f"Publish batch {held['id']}{' when it is due' if keep_schedule else ahead}?"


def _base(batch: Json) -> str | None:
    """Return which version a merge was made on, and which it is applied to if that is another."""
    if batch["mode"] != "MERGE":
        return None
    made_on = batch["madeOnVersion"]
    if batch["rebased"]:
        base, applied = batch["rebased"]["baseVersion"], "would be applied to"
    elif batch["state"] == "PUBLISHED":
        base, applied = batch["baseVersion"], "applied to"
    else:
        base, applied = made_on, ""
    rebased = f", {applied} {version_text(base)}" if base != made_on else ""
    return f"made on {version_text(made_on)}{rebased}"


def _changes(batch: Json) -> str | None:
    """Return the summary of a batch; of a held one also the version that it compares with, if another is current."""
    if not batch["summary"]:
        return None
    base, rebased = batch["baseVersion"], batch["rebased"]
    is_outdated = rebased and rebased["baseVersion"] != base
    return summary_line(batch["summary"]) + (f" Compared with {version_text(base)}." if is_outdated else "")


def _findings(batch: Json) -> list[str]:
    return [f"{each['severity']} {each['gate']}: {each['message']}" for each in batch["findings"]]


def _progress(batch: Json) -> str:
    progress = batch["progress"]
    expected = f" of {progress['expected']:,}" if progress["expected"] else ""
    return f"{batch['state']}: {progress['stored']:,}{expected} prices stored"


def _show(output: Output, batch: Json, message: str | None = None) -> None:
    served, finished = batch["served"], time(batch["finishedAt"])
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
            ("base", _base(batch)),
            ("label", batch["label"]),
            ("sent", f"{time(batch['createdAt'])} by {batch['submittedBy']}"),
            ("scheduled", time(batch["publishAt"])),
            ("release", release_text(batch["release"])),
            ("finished", finished),
            ("prices", f"{batch['progress']['stored']:,} stored of {batch['progress']['received']:,} received"),
            ("changes", _changes(batch)),
            ("served", served and f"by {served['by']} of {served['of']} processes"),
            *(("finding", text) for text in _findings(batch)),
            ("invalid items", batch["errorCount"] or None),
            *errors,
        ],
        message,
    )
