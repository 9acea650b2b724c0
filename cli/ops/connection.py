"""The frame of operator commands: a blocking connection to the API, shared options, exit codes."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from cli import exit_codes
from cli.client import Json
from cli.client.errors import ApiError, payload_of, refusal
from cli.client.releases import find_release_id
from cli.options import direct_option, endpoint_option, token_option
from cli.output import Output

if TYPE_CHECKING:  # imported when a command connects: --help does not wait for it
    from cli.client.client import ApiClient

PAGE_SIZE = 200
"""Number of records in one request."""

_ADVICE = {
    "PRICE_LIST_EXISTS": "`pricebook show LIST` shows it.",
    "PRICE_LIST_IN_USE": "`pricebook batches LIST` shows its batches; --force deletes it anyway.",
    "CONFLICT": "Nothing was changed. Run the command again to see what it would change now.",
    "PRICE_LIST_NOT_FOUND": "`pricebook lists` shows all price lists.",
    "SNAPSHOT_NOT_FOUND": "`pricebook snapshots LIST` shows all versions.",
    "SNAPSHOT_EXPIRED": "`pricebook snapshots LIST` shows the versions that are kept.",
    "SNAPSHOT_NEVER_PUBLISHED": "`pricebook batches LIST --state held` shows the batches that wait.",
    "ALREADY_CURRENT": "`pricebook pin` pins the current version.",
    "NOT_KEPT": "`pricebook retain LIST --dry-run` shows the versions that are kept until an instant.",
    "NOT_PINNED": "`pricebook show LIST` shows the state of the list.",
    "PINNED": "`pricebook unpin LIST` unpins it; --publish-latest publishes the newest batch that only the pin holds.",
    "BATCH_NOT_HELD": "`pricebook batch ID` shows the state of the batch.",
    "PREVIEW_NOT_FOUND": "`pricebook events LIST` shows which tokens were granted and revoked.",
    "TOO_MANY_PREVIEWS": "`pricebook preview ID --revoke` revokes all tokens of the batch.",
    "BATCH_NOT_FOUND": "`pricebook batches` shows the newest batches.",
    "BATCH_NOT_SEALED": "`pricebook batch ID --watch` waits until the batch is sealed.",
    "BATCH_IN_RELEASE": "`pricebook release schedule ID --at INSTANT` schedules the release.",
    "GATE_HELD": "`pricebook approve ID` approves the batch, to be published with its release.",
    "RELEASE_NOT_FOUND": "`pricebook releases` shows the newest releases.",
    "RELEASE_NOT_OPEN": "`pricebook release show ID` shows the state of the release.",
    "RELEASE_NOT_PUBLISHED": "`pricebook release discard ID` ends a release that is not published yet.",
    "NO_EARLIER_VERSION": "`pricebook rollback LIST VERSION` rolls back each of the other lists by itself.",
    "RELEASE_EMPTY": "`pricebook import` with --release ID sends a batch with it.",
    "TOO_MANY_OPEN_RELEASES": "`pricebook releases --state open` shows them; `pricebook release discard ID` ends one.",
}
"""The next step on the command line, by error code."""


class Connection:
    """A blocking client of the API."""

    def __init__(self, client: "ApiClient", runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def query(self, document: str, **variables: object) -> Json:
        """Return the `data` of a query; retries. Raises `ApiError`."""
        return self._runner.run(self._client.execute(document, variables))

    def mutate(self, document: str, **fields: object) -> Json:
        """Send a mutation once, with the fields of its `input`; return its payload. Raises `ApiError`."""
        data = self._runner.run(self._client.execute_once(document, {"input": fields}))
        return payload_of(data, _ADVICE)

    def repeat(self, document: str, **fields: object) -> Json:
        """Send a mutation that is safe to repeat, with retries; the rest is as in `mutate`."""
        return payload_of(self.query(document, input=fields), _ADVICE)

    def find_release_id(self, name_or_id: str, *, unfinished: bool = True) -> str:
        """Return the id of a release, as `cli.client.releases` finds it. Raises `ApiError`."""
        return self._runner.run(find_release_id(self._client, name_or_id, unfinished=unfinished))

    def pages(self, select: Callable[[Json], Json], document: str, limit: int, **variables: object) -> Iterator[Json]:
        """Yield up to `limit` records, or all if it is 0, of the GraphQL connection that `select` finds in `data`."""
        after: str | None = None
        left = limit
        while True:
            first = min(PAGE_SIZE, left) if limit else PAGE_SIZE
            page = select(self.query(document, first=first, after=after, **variables))
            yield from page["nodes"]
            left -= len(page["nodes"])
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            if limit and left <= 0:
                click.echo(f"Only the first {limit:,} are shown: --limit 0 shows all.", err=True)
                return

    def sleep(self, seconds: float) -> None:
        """Wait, and let the event loop run."""
        self._runner.run(asyncio.sleep(seconds))


def command(
    name: str, exits: dict[int, str] | None = None, *, prints_lines: bool = False
) -> Callable[[Callable[..., None]], click.Command]:
    """Turn a function into a command. It is called with a `Connection`, an `Output` and its own parameters."""

    def decorate(run: Callable[..., None]) -> click.Command:
        @functools.wraps(run)
        def framed(endpoint: str, token: str | None, direct: bool, as_json: bool, **parameters: object) -> None:
            with _connect(endpoint, token, direct=direct) as connection:
                run(connection, Output(as_json=as_json), **parameters)

        json_help = "Print JSON; with --follow, one line per event." if prints_lines else "Print JSON."
        json_option = click.option("--json", "as_json", is_flag=True, help=json_help)
        own = framed.__dict__.pop("__click_params__", [])
        for option in (direct_option, token_option, endpoint_option, json_option):
            option(framed)
        # click reverses the order: the help shows the command's own options first.
        framed.__dict__["__click_params__"] += own
        return click.command(name, epilog=exit_codes.epilog(exits))(framed)

    return decorate


def limit_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option that limits the number of records."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="Maximum number of records; 0 for all.",
    )


def refused(mutation: str, code: str, message: str) -> ApiError:
    """Return the error of a mutation that need not be sent, with the advice on its code."""
    return refusal(mutation, [{"code": code, "message": message}], _ADVICE)


def require(record: Json | None, name: str, advice: str) -> Json:
    """Return the record. Raises `ApiError` if it is None."""
    if record is None:
        raise ApiError(f"There is no {name}. {advice}")
    return record


def require_list(data: Json, name: str) -> Json:
    """Return the price list of a response. Raises `ApiError` if it does not exist."""
    return require(data["priceList"], f"price list {name!r}", _ADVICE["PRICE_LIST_NOT_FOUND"])


@contextmanager
def _connect(endpoint: str, token: str | None, *, direct: bool) -> Iterator[Connection]:
    from cli.client.client import open_client  # noqa: PLC0415 - see above

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            client = runner.run(stack.enter_async_context(open_client(endpoint, token, direct=direct)))
            yield Connection(client, runner)
        finally:
            runner.run(stack.aclose())
