"""Which mongod the embedded replica set runs, and the errors if none can run."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path

import pytest

from storage.embedded_mongodb import mongod
from storage.embedded_mongodb.mongod import EmbeddedReplicaSetError, find_mongod


class Wheel(importlib.metadata.Distribution):
    """An installed wheel with its mongod in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_text(self, filename: str) -> None:
        return None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        return self.folder / path


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> importlib.metadata.Distribution:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path at which a test may create the only mongod on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin" / "mongod"


def test_the_mongod_of_the_wheel_is_preferred(on_path: Path) -> None:
    script(on_path, "echo db version v7.0.14")
    wheel = importlib.metadata.distribution(mongod.WHEEL)
    assert find_mongod() == Path(str(wheel.locate_file("fiftyone/db/bin/mongod")))
    assert "fiftyone" not in sys.modules


@pytest.mark.usefixtures("no_wheel")
def test_a_mongod_on_the_path_is_the_second_choice(on_path: Path) -> None:
    script(on_path, "echo db version v7.0.14")
    assert find_mongod() == on_path


@pytest.mark.usefixtures("no_wheel", "on_path")
def test_without_a_mongod_the_error_explains_how_to_install_one() -> None:
    with pytest.raises(EmbeddedReplicaSetError, match=r"pip install 'pricebook\[dev\]'.* or set PRICEBOOK_MONGODB_URI"):
        find_mongod()


def test_a_missing_execute_permission_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = script(tmp_path / "fiftyone/db/bin/mongod", "echo db version v6.0.5", mode=0o644)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Wheel(tmp_path))
    assert find_mongod() == program
    assert os.access(program, os.X_OK)


def test_the_error_explains_how_to_add_an_execute_permission_that_cannot_be_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    program = script(tmp_path / "fiftyone/db/bin/mongod", "echo db version v6.0.5", mode=0o644)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Wheel(tmp_path))
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(EmbeddedReplicaSetError, match=f"chmod \\+x {program}"):
        find_mongod()


@pytest.mark.usefixtures("no_wheel")
@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file: "
            "No such file or directory' >&2; exit 127",
            "needs the shared library libcurl.so.4. Install it with `apt-get install libcurl4`",
        ),
        (
            "echo 'mongod: error while loading shared libraries: libodd.so.1: cannot open shared object file: "
            "No such file or directory' >&2; exit 127",
            "needs the shared library libodd.so.1. Install the package that contains it",
        ),
        ("echo 'libc.so.6: version GLIBC_2.34 not found' >&2; exit 1", "does not run (libc.so.6: version GLIBC_2.34"),
        ("kill -ILL $$", "needs a processor with AVX"),
        ("exit 3", "does not run (exit code 3)"),
        ("echo db version v4.4.29", "is MongoDB 4.4; Pricebook needs 6.0 or later. Upgrade it"),
    ],
)
def test_an_unusable_mongod_is_rejected_with_a_remedy(on_path: Path, command: str, message: str) -> None:
    script(on_path, command)
    with pytest.raises(EmbeddedReplicaSetError, match=f"{re.escape(message)}.*or set PRICEBOOK_MONGODB_URI"):
        find_mongod()


@pytest.mark.usefixtures("no_wheel")
def test_a_mongod_for_another_platform_is_rejected(on_path: Path) -> None:
    on_path.parent.mkdir()
    on_path.write_bytes(b"\x7fELF")
    on_path.chmod(0o755)
    with pytest.raises(EmbeddedReplicaSetError, match=r"cannot run on this machine .Exec format error."):
        find_mongod()
