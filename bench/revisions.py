"""The code of another git revision, to compare with in the same run."""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]

MAX_GROWTH = 1.05
"""Target of the CPU per request, as a ratio to that of the other revision."""


class RevisionError(RuntimeError):
    """Git cannot export the revision; the message is git's."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision by its name, and the folder with its code."""

    name: str
    tree: Path


def export(name: str, folder: Path, repository: Path = ROOT) -> Revision:
    """Write the code of a revision to a folder. Raises `RevisionError`.

    An archive and not a worktree: git keeps a record of worktrees, which a killed run would leave behind.
    """
    command = ["git", "-C", str(repository), "archive", "--format=tar", "--end-of-options", f"{name}^{{commit}}"]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError as error:
        raise RevisionError(f"git cannot be started: {error}") from error
    if done.returncode:
        raise RevisionError(f"{name}: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as code:
        code.extractall(folder, filter="data")
    return Revision(name, folder)
