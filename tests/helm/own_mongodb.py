"""The members of the chart's own MongoDB as their image starts them: with a keyfile, and a root user on the first."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConnectionFailure

from storage.embedded_mongodb.mongod import free_ports, wait_for
from storage.embedded_mongodb.replica_set import find_mongod

START_TIMEOUT_SECONDS = 60.0
Client = MongoClient[dict[str, Any]]


@contextmanager
def own_mongodb(folder: Path, members: int, root_password: str) -> Iterator[list[str]]:
    """Run members that are not a replica set yet; yield their addresses."""
    keyfile = folder / "keyfile"
    keyfile.write_text("k" * 256)
    keyfile.chmod(0o400)
    ports = free_ports(members)
    for port in ports:
        (folder / str(port)).mkdir()
    with _mongod(folder, ports[0]) as client:
        client.admin.command("createUser", "root", pwd=root_password, roles=["root"])
    with ExitStack() as stack:
        for port in ports:
            stack.enter_context(_mongod(folder, port, "--replSet=rs0", f"--keyFile={keyfile}"))
        yield [f"127.0.0.1:{port}" for port in ports]


@contextmanager
def _mongod(folder: Path, port: int, *options: str) -> Iterator[Client]:
    paths = [f"--dbpath={folder / str(port)}", f"--logpath={folder / f'{port}.log'}", f"--port={port}"]
    limits = ["--bind_ip=127.0.0.1", "--oplogSize=50", "--wiredTigerCacheSizeGB=0.25", "--nounixsocket"]
    shutdown = ["--setParameter=shutdownTimeoutMillisForSignaledShutdown=0"]
    process = subprocess.Popen([find_mongod(), *paths, *limits, *shutdown, *options], stdout=subprocess.DEVNULL)
    try:
        with Client("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500) as client:
            assert wait_for(lambda: _is_up(client), START_TIMEOUT_SECONDS), (folder / f"{port}.log").read_text()[-3000:]
            yield client
    finally:
        process.terminate()
        process.wait()


def _is_up(client: Client) -> bool:
    try:
        return bool(client.admin.command("hello"))
    except ConnectionFailure:
        return False
