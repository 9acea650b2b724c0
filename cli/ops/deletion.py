"""`pricebook delete`: deletes a price list once its name is typed again."""

import click

from cli.client import Json
from cli.client.errors import ApiError
from cli.ops.confirmation import EXIT_CODES, is_interactive, reason_option
from cli.ops.connection import Connection, command, require_list
from cli.options import list_argument
from cli.output import Output, counted, print_fields, time

PREVIEW = """
query DeletionPreview($name: ID!) {
  priceList(name: $name) {
    currentVersion
    current { size publishedAt }
    snapshots(first: 1) { totalCount }
  }
  batches(priceList: $name, state: HELD, first: 1) { totalCount }
}"""

DELETE = """
mutation Delete($input: DeletePriceListInput!) {
  deletePriceList(input: $input) { deletedId userErrors { code message path } }
}"""


@command("delete", EXIT_CODES)
@list_argument
@reason_option
@click.option(
    "--confirm-name",
    metavar="NAME",
    help="The name again, instead of typing it when asked; required if standard input is not a terminal.",
)
@click.option("--force", is_flag=True, help="Delete it even if a batch was published recently or is in progress.")
def delete(
    connection: Connection, output: Output, price_list: str, reason: str, confirm_name: str | None, force: bool
) -> None:
    """Delete a price list with its versions and batches.

    This cannot be undone: `pricebook export` saves a version. The command shows what is deleted and asks for the name
    of the list again.

    The events stay: `pricebook events` shows them. If a list of this name is created later, its version numbers go on
    from the last one, so that no cache mixes the two.
    """
    if confirm_name is None and not is_interactive():
        raise click.UsageError("Standard input is not a terminal: repeat the name with --confirm-name.")
    data = connection.query(PREVIEW, name=price_list)
    _preview(price_list, require_list(data, price_list), data["batches"]["totalCount"])
    if confirm_name is None:
        confirm_name = click.prompt("Type the name of the price list to delete it", err=True)
    if confirm_name != price_list:
        raise ApiError(f"Declined: {confirm_name!r} is not {price_list!r}. Nothing was changed.")
    deleted = connection.mutate(DELETE, name=price_list, confirmName=confirm_name, reason=reason, force=force)
    output.record({"deletedId": deleted["deletedId"]}, (), f"Deleted the price list {price_list}.")


def _preview(name: str, shown: Json, held: int) -> None:
    version, current = shown["currentVersion"], shown["current"]
    published = current and (
        f"version {version}, {counted(current['size'], 'price')}, published {time(current['publishedAt'])}"
    )
    print_fields(
        [
            ("List", name),
            ("Current", published or "no version"),
            ("Versions", f"{shown['snapshots']['totalCount']:,}"),
            ("Waiting", counted(held, "held batch", "held batches") if held else None),
        ],
        err=True,
    )
