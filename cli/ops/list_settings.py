"""`pricebook create`, `gates`, `retention`: create a price list, show its settings and change them."""

from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import click

from cli.client import Json
from cli.ops.connection import Connection, command, require_list
from cli.options import list_argument
from cli.output import Output

_GATES = "maxShrinkPercent maxChangedPercent maxPriceChangePercent allowedCurrencies minSize"
_SETTINGS = f"name description gates {{ {_GATES} }} retention {{ versions days thin }}"

SETTINGS = f"query Settings($name: ID!) {{ priceList(name: $name) {{ {_SETTINGS} }} }}"

CREATE = f"""
mutation Create($input: CreatePriceListInput!) {{
  createPriceList(input: $input) {{ priceList {{ {_SETTINGS} }} userErrors {{ code message path }} }}
}}"""

UPDATE = f"""
mutation Update($input: UpdatePriceListInput!) {{
  updatePriceList(input: $input) {{ priceList {{ {_SETTINGS} }} userErrors {{ code message path }} }}
}}"""

GATES = {
    "max-shrink-percent": "maxShrinkPercent",
    "max-changed-percent": "maxChangedPercent",
    "max-price-change-percent": "maxPriceChangePercent",
    "allowed-currency": "allowedCurrencies",
    "min-size": "minSize",
}
"""The gates by the names of their options."""


_MAX_DECIMAL_PLACES = 34
"""Places before and after the point that a percentage may have here; the server has a lower limit."""


class _Percentage(click.ParamType[str]):
    """An exact percentage, in plain notation."""

    name = "percentage"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the percentage as the API reads it. Raises `BadParameter` for another text."""
        try:
            percentage = Decimal(value)
        except InvalidOperation:
            percentage = Decimal("nan")
        if not percentage.is_finite() or percentage.is_signed() or abs(percentage.adjusted()) > _MAX_DECIMAL_PLACES:
            self.fail(f"{value!r} is not a percentage, such as 12.5.", param, ctx)
        return f"{percentage:f}"


def _percent(name: str, help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:  # noqa: A002 - as click's
    return click.option(f"--{name}", type=_Percentage(), metavar="N", help=help)


@command("create")
@click.argument("price_list", metavar="LIST")
@click.option("--description", metavar="TEXT", help="The purpose of the list.")
def create(connection: Connection, output: Output, price_list: str, description: str | None) -> None:
    """Create a price list.

    It has no version until a batch is published. If a list of this name was deleted before, version numbers go on from
    its last one.
    """
    created = connection.mutate(CREATE, name=price_list, description=description)["priceList"]
    kept = created["retention"]
    fields = [
        ("description", created["description"]),
        (
            "keeps",
            f"the newest {kept['versions']} versions, and those of the last {kept['days']} days",
        ),
    ]
    output.record(created, fields, f"Created the price list {price_list}.")


@command("gates")
@list_argument
@_percent("max-shrink-percent", "Hold a batch that reduces the number of prices by more than N percent.")
@_percent("max-changed-percent", "Hold a batch that changes more than N percent of the prices.")
@_percent("max-price-change-percent", "Hold a batch that raises or lowers an amount by more than N percent.")
@click.option(
    "--allowed-currency",
    "allowed_currencies",
    multiple=True,
    metavar="CODE",
    help="Reject a batch with prices in other currencies. May be repeated.",
)
@click.option("--min-size", type=click.IntRange(0), metavar="N", help="Reject a batch that leaves fewer prices.")
@click.option("--none", "off", multiple=True, type=click.Choice([*GATES]), help="Disable a gate. May be repeated.")
def gates(
    connection: Connection,
    output: Output,
    price_list: str,
    max_shrink_percent: str | None,
    max_changed_percent: str | None,
    max_price_change_percent: str | None,
    allowed_currencies: tuple[str, ...],
    min_size: int | None,
    off: tuple[str, ...],
) -> None:
    """Show the gates of a price list, or change some of them.

    A gate checks each batch between seal and publish, and holds or rejects it. Gates that are not named stay as they
    are. If someone else changes them meanwhile, the command is refused with CONFLICT and changes nothing.
    """
    changes = _set(
        {
            "maxShrinkPercent": max_shrink_percent,
            "maxChangedPercent": max_changed_percent,
            "maxPriceChangePercent": max_price_change_percent,
            "allowedCurrencies": [*allowed_currencies] or None,
            "minSize": min_size,
        }
    )
    disabled = {GATES[name]: None for name in off}
    if twice := sorted(name for name in off if GATES[name] in changes):
        raise click.UsageError(f"{', '.join(twice)}: either set the gate, or disable it with --none.")
    shown = require_list(connection.query(SETTINGS, name=price_list), price_list)
    if changes or disabled:
        # An update replaces all gates.
        known = shown["gates"]
        replaced = {**known, **changes, **disabled}
        shown = connection.mutate(UPDATE, name=price_list, gates=replaced, expectedGates=known)["priceList"]
    message = f"Changed the gates of {price_list}." if changes or disabled else None
    fields = [(option, _shown(shown["gates"][name])) for option, name in GATES.items()]
    output.record(shown["gates"], fields, message)


@command("retention")
@list_argument
@click.option("--versions", type=click.IntRange(1), metavar="N", help="Keep the newest N versions.")
@click.option(
    "--days", type=click.IntRange(0), metavar="N", help="Keep each version for N days after it was last current."
)
@click.option("--thin/--no-thin", default=None, help="Keep fewer versions as they grow older, or all of them.")
def retention(
    connection: Connection,
    output: Output,
    price_list: str,
    versions: int | None,
    days: int | None,
    thin: bool | None,
) -> None:
    """Show the retention of a price list, or change it.

    A version is kept while it is one of the newest, and for a number of days after it was last current.
    `pricebook keep` keeps one for longer. `pricebook retain --dry-run` shows what expires.
    """
    changes = _set({"versions": versions, "days": days, "thin": thin})
    if changes:
        shown = connection.mutate(UPDATE, name=price_list, retention=changes)["priceList"]
    else:
        shown = require_list(connection.query(SETTINGS, name=price_list), price_list)
    message = f"Changed the retention of {price_list}." if changes else None
    fields = [("versions", shown["retention"]["versions"]), ("days", shown["retention"]["days"])]
    output.record(shown["retention"], [*fields, ("thin", _shown(shown["retention"]["thin"]))], message)


def _set(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _shown(value: object) -> object:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "off" if value is None else value
