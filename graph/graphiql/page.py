"""GraphiQL, the editor that the endpoint serves to browsers.

`graph.graphiql.install` stores its files next to this module. Where that was not run, the page loads them from a
content delivery network. In both cases the browser checks their hashes.
"""

import json
from pathlib import Path
from string import Template
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse

FOLDER = Path(__file__).with_name("files")
"""Folder of the installed files."""

PATH = "/graphiql"
"""Path at which they are served."""

CDN = "https://unpkg.com"

SAMPLE = """\
# The price lists, their current versions, and the first prices of each.
# Press Ctrl-Enter to send the query, Ctrl-Space for suggestions.

query Lists {
  priceLists(first: 10) {
    nodes {
      name
      current {
        version
        publishedAt
        size
        prices(first: 3) {
          nodes { sku amount currency }
        }
      }
    }
  }
}
"""


class Asset(NamedTuple):
    """A file of an npm package. `integrity` is its hash, as in the attribute of that name in HTML."""

    package: str
    path: str
    integrity: str

    @property
    def name(self) -> str:
        """The name of the installed file. It has the version, because browsers keep the file for a day."""
        return f"{self.package.replace('@', '-')}-{self.path.rpartition('/')[2]}"

    @property
    def cdn_url(self) -> str:
        """The URL of the file at the content delivery network."""
        return f"{CDN}/{self.package}/{self.path}"

    def tag(self) -> str:
        """Return the HTML element that loads the file."""
        is_installed = (FOLDER / self.name).exists()
        url = f"{PATH}/{self.name}" if is_installed else self.cdn_url
        attributes = f'integrity="{self.integrity}" crossorigin="anonymous"'
        if self.name.endswith(".css"):
            return f'<link rel="stylesheet" href="{url}" {attributes} />'
        return f'<script src="{url}" {attributes}></script>'


ASSETS = (
    Asset(
        "react@18.2.0",
        "umd/react.production.min.js",
        "sha384-tMH8h3BGESGckSAVGZ82T9n90ztNXxvdwvdM6UoR56cYcf+0iGXBliJ29D+wZ/x8",
    ),
    Asset(
        "react-dom@18.2.0",
        "umd/react-dom.production.min.js",
        "sha384-bm7MnzvK++ykSwVJ2tynSE5TRdN+xL418osEVF2DE/L/gfWHj91J2Sphe582B1Bh",
    ),
    Asset(
        "graphiql@3.8.3",
        "graphiql.min.css",
        "sha384-Mq3vbRBY71jfjQAt/DcjxUIYY33ksal4cgdRt9U/hNPvHBCaT2JfJ/PTRiPKf0aM",
    ),
    Asset(
        "graphiql@3.8.3",
        "graphiql.min.js",
        "sha384-HbRVEFG0JGJZeAHCJ9Xm2+tpknBQ7QZmNlO/DgZtkZ0aJSypT96YYGRNod99l9Ie",
    ),
)


def page() -> bytes:
    """Return the HTML page."""
    template = Template(Path(__file__).with_name("page.html").read_text())
    assets = "\n    ".join(asset.tag() for asset in ASSETS)
    return template.substitute(assets=assets, sample=json.dumps(SAMPLE)).encode()


def serve_file(request: Request) -> FileResponse:
    """Serve an installed file."""
    name = request.path_params["name"]
    if not (any(asset.name == name for asset in ASSETS) and (FOLDER / name).exists()):
        raise HTTPException(404)
    return FileResponse(FOLDER / name, headers={"cache-control": "public, max-age=86400"})
