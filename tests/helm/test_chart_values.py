"""The values of the chart: each is documented, validated and has an effect."""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph.settings import VARIABLES, Settings
from helm.check import CHART, EVERYTHING, PROXIES, VALUES, ChartError, Manifest, Values, render
from tests.helm.rendered import MONGODB, Release, merge

TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
DEFAULTS: dict[str, Any] = yaml.safe_load(TEXT)
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

MAPPED_SETTINGS = {
    "host",
    "port",
    "metrics_port",
    "mongodb_uri",
    "mongodb_database",
    "balancers",
    "trusted_documents",
    "drain_seconds",
}
"""Settings that the chart sets from values outside `settings`."""

EMBEDDED_SETTINGS = {"data_dir", "members"}
"""Settings of the embedded replica set, which a cluster does not use."""

ALL_FEATURES = merge(
    MONGODB,
    EVERYTHING,
    {"mongodb": {"caSecret": {"name": "ca"}}, "trustedDocuments": {"configMap": "documents"}},
    {"settings": {"jwtKeys": "https://login.example/keys"}},
    {"dashboards": {"enabled": False}, "prometheusRule": {"enabled": False}},  # their manifests are long
)
"""Values that make nearly every other value take effect."""

ALTERNATIVES = merge(
    EVERYTHING,
    {"mongodb": {"own": {"enabled": True, "existingSecret": "own"}}},
    {"colours": {"enabled": False}, "autoscaling": {"enabled": False}, "networkPolicy": {"enabled": False}},
)
"""Values that make the rest take effect: one colour, a fixed number of pods, the chart's own MongoDB."""

BASES = (ALL_FEATURES, ALTERNATIVES, merge(ALL_FEATURES, {"autoscaling": {"enabled": False}}))

DIGEST = f"sha256:{64 * '1'}"

