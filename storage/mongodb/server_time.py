"""The time of the database, which decides what is due, past or in the future; never that of a process."""

import datetime
from typing import NamedTuple

from storage.mongodb.connection import Client


async def server_time(client: Client) -> datetime.datetime:
    """Return the time of the primary, in milliseconds as in BSON."""
    hello = await client.admin.command("hello")
    time: datetime.datetime = hello["localTime"]
    return time.replace(tzinfo=datetime.UTC)


class ServerTimes(NamedTuple):
    """The time of the primary, and up to when a majority of the members has all writes; never later than `now`.

    The primary writes at least every 10 seconds, so that `majority` follows `now`. A mongos does not report it: then
    it is `now`.
    """

    now: datetime.datetime
    majority: datetime.datetime


async def server_times(client: Client) -> ServerTimes:
    """Return the times of the primary, in one round trip."""
    hello = await client.admin.command("hello")
    now: datetime.datetime = hello["localTime"].replace(tzinfo=datetime.UTC)
    written: datetime.datetime | None = hello.get("lastWrite", {}).get("majorityWriteDate")
    return ServerTimes(now, min(now, written.replace(tzinfo=datetime.UTC)) if written else now)
