"""The embedded replica set: it starts after any earlier run, recovers from failures and leaves no process behind."""

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
from storage.embedded_mongodb.mongod import EmbeddedReplicaSetError, find_mongod
from tests.stack.replica_set import BreakableReplicaSet

ROOT = Path(__file__).parents[3]
OWNER = """
import sys
from pathlib import Path
from storage.embedded_mongodb.replica_set import EmbeddedReplicaSet

replica_set = EmbeddedReplicaSet(Path(sys.argv[1]), int(sys.argv[2]))
print(replica_set.start(), flush=True)
"""
UNTIL_INPUT_ENDS = """
sys.stdin.read()
replica_set.stop()
"""


def put(uri: str, key: str) -> None:
    """Write a document durably."""
    with MongoClient[dict[str, Any]](uri) as client:
        notes = client["test"].get_collection("notes", write_concern=WriteConcern("majority", j=True))
        notes.insert_one({"_id": key})


def has(uri: str, key: str) -> bool:
    with MongoClient[dict[str, Any]](uri) as client:
        return client["test"]["notes"].find_one({"_id": key}) is not None


def mongods_on(data_dir: Path) -> set[int]:
    """Return the ids of all processes with a folder of the set on their command line."""
    pids = set()
    for each in Path("/proc").glob("[0-9]*"):
        try:
            command = (each / "cmdline").read_bytes()
        except OSError:
            continue  # the process has just exited
        if f"{data_dir}/member-".encode() in command:
            pids.add(int(each.name))
    return pids


@contextmanager
def owner(data_dir: Path, members: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the set in another process until it is killed or its input is closed; yield the process and the URI."""
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


def edit_state(data_dir: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the state that the set keeps between runs."""
    path = data_dir / "devset.json"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))


class HangUp(socketserver.TCPServer):
    """A server that closes every connection."""

    allow_reuse_address = True  # connections of the earlier member may be in TIME_WAIT


