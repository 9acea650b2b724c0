"""Publications: the moves of a pointer, as they happen."""

import datetime

import strawberry

from graph.types.gates import DiffSummary
from storage import EventKind


@strawberry.type(description="A move of a list's pointer.")
class Publication:
    """What became current, and what was before."""

    price_list: strawberry.ID = strawberry.field(description="The list.")
    version: int = strawberry.field(description="The version that is current now.")
    previous_version: int | None = strawberry.field(description="The version that was current before.")
    kind: EventKind = strawberry.field(description="What moved it.")
    at: datetime.datetime = strawberry.field(description="When.")
    summary: DiffSummary | None = strawberry.field(description="What its batch did, where a batch moved it.")
