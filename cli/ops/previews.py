"""`pricebook preview`: grants a token that reads the version of a held batch, or revokes all tokens of a batch."""

import datetime
import shlex

import click

from cli import exit_codes
from cli.client import Json
from cli.instants import Span
from cli.ops.confirmation import reason_option
from cli.ops.connection import Connection, command
from cli.output import Output, time

GRANT = """
mutation GrantPreview($input: GrantPreviewInput!) {
  grantPreview(input: $input) { token batch { id priceList version } userErrors { code message path } }
}"""

REVOKE = """
mutation RevokePreview($input: RevokePreviewInput!) {
  revokePreview(input: $input) { batch { id priceList version } userErrors { code message path } }
}"""


@command("preview", {exit_codes.FAILURE: "refused, or no response; standard error gives the reason"})
@click.argument("batch_id", metavar="ID")
@click.option(
    "--for",
    "duration",
    type=Span(),
    metavar="SPAN",
    help="How long the token is valid, by the clock of this machine, such as 90m, 12h or 2d: less than 30 days.",
)
@click.option("--revoke", is_flag=True, help="Revoke all tokens of the batch instead.")
@reason_option
def preview(
    connection: Connection,
    output: Output,
    batch_id: str,
    duration: datetime.timedelta | None,
    revoke: bool,
    reason: str,
) -> None:
    """Grant a token that reads the version of a held batch.

    A client that sends the token as the header Pricebook-Preview reads the prices of that version, and nothing else,
    without an API key. The token is printed once, alone on standard output. It cannot be shown again.
    """
    if (duration is None) is not revoke:
        raise click.UsageError("Use either --for or --revoke.")
    if duration is None:
        revoked = connection.mutate(REVOKE, batch=batch_id, reason=reason)["batch"]
        output.record(revoked, (), f"Revoked all preview tokens of batch {batch_id} of {revoked['priceList']}.")
        return
    expires_at = (datetime.datetime.now(datetime.UTC) + duration).isoformat(timespec="seconds")
    granted = connection.mutate(GRANT, batch=batch_id, expiresAt=expires_at, reason=reason)
    _show(output, granted, expires_at)


def _show(output: Output, granted: Json, expires_at: str) -> None:
    batch, token = granted["batch"], granted["token"]
    if not output.as_json:
        shown = f"version {batch['version']} of {batch['priceList']} until {time(expires_at)}"
        click.echo(f"This token reads {shown}. It is shown only once:", err=True)
    record = {"token": token, "expiresAt": expires_at, "batch": batch}
    output.record(record, (), token)
    if not output.as_json:
        click.echo(f"Example:\n  {_example(batch, token)}", err=True)


def _example(batch: Json, token: str) -> str:
    """Return a command that reads the first prices of the version."""
    endpoint = click.get_current_context().params["endpoint"]
    prices = "{prices(first:10){nodes{sku amount currency}}}"
    query = f'{{snapshot(priceList:"{batch["priceList"]}",version:{batch["version"]}){prices}}}'
    return shlex.join(
        ["curl", "-G", endpoint, "-H", f"Pricebook-Preview: {token}", "--data-urlencode", f"query={query}"]
    )
