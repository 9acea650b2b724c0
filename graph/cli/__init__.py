"""The command line: `pricebook` and its commands, one file each."""

import click

from graph.cli import check, demo, dev, export, import_, keys, ops, serve


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pricebook")
def main() -> None:
    """Serve prices that arrive in big batches.

    Each batch becomes a new version of a price list; every query reads exactly one version.

    To look around, run `pricebook dev`: it starts everything on this machine and publishes real prices.
    In production, run `pricebook serve` with PRICEBOOK_MONGODB_URI set.
    """


for command in (serve.serve, dev.dev, demo.demo, import_.import_, export.export, check.check, keys.keys, *ops.COMMANDS):
    main.add_command(command)
