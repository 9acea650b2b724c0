"""The command line: `pricebook` and its commands."""

import click

from cli import check, keys, layer, ops
from cli.dev import command as dev_command
from cli.dev import demo
from cli.exports import command as export_command
from cli.imports import command as import_command
from cli.serve import command as serve_command


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pricebook")
def main() -> None:
    """Serve prices that arrive in big batches.

    Each batch becomes a new version of a price list; every query reads exactly one version.

    To try it, run `pricebook dev`: it starts everything on this machine and publishes real prices.
    In production, run `pricebook serve` with PRICEBOOK_MONGODB_URI set.
    """


for command in (
    serve_command.serve,
    dev_command.dev,
    demo.demo,
    import_command.import_,
    export_command.export,
    check.check,
    layer.layer,
    keys.keys,
    *ops.COMMANDS,
):
    main.add_command(command)
