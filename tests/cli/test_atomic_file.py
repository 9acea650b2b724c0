"""A file is replaced when it is complete; a link, permissions and what is no file stay as they are."""

import os
import stat
import threading
from pathlib import Path

import pytest

from cli.atomic_file import CannotWrite, write_atomically
from tests.waiting import DEADLINE_SECONDS


def write(path: Path, content: bytes) -> None:
    with write_atomically(path) as out:
        out.write(content)


def test_a_failed_write_leaves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "prices.ndjson"
    path.write_bytes(b"before")
    with pytest.raises(TypeError), write_atomically(path) as out:
        out.writelines([b"half", None])  # type: ignore[list-item]
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("prices.ndjson", b"before")]


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "prices.ndjson"
    with write_atomically(path) as out:
        out.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"


@pytest.mark.parametrize(("name", "reason"), [("a/b", "No such file or directory"), ("", "Is a directory")])
def test_what_cannot_be_written_is_an_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(CannotWrite, match=f"cannot be written: {reason}"), write_atomically(tmp_path / name):
        raise AssertionError("It was opened.")


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere" / "prices", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    write(link, b"after")
    assert (link.is_symlink(), target.read_bytes()) == (True, b"after")


def test_a_link_to_a_file_that_does_not_exist_yet_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "new")
    write(tmp_path / "link", b"all")
    assert ((tmp_path / "link").is_symlink(), (tmp_path / "new").read_bytes()) == (True, b"all")


def test_a_link_to_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "link")
    write(tmp_path / "link", b"all")
    assert [(each.is_symlink(), each.read_bytes()) for each in tmp_path.iterdir()] == [(False, b"all")]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "prices"
    path.touch()
    path.chmod(mode)
    write(path, b"after")
    assert (stat.S_IMODE(path.stat().st_mode), path.read_bytes()) == (mode, b"after")


def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write(pipe, b"all")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    reader.join(DEADLINE_SECONDS)
    assert received == [b"all"]
