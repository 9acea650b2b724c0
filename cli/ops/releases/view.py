"""A release as the commands read and show it."""

from collections.abc import Iterator

from cli.client import Json
from cli.holds import objections
from cli.ops.connection import Connection, require
from cli.ops.diff import summary_line
from cli.output import Output, counted, time, version_text

ALL_FIELDS = """
fragment AllFields on Release {
  id name state publishAt publishedAt createdBy createdAt
  served { by of }
  items {
    priceList { name currentVersion }
    batch {
      id state mode version baseVersion submittedBy createdAt
      progress { stored }
      summary { added removed changed unchanged }
      findings { gate severity message }
    }
    fromVersion
    toVersion
  }
}"""

RELEASE = f"""
query Release($id: ID!) {{
  release(id: $id) {{ ...AllFields }}
}}
{ALL_FIELDS}"""


def find_release(connection: Connection, name_or_id: str, *, unfinished: bool = True) -> Json:
    """Return a release by its id, or by its name if one alone has it. Raises `ApiError`."""
    release_id = connection.find_release_id(name_or_id, unfinished=unfinished)
    found = connection.query(RELEASE, id=release_id)["release"]
    return require(found, f"release {release_id!r}", "`pricebook releases` shows the newest releases.")


def title(release: Json) -> str:
    """Return the name and the id of a release."""
    return f"{release['name']} ({release['id']})"


def lists(release: Json) -> str:
    """Return the number of lists of a release."""
    return counted(len(release["items"]), "list")


def review_fields(release: Json) -> list[tuple[str, object]]:
    """Return what a reviewer needs to know of a release that is not published yet."""
    created = f"created {time(release['createdAt'])} by {release['createdBy']}"
    return [
        ("Release", f"{title(release)}, {release['state']}, {created}"),
        ("Scheduled", time(release["publishAt"])),
        *(field for item in release["items"] for field in _review_of_item(item)),
    ]


def _review_of_item(item: Json) -> Iterator[tuple[str, object]]:
    name, batch = item["priceList"]["name"], item["batch"]
    sent = f"sent {time(batch['createdAt'])} by {batch['submittedBy']}"
    prices = counted(batch["progress"]["stored"], "price")
    current = version_text(item["priceList"]["currentVersion"])
    yield "List", f"{name}: {current} -> batch {batch['id']}, {batch['mode']}, {prices}, {sent}"
    for finding in _findings(batch):
        yield "Finding", f"{name}: {finding}"


def show_release(output: Output, release: Json, message: str | None = None) -> None:
    """Print a release with its lists, after a message."""
    served, is_rolled_back = release["served"], release["state"] == "ROLLED_BACK"
    output.record(
        release,
        [
            ("release", release["id"]),
            ("name", release["name"]),
            ("state", release["state"]),
            ("scheduled", time(release["publishAt"])),
            ("published", time(release["publishedAt"])),
            ("created", f"{time(release['createdAt'])} by {release['createdBy']}"),
            ("served", served and f"by {served['by']} of {served['of']} processes"),
            *(field for item in release["items"] for field in _item(item, is_rolled_back=is_rolled_back)),
        ],
        message,
    )


def _item(item: Json, *, is_rolled_back: bool) -> Iterator[tuple[str, object]]:
    name, batch = item["priceList"]["name"], item["batch"]
    prices = counted(batch["progress"]["stored"], "price")
    back = f" -> {version_text(item['fromVersion'])}" if is_rolled_back else ""
    yield "list", f"{name}: {_versions(item)}{back}, batch {batch['id']}, {batch['state']}, {batch['mode']}, {prices}"
    if batch["summary"]:
        compared = f" Compared with {version_text(batch['baseVersion'])}." if _is_outdated(item) else ""
        yield "changes", f"{name}: {summary_line(batch['summary'])}{compared}"
    for finding in _findings(batch):
        yield "finding", f"{name}: {finding}"


def _is_outdated(item: Json) -> bool:
    """Whether the batch of a list that is not published yet was compared with another version than the current one."""
    return item["toVersion"] is None and bool(item["batch"]["baseVersion"] != item["priceList"]["currentVersion"])


def _versions(item: Json) -> str:
    """Return the move of a list by its release; before that, the current version and that of the batch."""
    if item["toVersion"] is None:
        return f"{version_text(item['priceList']['currentVersion'])} -> {version_text(item['batch']['version'])}"
    return f"{version_text(item['fromVersion'])} -> {version_text(item['toVersion'])}"


def _findings(batch: Json) -> list[str]:
    """Return the findings of a batch besides its release and its schedule, which the release itself shows."""
    return [f"{each['severity']} {each['gate']}: {each['message']}" for each in objections(batch)]
