"""A server with real prices, its callers, and a console of it."""

import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from pymongo import MongoClient

from cli.dev.demo import DAYS
from cli.dev.ecb import read_rates
from graph.runtime import open_store
from graph.settings import Settings
from tests.acceptance.test_two_servers import ROOT, is_ready, server
from tests.console.browser import Browser
from tests.graph.api import Client, row
from tests.stack.browser import chromium
from tests.waiting import until

DATABASE = f"test_console_{secrets.token_hex(6)}"

CALLERS = {
    "olivia": ["snapshots:operate"],
    "ingrid": ["batches:write"],
    "rhea": ["prices:read"],
    "ada": ["admin"],
}
"""The callers, by name, with their scopes: an operator, an integrator, a reader and an administrator."""


@dataclass(frozen=True)
class Stage:
    """A server and its callers."""

    url: str
    keys: dict[str, str]
    clients: dict[str, Client]


@pytest.fixture(scope="package")
async def stage(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """A server that grants nothing without a key, with the reference rates of the European Central Bank as `ecb`."""
    log = tmp_path_factory.mktemp("console") / "server.log"
    with server(mongodb_uri, DATABASE, log, PRICEBOOK_ANONYMOUS="") as url:
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
            await until(partial(is_ready, http), "ready")
        store = await open_store(mongodb_uri, Settings(mongodb_database=DATABASE))
        keys = {name: (await store.api_keys.create(name, scopes, "tests"))[1] for name, scopes in CALLERS.items()}
        await store.worker.stop()
        await store.close()
        https = {
            name: httpx.AsyncClient(base_url=url, timeout=60, trust_env=False, headers=_bearer(key))
            for name, key in keys.items()
        }
        clients = {name: Client(http) for name, http in https.items()}
        await publish_rates(clients["ada"])
        yield Stage(url, keys, clients)
        for http in https.values():
            await http.aclose()
    with MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(DATABASE)
        client.drop_database(f"{DATABASE}_layers")


async def publish_rates(client: Client) -> None:
    """Publish the rates of the last days, a version a day, as `ecb`."""
    await client.create("ecb")
    for day in read_rates()[-DAYS:]:
        rows = [row(code, rate, code, validFrom=day.day) for code, rate in day.rates.items()]
        await client.submit("ecb", rows, label=day.day)


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def console(endpoint: str, *arguments: str) -> Iterator[str]:
    """Run a console and yield the address that it names."""
    command = [
        sys.executable,
        "-m",
        "cli",
        "console",
        "--endpoint",
        endpoint,
        "--port",
        "0",
        "--no-browser",
        *arguments,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split(" is at ")[1].strip()
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="package")
def console_url(stage: Stage) -> Iterator[str]:
    """A console that asks each person for a token."""
    with console(stage.url) as url:
        yield url


@pytest.fixture
def browser(console_url: str, tmp_path: Path) -> Iterator[Browser]:
    """A browser at the console. Nobody has signed in."""
    with chromium(tmp_path / "profile") as driver:
        yield Browser(driver, console_url)


def sign_in(browser: Browser, stage: Stage, name: str) -> None:
    """Sign in with the key of a caller, and see all price lists."""
    browser.driver.get(browser.url)
    browser.fill("API key or token", stage.keys[name])
    browser.leave()
    browser.press("Sign in")
    browser.wait_until_alive()
    browser.sees("Search by name")
