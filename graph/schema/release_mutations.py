"""Mutations of releases."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, cast

import strawberry

from graph.context import Context, Info
from graph.identity.requires import INTERNALS, OPERATING, requires_anywhere
from graph.schema.errors import return_user_errors, user_error
from graph.types.payloads import ReleasePayload
from graph.types.release_inputs import (
    CreateReleaseInput,
    ExpectedVersionInput,
    PublishReleaseInput,
    ReviewReleaseInput,
    ScheduleReleaseInput,
)
from graph.types.releases import Release
from storage import InvalidArgument, ReleaseNotFound, ReleaseRefused
from storage import Release as StoredRelease


@strawberry.type
class ReleaseMutations:
    """Mutations of releases."""

    @strawberry.mutation(
        description="Creates an empty release. Send batches into it with `publishBatch` or `openBatch`, and its ID as "
        "`release`."
    )
    @staticmethod
    @return_user_errors(ReleasePayload)
    @requires_anywhere(INTERNALS)
    async def create_release(
        info: Info,
        input: Annotated[CreateReleaseInput, strawberry.argument(description="The release to create.")],  # noqa: A002
    ) -> ReleasePayload:
        """Create a release."""
        created = await info.context.store.release_editor.create(
            input.name, input.idempotency_key, by=info.context.caller.name, publish_at=input.publish_at
        )
        return ReleasePayload(release=cast("Release", created))

    @strawberry.mutation(
        description="Publishes the batches of all price lists of a release at the same moment, or none. Fails with one "
        "error for each obstacle, such as a pin, or a gate that holds a batch. A release that is published already is "
        "returned unchanged."
    )
    @staticmethod
    @return_user_errors(ReleasePayload)
    @requires_anywhere(OPERATING)
    async def publish_release(
        info: Info,
        input: Annotated[PublishReleaseInput, strawberry.argument(description="The release to publish.")],  # noqa: A002
    ) -> ReleasePayload:
        """Publish a release."""
        publish = info.context.store.release_publisher.publish
        expected = _expected_versions(input.expected or ())
        return await _change(info.context, input.release, partial(publish, reason=input.reason, expected=expected))

    @strawberry.mutation(
        description="Gives a release an instant at which it is published, or another one. With null it loses its "
        "schedule, and is `OPEN` again. If anything stands against the release when it is due, it becomes `OPEN`, and "
        "the events of its price lists give the reasons."
    )
    @staticmethod
    @return_user_errors(ReleasePayload)
    @requires_anywhere(OPERATING)
    async def schedule_release(
        info: Info,
        input: Annotated[ScheduleReleaseInput, strawberry.argument(description="The release and the instant.")],  # noqa: A002
    ) -> ReleasePayload:
        """Schedule a release."""
        if input.publish_at is strawberry.UNSET:
            raise InvalidArgument(
                "`publishAt` is missing. Give an instant, or null to take the schedule away.",
                path=("input", "publishAt"),
            )
        schedule = info.context.store.release_scheduling.schedule
        return await _change(
            info.context, input.release, partial(schedule, publish_at=input.publish_at, reason=input.reason)
        )

    @strawberry.mutation(
        description="Makes the versions current again that were current before a published release, and pins them: in "
        "all of its price lists at the same moment, or in none. Fails with one error for each obstacle, such as a list "
        "that has changed since. A release that was rolled back is returned unchanged."
    )
    @staticmethod
    @return_user_errors(ReleasePayload)
    @requires_anywhere(OPERATING)
    async def rollback_release(
        info: Info,
        input: Annotated[ReviewReleaseInput, strawberry.argument(description="The release and the reason.")],  # noqa: A002
    ) -> ReleasePayload:
        """Roll back a release."""
        roll_back = info.context.store.release_rollback.rollback
        return await _change(info.context, input.release, partial(roll_back, reason=input.reason))

    @strawberry.mutation(
        description="Discards a release that is `OPEN` or `SCHEDULED`, and rejects its batches; also those that are "
        "still being sent, once they are complete. A discarded release is returned unchanged."
    )
    @staticmethod
    @return_user_errors(ReleasePayload)
    @requires_anywhere(OPERATING)
    async def discard_release(
        info: Info,
        input: Annotated[ReviewReleaseInput, strawberry.argument(description="The release and the reason.")],  # noqa: A002
    ) -> ReleasePayload:
        """Discard a release."""
        discard = info.context.store.release_editor.discard
        return await _change(info.context, input.release, partial(discard, reason=input.reason))


async def _change(context: Context, release_id: str, change: Callable[..., Awaitable[StoredRelease]]) -> ReleasePayload:
    """Change a release that the caller sees. Afterwards the request and this process read what has changed.

    `change` gets the id, the name of the caller, and the lists that the caller operates. Raises `ReleaseNotFound`.
    """
    caller, loaders = context.caller, context.loaders
    if await loaders.releases.load(release_id) is None:
        raise ReleaseNotFound(release_id)
    try:
        release = await change(release_id, by=caller.name, operates=caller.lists(OPERATING))
    except ReleaseRefused as refused:
        unchanged = await context.store.releases.get(release_id)
        return ReleasePayload(
            release=cast("Release", unchanged), user_errors=[user_error(each) for each in refused.objections]
        )
    loaders.releases.clear_all()
    loaders.batches.clear_all()
    await context.switch_to(await context.store.price_lists.revisions([item.price_list for item in release.items]))
    return ReleasePayload(release=cast("Release", release))


def _expected_versions(expected: Sequence[ExpectedVersionInput]) -> dict[str, int]:
    """Return the expected version of each list; 0 for none. Raises `InvalidArgument` if a list is named twice."""
    versions = {str(each.price_list): each.version or 0 for each in expected}
    if len(versions) < len(expected):
        raise InvalidArgument(
            "`expected` names a price list twice. Name each price list once.", path=("input", "expected")
        )
    return versions