CHANGED_VALUES: dict[str, Values] = {
    "image.pullSecrets": {"image": {"pullSecrets": ["registry"]}},
    "environment": {"environment": {"OTEL_SERVICE_NAME": "prices"}},
    "mongodb.uri": {"mongodb": {"uri": "mongodb://db", "existingSecret": {"name": ""}}},
    "mongodb.own.enabled": {"mongodb": {"own": {"enabled": True}, "existingSecret": {"name": ""}}},
    "edge.servers": {"edge": {"servers": ["10.0.0.7:8000"]}},
    "image.digest": {"image": {"digest": DIGEST}},
    "colours.green.digest": {"colours": {"green": {"digest": DIGEST}}},
    "colours.blue.digest": {"colours": {"blue": {"digest": DIGEST}}},
    "edge.image.digest": {"edge": {"image": {"digest": DIGEST}}},
    "mongodb.own.image.digest": {"mongodb": {"own": {"image": {"digest": DIGEST}}}},
    "trustedProxies.balancers": {"trustedProxies": {"balancers": ["10.3.0.0/24"]}},
    "trustedProxies.edge": {"trustedProxies": {"edge": ["10.3.0.0/24"]}},
    "httpRoute.parentRefs": {"httpRoute": {"parentRefs": [{"name": "other", "sectionName": "https"}]}},
    "httpRoute.hostnames": {"httpRoute": {"hostnames": ["other.example"]}},
    "tolerations": {"tolerations": [{"key": "prices", "operator": "Exists", "effect": "NoSchedule"}]},
    "networkPolicy.egress": {"networkPolicy": {"egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}},
}
"""Changed values that the rules of `change` cannot derive."""

PEERS = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def value_paths(values: Mapping[str, Any], parent: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of every value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from value_paths(value, (*parent, name))
        else:
            yield (*parent, name)


PATHS = [".".join(path) for path in value_paths(DEFAULTS)]


def get_value(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


def get_schema(path: str) -> dict[str, Any]:
    """Return the schema of a value; empty if its parent has no named properties."""
    found = SCHEMA
    for name in path.split("."):
        if "properties" not in found:
            return {}
        found = found["properties"][name]
        while "$ref" in found:
            found = SCHEMA["definitions"][found["$ref"].removeprefix("#/definitions/")]
    return found


def change(path: str, value: Any) -> Values:
    """Return values that change the one at `path` from `value` to another valid one."""
    if path in CHANGED_VALUES:
        return CHANGED_VALUES[path]
    changed: Any
    if "enum" in get_schema(path):
        changed = next(each for each in get_schema(path)["enum"] if each != value)
    elif isinstance(value, bool):
        changed = not value
    elif isinstance(value, int | float):
        changed = value + (1 if value != get_schema(path).get("maximum") else -1)
    elif isinstance(value, str):
        changed = f"1{value}"
    elif isinstance(value, dict):
        changed = {"example": "changed"}
    else:
        changed = PEERS
    for name in reversed(path.split(".")):
        changed = {name: changed}
    return dict(changed)


@pytest.fixture(scope="module")
def ignored(helm: Path) -> set[str]:
    """The values that change no manifest, whatever the other values are."""

    def has_effect(path: str) -> bool:
        for base in BASES:
            value = get_value(merge(DEFAULTS, base), path)
            if render(helm, None, merge(base, change(path, value))) != unchanged[id(base)]:
                return True
        return False

    unchanged = {id(base): render(helm, None, base) for base in BASES}
    paths = [path for path in PATHS if not path.startswith("settings.")]
    with ThreadPoolExecutor(4) as threads:
        effects = zip(paths, threads.map(has_effect, paths), strict=True)
        return {path for path, effective in effects if not effective}


def test_no_value_is_ignored(ignored: set[str]) -> None:
    assert not ignored


def test_rendering_is_deterministic(helm: Path) -> None:
    for base in BASES:
        assert render(helm, None, base) == render(helm, None, base)


def test_every_setting_reaches_the_server(helm: Path) -> None:
    overrides = {name: change(f"settings.{name}", value)["settings"] for name, value in DEFAULTS["settings"].items()}
    sizes = {name: "7MiB" for name, value in DEFAULTS["settings"].items() if "MiB" in str(value) or "GiB" in str(value)}
    changed: dict[str, Any] = merge(*overrides.values(), sizes)  # type: ignore[arg-type]
    environ = Release(helm, {"settings": changed}).one("ConfigMap")["data"]
    for name, value in changed.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert environ[variable_name(name)] == text, name


def variable_name(name: str) -> str:
    """Return the environment variable of a setting, given its name in the values."""
    return "PRICEBOOK_" + re.sub("([A-Z])", r"_\1", name).upper()


def test_the_chart_offers_every_setting_of_the_server(helm: Path) -> None:
    offered = {variable_name(name) for name in DEFAULTS["settings"]}
    elsewhere = {f"PRICEBOOK_{name.upper()}" for name in MAPPED_SETTINGS | EMBEDDED_SETTINGS}
    known = {each.name for each in VARIABLES}
    assert offered | elsewhere == known, "add each new setting to `settings`, with a comment and a schema"
    assert not offered & elsewhere


@pytest.mark.parametrize("file", [None, *VALUES], ids=lambda file: file.name if file else "values.yaml")
def test_the_server_accepts_every_variable_of_the_configmap(helm: Path, file: Path | None) -> None:
    release = Release(helm, file=file)
    environ = release.one("ConfigMap")["data"]
    settings = Settings.from_environment({**environ, "PRICEBOOK_MONGODB_URI": "mongodb://db"})
    assert (settings.host, settings.port, settings.metrics_port) == ("0.0.0.0", 8000, 9000)


def test_settings_have_the_defaults_of_the_server(helm: Path) -> None:
    defaults = {each.name: each.default for each in VARIABLES}
    different = {"PRICEBOOK_LOG_FORMAT"}
    for name, value in DEFAULTS["settings"].items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert (text == defaults[variable_name(name)]) != (variable_name(name) in different), name


def test_every_value_has_a_comment() -> None:
    lines = TEXT.splitlines()
    exempt = {"requests", "limits", "cpu", "memory", "grafana_dashboard"}
    for number, line in enumerate(lines):
        found = re.fullmatch(r"( *)(\w+):(.*)", line)
        if found and found[2] not in exempt and (found[3] or not lines[number + 1].startswith(found[1] + "  ")):
            assert lines[number - 1].lstrip().startswith("# "), f"line {number + 1}: {line}"


def test_the_schema_defines_every_value_and_no_other() -> None:
    for path in PATHS:
        parent = get_schema(path.rpartition(".")[0]) if "." in path else SCHEMA
        assert "properties" not in parent or path.rpartition(".")[2] in parent["properties"], path
    defined = {".".join(path) for path in schema_paths(SCHEMA)} - {"global"}
    assert {path for path in defined if "resources" not in path and not is_covered(path, PATHS)} == set()


def is_covered(path: str, values: list[str]) -> bool:
    """Return whether a path is that of a value, contains values, or is inside a value that is a map or a list."""
    return any(each == path or each.startswith(f"{path}.") or path.startswith(f"{each}.") for each in values)


def schema_paths(schema: Manifest, parent: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, each in schema.get("properties", {}).items():
        yield (*parent, name)
        found = get_schema(".".join((*parent, name)))
        yield from schema_paths(found | each, (*parent, name))


def test_no_object_of_the_schema_accepts_unknown_properties() -> None:
    def objects(schema: Any) -> Iterator[Any]:
        if isinstance(schema, dict):
            if schema.get("type") == "object":
                yield schema
            for each in schema.values():
                yield from objects(each)
        elif isinstance(schema, list):
            for each in schema:
                yield from objects(each)

    found = list(objects(SCHEMA))
    found.remove(SCHEMA["properties"]["global"])
    assert len(found) > 30
    for each in found:
        expected = False if "properties" in each else {"type": "string"}
        assert each["additionalProperties"] == expected, each


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"replicas": "three"}, "at '/replicas': got string, want integer"),
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"settings": {"maxDeepth": 3}}, "at '/settings': additional properties 'maxDeepth' not allowed"),
        ({"settings": {"maxDepth": 0}}, "at '/settings/maxDepth': minimum: got 0, want 1"),
        ({"settings": {"logLevel": "loud"}}, "at '/settings/logLevel': value must be one of 'critical', 'error'"),
        ({"settings": {"cacheBytes": "much"}}, "at '/settings/cacheBytes': 'much' does not match"),
        ({"drainSeconds": 301}, "at '/drainSeconds': maximum: got 301, want 300"),
        ({"colours": {"live": "red"}}, "at '/colours/live': value must be one of 'green', 'blue'"),
        ({"environment": {"PRICEBOOK_PORT": "1"}}, "invalid propertyName 'PRICEBOOK_PORT'"),
        ({"resources": {"requests": {"memory": "much"}}}, "at '/resources/requests/memory': 'much' does not match"),
        ({"networkPolicy": {"httpFrom": [{"pods": {}}]}}, "additional properties 'pods' not allowed"),
        (
            {"trustedProxies": {"balancers": ["balancer.example"]}},
            "at '/trustedProxies/balancers/0': 'balancer.example'",
        ),
        ({"trustedProxies": {"edge": "10.0.0.0/8"}}, "at '/trustedProxies/edge': got string, want array"),
        ({"image": {"digest": "sha256:12"}}, "at '/image/digest': 'sha256:12' does not match"),
        ({"edge": {"image": {"tag": f"1.28@{DIGEST}"}}}, "at '/edge/image/tag'"),
        ({"mongodb": {"own": {"members": 2}}}, "at '/mongodb/own/members': value must be one of 1, 3, 5, 7"),
    ],
)
def test_the_schema_rejects_invalid_values(helm: Path, values: Values, message: str) -> None:
    with pytest.raises(ChartError, match="values don't meet the specifications") as error:
        Release(helm, values)
    assert message in str(error.value)


