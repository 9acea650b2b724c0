"""`pricebook dev`: everything on this machine in one command, with real prices to query."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import click

from graph.cli.api import open_api
from graph.cli.demo import ECB, publish_demo
from graph.cli.server_process import ServerProcess
from graph.cli.start import BadSettings, database, interrupt_on_stop_signals, listen, read_settings
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


@click.command()
@click.option("--members", type=click.IntRange(1, 7), help="Members of the embedded replica set (default 3).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port on loopback; 0 for any free one (default 8000).")
@click.option("--no-demo", is_flag=True, help="Start without publishing the demo's prices.")
def dev(members: int | None, port: int | None, no_demo: bool) -> None:
    """Start MongoDB, the server and the demo on this machine.

    Starts an embedded MongoDB replica set (or uses the one that PRICEBOOK_MONGODB_URI names), serves on the
    loopback interface whatever PRICEBOOK_HOST says, publishes the prices of `pricebook demo`, and says how to
    query them. Data and logs stay in PRICEBOOK_DATA_DIR, so the next start is quick.

    It is open: who reaches it needs no credentials, to change prices neither. Only this machine reaches it.

    Ctrl-C stops everything it started.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 something did not start, failed or ended by itself,
    2 bad settings or the port is taken.
    """
    settings = _settings(members, port)
    interrupt_on_stop_signals()
    try:
        _run(settings, with_demo=not no_demo)
    except KeyboardInterrupt:
        click.echo("\nStopped. The data is kept; the next start takes it up again.")


def _settings(members: int | None, port: int | None) -> Settings:
    settings = read_settings()
    if members is not None and settings.mongodb_uri is not None:
        raise BadSettings("--members is for the embedded replica set, but PRICEBOOK_MONGODB_URI names another.")
    return replace(
        settings,
        host=LOOPBACK,
        anonymous=Scope.ADMIN,
        ide=True,
        log_format="human",
        members=settings.members if members is None else members,
        port=settings.port if port is None else port,
    )


def _run(settings: Settings, *, with_demo: bool) -> None:
    listener = listen(
        settings.host,
        settings.port,
        "Choose another port with --port (0 for any free one) or PRICEBOOK_PORT.",
    )
    with listener, database(settings) as connected:
        log = _log_in(connected.data_dir)
        click.echo(f"Starting the server; its log is {log}")
        with ServerProcess(connected, listener, log) as server:
            listener.close()  # the server's from here on: when it ends, nobody is kept waiting
            server.wait_until_ready()
            endpoint = f"{server.url}/graphql"
            if with_demo:
                with open_api(endpoint) as api:
                    publish_demo(api)
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
