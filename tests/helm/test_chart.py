"""What the chart makes of values: every template, rendered with the real helm."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.serve.graceful_server import ACCEPT_SECONDS, FINISH_SECONDS, LAST_REQUEST_GRACE_SECONDS
from helm.check import CHART, EVERYTHING, VALUES, ChartError, Values, lint, shapes, validate
from storage.maintenance.worker import STOP_TIMEOUT_SECONDS
from tests.helm.rendered import Release, container, matches

OWN: Values = {"mongodb": {"existingSecret": {"name": ""}, "own": {"enabled": True}}}
COLOURS: Values = {"colours": {"enabled": True, "green": {"tag": "one"}, "blue": {"tag": "two", "replicas": 1}}}
EDGE: Values = {"edge": {"enabled": True}}
POLICIES: Values = {"networkPolicy": {"enabled": True}}


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.name)
def test_helm_has_no_complaint_about_a_file_of_values(helm: Path, file: Path) -> None:
    lint(helm, file)


@pytest.mark.parametrize(
    ("file", "values"), [pytest.param(file, values, id=f"{file.stem}, {name}") for file, name, values in shapes()]
)
def test_every_manifest_is_valid(helm: Path, file: Path, values: Values) -> None:
    manifests = Release(helm, values, file=file).manifests
    assert len(manifests) > 9
    unknown = {each["kind"] for each in manifests if not validate(each)}
    assert unknown <= {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(set(names)) == len(names)


def test_a_manifest_with_a_field_that_there_is_not_would_be_found(helm: Path) -> None:
    deployment = Release(helm).one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFileSystem"] = True
    with pytest.raises(ChartError, match="readOnlyRootFileSystem"):
        validate(deployment)
    with pytest.raises(ChartError, match="needs apiVersion"):
        validate({"kind": "ServiceMonitor", "metadata": {"name": "x"}})


def test_servers_are_replaced_one_by_one_without_a_gap(helm: Path) -> None:
    deployment = Release(helm).one("Deployment")
    assert deployment["spec"]["replicas"] == 2
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert deployment["spec"]["strategy"] == rolling
    server = container(deployment)
    assert server["image"] == "pricebook:0.1.0"
    assert server["args"] == ["serve"]
    assert {each["name"]: each["containerPort"] for each in server["ports"]} == {"http": 8000, "metrics": 9000}


def test_a_server_is_asked_whether_it_started_lives_and_is_ready(helm: Path) -> None:
    server = container(Release(helm).one("Deployment"))
    paths = {name: server[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert paths["startup"] == paths["liveness"] == {"path": "/healthz", "port": "http"}
    assert paths["readiness"] == {"path": "/readyz", "port": "http"}
    ready = server["readinessProbe"]
    assert ready["periodSeconds"] * (ready["failureThreshold"] - 1) > 35, "an election must not make all pods unready"


def test_a_pod_is_given_the_time_to_drain(helm: Path) -> None:
    spec = Release(helm, {"drainSeconds": 30, "preStopSeconds": 3}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 3 + 30 + 40
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 3}}}
    spec = Release(helm, {"drainSeconds": 0, "preStopSeconds": 0}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 40
    assert ACCEPT_SECONDS + LAST_REQUEST_GRACE_SECONDS + FINISH_SECONDS + STOP_TIMEOUT_SECONDS < 40
    assert "lifecycle" not in spec["containers"][0]


def test_every_pod_runs_with_no_rights_and_on_a_root_that_it_cannot_write(helm: Path) -> None:
    pods = list(Release(helm, OWN, EVERYTHING).pods())
    assert len(pods) == 7
    for place, pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, place
        assert spec["securityContext"]["runAsUser"] > 0, place
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, place
        assert spec["automountServiceAccountToken"] is False, place
        assert spec["enableServiceLinks"] is False, place
        assert spec["serviceAccountName"] == "prices-pricebook", place
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, place
            assert {"cpu", "memory"} <= each["resources"]["requests"].keys(), place
            assert "memory" in each["resources"]["limits"], place


def test_a_server_writes_to_tmp_alone(helm: Path) -> None:
    spec = Release(helm).one("Deployment")["spec"]["template"]["spec"]
    assert spec["containers"][0]["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert spec["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}}]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_pods_are_spread_over_nodes_and_zones(helm: Path, kind: str) -> None:
    workloads = Release(helm, OWN, EDGE, COLOURS).all(kind)
    assert workloads
    for each in workloads.values():
        template = each["spec"]["template"]
        spread = template["spec"]["topologySpreadConstraints"]
        assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        assert all(one["labelSelector"]["matchLabels"] == template["metadata"]["labels"] for one in spread)


def test_other_settings_are_other_pods(helm: Path) -> None:
    def annotations(values: Values) -> Any:
        template = Release(helm, values).one("Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]

    assert annotations({"settings": {"maxPage": 500}}) != annotations({})
    assert annotations({"replicas": 5}) == annotations({})


def test_the_uri_of_mongodb_stands_in_a_secret_and_nowhere_else(helm: Path) -> None:
    uri = "mongodb://user:hunter2@db/?replicaSet=rs0"
    release = Release(helm, {"mongodb": {"uri": uri, "existingSecret": {"name": ""}}})
    assert release.one("Secret")["stringData"] == {"uri": uri}
    others = [each for each in release.manifests if each["kind"] != "Secret"]
    assert "hunter2" not in json.dumps(others)
    assert uri_secret(release) == {"name": "prices-pricebook", "key": "uri"}


def test_an_existing_secret_is_used_as_it_is(helm: Path) -> None:
    release = Release(helm, {"mongodb": {"existingSecret": {"name": "db", "key": "address"}}})
    assert not release.all("Secret")
    assert uri_secret(release) == {"name": "db", "key": "address"}


def uri_secret(release: Release) -> Any:
    [variable] = container(release.one("Deployment"))["env"]
    assert variable["name"] == "PRICEBOOK_MONGODB_URI"
    return variable["valueFrom"]["secretKeyRef"]


def test_what_is_mounted_is_where_the_settings_say(helm: Path) -> None:
    given = {"mongodb": {"caSecret": {"name": "ca"}}, "trustedDocuments": {"configMap": "documents", "key": "d.json"}}
    release = Release(helm, given)
    mounts = {each["name"]: each["mountPath"] for each in container(release.one("Deployment"))["volumeMounts"]}
    assert mounts["mongodb-ca"] == "/etc/pricebook/mongodb"
    told = release.one("ConfigMap")["data"]["PRICEBOOK_TRUSTED_DOCUMENTS"]
    assert told == f"{mounts['trusted-documents']}/d.json"


def test_one_service_leads_to_the_servers(helm: Path) -> None:
    release = Release(helm)
    service = release.one("Service")
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]
    labels = release.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert matches(service["spec"]["selector"], labels)
    assert release.all("Service").keys() == {"prices-pricebook", "prices-pricebook-metrics"}


@pytest.mark.parametrize(("live", "other"), [("green", "blue"), ("blue", "green")])
def test_the_service_leads_to_the_live_colour_alone(helm: Path, live: str, other: str) -> None:
    release = Release(helm, COLOURS, {"colours": {"live": live}})
    pods = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in release.all("Deployment").items()}
    assert pods.keys() == {"prices-pricebook-green", "prices-pricebook-blue"}
    for name, leads_to in {
        "prices-pricebook": {live},
        "prices-pricebook-green": {"green"},
        "prices-pricebook-blue": {"blue"},
        "prices-pricebook-metrics": {"green", "blue"},
    }.items():
        selector = release.one("Service", name)["spec"]["selector"]
        found = {each["pricebook/colour"] for each in pods.values() if matches(selector, each)}
        assert found == leads_to, name
    budget = release.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert matches(budget, pods[f"prices-pricebook-{live}"])
    assert not matches(budget, pods[f"prices-pricebook-{other}"])


def test_moving_the_traffic_changes_no_pod(helm: Path) -> None:
    green, blue = (Release(helm, COLOURS, {"colours": {"live": live}}) for live in ("green", "blue"))
    assert green.all("Deployment") == blue.all("Deployment")
    changed = {name for name, each in green.all("Service").items() if each != blue.one("Service", name)}
    assert changed == {"prices-pricebook"}


def test_each_colour_has_an_image_and_a_number_of_its_own(helm: Path) -> None:
    deployments = Release(helm, COLOURS).all("Deployment")
    found = {each["spec"]["replicas"]: container(each)["image"] for each in deployments.values()}
    assert found == {2: "pricebook:one", 1: "pricebook:two"}


def test_the_edge_stands_before_the_live_servers(helm: Path) -> None:
    release = Release(helm, EDGE, {"service": {"port": 8080}, "clusterDomain": "cluster.test"})
    configuration = release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert "prices-pricebook.shop.svc.cluster.test:8080" in configuration
    edge = release.one("Deployment", "prices-pricebook-edge")
    labels = edge["spec"]["template"]["metadata"]["labels"]
    assert matches(release.one("Service", "prices-pricebook-edge")["spec"]["selector"], labels)
    assert matches(
        release.one("PodDisruptionBudget", "prices-pricebook-edge")["spec"]["selector"]["matchLabels"], labels
    )
    assert not matches(release.one("Service")["spec"]["selector"], labels)
    assert container(edge)["image"] == "nginx:1.28"
    assert edge["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5 + 60 + 5
    assert edge["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_edge_leads_where_it_is_told(helm: Path) -> None:
    release = Release(helm, EDGE, {"edge": {"servers": ["127.0.0.1:9001", "127.0.0.1:9002"]}})
    configuration = release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert "127.0.0.1:9001" in configuration
    assert "127.0.0.1:9002" in configuration
    assert "prices-pricebook.shop" not in configuration


def test_the_edge_listens_on_the_port_of_its_pod_and_is_asked_itself_whether_it_lives(helm: Path) -> None:
    release = Release(helm, EDGE, {"edge": {"listen": "0.0.0.0:8181"}})
    edge = container(release.one("Deployment", "prices-pricebook-edge"))
    assert edge["ports"] == [{"name": "http", "containerPort": 8181}]
    assert "listen 0.0.0.0:8181" in release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert edge["livenessProbe"]["httpGet"] == edge["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize(("edge", "entrance"), [(True, "prices-pricebook-edge"), (False, "prices-pricebook")])
def test_requests_from_outside_come_to_the_edge_where_there_is_one(helm: Path, edge: bool, entrance: str) -> None:
    release = Release(helm, EVERYTHING, {"edge": {"enabled": edge}})
    ingress = release.one("Ingress")["spec"]
    [path] = ingress["rules"][0]["http"]["paths"]
    assert path["backend"] == {"service": {"name": entrance, "port": {"number": 80}}}
    assert path["path"] == "/graphql"
    assert ingress["rules"][0]["host"] == "prices.example"
    assert ingress["tls"] == [{"hosts": ["prices.example"], "secretName": "tls"}]
    route = release.one("HTTPRoute")["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": entrance, "port": 80}]
    assert route["parentRefs"] == [{"name": "public"}]


def test_pods_follow_the_load(helm: Path) -> None:
    release = Release(helm, {"autoscaling": {"enabled": True, "requestsInFlight": 20}})
    scaler = release.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "prices-pricebook"}
    cpu, flight = scaler["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 70
    assert flight["pods"]["metric"]["name"] == "pricebook_requests_in_flight"
    assert flight["pods"]["target"] == {"type": "AverageValue", "averageValue": "20"}
    assert "replicas" not in release.one("Deployment")["spec"], "the scaler says how many"
    assert len(Release(helm, {"autoscaling": {"enabled": True}}).one("HorizontalPodAutoscaler")["spec"]["metrics"]) == 1


def test_a_colour_without_pods_is_not_scaled(helm: Path) -> None:
    release = Release(helm, COLOURS, {"autoscaling": {"enabled": True}, "colours": {"blue": {"replicas": 0}}})
    assert release.all("HorizontalPodAutoscaler").keys() == {"prices-pricebook-green"}
    assert release.one("Deployment", "prices-pricebook-blue")["spec"]["replicas"] == 0


def test_a_colour_has_no_fewer_pods_than_are_said(helm: Path) -> None:
    scaling: Values = {"autoscaling": {"enabled": True, "minReplicas": 2}, "colours": {"blue": {"replicas": 7}}}
    scalers = Release(helm, COLOURS, scaling).all("HorizontalPodAutoscaler")
    assert [scalers[f"prices-pricebook-{name}"]["spec"]["minReplicas"] for name in ("green", "blue")] == [2, 7]


def test_only_the_edge_and_the_test_reach_the_servers(helm: Path) -> None:
    release = Release(helm, EDGE, POLICIES)
    http, metrics = release.one("NetworkPolicy")["spec"]["ingress"]
    assert http["ports"] == [{"port": "http"}]
    components = [each["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for each in http["from"]]
    assert components == ["edge", "test"]
    assert metrics == {"ports": [{"port": "metrics"}], "from": [{"namespaceSelector": {}}]}
    assert "from" not in release.one("NetworkPolicy", "prices-pricebook-edge")["spec"]["ingress"][0]


def test_only_who_is_named_reaches_the_entrance(helm: Path) -> None:
    peer = {"ipBlock": {"cidr": "10.1.0.0/16"}}
    for edge, name in ((True, "prices-pricebook-edge"), (False, "prices-pricebook")):
        given: Values = {"edge": {"enabled": edge}, "networkPolicy": {"enabled": True, "httpFrom": [peer]}}
        http = Release(helm, given).one("NetworkPolicy", name)["spec"]["ingress"][0]
        assert peer in http["from"]
        assert len(http["from"]) == 2


def test_servers_reach_mongodb_and_names_alone(helm: Path) -> None:
    egress = Release(helm, POLICIES).one("NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for rule in egress for port in rule["ports"]] == [53, 53, 27017]
    own = Release(helm, OWN, POLICIES)
    rule = own.one("NetworkPolicy")["spec"]["egress"][-1]
    labels = own.one("StatefulSet", "prices-pricebook-mongodb")["spec"]["template"]["metadata"]["labels"]
    assert matches(rule["to"][0]["podSelector"]["matchLabels"], labels)


def test_prometheus_finds_the_metrics_of_all_servers(helm: Path) -> None:
    release = Release(helm, COLOURS, {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    monitor = release.one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    selector = monitor["spec"]["selector"]["matchLabels"]
    found = [each for each in release.all("Service").values() if matches(selector, each["metadata"]["labels"])]
    [service] = found
    [port], [endpoint] = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert (port["name"], port["port"]) == (endpoint["port"], 9000)
    assert release.one("ConfigMap")["data"]["PRICEBOOK_METRICS_PORT"] == "9000"
    assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]


def test_alerts_and_dashboard_are_those_of_the_files(helm: Path) -> None:
    release = Release(helm, EVERYTHING)
    rules = yaml.safe_load((CHART / "alerts" / "pricebook.yaml").read_text(encoding="utf-8"))
    assert release.one("PrometheusRule")["spec"] == rules
    dashboards = release.one("ConfigMap", "prices-pricebook-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = json.loads((CHART / "dashboards" / "pricebook.json").read_text(encoding="utf-8"))
    assert json.loads(dashboards["data"]["pricebook.json"]) == dashboard


def test_what_is_not_asked_for_is_not_there(helm: Path) -> None:
    kinds = sorted(each["kind"] for each in Release(helm).manifests)
    wanted = ["ConfigMap", "Deployment", "Pod", "PodDisruptionBudget", "Service", "Service", "ServiceAccount"]
    assert kinds == wanted
    less: Values = {"podDisruptionBudget": {"enabled": False}, "serviceAccount": {"create": False}}
    release = Release(helm, less)
    assert not release.all("PodDisruptionBudget")
    assert release.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "default"


def test_the_own_mongodb_is_a_set_that_its_members_find(helm: Path) -> None:
    release = Release(helm, OWN)
    name = "prices-pricebook-mongodb"
    members = release.one("StatefulSet", name)["spec"]
    service = release.one("Service", name)["spec"]
    assert (members["serviceName"], members["replicas"], service["clusterIP"]) == (name, 3, "None")
    assert matches(service["selector"], members["template"]["metadata"]["labels"])
    hosts = ",".join(f"{name}-{n}.{name}.shop.svc.cluster.local:27017" for n in range(3))
    secret = release.one("Secret", name)["stringData"]
    assert secret["uri"] == f"mongodb://pricebook:{secret['password']}@{hosts}/?replicaSet=rs0&authSource=pricebook"
    assert 6 <= len(secret["keyfile"]) <= 1024
    [job] = release.all("Job").values()
    environ = {each["name"]: each.get("value") for each in container(job)["env"]}
    assert environ == {"MEMBERS": hosts, "DATABASE": "pricebook", "ROOT_PASSWORD": None, "PASSWORD": None}
    assert uri_secret(release) == {"name": name, "key": "uri"}


def test_the_own_mongodb_takes_its_secrets_from_an_existing_secret(helm: Path) -> None:
    release = Release(helm, OWN, {"mongodb": {"own": {"existingSecret": "theirs"}}})
    assert not release.all("Secret")
    assert uri_secret(release) == {"name": "theirs", "key": "uri"}
    [job] = release.all("Job").values()
    references = [each["valueFrom"]["secretKeyRef"] for each in container(job)["env"] if "valueFrom" in each]
    assert sorted(references, key=str) == [
        {"name": "theirs", "key": "password"},
        {"name": "theirs", "key": "root-password"},
    ]


def test_another_set_is_another_job(helm: Path) -> None:
    def name(members: int) -> list[str]:
        return list(Release(helm, OWN, {"mongodb": {"own": {"members": members}}}).all("Job"))

    assert name(3) == name(3) != name(5)


def test_the_collector_retains_all_lists_by_itself(helm: Path) -> None:
    job = Release(helm, EVERYTHING).one("CronJob", "prices-pricebook-collector")["spec"]
    assert (job["schedule"], job["timeZone"], job["concurrencyPolicy"]) == ("17 3 * * *", "Etc/UTC", "Forbid")
    [collector] = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert collector["args"] == ["retain", "--direct", "--json"]
    assert collector["image"] == "pricebook:next", "the live colour's"


def test_helm_test_asks_the_servers_and_the_entrance(helm: Path) -> None:
    pod = Release(helm, EDGE).one("Pod", "prices-pricebook-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    [each] = pod["spec"]["containers"]
    assert each["args"][1:] == ["http://prices-pricebook:80/readyz", "http://prices-pricebook-edge:80/graphql"]
