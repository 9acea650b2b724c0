"""GraphiQL in a browser that reaches nothing but this machine."""

import json
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from pymongo import MongoClient
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from graph.graphiql.page import ASSETS, FOLDER
from tests.acceptance.test_two_servers import is_ready, server
from tests.graph.api import Client, row
from tests.stack.browser import chromium, console_errors, needs_browser, requested_hosts
from tests.waiting import until

pytestmark = needs_browser

DATABASE = "test_graphiql"
BROWSER_TIMEOUT_SECONDS = 60

SUBSCRIPTION = 'subscription Follow { published(priceList: "live") { version } }'
APPEND = """
const editor = document.querySelector(".graphiql-query-editor .CodeMirror").CodeMirror;
editor.setValue(editor.getValue() + arguments[0]);
"""
RESULT = "return document.querySelector('.result-window .CodeMirror')?.CodeMirror.getValue() ?? ''"


@pytest.fixture(scope="module")
def url(mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that serves GraphiQL. It may not be ready yet."""
    assert all((FOLDER / asset.name).exists() for asset in ASSETS), "Run: python -m graph.graphiql.install"
    log = tmp_path_factory.mktemp("graphiql") / "server.log"
    with server(mongodb_uri, DATABASE, log, PRICEBOOK_IDE="true") as url:
        yield url
    with MongoClient[dict[str, object]](mongodb_uri) as client:
        client.drop_database(DATABASE)
        client.drop_database(f"{DATABASE}_layers")


@pytest.fixture(scope="module")
async def client(url: str) -> AsyncIterator[Client]:
    """A client of the server, which has one price list."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        await until(partial(is_ready, http), "ready")
        client = Client(http)
        await client.create("retail")
        await client.publish("retail", [row("TEA-100", "12.50")])
        yield client


class Page:
    """A page of GraphiQL in a browser."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver
        self._wait = WebDriverWait(driver, BROWSER_TIMEOUT_SECONDS)

    def press(self, label: str, more: str = "") -> None:
        """Press the button whose label begins with `label`, once it is there."""
        self._click(By.CSS_SELECTOR, f'button[aria-label^="{label}"]{more}')

    def choose(self, name: str) -> None:
        """Choose an item of the menu."""
        self._click(By.XPATH, f"//*[@role='menuitem'][text()='{name}']")

    def append(self, text: str) -> None:
        """Append a text to the query."""
        self.driver.execute_script(APPEND, text)

    def result(self, expected: str) -> str:
        """Wait until the result contains a text, and return the result."""
        self._wait.until(lambda driver: expected in driver.execute_script(RESULT), f"No {expected} in the result.")
        result: str = self.driver.execute_script(RESULT)
        return result

    def _click(self, by: str, selector: str) -> None:
        self._wait.until(lambda driver: driver.find_elements(by, selector), f"No {selector}.")[0].click()


@pytest.fixture
def page(client: Client, tmp_path: Path) -> Iterator[Page]:
    """The page to which the root of the server leads."""
    with chromium(tmp_path / "profile") as driver:
        driver.get(str(client.http.base_url))
        yield Page(driver)


def test_the_sample_query_answers_without_a_network(page: Page) -> None:
    assert urlsplit(page.driver.current_url).path == "/graphql"
    page.press("Execute query")
    price_lists = json.loads(page.result("TEA-100"))["data"]["priceLists"]["nodes"]
    [price_list] = [each for each in price_lists if each["name"] == "retail"]
    assert price_list["current"]["prices"]["nodes"] == [{"sku": "TEA-100", "amount": "12.50", "currency": "EUR"}]
    assert console_errors(page.driver) == []
    assert requested_hosts(page.driver) == {"127.0.0.1"}


async def test_a_subscription_shows_what_is_published(page: Page, client: Client) -> None:
    await client.create("live")
    await client.publish("live", [row("TEA-100", "12.50")])
    page.append(SUBSCRIPTION)
    page.press("Execute query", '[aria-haspopup="menu"]')  # there are two operations now
    page.choose("Follow")
    page.result('"version": 1')
    await client.publish("live", [row("TEA-100", "12.90")])
    page.result('"version": 2')
    page.press("Stop query")
    assert console_errors(page.driver) == []
    assert requested_hosts(page.driver) == {"127.0.0.1"}
