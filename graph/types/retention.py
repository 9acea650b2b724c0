"""Retention: the rules that keep versions from expiring."""

import strawberry

from storage import MAX_RETENTION_DAYS, MAX_RETENTION_VERSIONS


@strawberry.type(
    description="The retention of a price list. A version is kept while it is among the newest `versions`, younger "
    "than `days`, current, pinned or labelled, or if it was read recently. All other versions expire."
)
class Retention:
    """The GraphQL type of `storage.Retention`."""

    versions: int = strawberry.field(description="The number of newest versions to keep.")
    days: int = strawberry.field(description="The number of days to keep each version.")


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
        default=None, description=f"The number of days to keep each version: 0 to {MAX_RETENTION_DAYS}."
    )
