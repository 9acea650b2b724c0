"""Connections that the chart allows, and the networks that it believes about the address of a client."""

import subprocess
from pathlib import Path

import pytest
import yaml

from graph.settings import Settings
from helm.check import CHART, EVERYTHING, PROXIES, VALUES, Manifest, Values
from tests.helm.rendered import MONGODB, Release, matches, merge

OWN: Values = {"mongodb": {"existingSecret": {"name": ""}, "own": {"enabled": True}}}
EDGE: Values = {**PROXIES, "edge": {"enabled": True}}
MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
PEER = {"ipBlock": {"cidr": "10.1.0.0/16"}}


def notes(helm: Path, *values: Values, file: Path | None = None) -> str:
    """Return the notes that helm prints after an installation."""
    command: list[str | Path] = [helm, "install", "prices", CHART, "--dry-run=client", "--values", "-"]
    command += ["--values", file] if file else []
    given = yaml.safe_dump(merge(*values))
    output = subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout
    return output.partition("\nNOTES:\n")[2]


def rules(policy: Manifest, direction: str) -> dict[object, Manifest]:
    """Return the rules of a policy, by port."""
    return {port["port"]: rule for rule in policy["spec"][direction] for port in rule["ports"]}


def test_every_pod_that_serves_has_a_policy_by_default(helm: Path) -> None:
    release = Release(helm, OWN, EDGE, {"collector": {"enabled": True}, "console": {"enabled": True}})
    for workload, pod in release.pods():
        labels = pod["metadata"]["labels"]
        selected = [each for each in release.all("NetworkPolicy").values() if selects(each["spec"], labels)]
        needed = not workload.startswith(("Job", "Pod"))
        assert len(selected) == needed, workload
        assert all(each["spec"]["policyTypes"] == ["Ingress", "Egress"] for each in selected)
    assert not Release(helm, EDGE, {"networkPolicy": {"enabled": False}}).all("NetworkPolicy")


def selects(spec: Manifest, labels: dict[str, str]) -> bool:
    selector = spec["podSelector"]
    expressions = selector.get("matchExpressions", ())
    return matches(selector["matchLabels"], labels) and all(
        labels[each["key"]] in each["values"] for each in expressions
    )


def test_only_the_edge_and_the_test_pod_reach_the_servers(helm: Path) -> None:
    release = Release(helm, EDGE)
    http = rules(release.one("NetworkPolicy"), "ingress")["http"]
    components = [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in http["from"]]
    assert components == ["edge", "test"]
    assert "from" not in rules(release.one("NetworkPolicy", "prices-pricebook-edge"), "ingress")["http"]


def test_only_configured_peers_and_the_test_pod_reach_the_entry_point(helm: Path) -> None:
    for edge, name in ((True, "prices-pricebook-edge"), (False, "prices-pricebook")):
        values: Values = {"edge": {"enabled": edge}, "networkPolicy": {"httpFrom": [PEER]}}
        http = rules(Release(helm, PROXIES, values).one("NetworkPolicy", name), "ingress")["http"]
        assert PEER in http["from"]
        assert len(http["from"]) == 2


def test_only_the_scraper_reaches_the_metrics(helm: Path) -> None:
    assert rules(Release(helm).one("NetworkPolicy"), "ingress")["metrics"]["from"] == [MONITORING]
    scraper = {**MONITORING, "podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}
    release = Release(helm, {"networkPolicy": {"metricsFrom": [scraper]}})
    assert rules(release.one("NetworkPolicy"), "ingress")["metrics"]["from"] == [scraper]
    closed = Release(helm, {"networkPolicy": {"metricsFrom": []}}).one("NetworkPolicy")
    assert rules(closed, "ingress").keys() == {"http"}, "a rule without peers would allow all"
    edge = rules(Release(helm, EDGE).one("NetworkPolicy", "prices-pricebook-edge"), "ingress")
    assert edge.keys() == {"http"}


def test_servers_reach_only_dns_and_mongodb(helm: Path) -> None:
    egress = Release(helm).one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 27017]
    own = Release(helm, OWN)
    rule = own.one("NetworkPolicy")["spec"]["egress"][-1]
    labels = own.one("StatefulSet", "prices-pricebook-mongodb")["spec"]["template"]["metadata"]["labels"]
    assert matches(rule["to"][0]["podSelector"]["matchLabels"], labels)


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("https://login.example/keys", 443),
        ("https://login.example:8443/keys", 8443),
        ("http://login/keys", 80),
        ("https://[2001:db8::1]/keys", 443),
        ("https://[2001:db8::1]:8443/keys", 8443),
    ],
)
def test_servers_reach_the_key_set_on_the_port_of_its_url(helm: Path, url: str, port: int) -> None:
    values: Values = {"settings": {"jwtKeys": url}}
    assert rules(Release(helm, values).one("NetworkPolicy"), "egress")[port] == {"ports": [{"port": port}]}
    narrow = Release(helm, values, {"networkPolicy": {"jwksTo": [PEER]}}).one("NetworkPolicy")
    assert rules(narrow, "egress")[port]["to"] == [PEER]


