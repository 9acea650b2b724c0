"""Every page, wide and narrow, in light and in dark: accessible, within its window, and nothing from elsewhere.

With PRICEBOOK_TEST_SCREENSHOTS each is written to that folder, in all four ways; `make screenshots` does that.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.console.browser import Browser
from tests.console.conftest import Stage, sign_in
from tests.console.scenes import HOSTILE, Scenes, set_scenes
from tests.stack import npm
from tests.stack.browser import chromium, console_errors, needs_browser, requested_hosts

pytestmark = needs_browser

SCREENSHOTS = os.environ.get("PRICEBOOK_TEST_SCREENSHOTS")

WIDE, NARROW = 1280, 390
EVEN_VIEWS = [(WIDE, "light"), (NARROW, "dark")]
ODD_VIEWS = [(WIDE, "dark"), (NARROW, "light")]


class Shown(NamedTuple):
    """A page: where it is, what it shows once it is whole, and a button to press first."""

    path: str
    text: str
    button: str | None = None


PAGES = {
    "overview": Shown("/", "wholesale"),
    "list": Shown("/lists/wholesale", "Pinned to version 4 by ada"),
    "new-list": Shown("/lists/new", "No version has been current yet."),
    "roll-back": Shown("/lists/retail", "Type retail to confirm", "Roll back"),
    "compare": Shown("/lists/ecb/compare?from=20&to=30", "Largest changes"),
    "sku": Shown("/lists/wholesale/sku?sku=TEA-100", "Price over time"),
    "review": Shown("/review", HOSTILE),
    "held-batch": Shown("/batches/{held_batch}", HOSTILE),
    "failed-batch": Shown("/batches/{failed_batch}", "2 invalid items"),
    "live": Shown("/live", "Finished last"),
    "releases": Shown("/releases", "Autumn"),
    "release": Shown("/releases/{release}", "Autumn"),
    "missing": Shown("/lists/none", "There is no price list none"),
}
"""The pages, by the names of their screenshots."""


def views(index: int) -> list[tuple[int, str]]:
    """Return the widths and schemes in which a page is looked at: two of four, in turns, without screenshots."""
    return EVEN_VIEWS + ODD_VIEWS if SCREENSHOTS else (EVEN_VIEWS, ODD_VIEWS)[index % 2]


@pytest.fixture(scope="module")
async def scenes(stage: Stage) -> Scenes:
    """The data of the pages."""
    return await set_scenes(stage)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script of axe-core."""
    folder = tmp_path_factory.mktemp("axe") / "package"
    npm.install(Path(__file__).parent / "axe", folder)
    return folder / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def operator(stage: Stage, console_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser in which an operator has signed in."""
    with chromium(tmp_path_factory.mktemp("operator") / "profile") as driver:
        browser = Browser(driver, console_url)
        sign_in(browser, stage, "olivia")
        yield browser


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_and_fits_its_window(name: str, operator: Browser, scenes: Scenes, axe: Path) -> None:
    page = PAGES[name]
    for width, scheme in views(list(PAGES).index(name)):
        operator.resize(width)
        operator.prefer(scheme)
        operator.open(page.path.format(**scenes.__dict__))
        if page.button:
            operator.press(page.button)
        operator.sees(page.text)
        if SCREENSHOTS:
            operator.screenshot(Path(SCREENSHOTS) / f"{name}-{width}-{scheme}.png")
        assert operator.axe(axe) == [], f"{width} {scheme}"
        assert operator.overflow() <= 0, f"{width} {scheme}"
        assert operator.driver.title != "1"
    assert console_errors(operator.driver) == []
    assert requested_hosts(operator.driver) == {"127.0.0.1"}


def test_the_page_to_sign_in_is_accessible(browser: Browser, axe: Path) -> None:
    for width, scheme in views(0):
        browser.resize(width)
        browser.prefer(scheme)
        browser.open("/sign-in")
        browser.sees("API key or token")
        if SCREENSHOTS:
            browser.screenshot(Path(SCREENSHOTS) / f"sign-in-{width}-{scheme}.png")
        assert browser.axe(axe) == [], f"{width} {scheme}"
