"""What the pods of the chart run on its own MongoDB, run here: the job, a server, the collector, `helm test`."""

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
    """Three members, which the job has made a set."""
    with own_mongodb(tmp_path_factory.mktemp("own"), 3, PASSWORDS["ROOT_PASSWORD"]) as members:
        done = initiate(release, members)
        assert done.returncode == 0, done.stderr
        yield members


def initiate(release: Release, members: list[str], **other: str) -> "subprocess.CompletedProcess[str]":
    """Run the program of the job upon members that stand here."""
    [job] = release.all("Job").values()
    pod = container(job)
    environ = {each["name"]: each.get("value", "") for each in pod["env"]}
    assert environ.keys() == {"MEMBERS", "DATABASE", "ROOT_PASSWORD", "PASSWORD"}
    return run(*pod["command"][1:], *pod["args"], **environ | PASSWORDS | {"MEMBERS": ",".join(members)} | other)


def run(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run Python as a pod does."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PRICEBOOK_")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=mine | environ, capture_output=True, text=True, check=False
    )


def uri(members: list[str], password: str = PASSWORDS["PASSWORD"]) -> str:
    """The connection string as the chart's Secret has it, upon these members."""
    return f"mongodb://pricebook:{password}@{','.join(members)}/?replicaSet=rs0&authSource=prices"


def settings(release: Release, members: list[str]) -> dict[str, str]:
    """The environment of a server in its pod, but for its ports."""
    told: dict[str, str] = release.one("ConfigMap")["data"]
    left_out = {"PRICEBOOK_TRUSTED_DOCUMENTS", "PRICEBOOK_METRICS_PORT"}
    kept = {name: value for name, value in told.items() if name not in left_out}
    closed = {"PRICEBOOK_ANONYMOUS": "", "PRICEBOOK_HOST": "127.0.0.1", "PRICEBOOK_PORT": "0"}
    return kept | closed | {"PRICEBOOK_DRAIN_SECONDS": "0", "PRICEBOOK_MONGODB_URI": uri(members)}


def test_the_members_notice_within_seconds_that_one_is_gone(members: list[str]) -> None:
    with MongoClient[dict[str, Any]](
        members, replicaSet="rs0", username="root", password=PASSWORDS["ROOT_PASSWORD"]
    ) as client:
        told = client.admin.command("replSetGetConfig")["config"]["settings"]
    assert told["electionTimeoutMillis"] == 4000
    assert told["heartbeatIntervalMillis"] == 500
    assert told["heartbeatTimeoutSecs"] == 3


def test_the_job_may_run_again_and_brings_a_new_password(release: Release, members: list[str]) -> None:
    assert initiate(release, members, PASSWORD="other").returncode == 0
    with MongoClient[dict[str, Any]](uri(members, "other")) as client:
        assert client["prices"]["any"].find_one() is None
    assert initiate(release, members).returncode == 0
    with MongoClient[dict[str, Any]](uri(members, "other")) as client, pytest.raises(OperationFailure):
        client["prices"]["any"].find_one()


def test_the_job_refuses_other_members_than_the_set_has(release: Release, members: list[str]) -> None:
    done = initiate(release, members[:1])
    assert done.returncode == 1
    assert f"The set has the members {', '.join(members)}, and {members[0]} are wanted." in done.stderr


def test_the_user_may_do_what_the_manual_says_and_no_more(members: list[str]) -> None:
    role = re.search(r"<!-- role -->\n```js\ndb.getSiblingDB.*?createRole\((\{.*?\n\})\)", MANUAL, re.DOTALL)
    assert role is not None
    [privilege] = msgspec.json.decode(role[1])["privileges"]
    with MongoClient[dict[str, Any]](uri(members)) as client:
        said = client.admin.command("connectionStatus", showPrivileges=True)["authInfo"]
        with pytest.raises(OperationFailure, match="not authorized"):
            client["others"]["any"].find_one()
    [found] = [each for each in said["authenticatedUserPrivileges"] if each["resource"].get("db") == "prices"]
    assert sorted(found["actions"]) == sorted(privilege["actions"])


def test_a_server_runs_on_it_and_helm_test_is_content(release: Release, members: list[str], tmp_path: Path) -> None:
    pod = release.one("Pod", "prices-pricebook-test")["spec"]["containers"][0]
    with running(tmp_path, "serve", **settings(release, members)) as server:
        server.read_until("Application startup complete.")
        found = re.search(r"Listening on (\S+)/graphql", server.output)
        assert found is not None
        asked = run("-c", pod["args"][0], f"{found[1]}/readyz", f"{found[1]}/graphql")
        assert asked.returncode == 0, asked.stderr
        elsewhere = run("-c", pod["args"][0], f"{found[1]}/healthz", f"{found[1]}/healthz")
        assert elsewhere.returncode != 0
        unready = run("-c", pod["args"][0], f"{found[1]}/nothing", f"{found[1]}/graphql")
        assert "No server is ready" in unready.stderr


def test_the_collector_needs_no_server(release: Release, members: list[str]) -> None:
    job = release.one("CronJob", "prices-pricebook-collector")["spec"]["jobTemplate"]
    done = run("-m", "cli", *container({"spec": job["spec"]})["args"], **settings(release, members))
    assert done.returncode == 0, done.stderr
    assert msgspec.json.decode(done.stdout) == []


def test_the_files_are_what_the_pods_run(release: Release) -> None:
    [job] = release.all("Job").values()
    assert container(job)["args"][0].strip() == (CHART / "files" / "initiate.py").read_text(encoding="utf-8").strip()