def test_a_key_set_in_a_file_needs_no_connection(helm: Path) -> None:
    values: Values = {"settings": {"jwtKeys": "/etc/keys.json"}}
    assert rules(Release(helm, values).one("NetworkPolicy"), "egress").keys() == {53, 27017}


def test_the_edge_reaches_only_the_servers(helm: Path) -> None:
    release = Release(helm, EDGE)
    egress = rules(release.one("NetworkPolicy", "prices-pricebook-edge"), "egress")
    assert egress.keys() == {53, "http"}
    [servers] = egress["http"]["to"]
    labels = release.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert matches(servers["podSelector"]["matchLabels"], labels)
    other = Release(helm, EDGE, {"edge": {"servers": ["10.0.0.7:8000", "db.example:8001"]}})
    assert rules(other.one("NetworkPolicy", "prices-pricebook-edge"), "egress").keys() == {53, 8000, 8001}


def test_servers_believe_the_edge_and_the_edge_believes_the_balancers(helm: Path) -> None:
    release = Release(helm, EDGE)
    assert balancers(release) == "10.2.0.0/16"
    configuration = release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert [line.split()[1] for line in configuration.splitlines() if "set_real_ip_from" in line] == ["10.1.0.0/24;"]


def test_without_the_edge_servers_believe_the_balancers(helm: Path) -> None:
    assert balancers(Release(helm, PROXIES)) == "10.1.0.0/24"


def test_by_default_servers_believe_only_their_own_pod(helm: Path) -> None:
    assert balancers(Release(helm)) == "127.0.0.0/8 ::1"


def balancers(release: Release) -> str:
    environ = {**release.one("ConfigMap")["data"], "PRICEBOOK_MONGODB_URI": "mongodb://db"}
    return Settings.from_environment(environ).balancers


@pytest.mark.parametrize("name", ["balancers", "edge"])
@pytest.mark.parametrize(
    ("network", "wide"),
    [
        ("10.0.0.0/8", True),
        ("0.0.0.0/0", True),
        ("172.16.0.0/12", True),
        ("192.168.0.0/16", True),
        ("fd00::/8", True),
        ("::/0", True),
        ("10.244.0.0/16", False),
        ("172.17.0.0/16", False),
        ("192.168.7.0/24", False),
        ("fd12:3456::/48", False),
        ("10.0.0.8", False),
    ],
)
def test_the_notes_warn_of_wide_networks(helm: Path, name: str, network: str, wide: bool) -> None:
    warning = f"WARNING: trustedProxies.{name} has {network}, a whole private range"
    assert (warning in notes(helm, MONGODB, {"trustedProxies": {name: [network]}})) == wide


def test_the_notes_warn_until_the_networks_of_the_examples_are_replaced(helm: Path) -> None:
    for file in VALUES:
        found = notes(helm, file=file).count("the network of examples")
        assert found == (0 if file.name == "values-dev.yaml" else 2), file.name


def test_the_notes_warn_if_there_are_no_policies(helm: Path) -> None:
    assert "WARNING" not in notes(helm, MONGODB, EVERYTHING)
    assert "networkPolicy.enabled is false" in notes(helm, MONGODB, EDGE, {"networkPolicy": {"enabled": False}})
