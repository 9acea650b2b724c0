"""Publications: changes of the current version, as they happen."""

import datetime

import strawberry

from graph.types.gates import DiffSummary
from storage import EventKind


@strawberry.type(description="A change of the current version of a price list.")
class Publication:
    """A change of the current version of a price list."""

    price_list: strawberry.ID = strawberry.field(description="The name of the price list.")
    revision: int = strawberry.field(
        description="The revision of the price list: it grows with every event. Send the last one received as `after`."
    )
    version: int = strawberry.field(description="The version that became current.")
    previous_version: int | None = strawberry.field(
        description="The version that was current before. Null for the first publication."
    )
    kind: EventKind = strawberry.field(description="The kind of event that changed the current version.")
    at: datetime.datetime = strawberry.field(description="When the version became current.")
    summary: DiffSummary | None = strawberry.field(
        description="The changes that the batch made. Null if no batch caused the event, as for a rollback."
    )
    release: strawberry.ID | None = strawberry.field(
        description="The ID of the release that changed the current version, of this price list and of others at once. "
        "Null if none did."
    )
