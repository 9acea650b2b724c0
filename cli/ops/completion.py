"""`pricebook completion`: the completion script of a shell."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from cli import exit_codes

SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(epilog=exit_codes.epilog())
@click.argument("shell", type=click.Choice([*SHELLS]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    With it, Tab completes commands and options, and names of price lists, for which it asks PRICEBOOK_ENDPOINT.

    \b
    bash:  pricebook completion bash > ~/.local/share/bash-completion/completions/pricebook
    zsh:   pricebook completion zsh > ~/.zfunc/_pricebook    (or another folder of $fpath)
    fish:  pricebook completion fish > ~/.config/fish/completions/pricebook.fish
    """  # noqa: D301 - click needs the backspace
    click.echo(SHELLS[shell](context.find_root().command, {}, "pricebook", "_PRICEBOOK_COMPLETE").source())
