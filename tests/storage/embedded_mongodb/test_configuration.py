"""The primary and the health of the embedded replica set, by the replies of its members."""

from pathlib import Path
from typing import Any

from bson import ObjectId

from storage.embedded_mongodb import configuration
from storage.embedded_mongodb.mongod import Mongod


class FakeMongod(Mongod):
    """A member without a process and with a fixed reply to `hello`."""

    def __init__(self, **hello: Any) -> None:
        super().__init__(Path("mongod"), Path("member"), "pricebook", 1, 256)
        self.reply = hello

    def hello(self) -> dict[str, Any]:
        return self.reply


def test_the_primary_elected_last_counts() -> None:
    former = FakeMongod(isWritablePrimary=True, electionId=ObjectId("7fffffff0000000000000001"))
    current = FakeMongod(isWritablePrimary=True, electionId=ObjectId("7fffffff0000000000000002"))
    assert configuration.primary([former, current, FakeMongod(secondary=True)]) is current
    assert configuration.primary([current, former, FakeMongod(secondary=True)]) is current


def test_members_that_do_not_answer_are_neither_primary_nor_secondary() -> None:
    assert configuration.primary([FakeMongod(), FakeMongod()]) is None
    assert configuration.secondaries([FakeMongod(), FakeMongod()]) == []


def test_a_set_is_healthy_once_all_other_members_follow_a_primary() -> None:
    primary = FakeMongod(isWritablePrimary=True, electionId=ObjectId())
    secondary = FakeMongod(isWritablePrimary=False, secondary=True)
    assert configuration.is_healthy([primary, secondary, secondary])
    assert configuration.is_healthy([primary])
    assert not configuration.is_healthy([primary, secondary, FakeMongod(isWritablePrimary=False, secondary=False)])
    assert not configuration.is_healthy([secondary, secondary])
