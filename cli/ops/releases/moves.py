"""`pricebook release publish`, `schedule`, `rollback`, `discard`: what they change is shown first."""

import datetime
from collections.abc import Iterator

import click

from cli.client import Json
from cli.client.releases import UNFINISHED
from cli.instants import Instant
from cli.ops.batches import rebased_summary
from cli.ops.confirmation import EXIT_CODES, confirm, reason_option, yes_option
from cli.ops.connection import Connection, command, refused
from cli.ops.diff import summary_line, summary_of
from cli.ops.releases.expected_version import ExpectedVersion
from cli.ops.releases.view import ALL_FIELDS, find_release, lists, review_fields, show_release, title
from cli.options import release_argument
from cli.output import Output, time, version_text

_PAYLOAD = f"{{ release {{ ...AllFields }} userErrors {{ code message path }} }} }}\n{ALL_FIELDS}"
PUBLISH = f"mutation PublishRelease($input: PublishReleaseInput!) {{ publishRelease(input: $input) {_PAYLOAD}"
SCHEDULE = f"mutation ScheduleRelease($input: ScheduleReleaseInput!) {{ scheduleRelease(input: $input) {_PAYLOAD}"
ROLLBACK = f"mutation RollbackRelease($input: ReviewReleaseInput!) {{ rollbackRelease(input: $input) {_PAYLOAD}"
DISCARD = f"mutation DiscardRelease($input: ReviewReleaseInput!) {{ discardRelease(input: $input) {_PAYLOAD}"


@command("publish", EXIT_CODES)
@release_argument
@click.option("--reason", metavar="TEXT", help="The reason, recorded in the events.")
@click.option(
    "--expect",
    "expected",
    type=ExpectedVersion(),
    multiple=True,
    metavar="LIST=VERSION",
    help="Publish only if VERSION is still the current one of LIST; 0 if there is none. May be repeated.",
)
@yes_option
def publish(
    connection: Connection,
    output: Output,
    name_or_id: str,
    reason: str | None,
    expected: tuple[tuple[str, int], ...],
    yes: bool,
) -> None:
    """Publish all lists of a release in one move, or none.

    The command shows the batch of each list and its changes to the current version and asks for confirmation; with
    --yes, it shows only the batches. If anything stands against one list, no list is changed, and everything that
    stands against any of them is printed.

    If a list has another current version or another batch by then than was confirmed, the release is refused with
    CONFLICT. With --yes, only the versions of --expect are compared, and for other lists the `expectedVersion` of their
    batches.
    """
    found = find_release(connection, name_or_id)
    if found["state"] == "PUBLISHED":
        show_release(output, found, f"Release {title(found)} was published before: nothing was changed.")
        return
    _require_unpublished(found, "publishRelease")
    confirm(
        f"Publish release {title(found)}, {lists(found)} in one move?",
        review_fields(found),
        lambda: _changes(connection, found),
        yes=yes,
        preview_command=f"pricebook release show {found['id']}",
    )
    versions = {} if yes else _confirmed_versions(connection, found)
    versions |= dict(expected)
    fields = {"reason": reason} if reason else {}
    published = connection.repeat(
        PUBLISH,
        release=found["id"],
        expected=[{"priceList": name, "version": version} for name, version in versions.items()],
        **fields,
    )["release"]
    show_release(output, published, f"Published release {title(published)}: {lists(published)}.")


@command("schedule", EXIT_CODES)
@release_argument
@click.option(
    "--at",
    type=Instant(spans=True),
    metavar="INSTANT",
    help="When to publish it: an instant with an offset, such as 2026-11-28T00:00:00+01:00, or a span from now, such "
    "as 12h.",
)
@click.option("--unschedule", is_flag=True, help="Take its schedule away: it waits until it is published.")
@reason_option
@yes_option
def schedule(
    connection: Connection,
    output: Output,
    name_or_id: str,
    at: datetime.datetime | None,
    unschedule: bool,
    reason: str,
    yes: bool,
) -> None:
    """Publish a release at an instant, or take its schedule away.

    The command shows the batch of each list and its changes and asks for confirmation; with --yes, it shows only the
    batches. When the release is due, everything is checked again. If anything stands against one list, none is
    changed, and the release is open again.
    """
    if (at is None) is not unschedule:
        raise click.UsageError("Give either --at INSTANT or --unschedule.")
    found = find_release(connection, name_or_id)
    _require_unpublished(found, "scheduleRelease")
    instant = at.isoformat() if at else None
    confirm(
        f"Publish release {title(found)} at {time(instant)}?" if at else f"Take the schedule of {title(found)} away?",
        review_fields(found),
        lambda: _changes(connection, found) if at else (),
        yes=yes,
        preview_command=f"pricebook release show {found['id']}",
    )
    scheduled = connection.mutate(SCHEDULE, release=found["id"], publishAt=instant, reason=reason)["release"]
    state = f"is scheduled for {time(scheduled['publishAt'])}" if at else "is not scheduled"
    show_release(output, scheduled, f"Release {title(scheduled)} {state}.")


