"""What to do about a held batch: the commands that publish or reject it."""

from cli.client.client import Json

_PIN = "pin"
"""The gate of the finding that holds a batch while its list is pinned."""


def next_commands(batch: Json) -> list[str]:
    """Return the lines that name the next commands for a held batch, by what holds it."""
    holds = {finding["gate"] for finding in batch["findings"] if finding["severity"] == "HOLD"}
    price_list, approve = batch["priceList"], f'pricebook approve {batch["id"]} --reason "..."'
    if holds == {_PIN}:
        return [
            f"{price_list} is pinned. Unpin it and publish the newest batch that waits for nothing else:",
            f'  pricebook unpin {price_list} --publish-latest --reason "..."',
        ]
    unpin = [f"{price_list} is pinned. First unpin it:", f'  pricebook unpin {price_list} --reason "..."']
    return [
        *(unpin if _PIN in holds else []),
        f"{'Then publish' if _PIN in holds else 'Publish'} it, or reject it:",
        f"  {approve}",
        f'  pricebook reject {batch["id"]} --reason "..."',
    ]
