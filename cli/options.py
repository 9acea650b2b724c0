"""The options that commands share: which API, in whose name, and the way around it."""

import click

from cli.client.sync_client import DEFAULT_ENDPOINT

endpoint_option = click.option(
    "--endpoint",
    default=DEFAULT_ENDPOINT,
    envvar="PRICEBOOK_ENDPOINT",
    metavar="URL",
    show_default=True,
    show_envvar=True,
    help="The GraphQL endpoint.",
)
token_option = click.option(
    "--token",
    envvar="PRICEBOOK_TOKEN",
    metavar="TEXT",
    show_envvar=True,
    help="Sent as bearer token. Others on this machine can see it on a command line: better set the variable.",
)
direct_option = click.option(
    "--direct",
    is_flag=True,
    help="Go straight to MongoDB, at PRICEBOOK_MONGODB_URI, not to a server: for the day that none answers.",
)
