"""`pricebook rollback`, `pin`, `unpin`: move and pin the pointer, after a preview of the changes."""

import click

from cli.client import Json
from cli.ops.batches import ALL_FIELDS, rebased_summary, review_fields
from cli.ops.confirmation import EXIT_CODES, changes_field, confirm, reason_option, yes_option
from cli.ops.connection import Connection, command, refused, require, require_list
from cli.ops.diff import summary_of
from cli.options import list_argument
from cli.output import Output, counted, time, version_text

PREVIEW = """
query Preview($name: ID!, $version: Int!) {
  priceList(name: $name) { currentVersion pin { version reason by at } }
  snapshot(priceList: $name, version: $version) { version size label publishedAt }
}"""

LATEST = f"""
query Latest($name: ID!) {{
  priceList(name: $name) {{
    pin {{ version }}
    heldByPin(first: 1) {{ totalCount nodes {{ ...AllFields }} }}
  }}
}}
{ALL_FIELDS}"""

_PAYLOAD = "priceList { name currentVersion pin { version reason by at } } userErrors { code message path }"
ROLLBACK = f"mutation Rollback($input: RollbackInput!) {{ rollback(input: $input) {{ {_PAYLOAD} }} }}"
PIN = f"mutation Pin($input: PinInput!) {{ pin(input: $input) {{ {_PAYLOAD} }} }}"
UNPIN = f"mutation Unpin($input: UnpinInput!) {{ unpin(input: $input) {{ {_PAYLOAD} }} }}"


@command("rollback", EXIT_CODES)
@list_argument
@click.argument("version", type=int)
@reason_option
@click.option("--no-pin", is_flag=True, help="Do not pin: the next valid batch is published.")
@yes_option
def rollback(
    connection: Connection, output: Output, price_list: str, version: int, reason: str, no_pin: bool, yes: bool
) -> None:
    """Roll back to an earlier version.

    VERSION becomes current again; nothing is copied.

    The command shows the changes and asks for confirmation; with --yes, it shows only the two versions and does not
    wait for their comparison. If another version becomes current meanwhile, the rollback is refused with CONFLICT and
    nothing is changed.

    The version is pinned, so that the next batch cannot undo the rollback: batches wait until `pricebook unpin`.
    """
    current = _confirm_move(connection, price_list, version, yes=yes)
    payload = connection.mutate(
        ROLLBACK, priceList=price_list, toVersion=version, reason=reason, expectedVersion=current, pin=not no_pin
    )
    _show(output, payload["priceList"], f"Rolled back {price_list}: version {version} is current.")


@command("pin", EXIT_CODES)
@list_argument
@click.argument("version", type=int)
@reason_option
@yes_option
def pin(connection: Connection, output: Output, price_list: str, version: int, reason: str, yes: bool) -> None:
    """Pin a version of a price list.

    New batches are sealed and wait; none is published until `pricebook unpin`.

    If another version is current, the pointer moves: the command shows the changes and asks for confirmation. With
    --yes, it shows only the two versions and does not wait for their comparison. If another version becomes current
    meanwhile, the pin is refused with CONFLICT and nothing is changed.
    """
    current = _confirm_move(connection, price_list, version, yes=yes, only_if_moved=True)
    payload = connection.mutate(PIN, priceList=price_list, version=version, reason=reason, expectedVersion=current)
    _show(output, payload["priceList"], f"Pinned {price_list} at version {version}.")


@command("unpin", EXIT_CODES)
@list_argument
@reason_option
@click.option(
    "--publish-latest", is_flag=True, help="Publish the newest batch that only the pin held; the others are superseded."
)
@yes_option
def unpin(
    connection: Connection, output: Output, price_list: str, reason: str, publish_latest: bool, yes: bool
) -> None:
    """Unpin a price list: new batches are published again.

    Batches that wait need `pricebook approve` or `reject`; with --publish-latest, only those that a gate or the publish
    policy ON_APPROVAL also holds.

    With --publish-latest, the command shows the batch and its changes and asks for confirmation; with --yes, it shows
    only the batch. If another version becomes current meanwhile, or a newer batch arrives, nothing is changed.
    """
    latest = _confirm_latest(connection, price_list, yes=yes) if publish_latest else {}
    payload = connection.mutate(UNPIN, priceList=price_list, reason=reason, **latest)
    shown = payload["priceList"]
    _show(output, shown, f"Unpinned {price_list}: version {shown['currentVersion']} is current.")


def _confirm_move(
    connection: Connection, price_list: str, version: int, *, yes: bool, only_if_moved: bool = False
) -> int:
    """Let the user confirm a move, and return the version that was shown as current, or 0. Raises as `confirm`."""
    data = connection.query(PREVIEW, name=price_list, version=version)
    current: int | None = require_list(data, price_list)["currentVersion"]
    if only_if_moved and current == version:
        return version
    advice = "`pricebook snapshots` shows the versions that are kept."
    target = require(data["snapshot"], f"version {version} of {price_list}", advice)
    label = f", {target['label']}" if target["label"] else ""
    published = f", published {time(target['publishedAt'])}" if target["publishedAt"] else ""
    confirm(
        f"Make version {version} current?",
        [
            ("List", price_list),
            ("Current", version_text(current)),
            ("Target", f"version {version}, {counted(target['size'], 'price')}{published}{label}"),
        ],
        lambda: () if current is None else changes_field(summary_of(connection, price_list, current, version)),
        yes=yes,
        preview_command=f"pricebook show {price_list}"
        if current is None
        else f"pricebook diff {price_list} {current} {version}",
    )
    return current or 0


def _confirm_latest(connection: Connection, price_list: str, *, yes: bool) -> Json:
    """Let the user confirm the batch that an unpin publishes, and return its fields of the input. Raises as `confirm`.

    If none waits, there is nothing to confirm, and none is published: a batch that arrives meanwhile stays held.
    """
    shown = require_list(connection.query(LATEST, name=price_list), price_list)
    if not shown["pin"]:
        raise refused("unpin", "NOT_PINNED", f"{price_list} is not pinned.")
    waiting = shown["heldByPin"]
    if not waiting["nodes"]:
        click.echo("No batch was held by the pin alone: none is published.", err=True)
        return {}
    [latest] = waiting["nodes"]
    others = waiting["totalCount"] - 1
    confirm(
        f"Unpin {price_list} and publish batch {latest['id']}?",
        [
            *review_fields(latest),
            (
                "Others",
                f"{counted(others, 'older batch', 'older batches')} that only the pin held: rejected as superseded"
                if others
                else None,
            ),
        ],
        lambda: changes_field(rebased_summary(connection, latest["id"])),
        yes=yes,
        preview_command=f"pricebook batch {latest['id']}",
    )
    expected = {"expectedVersion": latest["rebased"]["baseVersion"], "expectedBatch": latest["id"]}
    return {"publishLatest": True, **expected}


def _show(output: Output, price_list: Json, message: str) -> None:
    pin = price_list["pin"]
    pinned = f"at {pin['version']} by {pin['by']}: {pin['reason']}" if pin else "no"
    output.record(price_list, [("version", price_list["currentVersion"]), ("pinned", pinned)], message)
