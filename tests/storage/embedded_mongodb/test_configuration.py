"""Who leads the embedded replica set, when members disagree."""

from pathlib import Path
from typing import Any

from bson import ObjectId

from storage.embedded_mongodb import configuration
from storage.embedded_mongodb.mongod import Mongod


class Saying(Mongod):
    """A member without a process, which says what a test wants."""

    def __init__(self, **hello: Any) -> None:
        super().__init__(Path("mongod"), Path("member"), "pricebook", 1, 256)
        self.said = hello

    def hello(self) -> dict[str, Any]:
        return self.said


def test_of_two_primaries_the_one_elected_last_counts() -> None:
    was = Saying(isWritablePrimary=True, electionId=ObjectId("7fffffff0000000000000001"))
    now = Saying(isWritablePrimary=True, electionId=ObjectId("7fffffff0000000000000002"))
    assert configuration.primary([was, now, Saying(secondary=True)]) is now
    assert configuration.primary([now, was, Saying(secondary=True)]) is now


def test_members_that_do_not_answer_are_neither_primary_nor_secondary() -> None:
    assert configuration.primary([Saying(), Saying()]) is None
    assert configuration.secondaries([Saying(), Saying()]) == []


def test_a_set_is_whole_once_all_others_follow_a_primary() -> None:
    leads = Saying(isWritablePrimary=True, electionId=ObjectId())
    follows = Saying(isWritablePrimary=False, secondary=True)
    assert configuration.is_whole([leads, follows, follows])
    assert configuration.is_whole([leads])
    assert not configuration.is_whole([leads, follows, Saying(isWritablePrimary=False, secondary=False)])
    assert not configuration.is_whole([follows, follows])
