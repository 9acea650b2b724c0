"""Signing in and out, in a browser."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import httpx
import pytest

from tests.acceptance.test_two_servers import ROOT
from tests.console.browser import Browser
from tests.console.conftest import Stage, console, sign_in
from tests.stack.browser import chromium, needs_browser

pytestmark = needs_browser

ATTACK = """<script>
const results = [];
const tries = [
  fetch("CONSOLE/", {credentials: "include"}).then(() => results.push("READ")),
  fetch("CONSOLE/sign-out", {method: "POST", mode: "no-cors", credentials: "include"}),
  new Promise((done) => {
    const socket = new WebSocket("CONSOLE/_nicegui_ws/socket.io/?EIO=4&transport=websocket".replace("http", "ws"));
    socket.onmessage = () => { results.push("CONNECTED"); done(); };
    socket.onerror = done;
  }),
  new Promise((done) => {
    const frame = document.createElement("iframe");
    frame.src = "CONSOLE/";
    frame.onload = done;
    document.documentElement.append(frame);
  }),
];
Promise.allSettled(tries).then(() => { document.title = "tried " + results.join(); });
</script>"""


def session_cookie(browser: Browser) -> str:
    """The name of the cookie of the session at the console's port."""
    return f"pricebook-console-{urlsplit(browser.url).port}"


@contextmanager
def other_origin(page: str) -> Iterator[str]:
    """Serve a page on another port of this machine, whose requests carry the console's cookies."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{served.server_port}"
        finally:
            served.shutdown()


def test_a_wrong_token_is_refused_and_the_right_one_leads_to_the_page_asked_for(browser: Browser, stage: Stage) -> None:
    browser.driver.get(f"{browser.url}/live")
    browser.fill("API key or token", "pb_wrong")
    browser.press("Sign in")
    browser.sees("The API does not accept this token")
    browser.fill("API key or token", stage.keys["olivia"])
    browser.leave()
    browser.press("Sign in")
    browser.wait_until_alive()
    assert browser.driver.current_url == f"{browser.url}/live"
    browser.sees("olivia")


def test_the_token_stays_in_the_console(browser: Browser, stage: Stage) -> None:
    sign_in(browser, stage, "olivia")
    page = browser.driver.page_source
    cookies = {each["name"]: each for each in browser.driver.get_cookies()}
    assert stage.keys["olivia"] not in page + str(cookies)
    assert cookies[session_cookie(browser)]["httpOnly"] is True
    assert cookies[session_cookie(browser)]["value"] not in page


def test_signing_out_ends_the_session(browser: Browser, stage: Stage) -> None:
    sign_in(browser, stage, "olivia")
    kept = browser.driver.get_cookie(session_cookie(browser))
    browser.press("Sign out")
    browser.sees("You have signed out.")
    browser.driver.add_cookie(kept)
    browser.driver.get(browser.url)
    browser.sees("API key or token")


def test_a_page_of_another_origin_cannot_use_the_session(browser: Browser, stage: Stage) -> None:
    sign_in(browser, stage, "olivia")
    with other_origin(ATTACK.replace("CONSOLE", browser.url)) as url:
        browser.driver.get(url)
        browser.waits_for_title("tried")
        assert browser.driver.title == "tried"
    browser.open("/")
    browser.sees("ecb")  # still signed in: the request to sign out was refused, too


def test_the_address_of_a_console_with_a_token_opens_it_once(stage: Stage, tmp_path: Path) -> None:
    with console(stage.url, "--token", stage.keys["olivia"]) as address, chromium(tmp_path / "first") as driver:
        driver.get(address)
        browser = Browser(driver, address.rpartition("/")[0])
        browser.sees("ecb")
        with chromium(tmp_path / "second") as other:
            other.get(address)
            Browser(other, browser.url).sees("API key or token")


def test_a_form_that_is_no_form_of_ours_is_not_read_to_its_end(console_url: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        response = client.post(f"{console_url}/sign-in", content=(b"token=" + b"x" * 10_000 for _ in range(100)))
    assert response.status_code == 413


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_to_pages_of_the_console_alone(console_url: str, stage: Stage, to: str) -> None:
    with httpx.Client(trust_env=False, timeout=30) as client:
        response = client.post(f"{console_url}/sign-in", data={"token": stage.keys["rhea"], "to": to})
    assert response.headers["Location"] == "/"


def test_a_token_is_refused_where_others_can_reach_the_console(stage: Stage) -> None:
    command = [sys.executable, "-m", "cli", "console", "--endpoint", stage.url, "--host", "0.0.0.0", "--token", "x"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert "is refused with --host 0.0.0.0" in run.stderr
