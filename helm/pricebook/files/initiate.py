"""Makes the own mongods a replica set, and creates the role and the user that Pricebook comes with.

Environment: MEMBERS (host:port, with commas between; the first has the user root), DATABASE, ROOT_PASSWORD, PASSWORD.
What is there already is left as it is, so it may run again; the user gets the password that is told.
"""

import os
import sys
import time
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure, OperationFailure

SET = "rs0"
SETTINGS = {"electionTimeoutMillis": 4000, "heartbeatIntervalMillis": 500, "heartbeatTimeoutSecs": 3}
"""Members that stand together notice within seconds that one is gone; MongoDB's defaults are for members far apart."""
USER = "pricebook"
ROLE = "pricebookService"
WAIT_SECONDS = 300

# Those of docs/security.md, "A MongoDB user of its own".
ACTIONS = [
    "find",
    "insert",
    "update",
    "remove",
    "changeStream",
    "collStats",
    "createIndex",
    "collMod",
    "dropCollection",
    "listCollections",
]

NOT_YET_INITIALIZED = 94
AUTHENTICATION_FAILED = 18
Client = MongoClient[dict[str, Any]]


def main() -> None:
    """Do it, waiting for members that are still starting."""
    members = os.environ["MEMBERS"].split(",")
    host, port = members[0].rsplit(":", 1)
    credentials: Any = {"username": "root", "password": os.environ["ROOT_PASSWORD"], "authSource": "admin"}
    with Client(host, int(port), directConnection=True, serverSelectionTimeoutMS=5000, **credentials) as client:
        until(lambda: client.admin.command("ping"))  # the driver has signed in before
        initiate(client, members)
    with Client(members, replicaSet=SET, serverSelectionTimeoutMS=5000, **credentials) as client:
        until(lambda: client.admin.command("ping"))
        create_user(client, os.environ["DATABASE"], os.environ["PASSWORD"])
    print(f"{SET} of {', '.join(members)} has the user {USER}.")


def until(ask: Any) -> None:
    """Ask again while nobody answers; the first user is created a moment before the first member starts anew."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            ask()
        except (ConnectionFailure, OperationFailure) as error:
            starting = isinstance(error, ConnectionFailure) or error.code == AUTHENTICATION_FAILED
            if not starting or time.monotonic() > deadline:
                raise
            print(f"Not yet: {error}", file=sys.stderr)
            time.sleep(1)
        else:
            return


def initiate(client: Client, members: list[str]) -> None:
    """Initiate the set, unless it is; ends the program where it has other members than are wanted."""
    try:
        config = client.admin.command("replSetGetConfig")["config"]
    except OperationFailure as error:
        if error.code != NOT_YET_INITIALIZED:
            raise
        wanted = [{"_id": index, "host": member} for index, member in enumerate(members)]
        # Members whose names are not known yet are refused at once.
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                client.admin.command("replSetInitiate", {"_id": SET, "members": wanted, "settings": SETTINGS})
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
            f"The set has the members {', '.join(found)}, and {', '.join(members)} are wanted. Set mongodb.own.members "
            f"back to {len(found)}, or change the set by hand with rs.add and rs.remove."
        )


def create_user(client: Client, database: str, password: str) -> None:
    """Create role and user, or bring them to what is wanted."""
    privileges = [{"resource": {"db": database, "collection": ""}, "actions": ACTIONS}]
    db = client[database]
    verb = "update" if db.command("rolesInfo", ROLE)["roles"] else "create"
    db.command(f"{verb}Role", ROLE, privileges=privileges, roles=[])
    verb = "update" if db.command("usersInfo", USER)["users"] else "create"
    db.command(f"{verb}User", USER, pwd=password, roles=[ROLE])


main()
