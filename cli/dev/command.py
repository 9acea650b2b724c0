"""`pricebook dev`: everything on this machine in one command, with real prices to query."""

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from cli.client.sync_client import open_api
from cli.dev.demo import ECB, publish_demo
from cli.dev.instances import Copy, print_copies
from cli.dev.seed import Seed, publish_seed
from cli.dev.server_process import ServerProcess
from cli.startup import BadSettings, database, interrupt_on_stop_signals, listen, read_settings
from graph.identity.scopes import Scope
from graph.settings import Settings

LOOPBACK = "127.0.0.1"

DEMO_QUERY = f"""\
{{
  snapshot(priceList: "{ECB}") {{
    version
    label
    pricesBySku(skus: ["USD", "GBP", "JPY"]) {{ sku amount validFrom }}
  }}
}}"""

EMPTY_QUERY = """\
{
  priceLists { nodes { name currentVersion } }
}"""


_OTHER_PORT = "Choose another port with --port (0 for any free one) or PRICEBOOK_PORT."


def _name(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", given):
        raise click.BadParameter("a name has 1 to 30 of a-z, 0-9 and -")
    return given


@click.command()
@click.option("--members", type=click.IntRange(1, 7), help="Members of the embedded replica set (default 3).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port on loopback; 0 for any free one (default 8000).")
@click.option("--no-demo", is_flag=True, help="Start without publishing the demo's prices.")
@click.option("--name", callback=_name, metavar="NAME", help="Run a copy of that name, beside others.")
@click.option(
    "--from", "seeds", type=Seed(), multiple=True, help="Publish what `pricebook export` wrote, in place of the demo."
)
@click.option("--list", "is_list", is_flag=True, help="Show the copies that there are, and start nothing.")
@click.option("--stop", callback=_name, metavar="NAME", help="Stop a copy that runs, and start nothing.")
@click.option("--remove", callback=_name, metavar="NAME", help="Delete a copy that does not run, and start nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --list: as JSON.")
def dev(
    members: int | None,
    port: int | None,
    no_demo: bool,
    name: str | None,
    seeds: tuple[tuple[str, Path], ...],
    is_list: bool,
    stop: str | None,
    remove: str | None,
    as_json: bool,
) -> None:
    """Start MongoDB, the server and the demo on this machine.

    Starts an embedded MongoDB replica set (or uses the one that PRICEBOOK_MONGODB_URI names), serves on the
    loopback interface whatever PRICEBOOK_HOST says, publishes the prices of `pricebook demo`, and says how to
    query them. Data and logs stay in PRICEBOOK_DATA_DIR, so the next start is quick.

    It is open: who reaches it needs no credentials, to change prices neither. Only this machine reaches it.

    With --name it is a copy beside others: with data, MongoDB, log and port of its own. The port, and the number of
    members, are those of last time unless others are given.

    Ctrl-C stops everything it started.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 something did not start, failed or ended by itself,
    2 bad settings or the port is taken.
    """
    settings = read_settings()
    if is_list:
        print_copies(settings.data_dir, as_json=as_json)
        return
    for told, act in ((stop, Copy.stop), (remove, Copy.remove)):
        if told:
            act(Copy.found(settings.data_dir, told))
            return
    copy = Copy.of(settings.data_dir, name) if name else None
    settings = _settings(settings, copy, members, port)
    interrupt_on_stop_signals()
    try:
        _run(settings, copy, port, seeds, with_demo=not (no_demo or seeds))
    except KeyboardInterrupt:
        click.echo("\nStopped. The data is kept; the next start takes it up again.")


def _settings(settings: Settings, copy: Copy | None, members: int | None, port: int | None) -> Settings:
    for option, given in (("--members", members), ("--name", copy)):
        if given is not None and settings.mongodb_uri is not None:
            raise BadSettings(f"{option} is for the embedded replica set, but PRICEBOOK_MONGODB_URI names another.")
    return replace(
        settings,
        host=LOOPBACK,
        anonymous=Scope.ADMIN,
        ide=True,
        log_format="human",
        members=members or (copy.members if copy else None) or settings.members,
        port=settings.port if port is None else port,
        data_dir=copy.folder if copy else settings.data_dir,
    )


def _run(
    settings: Settings, copy: Copy | None, port: int | None, seeds: Sequence[tuple[str, Path]], *, with_demo: bool
) -> None:
    listener = copy.listen(LOOPBACK, port) if copy else listen(LOOPBACK, settings.port, _OTHER_PORT)
    with listener, database(settings) as connected:
        if copy:
            copy.remember(listener.getsockname()[1], settings.members)
        log = _log_in(connected.data_dir)
        click.echo(f"Starting the server; its log is {log}")
        with ServerProcess(connected, listener, log) as server:
            listener.close()  # the server's from here on: when it ends, nobody is kept waiting
            server.wait_until_ready()
            endpoint = f"{server.url}/graphql"
            if with_demo:
                with open_api(endpoint) as api:
                    publish_demo(api)
            for price_list, file in seeds:
                publish_seed(endpoint, price_list, file)
            click.echo(_closing_message(endpoint, DEMO_QUERY if with_demo else EMPTY_QUERY))
            server.wait()


def _log_in(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(f"{data_dir} cannot be used: {error.strerror}. Set PRICEBOOK_DATA_DIR to another.") from error
    return data_dir / "server.log"


def _closing_message(endpoint: str, query: str) -> str:
    body = json.dumps({"query": " ".join(query.split())})
    return f"""
{click.style("Pricebook is ready.", bold=True)}

  GraphQL endpoint   {endpoint}
  In the browser     {endpoint}
  Open to everyone   on this machine, to change prices too; nobody else can reach it

A first query, for the browser:

{textwrap.indent(query, "  ")}

or for the shell:

  curl -s {endpoint} -H 'content-type: application/json' -d '{body}'

Press Ctrl-C to stop."""
