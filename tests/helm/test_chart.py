"""The manifests that the chart renders from values, with the real helm."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.serve.graceful_server import ACCEPT_TIMEOUT_SECONDS, FINISH_TIMEOUT_SECONDS, LAST_REQUEST_GRACE_SECONDS
from helm.check import CHART, EVERYTHING, PROXIES, VALUES, ChartError, Values, lint, validate, variants
from storage.maintenance.worker import STOP_TIMEOUT_SECONDS
from tests.helm.rendered import Release, container, matches

OWN: Values = {"mongodb": {"existingSecret": {"name": ""}, "own": {"enabled": True}}}
COLOURS: Values = {"colours": {"enabled": True, "green": {"tag": "one"}, "blue": {"tag": "two", "replicas": 1}}}
EDGE: Values = {**PROXIES, "edge": {"enabled": True}}


@pytest.mark.parametrize("file", VALUES, ids=lambda file: file.name)
def test_a_values_file_passes_helm_lint(helm: Path, file: Path) -> None:
    lint(helm, file)


@pytest.mark.parametrize(
    ("file", "values"), [pytest.param(file, values, id=f"{file.stem}, {name}") for file, name, values in variants()]
)
def test_every_manifest_is_valid(helm: Path, file: Path, values: Values) -> None:
    manifests = Release(helm, values, file=file).manifests
    assert len(manifests) > 9
    unknown = {each["kind"] for each in manifests if not validate(each)}
    assert unknown <= {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests]
    assert len(set(names)) == len(names)


def test_validation_finds_unknown_and_missing_fields(helm: Path) -> None:
    deployment = Release(helm).one("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFileSystem"] = True
    with pytest.raises(ChartError, match="readOnlyRootFileSystem"):
        validate(deployment)
    with pytest.raises(ChartError, match="needs apiVersion"):
        validate({"kind": "ServiceMonitor", "metadata": {"name": "x"}})


def test_servers_are_replaced_one_at_a_time_without_downtime(helm: Path) -> None:
    deployment = Release(helm).one("Deployment")
    assert deployment["spec"]["replicas"] == 2
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert deployment["spec"]["strategy"] == rolling
    server = container(deployment)
    assert server["image"] == "pricebook:0.1.0"
    assert server["args"] == ["serve"]
    assert {each["name"]: each["containerPort"] for each in server["ports"]} == {"http": 8000, "metrics": 9000}


def test_a_server_has_startup_liveness_and_readiness_probes(helm: Path) -> None:
    server = container(Release(helm).one("Deployment"))
    paths = {name: server[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert paths["startup"] == paths["liveness"] == {"path": "/healthz", "port": "http"}
    assert paths["readiness"] == {"path": "/readyz", "port": "http"}
    ready = server["readinessProbe"]
    assert ready["periodSeconds"] * (ready["failureThreshold"] - 1) > 35, "an election must not make all pods unready"


def test_a_pod_has_time_to_drain(helm: Path) -> None:
    spec = Release(helm, {"drainSeconds": 30, "preStopSeconds": 3}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 3 + 30 + 40
    assert spec["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 3}}}
    spec = Release(helm, {"drainSeconds": 0, "preStopSeconds": 0}).one("Deployment")["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == 40
    assert ACCEPT_TIMEOUT_SECONDS + LAST_REQUEST_GRACE_SECONDS + FINISH_TIMEOUT_SECONDS + STOP_TIMEOUT_SECONDS < 40
    assert "lifecycle" not in spec["containers"][0]


def test_every_pod_is_unprivileged_and_has_a_read_only_root(helm: Path) -> None:
    pods = list(Release(helm, OWN, EVERYTHING).pods())
    assert len(pods) == 8
    for workload, pod in pods:
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, workload
        assert spec["securityContext"]["runAsUser"] > 0, workload
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, workload
        assert spec["automountServiceAccountToken"] is False, workload
        assert spec["enableServiceLinks"] is False, workload
        assert spec["serviceAccountName"] == "prices-pricebook", workload
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, workload
            assert {"cpu", "memory"} <= each["resources"]["requests"].keys(), workload
            assert "memory" in each["resources"]["limits"], workload


def test_a_server_can_write_only_to_tmp(helm: Path) -> None:
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


def test_changed_settings_replace_the_pods(helm: Path) -> None:
    def annotations(values: Values) -> Any:
        template = Release(helm, values).one("Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]

    assert annotations({"settings": {"maxPage": 500}}) != annotations({})
    assert annotations({"replicas": 5}) == annotations({})


def test_only_a_secret_contains_the_mongodb_uri(helm: Path) -> None:
    uri = "mongodb://user:hunter2@db/?replicaSet=rs0"
    release = Release(helm, {"mongodb": {"uri": uri, "existingSecret": {"name": ""}}})
    assert release.one("Secret")["stringData"] == {"uri": uri}
    others = [each for each in release.manifests if each["kind"] != "Secret"]
    assert "hunter2" not in json.dumps(others)
    assert uri_secret(release) == {"name": "prices-pricebook", "key": "uri"}


def test_an_existing_secret_is_used(helm: Path) -> None:
    release = Release(helm, {"mongodb": {"existingSecret": {"name": "db", "key": "address"}}})
    assert not release.all("Secret")
    assert uri_secret(release) == {"name": "db", "key": "address"}


def uri_secret(release: Release) -> Any:
    [variable] = container(release.one("Deployment"))["env"]
    assert variable["name"] == "PRICEBOOK_MONGODB_URI"
    return variable["valueFrom"]["secretKeyRef"]


def test_files_are_mounted_where_the_settings_expect_them(helm: Path) -> None:
    values = {"mongodb": {"caSecret": {"name": "ca"}}, "trustedDocuments": {"configMap": "documents", "key": "d.json"}}
    release = Release(helm, values)
    mounts = {each["name"]: each["mountPath"] for each in container(release.one("Deployment"))["volumeMounts"]}
    assert mounts["mongodb-ca"] == "/etc/pricebook/mongodb"
    setting = release.one("ConfigMap")["data"]["PRICEBOOK_TRUSTED_DOCUMENTS"]
    assert setting == f"{mounts['trusted-documents']}/d.json"


def test_one_service_selects_the_servers(helm: Path) -> None:
    release = Release(helm)
    service = release.one("Service")
    assert service["spec"]["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}]
    labels = release.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert matches(service["spec"]["selector"], labels)
    assert release.all("Service").keys() == {"prices-pricebook", "prices-pricebook-metrics"}


@pytest.mark.parametrize(("live", "other"), [("green", "blue"), ("blue", "green")])
def test_the_service_selects_only_the_live_colour(helm: Path, live: str, other: str) -> None:
    release = Release(helm, COLOURS, {"colours": {"live": live}})
    pods = {name: each["spec"]["template"]["metadata"]["labels"] for name, each in release.all("Deployment").items()}
    assert pods.keys() == {"prices-pricebook-green", "prices-pricebook-blue"}
    for name, colours in {
        "prices-pricebook": {live},
        "prices-pricebook-green": {"green"},
        "prices-pricebook-blue": {"blue"},
        "prices-pricebook-metrics": {"green", "blue"},
    }.items():
        selector = release.one("Service", name)["spec"]["selector"]
        selected = {each["pricebook/colour"] for each in pods.values() if matches(selector, each)}
        assert selected == colours, name
    budget = release.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"]
    assert matches(budget, pods[f"prices-pricebook-{live}"])
    assert not matches(budget, pods[f"prices-pricebook-{other}"])


def test_switching_traffic_changes_no_pod(helm: Path) -> None:
    green, blue = (Release(helm, COLOURS, {"colours": {"live": live}}) for live in ("green", "blue"))
    assert green.all("Deployment") == blue.all("Deployment")
    changed = {name for name, each in green.all("Service").items() if each != blue.one("Service", name)}
    assert changed == {"prices-pricebook"}


def test_each_colour_has_its_own_image_and_replicas(helm: Path) -> None:
    deployments = Release(helm, COLOURS).all("Deployment")
    images = {each["spec"]["replicas"]: container(each)["image"] for each in deployments.values()}
    assert images == {2: "pricebook:one", 1: "pricebook:two"}


def test_every_image_can_be_pinned_by_its_digest(helm: Path) -> None:
    one, two, three, four = (f"sha256:{64 * digit}" for digit in "1234")
    values: Values = {
        "image": {"digest": one},
        "edge": {"image": {"digest": two}},
        "mongodb": {"own": {"image": {"digest": three}}},
        "collector": {"enabled": True},
    }
    release = Release(helm, OWN, EDGE, values)
    images = {each["image"] for _, pod in release.pods() for each in pod["spec"]["containers"]}
    assert images == {f"pricebook:0.1.0@{one}", f"nginx:1.28@{two}", f"mongo:8.0@{three}"}
    colours: Values = {"colours": {"enabled": True, "live": "blue", "blue": {"replicas": 1, "digest": four}}}
    deployments = Release(helm, values, colours).all("Deployment")
    assert [container(deployments[f"prices-pricebook-{colour}"])["image"] for colour in ("green", "blue")] == [
        f"pricebook:0.1.0@{one}",
        f"pricebook:0.1.0@{four}",
    ]


def test_the_digest_of_the_release_does_not_pin_the_tag_of_a_colour(helm: Path) -> None:
    digest = f"sha256:{64 * '1'}"
    release = Release(helm, COLOURS, {"image": {"digest": digest}, "colours": {"blue": {"digest": digest}}})
    images = {name: container(each)["image"] for name, each in release.all("Deployment").items()}
    assert images == {"prices-pricebook-green": "pricebook:one", "prices-pricebook-blue": f"pricebook:two@{digest}"}


@pytest.mark.parametrize(("size", "limit"), [("512m", 1536 << 20), ("4g", 5 << 30), ("1024k", 1025 << 20)])
def test_the_cache_of_the_edge_is_less_than_its_volume(helm: Path, size: str, limit: int) -> None:
    release = Release(helm, EDGE, {"edge": {"cacheSize": size}})
    [_, cache] = release.one("Deployment", "prices-pricebook-edge")["spec"]["template"]["spec"]["volumes"]
    assert cache == {"name": "cache", "emptyDir": {"sizeLimit": limit}}
    configuration = release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert f"max_size={size} min_free=256m" in configuration


def test_the_edge_routes_to_the_live_servers(helm: Path) -> None:
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


def test_the_edge_routes_to_configured_servers(helm: Path) -> None:
    release = Release(helm, EDGE, {"edge": {"servers": ["127.0.0.1:9001", "127.0.0.1:9002"]}})
    configuration = release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert "127.0.0.1:9001" in configuration
    assert "127.0.0.1:9002" in configuration
    assert "prices-pricebook.shop" not in configuration


def test_the_edge_listens_on_its_container_port_and_answers_its_own_probes(helm: Path) -> None:
    release = Release(helm, EDGE, {"edge": {"listen": "0.0.0.0:8181"}})
    edge = container(release.one("Deployment", "prices-pricebook-edge"))
    assert edge["ports"] == [{"name": "http", "containerPort": 8181}]
    assert "listen 0.0.0.0:8181" in release.one("ConfigMap", "prices-pricebook-edge")["data"]["nginx.conf"]
    assert edge["livenessProbe"]["httpGet"] == edge["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}


@pytest.mark.parametrize(("edge", "entry_point"), [(True, "prices-pricebook-edge"), (False, "prices-pricebook")])
def test_external_requests_reach_the_edge_if_it_is_enabled(helm: Path, edge: bool, entry_point: str) -> None:
    release = Release(helm, EVERYTHING, {"edge": {"enabled": edge}})
    ingress = release.one("Ingress")["spec"]
    [path] = ingress["rules"][0]["http"]["paths"]
    assert path["backend"] == {"service": {"name": entry_point, "port": {"number": 80}}}
    assert path["path"] == "/graphql"
    assert ingress["rules"][0]["host"] == "prices.example"
    assert ingress["tls"] == [{"hosts": ["prices.example"], "secretName": "tls"}]
    route = release.one("HTTPRoute")["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": entry_point, "port": 80}]
    assert route["parentRefs"] == [{"name": "public"}]


def test_the_number_of_pods_follows_the_load(helm: Path) -> None:
    release = Release(helm, {"autoscaling": {"enabled": True, "requestsInFlight": 20}})
    scaler = release.one("HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "prices-pricebook"}
    cpu, in_flight = scaler["metrics"]
    assert cpu["resource"]["target"]["averageUtilization"] == 70
    assert in_flight["pods"]["metric"]["name"] == "pricebook_requests_in_flight"
    assert in_flight["pods"]["target"] == {"type": "AverageValue", "averageValue": "20"}
    assert "replicas" not in release.one("Deployment")["spec"], "the autoscaler sets the number"
    assert len(Release(helm, {"autoscaling": {"enabled": True}}).one("HorizontalPodAutoscaler")["spec"]["metrics"]) == 1


def test_a_colour_without_pods_is_not_scaled(helm: Path) -> None:
    release = Release(helm, COLOURS, {"autoscaling": {"enabled": True}, "colours": {"blue": {"replicas": 0}}})
    assert release.all("HorizontalPodAutoscaler").keys() == {"prices-pricebook-green"}
    assert release.one("Deployment", "prices-pricebook-blue")["spec"]["replicas"] == 0


def test_the_replicas_of_a_colour_are_a_minimum_for_autoscaling(helm: Path) -> None:
    scaling: Values = {"autoscaling": {"enabled": True, "minReplicas": 2}, "colours": {"blue": {"replicas": 7}}}
    scalers = Release(helm, COLOURS, scaling).all("HorizontalPodAutoscaler")
    assert [scalers[f"prices-pricebook-{name}"]["spec"]["minReplicas"] for name in ("green", "blue")] == [2, 7]


def test_prometheus_finds_the_metrics_of_all_servers(helm: Path) -> None:
    release = Release(helm, COLOURS, {"serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}})
    monitor = release.one("ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    selector = monitor["spec"]["selector"]["matchLabels"]
    [service] = [each for each in release.all("Service").values() if matches(selector, each["metadata"]["labels"])]
    [port], [endpoint] = service["spec"]["ports"], monitor["spec"]["endpoints"]
    assert (port["name"], port["port"]) == (endpoint["port"], 9000)
    assert release.one("ConfigMap")["data"]["PRICEBOOK_METRICS_PORT"] == "9000"
    assert monitor["spec"]["jobLabel"] in service["metadata"]["labels"]


def test_the_alerts_and_the_dashboard_are_rendered_unchanged(helm: Path) -> None:
    release = Release(helm, EVERYTHING)
    rules = yaml.safe_load((CHART / "alerts" / "pricebook.yaml").read_text(encoding="utf-8"))
    assert release.one("PrometheusRule")["spec"] == rules
    dashboards = release.one("ConfigMap", "prices-pricebook-dashboards")
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = json.loads((CHART / "dashboards" / "pricebook.json").read_text(encoding="utf-8"))
    assert json.loads(dashboards["data"]["pricebook.json"]) == dashboard


def test_optional_resources_are_not_rendered_unless_enabled(helm: Path) -> None:
    kinds = sorted(each["kind"] for each in Release(helm).manifests)
    defaults = ["ConfigMap", "Deployment", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Service", "Service"]
    assert kinds == [*defaults, "ServiceAccount"]
    disabled: Values = {"podDisruptionBudget": {"enabled": False}, "serviceAccount": {"create": False}}
    release = Release(helm, disabled)
    assert not release.all("PodDisruptionBudget")
    assert release.one("Deployment")["spec"]["template"]["spec"]["serviceAccountName"] == "default"


def test_the_own_mongodb_is_a_replica_set_with_stable_addresses(helm: Path) -> None:
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


def test_changed_members_create_a_new_job(helm: Path) -> None:
    def job_names(members: int) -> list[str]:
        return list(Release(helm, OWN, {"mongodb": {"own": {"members": members}}}).all("Job"))

    assert job_names(3) == job_names(3) != job_names(5)


def test_the_collector_applies_retention_to_all_lists(helm: Path) -> None:
    job = Release(helm, EVERYTHING).one("CronJob", "prices-pricebook-collector")["spec"]
    assert (job["schedule"], job["timeZone"], job["concurrencyPolicy"]) == ("17 3 * * *", "Etc/UTC", "Forbid")
    [collector] = job["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert collector["args"] == ["retain", "--direct", "--json"]
    assert collector["image"] == "pricebook:next", "the image of the live colour"


def test_helm_test_requests_the_servers_and_the_edge(helm: Path) -> None:
    pod = Release(helm, EDGE).one("Pod", "prices-pricebook-test")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    [probe] = pod["spec"]["containers"]
    assert probe["args"][1:] == ["http://prices-pricebook:80/readyz", "http://prices-pricebook-edge:80/graphql"]
