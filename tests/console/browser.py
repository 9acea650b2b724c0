"""A person at the console: opens pages, reads them, presses buttons and fills in fields, as they are labelled."""

import base64
import time
from pathlib import Path
from typing import Any

from selenium.common.exceptions import (
    ElementClickInterceptedException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

TIMEOUT_SECONDS = 60

SHOWS = "return document.body.innerText.replace(/\\s+/g, ' ').includes(arguments[0])"
IS_ALIVE = "return window.did_handshake === true && !window.isLeft"
AXE = """
const done = arguments[arguments.length - 1];
const told = (each) => [each.impact, each.id, each.nodes.map((node) => node.html).slice(0, 5)];
axe.run({resultTypes: ["violations"], iframes: false}).then(
  (results) => done(results.violations.map(told)),
  (error) => done([["critical", String(error), []]]),
);
"""


class Browser:
    """One browser at one console."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self._wait = WebDriverWait(driver, TIMEOUT_SECONDS)

    def open(self, path: str) -> None:
        """Open a page, and wait until it is alive."""
        self.driver.get(self.url + path)
        self.wait_until_alive()

    def wait_until_alive(self) -> None:
        """Wait until the page is connected: then its buttons work."""
        self._wait.until(lambda driver: driver.execute_script(IS_ALIVE), "The page does not connect.")

    def leave(self) -> None:
        """Let the next `wait_until_alive` wait for another page than this one."""
        self.driver.execute_script("window.isLeft = true")

    def waits_for_title(self, text: str) -> None:
        """Wait until the title of the page begins with a text."""
        self._wait.until(lambda driver: driver.title.startswith(text), f"No title {text!r}.")

    def sees(self, text: str) -> None:
        """Wait until the page shows a text."""
        try:
            self._wait.until(lambda driver: driver.execute_script(SHOWS, text))
        except TimeoutException:
            raise AssertionError(f"The page does not show {text!r}, but: {self.text()}") from None

    def text(self) -> str:
        """Return all text of the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def shows(self, text: str) -> bool:
        """Whether the page shows a text now."""
        return bool(self.driver.execute_script(SHOWS, text))

    def press(self, label: str) -> None:
        """Press the button that is labelled so, once it can be pressed."""
        self._click(f"//button[normalize-space()={_quoted(label)} and not(@disabled)]")

    def confirm(self, label: str) -> None:
        """Press the button of a dialog, and wait until the page is loaded again, as after every success."""
        self.leave()
        self.press(label)
        self.wait_until_alive()

    def follow(self, text: str) -> None:
        """Follow the link with this text."""
        self.leave()
        self._click(f"//a[normalize-space()={_quoted(text)}]")
        self.wait_until_alive()

    def fill(self, label: str, value: str) -> None:
        """Write a value into the field that is labelled so, in place of what it had."""
        field = self._find(f"//*[self::input or self::textarea][@aria-label={_quoted(label)}]")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(value)

    def resize(self, width: int, height: int = 1000) -> None:
        """Set the size of the window, in pixels; narrow ones are a telephone's."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def prefer(self, scheme: str) -> None:
        """Set the colour scheme of the system: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        return int(
            self.driver.execute_script(
                "const page = document.documentElement; return page.scrollWidth - page.clientWidth"
            )
        )

    def screenshot(self, file: Path) -> None:
        """Write the whole page to a file, once its charts are drawn."""
        time.sleep(1)
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = {"captureBeyondViewport": True}
        taken = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", **whole, "clip": self._clip()})
        file.write_bytes(base64.b64decode(taken["data"]))

    def axe(self, script: Path) -> list[Any]:
        """Return the serious and critical violations that axe-core finds: impact, rule and elements."""
        self.driver.execute_script(script.read_text(encoding="utf-8"))
        found: list[Any] = self.driver.execute_async_script(AXE)
        return [each for each in found if each[0] in {"serious", "critical"}]

    def _clip(self) -> dict[str, float]:
        page = "const page = document.documentElement; return [page.clientWidth, Math.min(page.scrollHeight, 2400)]"
        width, height = self.driver.execute_script(page)
        return {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}

    def _click(self, xpath: str) -> None:
        """Click the last one that is shown: a dialog stands after its page. Again if the page was just redrawn."""

        def clicked(driver: Chrome) -> bool:
            if shown := self._shown(xpath):
                shown[-1].click()
            return bool(shown)

        ignored = (StaleElementReferenceException, ElementClickInterceptedException)
        WebDriverWait(self.driver, TIMEOUT_SECONDS, ignored_exceptions=ignored).until(clicked, f"No {xpath}.")

    def _find(self, xpath: str) -> WebElement:
        return self._wait.until(lambda _: self._shown(xpath), f"No {xpath}.")[-1]

    def _shown(self, xpath: str) -> list[WebElement]:
        return [each for each in self.driver.find_elements(By.XPATH, xpath) if each.is_displayed()]


def _quoted(text: str) -> str:
    assert '"' not in text
    return f'"{text}"'
