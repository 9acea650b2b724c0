"""The time of the database, which decides what is due, past or in the future; never that of a process."""

import datetime

from storage.mongodb.connection import Client


async def server_time(client: Client) -> datetime.datetime:
    """Return the time of the primary, in milliseconds as in BSON."""
    hello = await client.admin.command("hello")
    time: datetime.datetime = hello["localTime"]
    return time.replace(tzinfo=datetime.UTC)
