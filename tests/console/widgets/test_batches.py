"""Batches in words: whether somebody has to decide, what holds one, and what it is compared with."""

from datetime import UTC, datetime, timedelta

import pytest

from console.client import Json
from console.widgets.batches import (
    compare_href,
    compared_version,
    gate_text,
    held_move_text,
    is_outdated,
    measure_text,
    needs_decision,
    served_tone,
    shown_findings,
    waits,
)

RELEASE = {"id": "r 1", "name": "<b>spring</b>"}
IN_TWO_DAYS = (datetime.now(UTC) + timedelta(days=2, minutes=1)).isoformat()


def finding(gate: str, severity: str = "HOLD", observed: str | None = None, limit: str | None = None) -> Json:
    return {"gate": gate, "severity": severity, "message": "m", "observed": observed, "limit": limit}


def held(*findings: Json, **fields: object) -> Json:
    batch: Json = {
        "priceList": "shop",
        "state": "HELD",
        "mode": "REPLACE",
        "version": 7,
        "baseVersion": 5,
        "rebased": {"baseVersion": 5},
        "publishAt": None,
        "release": None,
        "findings": list(findings),
    }
    return batch | fields


@pytest.mark.parametrize(
    ("batch", "needed"),
    [
        pytest.param(held(finding("minSize")), True, id="held by a gate"),
        pytest.param(held(finding("schedule"), publishAt=IN_TWO_DAYS), False, id="scheduled"),
        pytest.param(held(finding("release"), release=RELEASE), False, id="in a release"),
        pytest.param(held(finding("schedule", "INFO")), True, id="taken off its schedule"),
        pytest.param(
            held(finding("schedule"), finding("maxShrinkPercent"), publishAt=IN_TWO_DAYS),
            True,
            id="a gate would hold it",
        ),
        pytest.param(
            held(finding("release"), finding("onApproval"), finding("approved", "INFO"), release=RELEASE),
            False,
            id="approved for its release",
        ),
        pytest.param(
            held(finding("release"), finding("pin"), finding("approved", "INFO"), release=RELEASE),
            True,
            id="approved, but its list is pinned",
        ),
    ],
)
def test_a_batch_needs_a_decision_unless_it_goes_through_when_its_time_comes(batch: Json, needed: bool) -> None:
    assert needs_decision(batch) is needed


def test_findings_that_the_schedule_and_the_release_explain_are_left_out() -> None:
    gate = finding("minSize")
    assert shown_findings(held(finding("schedule"), gate, publishAt=IN_TWO_DAYS)) == [gate]
    assert shown_findings(held(finding("release"), gate, release=RELEASE)) == [gate]
    ended = finding("schedule", "INFO")
    assert shown_findings(held(ended, gate)) == [ended, gate]


def test_a_batch_waits_for_its_release_and_its_instant() -> None:
    assert waits(held(publishAt=IN_TWO_DAYS, release=RELEASE)) == [
        ("in release <b>spring</b>", "/releases/r%201"),
        ("scheduled in 2 d", None),
    ]
    assert waits(held(publishAt=datetime.now(UTC).isoformat())) == [("due now", None)]
    assert waits(held()) == []


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (finding("maxShrinkPercent", observed="55.04", limit="20"), "55.04 %, limit 20 %"),
        (finding("maxPriceChangePercent", observed="9900.00", limit="30.5"), "9,900 %, limit 30.5 %"),
        (finding("minSize", "REJECT", observed="900", limit="1000"), "900, limit 1,000"),
        (finding("allowedCurrencies", "REJECT", observed="1", limit="0"), ""),
        (finding("pin"), ""),
    ],
)
def test_a_finding_has_what_was_observed_and_the_limit_in_its_unit(found: Json, text: str) -> None:
    assert measure_text(found) == text


def test_a_gate_that_is_unknown_here_is_shown_by_its_name() -> None:
    assert gate_text("minSize") == "Too few prices"
    assert gate_text("laterGate") == "laterGate"


def test_a_list_that_is_replaced_is_compared_with_the_current_version() -> None:
    batch = held(rebased={"baseVersion": 6})
    assert compared_version(batch) == 6
    assert compare_href(batch) == "/lists/shop/compare?from=6&to=7"


def test_a_merge_is_compared_with_the_version_it_was_merged_into() -> None:
    batch = held(mode="MERGE", rebased={"baseVersion": 6})
    assert is_outdated(batch)
    assert compared_version(batch) == 5


def test_a_published_batch_is_compared_with_the_version_before() -> None:
    batch = held(state="PUBLISHED", rebased=None)
    assert compare_href(batch) == "/lists/shop/compare?from=5&to=7"


@pytest.mark.parametrize(
    "batch",
    [
        held(baseVersion=None, rebased={"baseVersion": None}),
        held(state="REJECTED", rebased=None),
        held(state="FAILED", version=None, baseVersion=None, rebased=None),
    ],
    ids=["a first version", "rejected", "failed"],
)
def test_a_batch_without_two_versions_that_can_be_read_has_no_comparison(batch: Json) -> None:
    assert compare_href(batch) is None


def test_a_held_batch_gets_a_new_version_once_its_list_has_moved() -> None:
    assert held_move_text(held()) == "version 5 → 7"
    assert held_move_text(held(rebased={"baseVersion": 8})) == "version 8 → a new one"
    assert held_move_text(held(baseVersion=None, rebased={"baseVersion": None})) == "first version, 7"


def test_a_version_is_well_served_once_all_processes_serve_it() -> None:
    assert [served_tone({"by": by, "of": of}) for by, of in ((3, 3), (2, 3), (0, 0))] == ["good", "warn", "warn"]
