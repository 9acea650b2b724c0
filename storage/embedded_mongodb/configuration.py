"""Turns running members into a replica set: configures it and elects a primary.

Callers repeat each function until it returns a true value.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from storage.embedded_mongodb.mongod import EmbeddedReplicaSetError, Mongod

NAME = "pricebook"

_SETTINGS = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
"""The defaults (10 s, 2 s) suit networks; on loopback a heartbeat takes well under a millisecond."""
_ALREADY_INITIALIZED = 23
_NOT_YET_INITIALIZED = 94


def configure(members: Sequence[Mongod]) -> bool:
    """Initiate the set, or correct the addresses of members whose port has changed.

    Raises `EmbeddedReplicaSetError` if the set has a different number of members.
    """
    addresses = [each.address for each in members]
    stored = [config for each in members if (config := each.stored_config()) is not None]
    if not stored:
        return _initiate(members[0], addresses)
    config = max(stored, key=lambda each: (each.get("term", -1), each["version"]))
    if len(config["members"]) != len(members):
        raise EmbeddedReplicaSetError(
            f"The replica set in {members[0].dbpath.parent} has {len(config['members'])} members, not {len(members)}. "
            f"Set PRICEBOOK_MEMBERS to {len(config['members'])}, or use another folder (PRICEBOOK_DATA_DIR)."
        )
    if [each["host"] for each in config["members"]] == addresses:
        return True
    for each, address in zip(config["members"], addresses, strict=True):
        each["host"] = address
    return any(_correct(each, config) for each in members)


def _initiate(member: Mongod, addresses: Sequence[str]) -> bool:
    hosts = [{"_id": number, "host": address} for number, address in enumerate(addresses)]
    try:
        member.run_command("replSetInitiate", {"_id": NAME, "members": hosts, "settings": _SETTINGS})
    except OperationFailure as error:
        if error.code == _ALREADY_INITIALIZED:  # the member is still loading its configuration
            return False
        raise
    return True


def _correct(member: Mongod, config: dict[str, Any]) -> bool:
    try:
        # Use force: a member cannot vote at an unknown address, so there may be no primary.
        member.run_command("replSetReconfig", {**config, "version": config["version"] + 1}, force=True)
    except OperationFailure as error:
        # The member looks for itself at its old address, for up to 30 s if an unresponsive program listens there.
        if error.code == _NOT_YET_INITIALIZED:
            return False
        raise
    return True


def primary(members: Sequence[Mongod]) -> Mongod | None:
    """Return the primary. If two members claim to be primary during an election, the one elected last counts."""
    claims = [(hello["electionId"], each) for each in members if (hello := each.hello()).get("isWritablePrimary")]
    return max(claims, key=itemgetter(0))[1] if claims else None


def secondaries(members: Sequence[Mongod]) -> list[Mongod]:
    """Return the members in the secondary state."""
    return [each for each in members if each.hello().get("secondary")]


def elect(members: Sequence[Mongod]) -> bool:
    """Return whether there is a primary; if not, start an election without waiting for the election timeout."""
    if primary(members) is not None:
        return True
    for each in secondaries(members):
        try:
            each.run_command("replSetStepUp")
        except PyMongoError:
            continue  # the others have newer data, or are not configured yet
        return False
    return False


def is_healthy(members: Sequence[Mongod]) -> bool:
    """Return whether there is a primary that all other members follow."""
    return primary(members) is not None and len(secondaries(members)) == len(members) - 1
