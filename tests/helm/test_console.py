"""The console in the chart, and the command that its pod runs."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from helm.check import EVERYTHING, PROXIES, Manifest, Values
from tests.helm.rendered import MONGODB, Release, container, matches, merge
from tests.helm.test_networks import notes, rules

NAME = "prices-pricebook-console"
CONSOLE: Values = {"console": {"enabled": True}}
EDGE: Values = {**PROXIES, "edge": {"enabled": True}}
INGRESS: Values = {
    "console": {
        "enabled": True,
        "ingress": {
            "enabled": True,
            "host": "console.example",
            "authentication": {"auth-url": "https://login.example"},
        },
    }
}
ROOT = Path(__file__).parents[2]
HERE = {"--port": "--port=0", "--endpoint": "--endpoint=http://127.0.0.1:9/graphql"}
"""Options of the pod that have other values on this machine: a free port, and an API that does not respond."""

PEER = {"ipBlock": {"cidr": "10.1.0.0/16"}}


def test_there_is_no_console_unless_it_is_enabled(helm: Path) -> None:
    names = {each["metadata"]["name"] for each in Release(helm, EDGE).manifests}
    assert NAME not in names
    kinds = {each["kind"] for each in Release(helm, CONSOLE).manifests if each["metadata"]["name"] == NAME}
    assert kinds == {"Deployment", "Service", "NetworkPolicy"}
    assert NAME not in Release(helm, INGRESS, {"console": {"enabled": False}}).all("Ingress")


def test_there_is_one_console_and_never_two_at_once(helm: Path) -> None:
    release = Release(helm, merge(EVERYTHING, CONSOLE))
    spec = release.one("Deployment", NAME)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    labels = spec["template"]["metadata"]["labels"]
    budgets = release.all("PodDisruptionBudget").values()
    assert not [each for each in budgets if matches(each["spec"]["selector"]["matchLabels"], labels)]


def test_only_its_own_service_selects_the_console(helm: Path) -> None:
    release = Release(helm, EDGE, CONSOLE)
    labels = release.one("Deployment", NAME)["spec"]["template"]["metadata"]["labels"]
    selecting = [name for name, each in release.all("Service").items() if matches(each["spec"]["selector"], labels)]
    assert selecting == [NAME]
    service = release.one("Service", NAME)["spec"]
    assert service["type"] == "ClusterIP"
    assert service["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]


@pytest.mark.parametrize(
    ("values", "endpoint"),
    [
        ({"service": {"port": 8080}}, "http://prices-pricebook:8080/graphql"),
        ({**PROXIES, "edge": {"enabled": True, "service": {"port": 81}}}, "http://prices-pricebook-edge:81/graphql"),
    ],
)
def test_the_console_sends_requests_to_the_entrance(helm: Path, values: Values, endpoint: str) -> None:
    args = container(Release(helm, CONSOLE, values).one("Deployment", NAME))["args"]
    assert args[:2] == ["console", f"--endpoint={endpoint}"]


def test_the_console_has_no_credentials_and_no_settings(helm: Path) -> None:
    release = Release(helm, merge(EVERYTHING, CONSOLE, {"environment": {"OTEL_SERVICE_NAME": "prices"}}))
    spec = release.one("Deployment", NAME)["spec"]["template"]["spec"]
    assert not {"env", "envFrom"} & spec["containers"][0].keys()
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}}]
    assert "token" not in json.dumps(spec["containers"]).lower()


def test_the_console_has_the_image_of_the_live_servers(helm: Path) -> None:
    release = Release(helm, merge(EVERYTHING, CONSOLE))
    live = release.one("Deployment", "prices-pricebook-blue")
    assert container(release.one("Deployment", NAME))["image"] == container(live)["image"] == "pricebook:next"


def test_the_console_has_the_resources_that_are_set(helm: Path) -> None:
    values: Values = {"console": {"enabled": True, "resources": {"limits": {"memory": "1Gi"}}}}
    resources = container(Release(helm, values).one("Deployment", NAME))["resources"]
    assert resources == {"requests": {"cpu": "100m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}}


def test_the_ingress_leads_all_paths_of_a_host_to_the_console(helm: Path) -> None:
    ingress = Release(helm, INGRESS).one("Ingress", NAME)
    [rule] = ingress["spec"]["rules"]
    assert rule["host"] == "console.example"
    [path] = rule["http"]["paths"]
    assert (path["path"], path["pathType"]) == ("/", "Prefix")
    assert path["backend"] == {"service": {"name": NAME, "port": {"name": "http"}}}


def test_the_ingress_has_the_annotations_that_authenticate_and_the_others(helm: Path) -> None:
    assert annotations(helm, {}) == {"auth-url": "https://login.example"}
    assert annotations(helm, {"timeout": "60"}) == {"auth-url": "https://login.example", "timeout": "60"}
    assert annotations(helm, {"auth-url": "none"}) == {"auth-url": "https://login.example"}


def annotations(helm: Path, others: Values) -> object:
    ingress = Release(helm, INGRESS, {"console": {"ingress": {"annotations": others}}}).one("Ingress", NAME)
    return ingress["metadata"]["annotations"]


def test_the_ingress_has_the_class_and_the_certificate_that_are_set(helm: Path) -> None:
    plain = Release(helm, INGRESS).one("Ingress", NAME)["spec"]
    assert plain.keys() == {"rules"}
    values: Values = {"console": {"ingress": {"className": "nginx", "tlsSecret": "console-tls"}}}
    spec = Release(helm, INGRESS, values).one("Ingress", NAME)["spec"]
    assert spec["ingressClassName"] == "nginx"
    assert spec["tls"] == [{"hosts": ["console.example"], "secretName": "console-tls"}]


@pytest.mark.parametrize(("edge", "entrance"), [(True, "prices-pricebook-edge"), (False, "prices-pricebook")])
def test_the_console_reaches_only_dns_and_the_entrance(helm: Path, edge: bool, entrance: str) -> None:
    release = Release(helm, PROXIES, CONSOLE, {"edge": {"enabled": edge}, "networkPolicy": {"httpFrom": [PEER]}})
    egress = rules(release.one("NetworkPolicy", NAME), "egress")
    assert egress.keys() == {53, "http"}
    assert admits(egress["http"]["to"], release.one("Deployment", entrance))
    ingress = rules(release.one("NetworkPolicy", entrance), "ingress")
    assert admits(ingress["http"]["from"], release.one("Deployment", NAME)), "the entrance lets the console in"


def admits(peers: list[Manifest], workload: Manifest) -> bool:
    """Return whether peers of a NetworkPolicy include the pods of a workload."""
    labels = workload["spec"]["template"]["metadata"]["labels"]
    return any("podSelector" in each and matches(each["podSelector"]["matchLabels"], labels) for each in peers)


def test_only_configured_peers_reach_the_console(helm: Path) -> None:
    assert "from" not in rules(Release(helm, CONSOLE).one("NetworkPolicy", NAME), "ingress")["http"]
    narrow = Release(helm, CONSOLE, {"networkPolicy": {"httpFrom": [PEER]}}).one("NetworkPolicy", NAME)
    assert rules(narrow, "ingress") == {"http": {"ports": [{"port": "http"}], "from": [PEER]}}


def test_the_notes_have_the_address_of_the_console(helm: Path) -> None:
    assert "console" not in notes(helm, MONGODB)
    assert "port-forward service/prices-pricebook-console 8090:80" in notes(helm, MONGODB, CONSOLE)
    assert "http://console.example/" in notes(helm, MONGODB, INGRESS)
    secure: Values = {"console": {"ingress": {"tlsSecret": "console-tls"}}}
    assert "https://console.example/" in notes(helm, MONGODB, INGRESS, secure)


def test_the_command_of_the_pod_answers_its_probes_and_writes_no_file(helm: Path, tmp_path: Path) -> None:
    pod = container(Release(helm, CONSOLE).one("Deployment", NAME))
    probes = [pod[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert probes == 3 * [{"path": "/healthz", "port": "http"}]
    assert f"--port={pod['ports'][0]['containerPort']}" in pod["args"]
    with (
        running([HERE.get(each.partition("=")[0], each) for each in pod["args"]], tmp_path) as url,
        httpx.Client(base_url=url, trust_env=False) as browser,
    ):
        response = browser.get("/healthz", headers={"Host": "10.244.0.7:8090"})
        assert (response.status_code, response.text) == (200, "ok")
        assert not response.cookies
        assert browser.get("/healthz", headers={"Origin": "https://evil.example"}).status_code == 403
        assert browser.get("/sign-in").status_code == 200
    assert not list(tmp_path.iterdir()), "the root of the pod is read-only"


@contextmanager
def running(args: list[str], folder: Path) -> Iterator[str]:
    """Run `pricebook` with arguments, as a process in a folder that is also its home, and yield its URL."""
    command = [str(Path(sys.executable).parent / "pricebook"), *args]
    environ = {"HOME": str(folder), "TMPDIR": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://0\.0\.0\.0:(\d+)", process.stdout.readline())
            assert found
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()
