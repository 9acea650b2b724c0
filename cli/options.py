"""The options that commands share: endpoint, token, direct access to MongoDB; and the argument LIST."""

import click

from cli.completion import complete_list_names, complete_releases
from cli.endpoint import DEFAULT_ENDPOINT, Endpoint

list_argument = click.argument("price_list", metavar="LIST", shell_complete=complete_list_names)
optional_list_argument = click.argument(
    "price_list", metavar="[LIST]", required=False, shell_complete=complete_list_names
)
release_argument = click.argument("name_or_id", metavar="NAME", shell_complete=complete_releases)
endpoint_option = click.option(
    "--endpoint",
    type=Endpoint(),
    default=DEFAULT_ENDPOINT,
    envvar="PRICEBOOK_ENDPOINT",
    metavar="URL",
    show_default=True,
    show_envvar=True,
    help="The GraphQL endpoint. The scheme and the path may be left out.",
)
token_option = click.option(
    "--token",
    envvar="PRICEBOOK_TOKEN",
    metavar="TEXT",
    show_envvar=True,
    help="A JSON Web Token or an API key. Other users of this machine can see it on the command line: prefer the "
    "variable.",
)
direct_option = click.option(
    "--direct",
    is_flag=True,
    help="Connect to MongoDB, at PRICEBOOK_MONGODB_URI, instead of a server. Use it when no server responds.",
)
