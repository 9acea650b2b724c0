"""`pricebook retain` and `restore`: versions are expired, and an expired one is restored."""

import click

from cli.client import Json
from cli.ops.confirmation import EXIT_CODES, confirm, reason_option, yes_option
from cli.ops.connection import Connection, command, require_list
from cli.ops.lists import LISTS
from cli.options import list_argument, optional_list_argument
from cli.output import Column, Output, time, version_text

RETAIN = """
mutation Retain($input: RetainInput!) {
  retain(input: $input) {
    retirements { version reason restorableUntil }
    drops { layer reason bytes }
    kept { version until reason }
    userErrors { code message path }
  }
}"""

CURRENT = "query Current($name: ID!) { priceList(name: $name) { currentVersion } }"

RESTORE = """
mutation Restore($input: RestoreInput!) {
  restore(input: $input) {
    priceList { name currentVersion }
    userErrors { code message path }
  }
}"""


@command("retain")
@optional_list_argument
@click.option("--dry-run", is_flag=True, help="Show what would be expired and dropped, and change nothing.")
def retain(connection: Connection, output: Output, price_list: str | None, dry_run: bool) -> None:
    """Expire the versions that nothing keeps.

    Applies to LIST, or to all lists. Servers do this regularly; this command does it now. A version expires in two
    steps, some seconds apart, so that a process that reads it can keep it: the first run may expire nothing. Check
    with --dry-run, and run the command again. The versions that `pricebook keep` keeps are shown on standard error.

    An expired version can be restored with `pricebook restore` until the time shown; then its layers are dropped.
    """
    names = [price_list] if price_list else _names(connection)
    retained = [{"priceList": name, **_retain(connection, name, dry_run=dry_run)} for name in names]
    if output.as_json:
        output.record(retained)
        return
    output.rows(
        [row for each in retained for row in _rows(each)],
        [
            Column("LIST", lambda row: row["priceList"]),
            Column("WHAT", lambda row: row["what"]),
            Column("BYTES", lambda row: row["bytes"], numeric=True),
            Column("RESTORABLE UNTIL", lambda row: time(row["until"])),
            Column("REASON", lambda row: row["reason"]),
        ],
        "Nothing would change." if dry_run else "Nothing changed.",
    )
    for each in retained:
        for kept in each["kept"]:
            click.echo(
                f"Kept: version {kept['version']} of {each['priceList']} until {time(kept['until'])}: {kept['reason']}",
                err=True,
            )
    if dry_run:
        click.echo("Dry run: nothing was changed.", err=True)
    else:
        click.echo(
            "Versions expire in two steps: run the command again for those that --dry-run still shows.",
            err=True,
        )


@command("restore", EXIT_CODES)
@list_argument
@click.argument("version", type=int)
@reason_option
@yes_option
def restore(connection: Connection, output: Output, price_list: str, version: int, reason: str, yes: bool) -> None:
    """Restore an expired version.

    This is possible until its layers are released. The pointer does not move. The command asks for confirmation, unless
    --yes is given.
    """
    current = require_list(connection.query(CURRENT, name=price_list), price_list)["currentVersion"]
    confirm(
        f"Restore version {version}?",
        [
            ("List", price_list),
            ("Current", f"{version_text(current)}, which stays current"),
            ("Target", f"version {version}: can be read and rolled back to again, until retention expires it"),
        ],
        yes=yes,
        preview_command=f"pricebook events {price_list}",
    )
    restored = connection.mutate(RESTORE, priceList=price_list, version=version, reason=reason)["priceList"]
    fields = [("version", restored["currentVersion"])]
    output.record(restored, fields, f"Restored version {version} of {price_list}: it can be read and rolled back to.")


def _names(connection: Connection) -> list[str]:
    return [each["name"] for each in connection.pages(lambda data: data["priceLists"], LISTS, 0)]


def _retain(connection: Connection, price_list: str, *, dry_run: bool) -> Json:
    payload = connection.mutate(RETAIN, priceList=price_list, dryRun=dry_run)
    return {name: payload[name] for name in ("retirements", "drops", "kept")}


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