@contextmanager
def occupied(port: int) -> Iterator[None]:
    """Occupy a port with another program."""
    with HangUp(("127.0.0.1", port), socketserver.BaseRequestHandler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield
        finally:
            server.shutdown()
            serving.join()


# Starting


def test_a_new_set_has_a_writable_primary_and_two_secondaries(own_replica_set: BreakableReplicaSet) -> None:
    put(own_replica_set.uri, "first")
    assert has(own_replica_set.uri, "first")
    assert {own_replica_set.primary(), *own_replica_set.secondaries()} == set(own_replica_set.members())
    assert len(own_replica_set.secondaries()) == 2


def test_the_members_listen_on_loopback_only(own_replica_set: BreakableReplicaSet) -> None:
    listening = {
        fields[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
    }
    for member in own_replica_set.members():
        assert [address for address in listening if address.endswith(f":{member.port:04X}")] == [
            f"0100007F:{member.port:04X}"
        ]


def test_a_second_start_keeps_the_data_and_ports_of_the_first(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir) as replica_set:
        first = replica_set.uri
        put(first, "kept")
    with BreakableReplicaSet(data_dir) as replica_set:
        assert replica_set.uri == first
        assert has(replica_set.uri, "kept")
        assert len(replica_set.secondaries()) == 2


def test_a_set_can_be_stopped_and_started_again(data_dir: Path) -> None:
    replica_set = BreakableReplicaSet(data_dir, 1)
    put(replica_set.start(), "kept")
    replica_set.stop()
    with pytest.raises(EmbeddedReplicaSetError, match=r"is not running. Call start\(\) first"):
        _ = replica_set.uri
    assert has(replica_set.start(), "kept")
    replica_set.stop()


def test_a_set_of_one_member_has_a_primary(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        put(replica_set.uri, "alone")
        assert replica_set.members() == [replica_set.primary()]
        assert replica_set.secondaries() == []


@pytest.mark.parametrize("taken", [1, 3])
def test_members_whose_port_is_in_use_move_to_another(data_dir: Path, taken: int) -> None:
    messages: list[str] = []
    with BreakableReplicaSet(data_dir) as replica_set:
        put(replica_set.uri, "kept")
        before = [member.port for member in replica_set.members()]
    with ExitStack() as others:
        for port in before[:taken]:
            others.enter_context(occupied(port))
        with BreakableReplicaSet(data_dir, report=messages.append) as replica_set:
            after = [member.port for member in replica_set.members()]
            assert not set(after) & set(before[:taken])
            assert after[taken:] == before[taken:]
            assert has(replica_set.uri, "kept")
            put(replica_set.uri, "new")
            assert len(replica_set.secondaries()) == 2
    assert len(messages) == taken
    assert all("is in use by another program" in message for message in messages)


def test_a_member_is_not_mistaken_for_another_set_on_its_port(
    data_dir: Path, own_replica_set: BreakableReplicaSet
) -> None:
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        put(replica_set.uri, "kept")
    foreign = own_replica_set.primary().port
    edit_state(data_dir, lambda state: state["members"][0].update(port=foreign))
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        assert replica_set.primary().port != foreign
        assert has(replica_set.uri, "kept")


def test_another_number_of_members_is_refused(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, 1):
        pass
    with pytest.raises(
        EmbeddedReplicaSetError, match=r"has 1 members, not 3. Set PRICEBOOK_MEMBERS to 1, or use another folder"
    ):
        BreakableReplicaSet(data_dir, 3).start()


def test_deleting_the_state_file_loses_neither_data_nor_members(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        put(replica_set.uri, "kept")
    (data_dir / "devset.json").unlink()
    with pytest.raises(EmbeddedReplicaSetError, match=r"has 1 members, not 3. Set PRICEBOOK_MEMBERS to 1"):
        BreakableReplicaSet(data_dir, 3).start()
    (data_dir / "devset.json").unlink()
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        assert has(replica_set.uri, "kept")


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"format": 1, "members": [{"port": "?", "pid": null}]}'])
def test_a_damaged_state_file_is_rejected(data_dir: Path, damage: str) -> None:
    data_dir.mkdir()
    (data_dir / "devset.json").write_text(damage)
    with pytest.raises(EmbeddedReplicaSetError, match=re.escape("devset.json is damaged. Delete it and start again")):
        BreakableReplicaSet(data_dir).start()


def test_the_state_file_of_a_later_release_is_rejected_and_unchanged(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "devset.json").write_text('{"format": 2, "members": {}}')
    with pytest.raises(EmbeddedReplicaSetError, match=r"has format 2; this release reads format 1. Upgrade Pricebook"):
        BreakableReplicaSet(data_dir).start()
    assert (data_dir / "devset.json").read_text() == '{"format": 2, "members": {}}'


@pytest.mark.parametrize("members", [0, 8])
def test_an_invalid_number_of_members_is_rejected(data_dir: Path, members: int) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match="Set PRICEBOOK_MEMBERS to 1 to 7"):
        BreakableReplicaSet(data_dir, members)


def test_a_cache_too_small_for_mongod_is_rejected(data_dir: Path) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match="Use 256 MB or more"):
        BreakableReplicaSet(data_dir, cache_mb=255)


def test_a_failed_start_reports_the_reason_and_leaves_no_process_behind(data_dir: Path) -> None:
    (data_dir / "member-1").mkdir(parents=True)
    (data_dir / "member-1" / "storage.bson").write_bytes(b"not BSON")
    with pytest.raises(EmbeddedReplicaSetError, match=r"member-1 exited with code \d+ .*See .*member-1.log"):
        BreakableReplicaSet(data_dir, 2).start()
    assert mongods_on(data_dir) == set()
    (data_dir / "member-1" / "storage.bson").unlink()
    with BreakableReplicaSet(data_dir, 2) as replica_set:
        put(replica_set.uri, "started")


def test_a_data_folder_that_cannot_be_created_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedReplicaSetError, match=r"file/data cannot be used .* Use another one"):
        BreakableReplicaSet(tmp_path / "file" / "data").start()


# One owner at a time


def test_a_second_process_on_the_same_data_learns_which_process_runs_it(data_dir: Path) -> None:
    with owner(data_dir, 1) as (process, uri):
        with pytest.raises(EmbeddedReplicaSetError, match=f"Process {process.pid} already runs .* in {data_dir}"):
            BreakableReplicaSet(data_dir, 1).start()
        put(uri, "undisturbed")
    assert process.returncode == 0
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        assert has(replica_set.uri, "undisturbed")


# Stopping


def test_stop_leaves_no_process_behind(data_dir: Path) -> None:
    replica_set = BreakableReplicaSet(data_dir)
    replica_set.start()
    assert mongods_on(data_dir) == {member.pid for member in replica_set.members()}
    replica_set.stop()
    assert mongods_on(data_dir) == set()
    replica_set.stop()


def test_stop_ends_paused_members(data_dir: Path) -> None:
    messages: list[str] = []
    with BreakableReplicaSet(data_dir, 1, report=messages.append) as replica_set:
        replica_set.kill(replica_set.primary(), signal.SIGSTOP)
    assert mongods_on(data_dir) == set()
    assert messages == []


