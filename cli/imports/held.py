"""The next commands for a held batch."""

import shlex

from cli.client import Json
from cli.holds import holds, is_scheduled

_PIN = "pin"
"""The gate of the finding that holds a batch while its list is pinned."""


def next_commands(batch: Json, endpoint: str | None) -> list[str]:
    """Return the lines that name the next commands for a held batch, by what holds it.

    `endpoint` is that of the command line, which the next commands need as well.
    """
    holding = holds(batch)
    price_list, more = batch["priceList"], '--reason "..."'
    if endpoint:
        more += f" --endpoint {shlex.quote(endpoint)}"
    if batch["release"]:
        return _release_commands(batch, holding, more)
    if is_scheduled(batch):
        return _scheduled_commands(batch, holding, more)
    if holding == {_PIN}:
        return [
            f"{price_list} is pinned. Unpin it and publish the newest batch that waits for nothing else:",
            f"  pricebook unpin {price_list} --publish-latest {more}",
        ]
    review = [f"  pricebook approve {batch['id']} {more}", f"  pricebook reject {batch['id']} {more}"]
    if _PIN in holding:
        unpin = f"  pricebook unpin {price_list} {more}"
        return [f"{price_list} is pinned. First unpin it:", unpin, "Then publish it, or reject it:", *review]
    return ["Publish it, or reject it:", *review]


def _scheduled_commands(batch: Json, holding: set[str], more: str) -> list[str]:
    """Return the lines about a scheduled batch: what would hold it now, and how to move or end its schedule."""
    found = ", ".join(sorted(holding))
    warning = [f"Checked now, it would be held for a review when it is due: {found}."] if found else []
    return [
        *warning,
        "Publish it now, at another time, or reject it:",
        f"  pricebook approve {batch['id']} {more}",
        f"  pricebook reschedule {batch['id']} --at INSTANT {more}",
        f"  pricebook reject {batch['id']} {more}",
    ]


def _release_commands(batch: Json, holding: set[str], more: str) -> list[str]:
    """Return the lines about a batch that waits in a release, and what would hold the release now."""
    review = [f"  pricebook approve {batch['id']} {more}", f"  pricebook reject {batch['id']} {more}"]
    publish = f"  pricebook release publish {batch['release']['id']} {more}"
    if not holding:
        return ["It is published with its release:", publish, "Reject it to take it out of the release:", review[1]]
    found = ", ".join(sorted(holding))
    return [
        f"Checked now, it would hold the whole release: {found}.",
        "Approve it, to be published with its release, or reject it:",
        *review,
        "Then publish the release:",
        publish,
    ]
