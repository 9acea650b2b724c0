"""The next commands for a held batch."""

import shlex

from cli.client import Json

_PIN = "pin"
"""The gate of the finding that holds a batch while its list is pinned."""


def next_commands(batch: Json, endpoint: str | None) -> list[str]:
    """Return the lines that name the next commands for a held batch, by what holds it.

    `endpoint` is that of the command line, which the next commands need as well.
    """
    holds = {finding["gate"] for finding in batch["findings"] if finding["severity"] == "HOLD"}
    price_list, more = batch["priceList"], '--reason "..."'
    if endpoint:
        more += f" --endpoint {shlex.quote(endpoint)}"
    if holds == {_PIN}:
        return [
            f"{price_list} is pinned. Unpin it and publish the newest batch that waits for nothing else:",
            f"  pricebook unpin {price_list} --publish-latest {more}",
        ]
    review = [f"  pricebook approve {batch['id']} {more}", f"  pricebook reject {batch['id']} {more}"]
    if _PIN in holds:
        unpin = f"  pricebook unpin {price_list} {more}"
        return [f"{price_list} is pinned. First unpin it:", unpin, "Then publish it, or reject it:", *review]
    return ["Publish it, or reject it:", *review]
