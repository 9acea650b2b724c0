"""The options that commands share: endpoint, token, direct access to MongoDB."""

import click

endpoint_option = click.option(
    "--endpoint",
    default="http://127.0.0.1:8000/graphql",
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
    help="A JSON Web Token or an API key. Other users of this machine can see it on the command line: prefer the "
    "variable.",
)
direct_option = click.option(
    "--direct",
    is_flag=True,
    help="Connect to MongoDB, at PRICEBOOK_MONGODB_URI, instead of a server. Use it when no server responds.",
)
