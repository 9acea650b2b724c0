"""`pricebook completion`: the script that lets a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from graph.cli import exit_codes

SHELLS = ("bash", "zsh", "fish")


@click.command(epilog=exit_codes.manual())
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a shell complete commands and options.

    \b
    bash:  pricebook completion bash > ~/.local/share/bash-completion/completions/pricebook
    zsh:   pricebook completion zsh > a folder of $fpath, as _pricebook
    fish:  pricebook completion fish > ~/.config/fish/completions/pricebook.fish
    """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(context.find_root().command, {}, "pricebook", "_PRICEBOOK_COMPLETE").source())
