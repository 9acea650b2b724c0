"""`pricebook dev`: MongoDB, server and real prices on this machine, started by one command."""

import json
import re
import textwrap
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click

from cli.dev.demo import ECB, run_demo
from cli.dev.instances import Instance, print_instances
from cli.dev.processes import ConsoleProcess, ServerProcess
from cli.dev.seed import Seed, publish_seed
from cli.startup import BadSettings, database, interrupt_on_stop_signals, listen, read_settings
from graph.identity.scopes import Scope
from graph.settings import Settings

LOOPBACK = "127.0.0.1"

CONSOLE_PORT = 8090
"""Port of the console, or any free one if it is in use."""

LOCAL_ORIGINS = " ".join(
    f"http://{host}:{port}" for host in ("localhost", LOOPBACK) for port in (3000, 3001, 4173, 4200, 5173, 5174, 8080)
)
"""Origins of the development servers of Next, Vite (and its preview), Angular and webpack."""

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


_PORT_REMEDY = "Choose another port with --port (0 for any free one) or PRICEBOOK_PORT."


def _name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,29}", value):
        raise click.BadParameter("a name has 1 to 30 characters, a-z, 0-9 and -, and does not begin with -")
    return value


@click.command()
@click.option("--members", type=click.IntRange(1, 7), help="Members of the embedded replica set (default 3).")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port on the loopback interface; 0 for any free port (default 8000)."
)
@click.option("--no-demo", is_flag=True, help="Do not publish the prices of the demo.")
@click.option(
    "--name",
    callback=_name,
    metavar="NAME",
    help="Run a named instance, in parallel with others.",
)
@click.option(
    "--from",
    "seeds",
    type=Seed(),
    multiple=True,
    help="Publish a file that `pricebook export` wrote, instead of the demo.",
)
@click.option("--list", "is_list", is_flag=True, help="Show all instances, and start nothing.")
@click.option("--stop", callback=_name, metavar="NAME", help="Stop a running instance, and start nothing.")
@click.option("--remove", callback=_name, metavar="NAME", help="Delete a stopped instance, and start nothing.")
@click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")
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

    Starts an embedded MongoDB replica set (or uses the MongoDB at PRICEBOOK_MONGODB_URI), serves on the loopback
    interface regardless of PRICEBOOK_HOST, publishes the prices of `pricebook demo`, and prints a query for them. Data
    and logs are kept in PRICEBOOK_DATA_DIR, so the next start is quick.

    Requests need no credentials, not even to change prices. Only this machine can reach the server.

    --name runs a named instance, with its own data, MongoDB, log and port. Its last port and number of members are the
    defaults of its next start.

    Ctrl-C stops everything that the command started.

    Exit codes: 0 stopped by Ctrl-C or SIGTERM, 1 a process did not start, failed or ended unexpectedly, 2 a setting is
    invalid or the port is in use.
    """
    settings = read_settings()
    if is_list:
        print_instances(settings.data_dir, as_json=as_json)
        return
    if stop:
        Instance.existing(settings.data_dir, stop).stop()
        return
    if remove:
        Instance.existing(settings.data_dir, remove).remove()
        return
    instance = Instance.of(settings.data_dir, name) if name else None
    settings = _settings(settings, instance, members, port)
    interrupt_on_stop_signals()
    try:
        _run(settings, instance, port, seeds, with_demo=not (no_demo or seeds))
    except KeyboardInterrupt:
        click.echo("\nStopped. The data is kept for the next start.")


def _settings(settings: Settings, instance: Instance | None, members: int | None, port: int | None) -> Settings:
    for option, value in (("--members", members), ("--name", instance)):
        if value is not None and settings.mongodb_uri is not None:
            raise BadSettings(f"{option} requires the embedded replica set, but PRICEBOOK_MONGODB_URI is set.")
    return replace(
        settings,
        host=LOOPBACK,
        anonymous=Scope.ADMIN,
        ide=True,
        cors_origins=settings.cors_origins or LOCAL_ORIGINS,
        log_format="human",
        members=members or (instance.members if instance else None) or settings.members,
        port=settings.port if port is None else port,
        data_dir=instance.folder if instance else settings.data_dir,
    )


def _run(
    settings: Settings,
    instance: Instance | None,
    port: int | None,
    seeds: Sequence[tuple[str, Path]],
    *,
    with_demo: bool,
) -> None:
    listener = instance.listen(LOOPBACK, port) if instance else listen(LOOPBACK, settings.port, _PORT_REMEDY)
    with listener, database(settings) as connected, ExitStack() as stack:
        if instance:
            instance.save(listener.getsockname()[1], settings.members)
        log = _log_in(connected.data_dir)
        click.echo(f"Starting the server; its log is {log}")
        server = stack.enter_context(ServerProcess(connected, listener, log))
        listener.close()  # only the server holds it now, so its end closes waiting connections
        server.wait_until_ready()
        endpoint = f"{server.url}/graphql"
        console = _start_console(endpoint, log.with_name("console.log"), stack)
        if with_demo:
            run_demo(endpoint)
        for price_list, file in seeds:
            publish_seed(endpoint, price_list, file)
        embedded_uri = connected.mongodb_uri if settings.mongodb_uri is None else None
        click.echo(_closing_message(endpoint, console, DEMO_QUERY if with_demo else EMPTY_QUERY, embedded_uri))
        server.wait()


def _start_console(endpoint: str, log: Path, stack: ExitStack) -> str:
    """Start the console, and return its address, or how to install it."""
    if find_spec("nicegui") is None:
        return "not installed: pip install 'pricebook[console]'"
    try:
        listener = listen(LOOPBACK, CONSOLE_PORT, "")
    except BadSettings:  # that of another instance
        listener = listen(LOOPBACK, 0, "")
    with listener:
        return stack.enter_context(ConsoleProcess(endpoint, listener, log)).url


def _log_in(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadSettings(
            f"{data_dir} cannot be used: {error.strerror}. Set PRICEBOOK_DATA_DIR to another folder."
        ) from error
    return data_dir / "server.log"


def _closing_message(endpoint: str, console: str, query: str, embedded_uri: str | None) -> str:
    body = json.dumps({"query": " ".join(query.split())})
    direct = f"""
For check, layer, keys and --direct, which use MongoDB themselves, in another terminal:

  export PRICEBOOK_MONGODB_URI='{embedded_uri}'
"""
    return f"""
{click.style("Pricebook is ready.", bold=True)}

  GraphQL endpoint   {endpoint}
  In the browser     {endpoint}
  Console            {console}
  Credentials        none needed, not even to change prices; only this machine can connect
  Web pages          those of Next, Vite, Angular and webpack servers here may send requests;
                     PRICEBOOK_CORS_ORIGINS allows others in their place

A first query for the browser:

{textwrap.indent(query, "  ")}

Or for the shell:

  curl -s {endpoint} -H 'content-type: application/json' -d '{body}'
{direct if embedded_uri else ""}
Press Ctrl-C to stop."""
