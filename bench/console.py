"""How long pages of the console take to open in a browser, next to one that has nothing to show."""

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from bench.environment import Environment
from bench.prices import prices
from bench.report import Figure, Report
from bench.servers import Server

LISTS = 500
VERSIONS_OF_LIST = 2
VERSIONS = 2_000
CHANGES = 50_000
ROUNDS = 10
SENDERS = 4
TARGET_MILLISECONDS = 2_000.0

PUBLISH = "mutation($input: PublishBatchInput!) { publishBatch(input: $input) { userErrors { message } } }"
SHOWN = "return document.title.includes(arguments[0]) && document.querySelectorAll(arguments[1]).length"


def run(environment: Environment, report: Report) -> None:
    """Open the overview of many lists, a list of many versions, and the largest comparison; a page of nothing each."""
    lists, versions = environment.repeats(LISTS), environment.repeats(VERSIONS)
    changes, rounds = environment.rows(CHANGES), environment.repeats(ROUNDS)
    with environment.server() as server, _console(server.url, environment.folder) as url, _browser() as driver:
        _fill(server, lists, versions, changes)
        pages = {
            f"overview of {lists:,} lists": ("/", "Price lists", "td a"),
            f"list of {versions:,} versions": ("/lists/versions", "versions", "td a"),
            f"comparison of {changes:,} changes": ("/lists/changes/compare?from=1&to=2", "compare", "td a"),
        }
        empty = ("/lists/none", "none", "p.empty")
        _open(driver, url, empty)  # reads what the browser caches
        for name, page in pages.items():
            opened = [(_open(driver, url, page), _open(driver, url, empty)) for _ in range(rounds)]
            seconds, baseline = (statistics.median(each) for each in zip(*opened, strict=True))
            report.add(Figure("console", name, 1000 * seconds, "ms", TARGET_MILLISECONDS))
            report.add(Figure("console", f"{name}, ratio to a page of nothing", seconds / baseline, ""))


def _fill(server: Server, lists: int, versions: int, changes: int) -> None:
    def publish(name: str, count: int, size: int, mode: str = "REPLACE") -> None:
        server.create(name)
        for version in range(1, count + 1):
            batch = {"priceList": name, "mode": mode, "idempotencyKey": str(version), "label": f"v{version}"}
            order = {**batch, "prices": prices(size, version=version)}
            server.post(json.dumps({"query": PUBLISH, "variables": {"input": order}}).encode())

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(lambda number: publish(f"list-{number:03}", VERSIONS_OF_LIST, 20), range(lists)))
    publish("versions", versions, 1, "MERGE")
    publish("changes", 2, changes)


def _open(driver: Chrome, url: str, page: tuple[str, str, str]) -> float:
    """Return the seconds until a page shows an element: its path, a text of its title, and the element's selector."""
    path, title, selector = page
    driver.get("about:blank")
    started = time.perf_counter()
    driver.get(url + path)
    while not driver.execute_script(SHOWN, title, selector):
        if time.perf_counter() - started > 60:
            raise TimeoutError(f"{path} shows no {selector}.")
        time.sleep(0.01)
    return time.perf_counter() - started


@contextmanager
def _console(endpoint: str, folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "cli", "console", "--endpoint", endpoint, "--port", "0", "--no-browser"]
    with (folder / "console.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" is at ")[1].strip()
        finally:
            process.terminate()
            process.communicate(timeout=30)


@contextmanager
def _browser() -> Iterator[Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise SystemExit("This benchmark needs chromium and chromedriver (Debian: chromium-driver).")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000"):
        options.add_argument(argument)
    with Chrome(options, ChromeService(driver)) as browser:
        yield browser
