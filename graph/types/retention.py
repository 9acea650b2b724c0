"""What keeps a version of a list."""

import strawberry


@strawberry.type(
    description="A version is kept while it is among the newest `versions`, or younger than `days`, or pinned, or "
    "labelled."
)
class Retention:
    """Shown of `storage.Retention`."""

    versions: int = strawberry.field(description="So many of the newest are kept.")
    days: int = strawberry.field(description="So long each is kept.")


@strawberry.input(description="What keeps a version; what is left out stays as it is, or is the default.")
class RetentionInput:
    """What keeps a version."""

    versions: int | None = strawberry.field(default=None, description="Keep so many of the newest; from 1.")
    days: int | None = strawberry.field(default=None, description="Keep each so long; 0 for no time.")
