"""Small copies side by side on one machine: each its own, seeded from an export, stopped and removed by name."""

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
    """The exit code and all that a command says."""
    with running(data_dir, *arguments) as run:
        return run.wait(), run.said


def listed(data_dir: Path) -> dict[str, dict[str, Any]]:
    """The copies by their names."""
    code, said = pricebook(data_dir, "dev", "--list", "--json")
    assert code == 0, said
    return {each["name"]: each for each in json.loads(said)}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as `pricebook export` writes it."""
    file = tmp_path_factory.mktemp("export") / "shop.ndjson"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


@pytest.fixture(scope="module")
def two(data_dir: Path, export: Path) -> Iterator[dict[str, Command]]:
    """Two copies that run: one with the prices of an export, one without any."""
    with ExitStack() as stack:
        seeded = stack.enter_context(running(data_dir, "dev", "--name", "staging", "--from", str(export)))
        empty = stack.enter_context(running(data_dir, "dev", "--name", "empty", "--no-demo"))
        for run in (seeded, empty):
            run.listen_until(READY)
        yield {"staging": seeded, "empty": empty}


def test_each_has_what_it_was_given_and_sees_nothing_of_the_other(two: dict[str, Command]) -> None:
    assert ask(two["staging"], LISTS)["priceLists"]["nodes"] == SHOP
    assert ask(two["empty"], LISTS)["priceLists"]["nodes"] == []


def test_a_list_shows_what_runs_and_where(data_dir: Path, two: dict[str, Command]) -> None:
    for name, copy in listed(data_dir).items():
        assert (copy["state"], copy["members"]) == ("running", 1)
        assert copy["url"] in two[name].said
        assert copy["bytes"] > 1 << 20
    code, said = pricebook(data_dir, "dev", "--list")
    assert code == 0
    assert re.search(r"^empty +running +http://127.0.0.1:\d+/graphql +1 +\d+$", said, re.MULTILINE)


def test_a_name_that_runs_is_not_started_twice_nor_removed(data_dir: Path, two: dict[str, Command]) -> None:
    code, said = pricebook(data_dir, "dev", "--name", "empty")
    assert (code, f"Process {two['empty'].process.pid} runs the set" in said) == (1, True), said
    code, said = pricebook(data_dir, "dev", "--remove", "empty")
    assert (code, "Stop it first: pricebook dev --stop empty" in said) == (2, True), said


@pytest.mark.parametrize("option", ["--stop", "--remove"])
def test_a_name_that_is_none_is_told(data_dir: Path, option: str) -> None:
    code, said = pricebook(data_dir, "dev", option, "nobody")
    assert (code, "There is no copy nobody" in said) == (2, True), said
    code, said = pricebook(data_dir, "dev", option, "../nobody")
    assert (code, "a name has 1 to 30 of a-z, 0-9 and -" in said) == (2, True), said


def test_from_another_terminal_it_is_stopped_started_again_and_removed(
    data_dir: Path, export: Path, two: dict[str, Command]
) -> None:
    url = listed(data_dir)["staging"]["url"]
    assert pricebook(data_dir, "dev", "--stop", "staging")[0] == 0
    assert two["staging"].wait() == 0
    assert listed(data_dir)["staging"]["state"] == "stopped"
    assert pricebook(data_dir, "dev", "--stop", "staging")[0] == 2
    others = set(two["empty"].processes())
    with running(data_dir, "dev", "--name", "staging", "--from", str(export)) as again:
        again.listen_until(READY)
        assert url in again.said, "the port of last time"
        assert ask(again, LISTS)["priceLists"]["nodes"] == SHOP, "published once"
        started = set(again.processes()) - others
        again.process.send_signal(signal.SIGKILL)
        wait_for_end([*started])
    assert listed(data_dir)["staging"]["state"] == "stopped", "however it ended"
    assert pricebook(data_dir, "dev", "--remove", "staging")[0] == 0
    assert set(listed(data_dir)) == {"empty"}
