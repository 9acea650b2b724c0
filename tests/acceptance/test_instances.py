"""Named instances on one machine: isolated, seeded from an export, stopped and removed by name."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.command import Command, running, wait_for_end
from tests.acceptance.test_dev import READY, ask

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

LISTS = "{ priceLists { nodes { name currentVersion current { size } } } }"
ROWS = [{"sku": f"sku-{number}", "amount": "1.00", "currency": "EUR"} for number in range(50)]
SHOP = [{"name": "shop", "currentVersion": 1, "current": {"size": 50}}]


def pricebook(data_dir: Path, *arguments: str) -> tuple[int, str]:
    """Run a command and return its exit code and output."""
    with running(data_dir, *arguments) as run:
        return run.wait(), run.output


def listed(data_dir: Path) -> dict[str, dict[str, Any]]:
    """The instances, by name."""
    code, output = pricebook(data_dir, "dev", "--list", "--json")
    assert code == 0, output
    return {each["name"]: each for each in json.loads(output)}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as `pricebook export` writes it."""
    file = tmp_path_factory.mktemp("export") / "shop.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("instances")


@pytest.fixture(scope="module")
def instances(data_dir: Path, export: Path) -> Iterator[dict[str, Command]]:
    """Two running instances: one with the prices of an export, one without prices."""
    with ExitStack() as stack:
        seeded = stack.enter_context(running(data_dir, "dev", "--name", "staging", "--from", str(export)))
        empty = stack.enter_context(running(data_dir, "dev", "--name", "empty", "--no-demo"))
        for run in (seeded, empty):
            run.read_until(READY)
        yield {"staging": seeded, "empty": empty}


def test_instances_have_separate_data(instances: dict[str, Command]) -> None:
    assert ask(instances["staging"], LISTS)["priceLists"]["nodes"] == SHOP
    assert ask(instances["empty"], LISTS)["priceLists"]["nodes"] == []


def test_the_list_shows_state_and_url(data_dir: Path, instances: dict[str, Command]) -> None:
    for name, instance in listed(data_dir).items():
        assert (instance["state"], instance["members"]) == ("running", 1)
        assert instance["url"] in instances[name].output
        assert instance["bytes"] > 1 << 20
    code, output = pricebook(data_dir, "dev", "--list")
    assert code == 0
    assert re.search(r"^empty +running +http://127.0.0.1:\d+/graphql +1 +\d+$", output, re.MULTILINE)


def test_a_running_instance_cannot_be_started_again_or_removed(data_dir: Path, instances: dict[str, Command]) -> None:
    code, output = pricebook(data_dir, "dev", "--name", "empty")
    message = f"Process {instances['empty'].process.pid} already runs the replica set"
    assert (code, message in output) == (1, True), output
    code, output = pricebook(data_dir, "dev", "--remove", "empty")
    assert (code, "Stop it first: pricebook dev --stop empty" in output) == (2, True), output


@pytest.mark.parametrize("option", ["--stop", "--remove"])
def test_an_unknown_or_invalid_name_is_an_error(data_dir: Path, option: str) -> None:
    code, output = pricebook(data_dir, "dev", option, "nobody")
    assert (code, "There is no instance nobody" in output) == (2, True), output
    code, output = pricebook(data_dir, "dev", option, "../nobody")
    assert (code, "a name has 1 to 30 characters" in output) == (2, True), output


def test_an_instance_is_stopped_restarted_and_removed_by_name(
    data_dir: Path, export: Path, instances: dict[str, Command]
) -> None:
    url = listed(data_dir)["staging"]["url"]
    assert pricebook(data_dir, "dev", "--stop", "staging")[0] == 0
    assert instances["staging"].wait() == 0
    assert listed(data_dir)["staging"]["state"] == "stopped"
    assert pricebook(data_dir, "dev", "--stop", "staging")[0] == 2
    others = set(instances["empty"].processes())
    with running(data_dir, "dev", "--name", "staging", "--from", str(export)) as again:
        again.read_until(READY)
        assert url in again.output, "the last port is used again"
        assert ask(again, LISTS)["priceLists"]["nodes"] == SHOP, "published once"
        started = set(again.processes()) - others
        again.process.send_signal(signal.SIGKILL)
        wait_for_end([*started])
    assert listed(data_dir)["staging"]["state"] == "stopped", "it was killed"
    assert pricebook(data_dir, "dev", "--remove", "staging")[0] == 0
    assert set(listed(data_dir)) == {"empty"}
