"""The errors of releases.

ReleaseRefused                    the release was not changed; `objections` says why, list by list
ReleaseForbidden
EmptyRelease
TooManyOpenReleases
ReleaseKeyReused

Objections to a release, each about one list. Further ones are `Pinned`, `Conflict` and
`SnapshotExpired` of `storage.errors`, with the path of the list: see `objection`.

ListOfReleaseDeleted
GateHeld
BatchNotSealed
MovedByRelease
MovedTooOften
NoEarlierVersion
"""

from collections.abc import Sequence
from typing import TypeVar

from storage.batches.batch import Batch
from storage.errors import IdempotencyKeyReused, PriceListNotFound, Refused, shown

R = TypeVar("R", bound=Refused)


class ReleaseRefused(Refused):
    """Something stands against the change of a release, so that none of its lists was changed.

    `objections` has one for each list and reason, in the order of the lists; the path of each ends with its list.
    """

    code = "RELEASE_REFUSED"

    def __init__(self, release_id: str, objections: Sequence[Refused]) -> None:
        super().__init__(
            f"Release {release_id} was not changed: {' '.join(each.message for each in objections)}",
            path=("input", "release"),
        )
        self.objections = tuple(objections)


class ReleaseForbidden(Refused):
    """The caller may not operate some of the lists of the release."""

    code = "FORBIDDEN"

    def __init__(self, release_id: str) -> None:
        super().__init__(
            f"Release {release_id} was not changed: some of its lists need the scope snapshots:operate. "
            "Ask somebody who has it for all of them.",
            path=("input", "release"),
        )


class EmptyRelease(Refused):
    """The release has no batch to publish."""

    code = "RELEASE_EMPTY"

    def __init__(self, release_id: str) -> None:
        super().__init__(
            f"Release {release_id} has no batches. Send batches with its id as `release` first.",
            path=("input", "release"),
        )


class TooManyOpenReleases(Refused):
    """As many releases are open or scheduled as are allowed."""

    code = "TOO_MANY_OPEN_RELEASES"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} releases are OPEN or SCHEDULED already, which is the limit. Publish or discard some of them, "
            "which `releases(state: OPEN)` lists, and try again.",
            path=("input", "name"),
        )


class ReleaseKeyReused(IdempotencyKeyReused):
    """The idempotency key belongs to a release with another name or instant."""

    def __init__(self, key: str, release: str) -> None:
        Refused.__init__(
            self,
            f"The idempotency key {shown(key)} belongs to release {release}, which was created with another name or "
            "publishAt. Use a new key for a new release.",
            path=("input", "idempotencyKey"),
        )


class ListOfReleaseDeleted(PriceListNotFound):
    """A list of the release was deleted since its batch was sent."""

    def __init__(self, price_list: str) -> None:
        Refused.__init__(
            self,
            f"The price list {price_list!r} was deleted, so the release cannot be changed as a whole. Publish or roll "
            "back its other lists one by one.",
        )


class GateHeld(Refused):
    """A gate holds the batch of a list, or the batch needs an approval."""

    code = "GATE_HELD"

    def __init__(self, batch: Batch, message: str) -> None:
        super().__init__(f"Batch {batch.id} of {batch.price_list!r} is held: {message} Approve or reject it.")


class BatchNotSealed(Refused):
    """A batch of the release is still being received or sealed."""

    code = "BATCH_NOT_SEALED"

    def __init__(self, batch: str, price_list: str, state: str) -> None:
        super().__init__(f"Batch {batch} of {price_list!r} is {state}. Commit or abort it, or wait until it is sealed.")


class MovedByRelease(Refused):
    """Another release changed a list since this one was read."""

    code = "CONFLICT"

    def __init__(self, price_list: str, release: str) -> None:
        super().__init__(f"{price_list!r} was changed by release {release} meanwhile. Review the change and try again.")


class MovedTooOften(Refused):
    """Other batches of a list were published each time that the batch of the release had been compared."""

    code = "CONFLICT"

    def __init__(self, price_list: str) -> None:
        super().__init__(
            f"{price_list!r} changed each time that the batch had been compared with its current version. Try again "
            "when fewer batches are published to it."
        )


class NoEarlierVersion(Refused):
    """A list had no version before the release, so that it cannot be rolled back."""

    code = "NO_EARLIER_VERSION"

    def __init__(self, price_list: str) -> None:
        super().__init__(
            f"{price_list!r} had no version before the release. Publish a corrected batch, or pin another version."
        )


def objection(error: R, price_list: str) -> R:
    """Return an error with the path of an objection to the change of a list."""
    error.path = ("input", "release", price_list)
    return error
