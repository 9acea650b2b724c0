"""Initiates the chart's own replica set, and creates the roles and the user of the service.

Environment: MEMBERS (host:port, separated by commas; the first has the user root), DATABASE, ROOT_PASSWORD, PASSWORD.
It can run again: an existing set stays as it is, and the user gets the given password.
"""

import os
import sys
import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

SET = "rs0"
SETTINGS = {"electionTimeoutMillis": 4000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 3}
"""Members within one data centre detect a lost member within seconds; MongoDB's defaults are for members far apart."""
USER = "pricebook"
ROLE = "pricebookService"
WAIT_SECONDS = 300

# As in docs/security.md, "A MongoDB user for the service": by the suffix of the database.
ACTIONS = {
    "": ["find", "insert", "update", "remove", "changeStream", "createIndex", "dropCollection", "listCollections"],
    "_layers": ["find", "insert", "collStats", "collMod", "dropCollection", "listCollections"],
}

NOT_YET_INITIALIZED = 94
AUTHENTICATION_FAILED = 18
Client = MongoClient[dict[str, Any]]


def main() -> None:
    """Wait for the members to start, then initiate the set and create the user."""
    members = os.environ["MEMBERS"].split(",")
    host, port = members[0].rsplit(":", 1)
    credentials: Any = {"username": "root", "password": os.environ["ROOT_PASSWORD"], "authSource": "admin"}
    with Client(host, int(port), directConnection=True, serverSelectionTimeoutMS=5000, **credentials) as client:
        retry(lambda: client.admin.command("ping"))  # the driver authenticates first
        initiate(client, members)
    with Client(members, replicaSet=SET, serverSelectionTimeoutMS=5000, **credentials) as client:
        retry(lambda: client.admin.command("ping"))
        create_user(client, os.environ["DATABASE"], os.environ["PASSWORD"])
    print(f"{SET} of {', '.join(members)} has the user {USER}.")


def retry(command: Any) -> None:
    """Retry until a member responds; the first member restarts right after its first user was created."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            command()
        except (ConnectionFailure, OperationFailure) as error:
            starting = isinstance(error, ConnectionFailure) or error.code == AUTHENTICATION_FAILED
            if not starting or time.monotonic() > deadline:
                raise
            print(f"Not yet: {error}", file=sys.stderr)
            time.sleep(1)
        else:
            return


def initiate(client: Client, members: list[str]) -> None:
    """Initiate the set if it is not initiated; exit if it has other members."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        configured = [{"_id": index, "host": member} for index, member in enumerate(members)]
        # MongoDB refuses members whose names cannot be resolved yet.
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                client.admin.command("replSetInitiate", {"_id": SET, "members": configured, "settings": SETTINGS})
            except OperationFailure as failure:
                if time.monotonic() > deadline:
                    raise
                print(f"Not yet: {failure}", file=sys.stderr)
                time.sleep(1)
            else:
                return
    found = [member["host"] for member in config["members"]]
    if found != members:
        sys.exit(
            f"The set has the members {', '.join(found)}, not {', '.join(members)}. Set mongodb.own.members "
            f"back to {len(found)}, or change the set by hand with rs.add and rs.remove."
        )


def create_user(client: Client, database: str, password: str) -> None:
    """Create or update the roles, one in each database, and the user."""
    roles = []
    for suffix, actions in ACTIONS.items():
        db = client[f"{database}{suffix}"]
        privileges = [{"resource": {"db": db.name, "collection": ""}, "actions": actions}]
        verb = "update" if db.command("rolesInfo", ROLE)["roles"] else "create"
        db.command(f"{verb}Role", ROLE, privileges=privileges, roles=[])
        roles.append({"role": ROLE, "db": db.name})
    db = client[database]
    verb = "update" if db.command("usersInfo", USER)["users"] else "create"
    db.command(f"{verb}User", USER, pwd=password, roles=roles)


main()
