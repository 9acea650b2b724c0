"""`pricebook retain` and `restore`: versions that go, and one that is brought back."""

import click

from cli.client.client import Json
from cli.ops.connection import Connection, command
from cli.ops.lists import LISTS
from cli.ops.rollback import reason_option
from cli.output import Column, Output, time

RETAIN = """
mutation Retain($input: RetainInput!) {
  retain(input: $input) {
    retirements { version reason restorableUntil }
    drops { layer reason bytes }
    userErrors { code message path }
  }
}"""

RESTORE = """
mutation Restore($input: RestoreInput!) {
  restore(input: $input) {
    priceList { name currentVersion }
    userErrors { code message path }
  }
}"""


@command("retain")
@click.argument("price_list", metavar="[LIST]", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would go, and change nothing.")
def retain(connection: Connection, output: Output, price_list: str | None, dry_run: bool) -> None:
    """Retire the versions that nothing keeps.

    Those of LIST, or of all lists. Servers do it on their own; this does it now. A version goes in two steps, some
    seconds apart, so that who reads it can keep it: the first run may retire nothing yet, so look with --dry-run and
    run it again.

    A version that was retired can be brought back with `pricebook restore` until the time that is shown; then its
    layers are dropped.
    """
    names = [price_list] if price_list else _names(connection)
    retained = [{"priceList": name, **_retain(connection, name, dry_run=dry_run)} for name in names]
    if output.as_json:
        output.one(retained)
        return
    rows = [row for each in retained for row in _rows(each)]
    output.rows(
        rows,
        [
            Column("LIST", lambda row: row["priceList"]),
            Column("WHAT", lambda row: row["what"]),
            Column("BYTES", lambda row: row["bytes"], numeric=True),
            Column("RESTORABLE UNTIL", lambda row: time(row["until"])),
            Column("REASON", lambda row: row["reason"]),
        ],
        "Nothing goes." if dry_run else "Nothing went.",
    )
    if dry_run:
        click.echo("A dry run: nothing was changed.", err=True)
    else:
        click.echo(
            "A version goes in two steps: what --dry-run still shows goes when you run it again.",
            err=True,
        )


@command("restore")
@click.argument("price_list", metavar="LIST")
@click.argument("version", type=int)
@reason_option
def restore(connection: Connection, output: Output, price_list: str, version: int, reason: str) -> None:
    """Bring back a version that retention took.

    That can be done as long as its layers are there. The pointer stays where it is.
    """
    restored = connection.mutate(RESTORE, priceList=price_list, version=version, reason=reason)["priceList"]
    fields = [("version", restored["currentVersion"])]
    output.one(restored, fields, f"Restored version {version} of {price_list}: it can be read, and gone back to.")


def _names(connection: Connection) -> list[str]:
    return [each["name"] for each in connection.pages(lambda data: data["priceLists"], LISTS, 0)]


def _retain(connection: Connection, name: str, *, dry_run: bool) -> Json:
    payload = connection.mutate(RETAIN, priceList=name, dryRun=dry_run)
    return {"retirements": payload["retirements"], "drops": payload["drops"]}


def _rows(retained: Json) -> list[Json]:
    name = retained["priceList"]
    versions = [
        {"priceList": name, "what": f"version {each['version']}", "bytes": None, "until": each["restorableUntil"]}
        | {"reason": each["reason"]}
        for each in retained["retirements"]
    ]
    layers = [
        {"priceList": name, "what": f"layer {each['layer']}", "bytes": each["bytes"], "until": None}
        | {"reason": each["reason"]}
        for each in retained["drops"]
    ]
    return versions + layers
