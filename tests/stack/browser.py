"""A headless Chromium that reaches nothing but this machine, and what its logs tell."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not on this machine (Debian: chromium-driver)."
)


@contextmanager
def chromium(profile: Path) -> Iterator[Chrome]:
    """Run a browser with a new profile."""
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    with Chrome(options, ChromeService(DRIVER)) as driver:
        yield driver


def requested_hosts(driver: Chrome) -> set[str | None]:
    """Return the hosts of all requests and WebSockets since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in _log(driver, "performance")]
    urls = [
        urlsplit(message["params"].get("url") or message["params"]["request"]["url"])
        for message in messages
        if message["method"] in {"Network.requestWillBeSent", "Network.webSocketCreated"}
    ]
    return {url.hostname for url in urls if url.scheme in {"http", "https", "ws", "wss"}}


def console_errors(driver: Chrome) -> list[str]:
    """Return the errors in the browser's console since the last call."""
    return [entry["message"] for entry in _log(driver, "browser") if entry["level"] == "SEVERE"]


def _log(driver: Chrome, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = driver.get_log(name)  # type: ignore[no-untyped-call]
    return entries
