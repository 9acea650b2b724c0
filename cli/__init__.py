"""The command line: `pricebook` and its commands, each in a module that is imported when it runs."""

import importlib
import signal
from typing import Any, NamedTuple

import click

from cli import exit_codes


class Command(NamedTuple):
    """A command: the import path of its function, `module:name`, and its line in the help of `pricebook`."""

    import_path: str
    help: str


COMMANDS = {
    "approve": Command("cli.ops.batches:approve", "Publish a held batch."),
    "batch": Command("cli.ops.batches:batch", "Show the state of a batch."),
    "batches": Command("cli.ops.batches:batches", "Show the batches of one price list or of all, newest first."),
    "check": Command("cli.check:check", "Verify that the data in MongoDB is what was published."),
    "completion": Command("cli.ops.completion:completion", "Print the completion script of a shell."),
    "console": Command("cli.console:console", "Serve the console for operators, and open it in the browser."),
    "create": Command("cli.ops.list_settings:create", "Create a price list."),
    "delete": Command("cli.ops.deletion:delete", "Delete a price list with its versions and batches."),
    "demo": Command("cli.dev.demo:demo", "Publish real prices to a running server."),
    "dev": Command("cli.dev.command:dev", "Start MongoDB, the server and the demo on this machine."),
    "diff": Command("cli.ops.diff:diff", "Show the differences between two versions."),
    "events": Command("cli.ops.events:events", "Show the audit log of a price list, newest first."),
    "export": Command("cli.exports.command:export", "Write a version of a price list to a file."),
    "exposures": Command("cli.ops.time_travel:exposures", "Show when a version was current, newest first."),
    "gates": Command("cli.ops.list_settings:gates", "Show the gates of a price list, or change some of them."),
    "history": Command("cli.ops.lists:history", "Show the history of a price."),
    "import": Command("cli.imports.command:import_", "Import a file of prices as one batch."),
    "keep": Command("cli.ops.keep:keep", "Keep a version until an instant, whatever retention says."),
    "keys": Command("cli.keys:keys", "Create, list and revoke API keys."),
    "layer": Command("cli.layer:layer", "Show what a layer is made of."),
    "lists": Command("cli.ops.lists:lists", "Show all price lists."),
    "pin": Command("cli.ops.rollback:pin", "Pin a version of a price list."),
    "preview": Command("cli.ops.previews:preview", "Grant a token that reads the version of a held batch."),
    "reject": Command("cli.ops.batches:reject", "Reject a held batch: it is never published."),
    "release": Command("cli.ops.releases.command:release", "Publish several price lists in one move."),
    "releases": Command("cli.ops.releases.command:releases", "Show the releases, newest first."),
    "reschedule": Command("cli.ops.schedules:reschedule", "Give a held batch another time to be published."),
    "restore": Command("cli.ops.retention:restore", "Restore an expired version."),
    "retain": Command("cli.ops.retention:retain", "Expire the versions that nothing keeps."),
    "retention": Command("cli.ops.list_settings:retention", "Show the retention of a price list, or change it."),
    "rollback": Command("cli.ops.rollback:rollback", "Roll back to an earlier version."),
    "serve": Command("cli.serve.command:serve", "Run the server until a signal stops it."),
    "show": Command("cli.ops.lists:show", "Show the state of a price list."),
    "snapshots": Command("cli.ops.lists:snapshots", "Show the versions of a price list that are kept, newest first."),
    "timeline": Command("cli.ops.time_travel:timeline", "Show what a sku cost when, rollbacks included, oldest first."),
    "unpin": Command("cli.ops.rollback:unpin", "Unpin a price list: new batches are published again."),
    "upcoming": Command("cli.ops.schedules:upcoming", "Show the scheduled batches of a price list, the next first."),
}


class CommandLine(click.Group):
    """The group of all commands. Its help imports none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, and import its module."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].import_path.partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. Ctrl-C ends it, even if its parent ignores SIGINT, as scripts do for background processes."""
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nInterrupted.", err=True)
            raise SystemExit(exit_codes.INTERRUPTED) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names of the commands and what each does."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.help) for name, command in COMMANDS.items()])


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="pricebook")
def main() -> None:
    """Serve prices that arrive in big batches.

    Each batch becomes a new version of a price list; every query reads exactly one version.

    To try it, run `pricebook dev`: it starts everything on this machine and publishes real prices.
    In production, run `pricebook serve` with PRICEBOOK_MONGODB_URI set.
    """
