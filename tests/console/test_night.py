"""A night of an operator: wrong prices, a rollback, a held batch, an approval; each step by what is on the page."""

from typing import Any

from tests.console.browser import Browser
from tests.console.conftest import Stage, sign_in
from tests.graph.api import Client, row
from tests.stack.browser import console_errors, needs_browser, requested_hosts

pytestmark = needs_browser

STATE = """{
  priceList(name: "ecb") {
    currentVersion
    pin { version by reason }
    events(first: 3) { nodes { kind by reason version } }
  }
}"""


async def state(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = (await client.data(STATE))["priceList"]
    return found


async def test_an_operator_finds_wrong_prices_rolls_back_and_approves_the_next_batch(
    browser: Browser, stage: Stage
) -> None:
    integrator = stage.clients["ingrid"]
    await integrator.submit("ecb", [row("USD", "11.172", "USD")], mode="MERGE", label="night run")

    sign_in(browser, stage, "olivia")
    browser.sees("night run")
    browser.follow("ecb")
    browser.sees("What was current when")
    browser.follow("with 30")
    browser.sees("+900.00 %")

    browser.press("Roll back to version 30")
    browser.sees("Pin it, so that the next batch does not undo this")
    browser.fill("Reason", "USD is ten times too high")
    browser.fill("Type ecb to confirm", "ecb")
    browser.confirm("Roll back")
    browser.sees("To version 31 State not current")
    browser.open("/lists/ecb")
    browser.sees("USD is ten times too high")
    assert (await state(integrator))["pin"] == {"version": 30, "by": "olivia", "reason": "USD is ten times too high"}

    held = await integrator.submit("ecb", [row("USD", "1.12", "USD")], mode="MERGE", label="corrected")
    assert held["batch"]["state"] == "HELD"
    browser.open("/review?list=ecb")
    browser.sees("corrected")
    browser.follow("Compare with version 30")
    browser.sees("+0.25 %")

    browser.open("/lists/ecb")
    browser.press("Unpin")
    browser.sees("Batches that only the pin held, and that stay held: 1.")
    browser.fill("Reason", "The integrator has corrected it")
    browser.confirm("Unpin")
    browser.open("/review?list=ecb")
    browser.press("Approve")
    browser.sees("It becomes current at once.")
    browser.fill("Reason", "Looks right")
    browser.confirm("Approve")
    browser.sees("Nothing waits for a review in ecb.")

    now = await state(integrator)
    assert (now["currentVersion"], now["pin"]) == (32, None)
    assert [(each["kind"], each["by"]) for each in now["events"]["nodes"]][:2] == [
        ("APPROVED", "olivia"),
        ("UNPINNED", "olivia"),
    ]
    assert requested_hosts(browser.driver) == {"127.0.0.1"}
    assert console_errors(browser.driver) == []
