"""Retention: the rules that keep versions from expiring."""

import strawberry

from storage import MAX_RETENTION_DAYS, MAX_RETENTION_VERSIONS

_THIN = (
    "each for a day after it was last current, the last of each hour for a week, then the last of each day, by UTC, "
    "for `days`"
)


@strawberry.type(
    description="The retention of a price list. A version is kept while it is current or pinned, among the newest "
    "`versions`, for `days` after it was last current, until the instant that `keepVersion` set, and if it was read "
    "recently. All other versions expire. `thin` keeps fewer of the versions that only `days` keeps."
)
class Retention:
    """The GraphQL type of `storage.Retention`."""

    versions: int = strawberry.field(description="The number of newest versions to keep.")
    days: int = strawberry.field(description="The number of days to keep each version after it was last current.")
    thin: bool = strawberry.field(description=f"Whether to keep fewer versions with age: {_THIN}.")


@strawberry.input(
    description="The retention of a price list. Fields that are left out stay unchanged, or have their default in a "
    "new list."
)
class RetentionInput:
    """The retention of a price list."""

    versions: int | None = strawberry.field(
        default=None, description=f"The number of newest versions to keep: 1 to {MAX_RETENTION_VERSIONS}."
    )
    days: int | None = strawberry.field(
        default=None,
        description=f"The number of days to keep each version after it was last current: 0 to {MAX_RETENTION_DAYS}.",
    )
    thin: bool | None = strawberry.field(
        default=None, description=f"Whether to keep fewer versions with age: {_THIN}. The default is false."
    )