def console(ingress: Values) -> Values:
    return {"console": {"enabled": True, "ingress": {"enabled": True, **ingress}}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"mongodb": {"existingSecret": {"name": ""}}}, "No MongoDB is configured: set mongodb.existingSecret.name"),
        (
            {"mongodb": {"own": {"enabled": True}}},
            "More than one MongoDB is configured: mongodb.existingSecret.name and mongodb.own.enabled are set. Keep",
        ),
        ({"mongodb": {"uri": "http://hunter2@db", "existingSecret": {"name": ""}}}, "mongodb.uri must begin with"),
        (
            {**PROXIES, "edge": {"enabled": True}, "drainSeconds": 3},
            "edge.keepaliveSeconds is 3 and drainSeconds 3: it must",
        ),
        (
            {**PROXIES, "edge": {"enabled": True, "keepaliveSeconds": 60}, "drainSeconds": 90},
            "edge.keepaliveSeconds is 60: servers close connections that are idle",
        ),
        ({"colours": {"enabled": True, "live": "blue"}}, "colours.live is blue, which has no pods"),
        (
            {"colours": {"enabled": True, "green": {"replicas": 11}}, "autoscaling": {"enabled": True}},
            "colours.green.replicas is 11, more than",
        ),
        ({"autoscaling": {"enabled": True, "minReplicas": 11}}, "minReplicas is 11, more than"),
        ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.host"),
        ({**PROXIES, "httpRoute": {"enabled": True}}, "httpRoute.enabled needs httpRoute.parentRefs"),
        (
            {"ingress": {"enabled": True, "host": "prices.example"}},
            "trustedProxies.balancers is empty: set the networks of the ingress controller or load balancer",
        ),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}, "trustedProxies.balancers is empty"),
        ({"edge": {"enabled": True}}, "trustedProxies.edge is empty: set the network of the edge's pods"),
        (
            {"serviceMonitor": {"enabled": True}, "networkPolicy": {"metricsFrom": []}},
            "serviceMonitor.enabled needs networkPolicy.metricsFrom",
        ),
        (console({}), "console.ingress.enabled needs console.ingress.host"),
        (console({"host": "console.example"}), "console.ingress.authentication is empty: set the annotations with"),
        (
            {**EVERYTHING, **console({"host": "prices.example"})},
            "console.ingress.host is prices.example, which is the host of the API",
        ),
        (
            {
                **console({"host": "route.example"}),
                **PROXIES,
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["route.example"]},
            },
            "console.ingress.host is route.example, which is the host of the API",
        ),
    ],
)
def test_contradictory_or_incomplete_values_are_rejected(helm: Path, values: Values, message: str) -> None:
    with pytest.raises(ChartError) as error:
        Release(helm, values)
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)
