"""The embedded replica set: it starts on whatever an earlier run left, survives what tests do to it, leaves nothing."""

import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern

from storage.embedded_mongodb import mongod
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet, EmbeddedReplicaSetError, find_mongod

ROOT = Path(__file__).parents[3]
OWNER = """
import sys
from pathlib import Path
from storage.devset import DevSet

devset = DevSet(Path(sys.argv[1]), int(sys.argv[2]))
print(devset.start(), flush=True)
"""
UNTIL_INPUT_ENDS = """
sys.stdin.read()
devset.stop()
"""


def put(uri: str, key: str) -> None:
    """Write a document that survives the loss of any minority of members."""
    with MongoClient[dict[str, Any]](uri) as client:
        notes = client["test"].get_collection("notes", write_concern=WriteConcern("majority", j=True))
        notes.insert_one({"_id": key})


def has(uri: str, key: str) -> bool:
    with MongoClient[dict[str, Any]](uri) as client:
        return client["test"]["notes"].find_one({"_id": key}) is not None


def mongods_on(data_dir: Path) -> set[int]:
    """The ids of all processes that name a folder of the set on their command line."""
    found = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes()
        except OSError:
            continue  # it has just ended
        if f"{data_dir}/member-".encode() in command:
            found.add(int(each.name))
    return found


