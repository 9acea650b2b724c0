"""The commands of the chart's pods, run against its own MongoDB: the job, a server, the collector, `helm test`."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from helm.check import CHART, EVERYTHING
from tests.acceptance.command import ROOT, running
from tests.helm.own_mongodb import own_mongodb
from tests.helm.rendered import Release, container

MANUAL = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PASSWORDS = {"ROOT_PASSWORD": "r00t", "PASSWORD": "s3rvice"}
OWN = {"mongodb": {"existingSecret": {"name": ""}, "database": "prices", "own": {"enabled": True}}}


@pytest.fixture(scope="module")
def release(helm: Path) -> Release:
    return Release(helm, EVERYTHING, OWN)


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory, release: Release) -> Iterator[list[str]]:
    """Three members that the job has initiated as a replica set."""
    with own_mongodb(tmp_path_factory.mktemp("own"), 3, PASSWORDS["ROOT_PASSWORD"]) as members:
        job = initiate(release, members)
        assert job.returncode == 0, job.stderr
        yield members


def initiate(release: Release, members: list[str], **overrides: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of the job against members on this machine."""
    [job] = release.all("Job").values()
    pod = container(job)
    environ = {each["name"]: each.get("value", "") for each in pod["env"]}
    assert environ.keys() == {"MEMBERS", "DATABASE", "ROOT_PASSWORD", "PASSWORD"}
    return run(*pod["command"][1:], *pod["args"], **environ | PASSWORDS | {"MEMBERS": ",".join(members)} | overrides)


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run Python with the environment of a pod."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=inherited | environ, capture_output=True, text=True, check=False
    )


def uri(members: list[str], password: str = PASSWORDS["PASSWORD"]) -> str:
    """Return the connection string of the chart's Secret, with these members."""
    return f"mongodb://pricebook:{password}@{','.join(members)}/?replicaSet=rs0&authSource=prices"


def settings(release: Release, members: list[str]) -> dict[str, str]:
    """Return the environment of a server in its pod, with random ports."""
    configured: dict[str, str] = release.one("ConfigMap")["data"]
    omitted = {"PRICEBOOK_TRUSTED_DOCUMENTS", "PRICEBOOK_METRICS_PORT"}
    kept = {name: value for name, value in configured.items() if name not in omitted}
    local = {"PRICEBOOK_ANONYMOUS": "", "PRICEBOOK_HOST": "127.0.0.1", "PRICEBOOK_PORT": "0"}
    return kept | local | {"PRICEBOOK_DRAIN_SECONDS": "0", "PRICEBOOK_MONGODB_URI": uri(members)}


def test_the_members_detect_a_lost_member_within_seconds(members: list[str]) -> None:
    with MongoClient[dict[str, Any]](
        members, replicaSet="rs0", username="root", password=PASSWORDS["ROOT_PASSWORD"]
    ) as client:
        configured = client.admin.command("replSetGetConfig")["config"]["settings"]
    assert configured["electionTimeoutMillis"] == 4000
    assert configured["heartbeatIntervalMillis"] == 500
    assert configured["heartbeatTimeoutSecs"] == 3


def test_the_job_can_run_again_and_changes_the_password(release: Release, members: list[str]) -> None:
    assert initiate(release, members, PASSWORD="other").returncode == 0
    with MongoClient[dict[str, Any]](uri(members, "other")) as client:
        assert client["prices"]["any"].find_one() is None
    assert initiate(release, members).returncode == 0
    with MongoClient[dict[str, Any]](uri(members, "other")) as client, pytest.raises(OperationFailure):
        client["prices"]["any"].find_one()


def test_the_job_rejects_members_that_differ_from_the_replica_set(release: Release, members: list[str]) -> None:
    job = initiate(release, members[:1])
    assert job.returncode == 1
    assert f"The set has the members {', '.join(members)}, not {members[0]}." in job.stderr


def test_the_user_has_exactly_the_documented_privileges(members: list[str]) -> None:
    roles = re.findall(r"createRole\((\{.*?\n\})\)\n", MANUAL, re.DOTALL)
    documented = [privilege for role in roles for privilege in msgspec.json.decode(role)["privileges"]]
    with MongoClient[dict[str, Any]](uri(members)) as client:
        info = client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
        with pytest.raises(OperationFailure, match="not authorized"):
            client["others"]["any"].find_one()
    granted = {each["resource"].get("db"): sorted(each["actions"]) for each in info["authenticatedUserPrivileges"]}
    expected = {each["resource"]["db"].replace("pricebook", "prices"): sorted(each["actions"]) for each in documented}
    assert {database: granted.get(database) for database in ("prices", "prices_layers")} == expected


def test_a_server_starts_and_passes_helm_test(release: Release, members: list[str], tmp_path: Path) -> None:
    pod = release.one("Pod", "prices-pricebook-test")["spec"]["containers"][0]
    with running(tmp_path, "serve", **settings(release, members)) as server:
        server.read_until("Application startup complete.")
        url = re.search(r"Listening on (\S+)/graphql", server.output)
        assert url is not None
        ready = run("-c", pod["args"][0], f"{url[1]}/readyz", f"{url[1]}/graphql")
        assert ready.returncode == 0, ready.stderr
        wrong_urls = run("-c", pod["args"][0], f"{url[1]}/healthz", f"{url[1]}/healthz")
        assert wrong_urls.returncode != 0
        unready = run("-c", pod["args"][0], f"{url[1]}/nothing", f"{url[1]}/graphql")
        assert "No server is ready" in unready.stderr


def test_the_collector_runs_without_a_server(release: Release, members: list[str]) -> None:
    job = release.one("CronJob", "prices-pricebook-collector")["spec"]["jobTemplate"]
    collector = run("-m", "cli", *container({"spec": job["spec"]})["args"], **settings(release, members))
    assert collector.returncode == 0, collector.stderr
    assert msgspec.json.decode(collector.stdout) == []


def test_the_job_runs_the_script_of_the_chart(release: Release) -> None:
    [job] = release.all("Job").values()
    assert container(job)["args"][0].strip() == (CHART / "files" / "initiate.py").read_text(encoding="utf-8").strip()
