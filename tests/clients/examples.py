"""The examples of `docs/clients.md`, with the URL of a server of the tests."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"
SERVER = "https://prices.example.com"
WEBSOCKET = "wss://prices.example.com"


def examples(language: str) -> dict[str, str]:
    """Return the examples in a language by name."""
    page = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(rf"<!-- example: ([\w.]+) -->\n```{language}\n(.*?)```", page, re.DOTALL))


def python(name: str, url: str) -> dict[str, Any]:
    """Run a Python example and return what it defines."""
    code = examples("python")[name].replace(SERVER, url).replace(WEBSOCKET, url.replace("http", "ws"))
    namespace: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), namespace)
    return namespace


def javascript() -> dict[str, str]:
    """Return the JavaScript examples by name. They take the URL from the environment."""
    url = "process.env.PRICEBOOK_URL"
    return {
        name: code.replace(f'"{SERVER}/', f'{url} + "/').replace(f'"{WEBSOCKET}/', f'{url}.replace("http", "ws") + "/')
        for name, code in examples("js").items()
    }
