"""Pages offer only actions for which the caller has the scope."""

from tests.console.browser import Browser
from tests.console.conftest import Stage, sign_in
from tests.graph.api import row
from tests.stack.browser import needs_browser

pytestmark = needs_browser


def test_a_reader_sees_prices_and_can_do_nothing(browser: Browser, stage: Stage) -> None:
    sign_in(browser, stage, "rhea")
    browser.open("/lists/ecb")
    browser.sees("those that were published")
    assert [each for each in ("Roll back", "Pin", "Keep", "Review", "Releases") if browser.shows(each)] == []


async def test_an_integrator_sees_its_held_batch_and_cannot_approve_it(browser: Browser, stage: Stage) -> None:
    await stage.clients["ada"].create("permissions")
    integrator = stage.clients["ingrid"]
    held = await integrator.submit("permissions", [row("TEA-100", "1.00")], publish="ON_APPROVAL", label="first")
    sign_in(browser, stage, "ingrid")
    for path in ("/review", f"/batches/{held['batch']['id']}"):
        browser.open(path)
        browser.sees("first")
        assert not browser.shows("Approve")
        assert not browser.shows("Reject")
