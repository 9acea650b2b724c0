"""Everything at once: senders, operators, readers and faults, and every answer is checked against a model.

`PRICEBOOK_TEST_SOAK_SECONDS` is how long the long test sends, an hour by default; `PRICEBOOK_TEST_SOAK_SEED` repeats
the choices of a run, which prints its seed.
"""

import os
from pathlib import Path

import pytest

from tests.soak.run import END_SECONDS, Scale, soak
from tests.soak.senders import Load
from tests.stack.replica_set import BreakableReplicaSet

SECONDS = float(os.environ.get("PRICEBOOK_TEST_SOAK_SECONDS", "3600"))
SEED = int(os.environ.get("PRICEBOOK_TEST_SOAK_SEED", "1"))

SHORT = Scale(
    8.0,
    {"small": (200, (Load(20, 0.2, 0.2), Load(5, 0.1, 0.1))), "medium": (3_000, (Load(500, 0.1, 0.3),))},
    readers=3,
    operators=1,
    operator_pause=0.3,
    fault_pause=3.0,
)
LONG = Scale(
    SECONDS,
    {
        "small": (200, (Load(5, 0.0, 0.2), Load(20, 0.1, 0.5), Load(50, 0.3, 1.0))),
        "medium": (20_000, (Load(50, 0.0, 0.3), Load(2_000, 0.1, 1.0), Load(200, 0.3, 5.0))),
        "large": (100_000, (Load(50, 0.0, 0.5), Load(2_000, 0.05, 3.0), Load(100, 1.0, 20.0))),
    },
    readers=8,
    operators=2,
    operator_pause=1.0,
    fault_pause=25.0,
)


@pytest.mark.timeout(600)
async def test_a_few_seconds_of_everything_with_a_killed_server(
    tmp_path: Path, mongodb_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await soak(tmp_path, mongodb_uri, SHORT, SEED, None, monkeypatch)


@pytest.mark.soak
@pytest.mark.timeout(SECONDS + END_SECONDS + 120)
async def test_everything_at_once_with_faults_of_servers_and_members(
    tmp_path: Path, own_replica_set: BreakableReplicaSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await soak(tmp_path, own_replica_set.uri, LONG, SEED, own_replica_set, monkeypatch)