@contextmanager
def owner(data_dir: Path, members: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that runs the set, until it is killed or its input is closed; with the URI."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER + UNTIL_INPUT_ENDS, str(data_dir), str(members)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()


def remember(data_dir: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change what the set remembers between runs."""
    path = data_dir / "devset.json"
    memory = json.loads(path.read_text())
    change(memory)
    path.write_text(json.dumps(memory))


class HangUp(socketserver.TCPServer):
    """A program that hangs up on everybody who connects."""

    allow_reuse_address = True  # clients of the member that listened before may still wait out their connections


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Another program on the port."""
    with HangUp(("127.0.0.1", port), socketserver.BaseRequestHandler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


# Starting


def test_a_fresh_start_gives_a_writable_primary_that_two_members_follow(own_devset: EmbeddedReplicaSet) -> None:
    put(own_devset.uri, "first")
    assert has(own_devset.uri, "first")
    assert {own_devset.primary(), *own_devset.secondaries()} == set(own_devset.members())
    assert len(own_devset.secondaries()) == 2


def test_the_members_are_reached_on_loopback_only(own_devset: EmbeddedReplicaSet) -> None:
    listening = {
        fields[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
    }
    for member in own_devset.members():
        assert [address for address in listening if address.endswith(f":{member.port:04X}")] == [
            f"0100007F:{member.port:04X}"
        ]


def test_the_second_start_finds_data_and_ports_of_the_first(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir) as devset:
        first = devset.uri
        put(first, "kept")
    with EmbeddedReplicaSet(data_dir) as devset:
        assert devset.uri == first
        assert has(devset.uri, "kept")
        assert len(devset.secondaries()) == 2


def test_one_set_can_be_stopped_and_started_again(data_dir: Path) -> None:
    devset = EmbeddedReplicaSet(data_dir, 1)
    put(devset.start(), "kept")
    devset.stop()
    with pytest.raises(EmbeddedReplicaSetError, match=r"does not run. Call start\(\) first"):
        _ = devset.uri
    assert has(devset.start(), "kept")
    devset.stop()


def test_a_set_of_one_member_has_a_primary(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        put(devset.uri, "alone")
        assert devset.members() == [devset.primary()]
        assert devset.secondaries() == []


@pytest.mark.parametrize("taken", [1, 3])
def test_members_whose_port_is_taken_move_to_another(data_dir: Path, taken: int) -> None:
    said: list[str] = []
    with EmbeddedReplicaSet(data_dir) as devset:
        put(devset.uri, "kept")
        before = [member.port for member in devset.members()]
    with ExitStack() as strangers:
        for port in before[:taken]:
            strangers.enter_context(stranger(port))
        with EmbeddedReplicaSet(data_dir, say=said.append) as devset:
            after = [member.port for member in devset.members()]
            assert not set(after) & set(before[:taken])
            assert after[taken:] == before[taken:]
            assert has(devset.uri, "kept")
            put(devset.uri, "new")
            assert len(devset.secondaries()) == 2
    assert [sentence for sentence in said if "listens on port" in sentence] == said
    assert len(said) == taken


def test_a_member_is_not_mistaken_for_another_set_on_its_port(data_dir: Path, own_devset: EmbeddedReplicaSet) -> None:
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        put(devset.uri, "kept")
    foreign = own_devset.primary().port
    remember(data_dir, lambda memory: memory["members"][0].update(port=foreign))
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        assert devset.primary().port != foreign
        assert has(devset.uri, "kept")


def test_another_number_of_members_is_refused(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir, 1):
        pass
    with pytest.raises(
        EmbeddedReplicaSetError, match=r"holds a set of 1 members, not 3. Ask for 1, or give another data folder"
    ):
        EmbeddedReplicaSet(data_dir, 3).start()


def test_a_deleted_memory_loses_neither_data_nor_members(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        put(devset.uri, "kept")
    (data_dir / "devset.json").unlink()
    with pytest.raises(EmbeddedReplicaSetError, match=r"has 1 members, not 3. Ask for 1"):
        EmbeddedReplicaSet(data_dir, 3).start()
    (data_dir / "devset.json").unlink()
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        assert has(devset.uri, "kept")


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"format": 1, "members": [{"port": "?", "pid": null}]}'])
def test_a_damaged_memory_is_refused(data_dir: Path, damage: str) -> None:
    data_dir.mkdir()
    (data_dir / "devset.json").write_text(damage)
    with pytest.raises(EmbeddedReplicaSetError, match=re.escape("devset.json is damaged. Delete it and start again")):
        EmbeddedReplicaSet(data_dir).start()


def test_the_memory_of_a_later_release_is_refused_and_left_alone(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "devset.json").write_text('{"format": 2, "members": {}}')
    with pytest.raises(EmbeddedReplicaSetError, match=r"has format 2; this release knows 1. Upgrade Pricebook"):
        EmbeddedReplicaSet(data_dir).start()
    assert (data_dir / "devset.json").read_text() == '{"format": 2, "members": {}}'


@pytest.mark.parametrize("members", [0, 8])
def test_an_impossible_number_of_members_is_refused(data_dir: Path, members: int) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match="ask for 1 to 7"):
        EmbeddedReplicaSet(data_dir, members)


def test_a_cache_that_mongod_would_refuse_is_refused(data_dir: Path) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match="give it 256 or more"):
        EmbeddedReplicaSet(data_dir, cache_mb=255)


def test_a_start_that_fails_says_why_and_leaves_nothing_behind(data_dir: Path) -> None:
    (data_dir / "member-1").mkdir(parents=True)
    (data_dir / "member-1" / "storage.bson").write_bytes(b"not BSON")
    with pytest.raises(EmbeddedReplicaSetError, match=r"member-1 ended with exit code \d+ .*Look at .*member-1.log"):
        EmbeddedReplicaSet(data_dir, 2).start()
    assert mongods_on(data_dir) == set()
    (data_dir / "member-1" / "storage.bson").unlink()
    with EmbeddedReplicaSet(data_dir, 2) as devset:
        put(devset.uri, "started")


def test_a_data_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedReplicaSetError, match=r"file/data cannot be used .* Give another data folder"):
        EmbeddedReplicaSet(tmp_path / "file" / "data").start()


# One owner at a time


def test_a_second_process_on_the_same_data_is_told_who_runs_it(data_dir: Path) -> None:
    with owner(data_dir, 1) as (process, uri):
        with pytest.raises(EmbeddedReplicaSetError, match=f"Process {process.pid} runs the set of {data_dir}"):
            EmbeddedReplicaSet(data_dir, 1).start()
        put(uri, "undisturbed")
    assert process.returncode == 0
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        assert has(devset.uri, "undisturbed")


# Ending


def test_stop_leaves_no_process_behind(data_dir: Path) -> None:
    devset = EmbeddedReplicaSet(data_dir)
    devset.start()
    assert mongods_on(data_dir) == {member.pid for member in devset.members()}
    devset.stop()
    assert mongods_on(data_dir) == set()
    devset.stop()


def test_stop_ends_members_that_are_held(data_dir: Path) -> None:
    said: list[str] = []
    with EmbeddedReplicaSet(data_dir, 1, say=said.append) as devset:
        devset.kill(devset.primary(), signal.SIGSTOP)
    assert mongods_on(data_dir) == set()
    assert said == []


def test_stop_kills_a_member_that_does_not_end_and_says_so(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send = mongod.Mongod.send
    monkeypatch.setattr(mongod.Mongod, "send", lambda to, number: number == signal.SIGTERM or send(to, number))
    monkeypatch.setattr("storage.embedded_mongodb.replica_set._STOP_TIMEOUT", 0.5)
    said: list[str] = []
    with EmbeddedReplicaSet(data_dir, 1, say=said.append):
        pass
    assert mongods_on(data_dir) == set()
    assert [sentence.split("(")[0] for sentence in said] == ["Killing Mongod"]


def test_ctrl_c_in_the_terminal_does_not_reach_the_members(own_devset: EmbeddedReplicaSet) -> None:
    for member in own_devset.members():
        assert os.getpgid(member.pid) == member.pid
        assert os.getsid(member.pid) == member.pid


def test_members_outlive_the_thread_that_started_them(data_dir: Path) -> None:
    devset = EmbeddedReplicaSet(data_dir, 1)
    thread = threading.Thread(target=devset.start)
    thread.start()
    thread.join()
    try:
        put(devset.uri, "alive")
        assert mongods_on(data_dir) == {devset.primary().pid}
    finally:
        devset.stop()


def test_members_end_when_their_owner_is_killed(data_dir: Path) -> None:
    with owner(data_dir, 3) as (process, _):
        assert len(mongods_on(data_dir)) == 3
        process.kill()
    assert mongod.wait_for(lambda: not mongods_on(data_dir), timeout=30)


def test_members_end_with_an_owner_that_never_stopped_them(data_dir: Path) -> None:
    subprocess.run([sys.executable, "-c", OWNER, str(data_dir), "1"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert mongod.wait_for(lambda: not mongods_on(data_dir), timeout=30)


def test_a_start_right_after_the_owner_was_killed_finds_its_data(data_dir: Path) -> None:
    with owner(data_dir, 3) as (process, uri):
        put(uri, "kept")
        orphans = mongods_on(data_dir)
        process.kill()
    with EmbeddedReplicaSet(data_dir) as devset:
        assert devset.uri == uri
        assert has(devset.uri, "kept")
        assert mongods_on(data_dir) == {member.pid for member in devset.members()}
        assert not orphans & mongods_on(data_dir)


def test_a_mongod_left_behind_is_ended_first(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir, 1) as devset:
        put(devset.uri, "kept")
        port = devset.primary().port
    said: list[str] = []
    left = [str(find_mongod()), "--dbpath", str(data_dir / "member-0"), "--port", str(port), "--nounixsocket"]
    with subprocess.Popen(left, stdout=subprocess.DEVNULL) as leftover:
        assert mongod.wait_for((data_dir / "member-0" / "mongod.lock").read_text, timeout=30)
        remember(data_dir, lambda memory: memory["members"][0].update(pid=leftover.pid))
        with EmbeddedReplicaSet(data_dir, 1, say=said.append) as devset:
            assert leftover.poll() is not None
            assert has(devset.uri, "kept")
    assert said == [f"Ended the mongod {leftover.pid} that an earlier run had left behind."]


def test_a_remembered_process_id_that_is_now_somebody_elses_is_left_alone(data_dir: Path) -> None:
    with EmbeddedReplicaSet(data_dir, 1):
        pass
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        remember(data_dir, lambda memory: memory["members"][0].update(pid=other.pid))
        with EmbeddedReplicaSet(data_dir, 1) as devset:
            put(devset.uri, "started")
        assert other.poll() is None
        other.kill()


# For tests that break things


def test_a_killed_primary_is_succeeded_and_rejoins_after_a_restart(own_devset: EmbeddedReplicaSet) -> None:
    killed = own_devset.primary()
    own_devset.kill(killed, signal.SIGKILL)
    assert killed not in own_devset.members()
    successor = own_devset.primary()
    assert successor.port != killed.port
    put(own_devset.uri, "written without the killed one")
    restarted = own_devset.restart(killed)
    assert restarted.port == killed.port
    assert restarted.pid != killed.pid
    assert mongod.wait_for(lambda: restarted in own_devset.secondaries(), timeout=60)
    assert own_devset.primary() == successor


def test_a_held_primary_is_succeeded_and_steps_down_when_it_goes_on(own_devset: EmbeddedReplicaSet) -> None:
    held = own_devset.primary()
    own_devset.kill(held, signal.SIGSTOP)
    successor = own_devset.primary()
    assert successor != held
    own_devset.kill(held, signal.SIGCONT)
    assert mongod.wait_for(lambda: held in own_devset.secondaries(), timeout=60)
    assert own_devset.primary() == successor


def test_a_member_that_runs_is_not_restarted(own_devset: EmbeddedReplicaSet) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match=r"runs. Use kill\(\) first"):
        own_devset.restart(own_devset.primary())
