"""Inputs of the mutations of releases."""

import datetime

import strawberry

from graph.types.reasons import REASON
from storage import MAX_DAYS_AHEAD

_RELEASE = "The ID of the release."
_INSTANT = (
    f"with an offset from UTC: in the future by the clock of MongoDB, and at most {MAX_DAYS_AHEAD} days ahead; "
    "otherwise the mutation fails with `INVALID_PUBLISH_AT`."
)


@strawberry.input(description="Input of `createRelease`.")
class CreateReleaseInput:
    """Input of `createRelease`."""

    name: str = strawberry.field(
        description="The name of the release, for people: 1 to 255 printable characters. It need not be unique."
    )
    publish_at: datetime.datetime | None = strawberry.field(
        default=None, description=f"The instant at which to publish the release, {_INSTANT}"
    )
    idempotency_key: str = strawberry.field(
        description="A key of 1 to 255 printable characters that makes retries safe: creating a release with the same "
        "key again returns the first one. The same key with another name or instant fails with "
        "`IDEMPOTENCY_KEY_REUSED`."
    )


@strawberry.input(description="The version of a price list that must be current.")
class ExpectedVersionInput:
    """The version of a price list that must be current."""

    price_list: strawberry.ID = strawberry.field(description="The name of a price list of the release.")
    version: int | None = strawberry.field(
        default=None, description="The number of the version. Null or 0: the price list must have none yet."
    )


@strawberry.input(description="Input of `publishRelease`.")
class PublishReleaseInput:
    """Input of `publishRelease`."""

    release: strawberry.ID = strawberry.field(description=_RELEASE)
    reason: str | None = strawberry.field(default=None, description=REASON)
    expected: list[ExpectedVersionInput] | None = strawberry.field(
        default=None,
        description="Publish the release only if these are still the current versions of the price lists named; "
        "otherwise the mutation fails with `CONFLICT` for each that is not. They are used instead of the "
        "`expectedVersion` of the batches.",
    )


@strawberry.input(description="Input of `scheduleRelease`.")
class ScheduleReleaseInput:
    """Input of `scheduleRelease`."""

    release: strawberry.ID = strawberry.field(description=_RELEASE)
    publish_at: datetime.datetime | None = strawberry.field(
        default=strawberry.UNSET,
        description=f"The instant at which to publish the release, {_INSTANT} Null takes the schedule away; one of "
        "both must be given.",
    )
    reason: str = strawberry.field(description=REASON)


@strawberry.input(description="Input of `rollbackRelease` and `discardRelease`.")
class ReviewReleaseInput:
    """Input of `rollbackRelease` and `discardRelease`."""

    release: strawberry.ID = strawberry.field(description=_RELEASE)
    reason: str = strawberry.field(description=REASON)
