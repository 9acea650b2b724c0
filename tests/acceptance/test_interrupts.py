"""Ctrl-C ends every command that waits, also if the process that started it ignores SIGINT."""

import socket
from pathlib import Path

import pytest

from tests.acceptance.command import running


@pytest.mark.parametrize(
    "arguments",
    [
        ["lists"],
        ["export", "shop"],
        ["import", "{folder}/prices.ndjson", "--list", "shop"],
        ["check"],
        ["keys", "list"],
    ],
    ids=" ".join,
)
def test_a_command_that_waits_for_a_response_is_interrupted(tmp_path: Path, arguments: list[str]) -> None:
    tmp_path.joinpath("prices.ndjson").write_text('{"sku":"TEA-100","amount":"12.50","currency":"EUR"}\n')
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        environ = {
            "PRICEBOOK_ENDPOINT": f"http://{address}/graphql",
            "PRICEBOOK_MONGODB_URI": f"mongodb://{address}/?directConnection=true",
        }
        with running(tmp_path, *[each.format(folder=tmp_path) for each in arguments], **environ) as run:
            connection, _ = silent.accept()
            with connection:
                assert run.stop() == 130, run.output
    assert "Interrupted." in run.output
    assert "Traceback" not in run.output
