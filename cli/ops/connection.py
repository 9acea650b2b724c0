"""The frame of the commands of ops: a connection to send documents through, the shared options, the exit codes."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import click

from cli import exit_codes
from cli.client.client import Json, RetryingApi, open_client
from cli.client.sync_client import ApiError
from cli.direct import ENDPOINT, open_direct
from cli.options import direct_option, endpoint_option, token_option
from cli.output import Output
from cli.startup import read_settings

PAGE = 200
"""Records that are asked for at once."""

_ADVICE = {
    "CONFLICT": "Nothing was changed. Run the command again to see what it would change now.",
    "PRICE_LIST_NOT_FOUND": "`pricebook lists` names those that there are.",
    "SNAPSHOT_NOT_FOUND": "`pricebook snapshots LIST` names those that there are.",
    "SNAPSHOT_EXPIRED": "`pricebook snapshots LIST` names those that are kept.",
    "SNAPSHOT_NEVER_PUBLISHED": "`pricebook batches LIST --state held` names those that wait.",
    "ALREADY_CURRENT": "`pricebook pin` holds the version that is current.",
    "NOT_PINNED": "`pricebook show LIST` tells how the list stands.",
    "BATCH_NOT_HELD": "`pricebook batch ID` tells what became of it.",
    "BATCH_NOT_FOUND": "`pricebook batches` names the newest.",
}
"""What to do on the command line next, by the code of a refusal."""


class Connection:
    """The API, asked from a command that does one thing at a time: over HTTP or in this process alike."""

    def __init__(self, api: RetryingApi, runner: asyncio.Runner) -> None:
        self._api = api
        self._runner = runner

    def query(self, document: str, **variables: object) -> Json:
        """Return the `data` of a query's answer; what is broken off is asked again. Raises `ApiError`."""
        return self._runner.run(self._api.execute(document, variables))

    def mutate(self, document: str, **sent: object) -> Json:
        """Send a mutation, once, with its `input`; return its payload. Raises `ApiError`, also for `userErrors`."""
        data = self._runner.run(self._api.once(document, {"input": sent}))
        payload: Any
        ((mutation, payload),) = data.items()
        if payload["userErrors"]:
            raise ApiError("\n".join([f"{mutation} was refused:", *map(_refusal, payload["userErrors"])]))
        found: Json = payload
        return found

    def pages(self, ask: Callable[[Json], Json], document: str, limit: int, **variables: object) -> Iterator[Json]:
        """Yield the records of a connection, which `ask` finds in the `data`: at most `limit`, all of them for 0."""
        after: str | None = None
        left = limit
        while True:
            page = ask(self.query(document, first=min(PAGE, left) if limit else PAGE, after=after, **variables))
            yield from page["nodes"]
            left -= len(page["nodes"])
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            if limit and left <= 0:
                click.echo(f"There are more than these {limit:,}: --limit 0 shows all.", err=True)
                return

    def wait(self, seconds: float) -> None:
        """Let some time pass."""
        self._runner.run(asyncio.sleep(seconds))


def command(
    name: str, exits: dict[int, str] | None = None, *, as_lines: bool = False
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a command: it is called with a `Connection`, an `Output` and its own parameters."""

    def decorate(run: Callable[..., None]) -> click.Command:
        @functools.wraps(run)
        def framed(endpoint: str, token: str | None, direct: bool, as_json: bool, **parameters: object) -> None:
            try:
                with _connected(endpoint, token, direct=direct) as connection:
                    run(connection, Output(as_json=as_json), **parameters)
            except (KeyboardInterrupt, click.Abort):
                click.echo("\nInterrupted.", err=True)
                raise SystemExit(exit_codes.INTERRUPTED) from None

        what = "Print JSON; with --follow, one line an event." if as_lines else "Print JSON, for programs."
        json_option = click.option("--json", "as_json", is_flag=True, help=what)
        own = framed.__dict__.pop("__click_params__", [])
        for option in (direct_option, token_option, endpoint_option, json_option):
            option(framed)
        # click turns the order round: the help shows the command's own first.
        framed.__dict__["__click_params__"] += own
        return click.command(name, epilog=exit_codes.manual(exits))(framed)

    return decorate


def limit_option(default: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option of a command that lists what may be much."""
    return click.option(
        "--limit",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="How many at most; 0 for all.",
    )


def found(thing: Json | None, what: str, advice: str) -> Json:
    """Return what was asked for. Raises `ApiError` where there is no such thing."""
    if thing is None:
        raise ApiError(f"There is no {what}. {advice}")
    return thing


def found_list(data: Json, name: str) -> Json:
    """Return the price list of an answer. Raises `ApiError` where there is none."""
    return found(data["priceList"], f"price list {name!r}", _ADVICE["PRICE_LIST_NOT_FOUND"])


@contextmanager
def _connected(endpoint: str, token: str | None, *, direct: bool) -> Iterator[Connection]:
    opened = open_direct(read_settings()) if direct else open_client(endpoint, token, 2)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            client = runner.run(stack.enter_async_context(opened))
            api = RetryingApi(ENDPOINT if direct else endpoint, client, lambda line: click.echo(line, err=True))
            yield Connection(api, runner)
        finally:
            runner.run(stack.aclose())


def _refusal(error: Json) -> str:
    advice = f"\n  {_ADVICE[error['code']]}" if error["code"] in _ADVICE else ""
    return f"  {error['code']}: {error['message']}{advice}"