@command("rollback", EXIT_CODES)
@release_argument
@reason_option
@yes_option
def rollback(connection: Connection, output: Output, name_or_id: str, reason: str, yes: bool) -> None:
    """Roll all lists of a published release back, and pin them.

    Each list returns to the version that was current before the release, all in one move; nothing is copied. The
    command shows the versions and the changes of each list and asks for confirmation; with --yes, it shows only the
    versions. If a list has moved since the release, no list is changed, and all that have moved are printed.

    The versions are pinned, so that the next batch cannot undo the rollback: batches wait until `pricebook unpin`.
    """
    found = find_release(connection, name_or_id, unfinished=False)
    if found["state"] == "ROLLED_BACK":
        show_release(output, found, f"Release {title(found)} was rolled back before: nothing was changed.")
        return
    if found["state"] != "PUBLISHED":
        raise refused("rollbackRelease", "RELEASE_NOT_PUBLISHED", f"Release {title(found)} is {found['state']}.")
    confirm(
        f"Roll release {title(found)} back, {lists(found)} in one move, and pin them?",
        [
            ("Release", f"{title(found)}, {found['state']}"),
            ("Published", time(found["publishedAt"])),
            *_returns(found),
        ],
        lambda: _returned_changes(connection, found),
        yes=yes,
        preview_command=f"pricebook release show {found['id']}",
    )
    rolled_back = connection.repeat(ROLLBACK, release=found["id"], reason=reason)["release"]
    message = f"Rolled back release {title(rolled_back)}: {lists(rolled_back)}, now pinned."
    show_release(output, rolled_back, message)


@command("discard", EXIT_CODES)
@release_argument
@reason_option
@yes_option
def discard(connection: Connection, output: Output, name_or_id: str, reason: str, yes: bool) -> None:
    """Discard a release, and reject its batches.

    The command shows the batch of each list and asks for confirmation, unless --yes is given.
    """
    found = find_release(connection, name_or_id)
    if found["state"] == "DISCARDED":
        show_release(output, found, f"Release {title(found)} was discarded before: nothing was changed.")
        return
    _require_unpublished(found, "discardRelease")
    confirm(
        f"Discard release {title(found)}, and reject the batches of {lists(found)}?",
        review_fields(found),
        yes=yes,
        preview_command=f"pricebook release show {found['id']}",
    )
    discarded = connection.repeat(DISCARD, release=found["id"], reason=reason)["release"]
    show_release(output, discarded, f"Discarded release {title(discarded)}.")


def _require_unpublished(release: Json, mutation: str) -> None:
    """Raise `ApiError` for a release that a mutation cannot change any more."""
    if release["state"] not in UNFINISHED:
        raise refused(mutation, "RELEASE_NOT_OPEN", f"Release {title(release)} is {release['state']}.")


def _confirmed_versions(connection: Connection, shown: Json) -> dict[str, int]:
    """Return the version of each list that was shown as current, or 0.

    Raises `ApiError` if the release has another batch than was shown.
    """
    by_now = find_release(connection, shown["id"])
    if _batches(by_now) != _batches(shown):
        message = f"Another batch was sent with release {title(shown)}, or one was rejected, since it was shown."
        raise refused("publishRelease", "CONFLICT", message)
    return {item["priceList"]["name"]: item["priceList"]["currentVersion"] or 0 for item in shown["items"]}


def _batches(release: Json) -> list[str]:
    return [item["batch"]["id"] for item in release["items"]]


def _changes(connection: Connection, release: Json) -> Iterator[tuple[str, object]]:
    """Yield the number of changes of each list to the current version."""
    for item in release["items"]:
        if summary := rebased_summary(connection, item["batch"]["id"]):
            yield "Changes", f"{item['priceList']['name']}: {summary_line(summary)}"


def _returns(release: Json) -> Iterator[tuple[str, object]]:
    """Yield the move that the rollback of a release makes, by list."""
    for item in release["items"]:
        versions = f"{version_text(item['toVersion'])} -> {version_text(item['fromVersion'])}"
        yield "List", f"{item['priceList']['name']}: {versions}, then pinned"


def _returned_changes(connection: Connection, release: Json) -> Iterator[tuple[str, object]]:
    """Yield the number of changes that the rollback of a release makes, by list."""
    for item in release["items"]:
        name, before, after = item["priceList"]["name"], item["toVersion"], item["fromVersion"]
        if before is not None and after is not None:
            yield "Changes", f"{name}: {summary_line(summary_of(connection, name, before, after))}"
