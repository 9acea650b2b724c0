"""`pricebook releases`, and the group `pricebook release` with `create` and `show`."""

import datetime
import secrets

import click

from cli import exit_codes
from cli.instants import Instant
from cli.ops.connection import Connection, command, limit_option
from cli.ops.releases.moves import discard, publish, rollback, schedule
from cli.ops.releases.view import find_release, show_release, title
from cli.options import release_argument
from cli.output import Column, Output, time

STATES = ("open", "scheduled", "published", "rolled-back", "discarded")

RELEASES = """
query Releases($state: ReleaseState, $first: Int!, $after: String) {
  releases(state: $state, first: $first, after: $after) {
    nodes { id name state publishAt publishedAt createdBy createdAt items { fromVersion toVersion } }
    pageInfo { hasNextPage endCursor }
  }
}"""

CREATE = """
mutation CreateRelease($input: CreateReleaseInput!) {
  createRelease(input: $input) {
    release { id name state publishAt createdBy createdAt }
    userErrors { code message path }
  }
}"""


@command("releases")
@click.option("--state", type=click.Choice(STATES, case_sensitive=False), help="Show only releases in this state.")
@limit_option(20)
def releases(connection: Connection, output: Output, state: str | None, limit: int) -> None:
    """Show the releases, newest first."""
    value = state and state.upper().replace("-", "_")
    output.rows(
        connection.pages(lambda data: data["releases"], RELEASES, limit, state=value),
        [
            Column("ID", lambda row: row["id"]),
            Column("NAME", lambda row: row["name"]),
            Column("STATE", lambda row: row["state"]),
            Column("LISTS", lambda row: len(row["items"]), numeric=True),
            Column("PUBLISH AT", lambda row: time(row["publishAt"])),
            Column("CREATED", lambda row: time(row["createdAt"])),
            Column("BY", lambda row: row["createdBy"]),
        ],
        "There are no such releases.",
    )


@click.group(epilog=exit_codes.epilog())
def release() -> None:
    """Publish several price lists in one move.

    `create` makes a release, and `pricebook import` with --release sends a batch of each list with it. The batches are
    checked and sealed, and wait, until `publish` makes all of them current at one moment, or none. `rollback` takes
    all of them back.

    NAME is the ID of a release, or its name if one release alone has it: for `publish`, `schedule` and `discard`, one
    release that is open or scheduled.
    """


@command("create", {exit_codes.FAILURE: "refused, or no response; standard error gives the reason"})
@click.argument("name")
@click.option(
    "--publish-at",
    type=Instant(spans=True),
    metavar="INSTANT",
    help="Publish it at this time: an instant with an offset, such as 2026-11-28T00:00:00+01:00, or a span from now, "
    "such as 12h.",
)
@click.option(
    "--key",
    metavar="TEXT",
    help="An idempotency key: the same key gives the same release. Without it, each run creates another one.",
)
def create(
    connection: Connection, output: Output, name: str, publish_at: datetime.datetime | None, key: str | None
) -> None:
    """Create a release.

    NAME is for people; the ID, which is printed alone on standard output, names the release for good.
    """
    instant = {"publishAt": publish_at.isoformat()} if publish_at else {}
    key = key or f"release-{secrets.token_hex(16)}"
    created = connection.repeat(CREATE, name=name, idempotencyKey=key, **instant)["release"]
    if not output.as_json:
        scheduled = f", scheduled for {time(created['publishAt'])}" if created["publishAt"] else ""
        click.echo(f"Release {title(created)} is {created['state']}{scheduled}.", err=True)
    output.record(created, (), created["id"])


@command("show")
@release_argument
def show(connection: Connection, output: Output, name_or_id: str) -> None:
    """Show a release and its lists.

    Each list has its batch, and the versions before and after the release: before it is published, the current version
    and that of the batch, which changes if another is published first. The findings are those of the gates.
    """
    show_release(output, find_release(connection, name_or_id, unfinished=False))


for _each in (create, show, publish, schedule, rollback, discard):
    release.add_command(_each)