def test_stop_kills_a_member_that_does_not_exit_and_reports_it(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    send = mongod.Mongod.send_signal
    monkeypatch.setattr(mongod.Mongod, "send_signal", lambda to, number: number == signal.SIGTERM or send(to, number))
    monkeypatch.setattr("storage.embedded_mongodb.replica_set._STOP_TIMEOUT_SECONDS", 0.5)
    messages: list[str] = []
    with BreakableReplicaSet(data_dir, 1, report=messages.append):
        pass
    assert mongods_on(data_dir) == set()
    assert [message.split("(")[0] for message in messages] == ["Killing Mongod"]


def test_ctrl_c_in_the_terminal_does_not_reach_the_members(own_replica_set: BreakableReplicaSet) -> None:
    for member in own_replica_set.members():
        assert os.getpgid(member.pid) == member.pid
        assert os.getsid(member.pid) == member.pid


def test_members_outlive_the_thread_that_started_them(data_dir: Path) -> None:
    replica_set = BreakableReplicaSet(data_dir, 1)
    thread = threading.Thread(target=replica_set.start)
    thread.start()
    thread.join()
    try:
        put(replica_set.uri, "alive")
        assert mongods_on(data_dir) == {replica_set.primary().pid}
    finally:
        replica_set.stop()


def test_members_end_when_their_owner_is_killed(data_dir: Path) -> None:
    with owner(data_dir, 3) as (process, _):
        assert len(mongods_on(data_dir)) == 3
        process.kill()
    assert mongod.wait_for(lambda: not mongods_on(data_dir), timeout=30)


def test_members_end_when_their_owner_exits_without_stopping_them(data_dir: Path) -> None:
    subprocess.run([sys.executable, "-c", OWNER, str(data_dir), "1"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    assert mongod.wait_for(lambda: not mongods_on(data_dir), timeout=30)


def test_a_start_right_after_the_owner_was_killed_keeps_its_data(data_dir: Path) -> None:
    with owner(data_dir, 3) as (process, uri):
        put(uri, "kept")
        orphans = mongods_on(data_dir)
        process.kill()
    with BreakableReplicaSet(data_dir) as replica_set:
        assert replica_set.uri == uri
        assert has(replica_set.uri, "kept")
        assert mongods_on(data_dir) == {member.pid for member in replica_set.members()}
        assert not orphans & mongods_on(data_dir)


def test_a_leftover_mongod_is_stopped_first(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, 1) as replica_set:
        put(replica_set.uri, "kept")
        port = replica_set.primary().port
    messages: list[str] = []
    command = [str(find_mongod()), "--dbpath", str(data_dir / "member-0"), "--port", str(port), "--nounixsocket"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as leftover:
        assert mongod.wait_for((data_dir / "member-0" / "mongod.lock").read_text, timeout=30)
        edit_state(data_dir, lambda state: state["members"][0].update(pid=leftover.pid))
        with BreakableReplicaSet(data_dir, 1, report=messages.append) as replica_set:
            assert leftover.poll() is not None
            assert has(replica_set.uri, "kept")
    assert messages == [f"Stopped the mongod {leftover.pid} that an earlier run left behind."]


def test_another_process_that_reuses_a_stored_process_id_is_not_stopped(data_dir: Path) -> None:
    with BreakableReplicaSet(data_dir, 1):
        pass
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        edit_state(data_dir, lambda state: state["members"][0].update(pid=other.pid))
        with BreakableReplicaSet(data_dir, 1) as replica_set:
            put(replica_set.uri, "started")
        assert other.poll() is None
        other.kill()


# Breaking members


def test_a_killed_primary_is_replaced_and_rejoins_after_a_restart(own_replica_set: BreakableReplicaSet) -> None:
    killed = own_replica_set.primary()
    own_replica_set.kill(killed, signal.SIGKILL)
    assert killed not in own_replica_set.members()
    successor = own_replica_set.primary()
    assert successor.port != killed.port
    put(own_replica_set.uri, "written without the killed one")
    restarted = own_replica_set.restart(killed)
    assert restarted.port == killed.port
    assert restarted.pid != killed.pid
    assert mongod.wait_for(lambda: restarted in own_replica_set.secondaries(), timeout=60)
    assert own_replica_set.primary() == successor


def test_a_paused_primary_is_replaced_and_steps_down_when_it_resumes(own_replica_set: BreakableReplicaSet) -> None:
    paused = own_replica_set.primary()
    own_replica_set.kill(paused, signal.SIGSTOP)
    successor = own_replica_set.primary()
    assert successor != paused
    own_replica_set.kill(paused, signal.SIGCONT)
    assert mongod.wait_for(lambda: paused in own_replica_set.secondaries(), timeout=60)
    assert own_replica_set.primary() == successor


def test_a_running_member_cannot_be_restarted(own_replica_set: BreakableReplicaSet) -> None:
    with pytest.raises(EmbeddedReplicaSetError, match=r"is running. Use kill\(\) first"):
        own_replica_set.restart(own_replica_set.primary())
