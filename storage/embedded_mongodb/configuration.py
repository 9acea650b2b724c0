"""How members that answer become a replica set: they are configured, elect a primary, and follow it.

Each function is asked again until its result is true.
"""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from storage.embedded_mongodb.mongod import EmbeddedReplicaSetError, Mongod

NAME = "pricebook"

# On loopback a heartbeat takes well under a millisecond; the defaults (10 s, 2 s) are made for networks.
_SETTINGS = {"electionTimeoutMillis": 2_000, "heartbeatIntervalMillis": 500}
_ALREADY_INITIALIZED = 23
_NOT_YET_INITIALIZED = 94


def configure(members: Sequence[Mongod]) -> bool:
    """See that the set's configuration names the members where they are, and initiate or correct it.

    Raises DevSetError when the set has another number of members.
    """
    addresses = [each.address for each in members]
    known = [config for each in members if (config := each.stored_config()) is not None]
    if not known:
        return _initiate(members[0], addresses)
    config = max(known, key=lambda each: (each.get("term", -1), each["version"]))
    if len(config["members"]) != len(members):
        raise EmbeddedReplicaSetError(
            f"The replica set of {members[0].dbpath.parent} has {len(config['members'])} members, not {len(members)}. "
            f"Ask for {len(config['members'])}, or give another data folder."
        )
    if [each["host"] for each in config["members"]] == addresses:
        return True
    for each, address in zip(config["members"], addresses, strict=True):
        each["host"] = address
    return any(_correct(each, config) for each in members)


def _initiate(member: Mongod, addresses: Sequence[str]) -> bool:
    hosts = [{"_id": number, "host": address} for number, address in enumerate(addresses)]
    try:
        member.ask("replSetInitiate", {"_id": NAME, "members": hosts, "settings": _SETTINGS})
    except OperationFailure as error:
        if error.code == _ALREADY_INITIALIZED:  # it is still looking for its configuration
            return False
        raise
    return True


def _correct(member: Mongod, config: dict[str, Any]) -> bool:
    try:
        # By force: who is not at the address that the others know has no vote, so there may be no primary to ask.
        member.ask("replSetReconfig", {**config, "version": config["version"] + 1}, force=True)
    except OperationFailure as error:
        # It is looking for itself at its old address, and waits up to 30 s when a silent stranger is there.
        if error.code == _NOT_YET_INITIALIZED:
            return False
        raise
    return True


def primary(members: Sequence[Mongod]) -> Mongod | None:
    """Find the primary. Of two that believe they are, one of them not for long, it is the one elected last."""
    claims = [(hello["electionId"], each) for each in members if (hello := each.hello()).get("isWritablePrimary")]
    return max(claims, key=itemgetter(0))[1] if claims else None


def secondaries(members: Sequence[Mongod]) -> list[Mongod]:
    """Find the members that follow the primary, or would if there were one."""
    return [each for each in members if each.hello().get("secondary")]


def elect(members: Sequence[Mongod]) -> bool:
    """See that there is a primary; if not, have a member stand at once rather than after the election timeout."""
    if primary(members) is not None:
        return True
    for each in secondaries(members):
        try:
            each.ask("replSetStepUp")
        except PyMongoError:
            continue  # the others know better ones, or have not heard of the set yet
        return False
    return False


def is_whole(members: Sequence[Mongod]) -> bool:
    """Tell whether there is a primary that all others follow."""
    return primary(members) is not None and len(secondaries(members)) == len(members) - 1
