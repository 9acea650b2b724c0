"""The page of GraphiQL and its files."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from graph.graphiql import install
from graph.graphiql import page as graphiql
from graph.graphiql.page import ASSETS
from tests.graph.api import Api, open_settings, serving

HTML = {"accept": "text/html"}


@pytest.fixture
async def api(mongodb_uri: str) -> AsyncIterator[Api]:
    """An application that serves GraphiQL."""
    settings = replace(open_settings(), mongodb_uri=mongodb_uri, mongodb_database="graphiql", ide=True)
    async with serving(settings) as api:
        yield api


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed files, which have a wrong content."""
    for asset in ASSETS:
        tmp_path.joinpath(asset.name).write_text(asset.name)
    monkeypatch.setattr(graphiql, "FOLDER", tmp_path)
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    return tmp_path


def urls(html: bytes) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)" integrity="sha384-', html.decode())


def test_the_page_loads_the_installed_files(installed: Path) -> None:
    assert urls(graphiql.page()) == [f"/graphiql/{asset.name}" for asset in ASSETS]


def test_the_page_loads_the_same_files_from_the_network_if_they_are_not_installed(installed: Path) -> None:
    for file in installed.iterdir():
        file.unlink()
    assert urls(graphiql.page()) == [f"https://unpkg.com/{asset.package}/{asset.path}" for asset in ASSETS]


async def test_the_installed_files_are_served_and_no_others(api: Api, installed: Path) -> None:
    installed.joinpath("secret.txt").write_text("secret")
    for asset in ASSETS:
        response = await api.http.get(f"/graphiql/{asset.name}")
        assert (response.status_code, response.text) == (200, asset.name)
    installed.joinpath(ASSETS[0].name).unlink()
    for name in (ASSETS[0].name, "secret.txt", "../page.html", "..%2Fpage.html", ""):
        assert (await api.http.get(f"/graphiql/{name}")).status_code == 404


async def test_the_root_leads_to_the_page(api: Api) -> None:
    response = await api.http.get("/", headers=HTML, follow_redirects=True)
    assert (response.status_code, response.url.path) == (200, "/graphql")
    assert "<title>Pricebook</title>" in response.text


async def test_without_the_page_its_files_are_not_served(mongodb_uri: str) -> None:
    settings = replace(open_settings(), mongodb_uri=mongodb_uri, mongodb_database="graphiql", ide=False)
    async with serving(settings) as api:
        assert (await api.http.get(f"/graphiql/{ASSETS[0].name}")).status_code == 404


async def test_the_sample_query_is_valid(api: Api) -> None:
    await api.create("retail")
    data = await api.data(graphiql.SAMPLE)
    assert data == {"priceLists": {"nodes": [{"name": "retail", "current": None}]}}


def test_a_file_with_another_hash_is_not_installed(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed.joinpath(ASSETS[0].name).unlink()
    monkeypatch.setattr(install, "_from_npm", lambda _: b"alert(1)")
    monkeypatch.setattr(install, "_from_cdn", lambda _: b"alert(1)")
    with pytest.raises(ValueError, match=r"react\.production\.min\.js of react@18\.2\.0 is not the file"):
        install.install()
    assert not installed.joinpath(ASSETS[0].name).exists()


def test_a_file_with_its_hash_is_installed_once_and_a_damaged_one_again(
    tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, asset = b"let a", ASSETS[0]
    digest = base64.b64encode(hashlib.sha384(content).digest()).decode()
    expected = asset._replace(integrity=f"sha384-{digest}")
    monkeypatch.setattr(install, "ASSETS", [expected])
    monkeypatch.setattr(install, "_from_npm", lambda _: content)
    monkeypatch.setattr(install, "_from_cdn", lambda _: content)
    installed.joinpath(asset.name).unlink()
    install.install()
    assert installed.joinpath(asset.name).read_bytes() == content
    installed.joinpath(asset.name).write_text("of an earlier release")
    install.install()
    assert installed.joinpath(asset.name).read_bytes() == content
    monkeypatch.setattr(install, "_from_npm", None)
    monkeypatch.setattr(install, "_from_cdn", None)
    install.install()
