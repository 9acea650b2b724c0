"""The limit of open files bounds the connections."""

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("the limit is POSIX's", allow_module_level=True)

import resource

from cli.serve.descriptors import OTHER_DESCRIPTORS, allow_connections

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "allowed", "raised"),
    [
        (UNLIMITED, UNLIMITED, 1000, None),
        (4096, 8192, 1000, None),
        (256, 8192, 1000, 1000 + OTHER_DESCRIPTORS),
        (256, UNLIMITED, 1000, 1000 + OTHER_DESCRIPTORS),
        (256, 1024, 1024 - OTHER_DESCRIPTORS, 1024),
        (100, 100, 1, 100),
    ],
)
def test_the_limit_is_raised_as_far_as_needed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    soft: int,
    hard: int,
    allowed: int,
    raised: int | None,
) -> None:
    limits: dict[int, tuple[int, int]] = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    assert allow_connections(1000) == allowed
    assert limits.get(resource.RLIMIT_NOFILE) == (None if raised is None else (raised, hard))
    assert ("PRICEBOOK_MAX_CONNECTIONS" in caplog.text) == (allowed < 1000)
