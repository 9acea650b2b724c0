"""`unpin` with `publishLatest` over 3,500 held batches: until the newest is published, and the others are superseded.

All but two of the batches are copies of one, which share its layer.
"""

import time

from bson.objectid import ObjectId

from bench.environment import Environment
from bench.prices import prices, publish_body
from bench.queries import mutation
from bench.report import Figure, Report
from bench.scaling.stored import Stored

LIST = "held"
HELD = 3_500
ROWS = 300

TIMEOUT_SECONDS = 120
"""How long to wait for the other batches once the newest is published."""

MAX_SECONDS = 5


def run(environment: Environment, report: Report) -> None:
    held = max(3, environment.repeats(HELD))
    with environment.server() as server, Stored(environment.mongodb_uri) as stored:
        server.create(LIST)
        server.post(publish_body(LIST, "first", prices(ROWS)))
        server.post(mutation("pin", priceList=LIST, version=1, reason="bench"))
        server.post(publish_body(LIST, "held", prices(10, version=2), "MERGE"))
        stored.set_last_version(LIST, held)
        server.post(publish_body(LIST, "newest", prices(10, version=3), "MERGE"))
        _hold(stored, held)
        started = time.perf_counter()
        response = server.send(mutation("unpin", priceList=LIST, reason="bench", publishLatest=True))
        seconds = time.perf_counter() - started
        published = int(stored.batch("newest")["state"] == "PUBLISHED")
        if not published:
            report.say(f"  {response.text[:300]}")
        deadline = time.perf_counter() + published * TIMEOUT_SECONDS
        while stored.held(LIST) and time.perf_counter() < deadline:
            time.sleep(0.1)
        report.add(Figure("scale-held", f"unpin over {HELD:,} batches: seconds", seconds, "s", MAX_SECONDS))
        report.add(Figure("scale-held", "the newest is published", published, "", at_least=1))
        report.add(Figure("scale-held", "until all others are superseded", time.perf_counter() - started, "s"))
        report.add(Figure("scale-held", "batches that are still held", stored.held(LIST), "", 0))


def _hold(stored: Stored, held: int) -> None:
    """Copy the first held batch, whose version is 2, to the versions up to that of the newest."""
    batch = stored.batch("held")
    versions = range(3, held + 1)
    stored.copy_version(LIST, 2, versions)
    stored.insert(
        "batches",
        ({**batch, "_id": str(ObjectId()), "key": f"held-{version}", "version": version} for version in versions),
    )
