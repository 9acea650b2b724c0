"""The values of the chart: each is documented, refused when it cannot be, and does something."""

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from graph.settings import VARIABLES, Settings
from helm.check import CHART, EVERYTHING, VALUES, ChartError, Manifest, Values, render
from tests.helm.rendered import MONGODB, Release, merged

TEXT = (CHART / "values.yaml").read_text(encoding="utf-8")
DEFAULTS: dict[str, Any] = yaml.safe_load(TEXT)
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

OF_THE_CHART = {"host", "port", "metrics_port", "mongodb_uri", "mongodb_database", "trusted_documents", "drain_seconds"}
"""Settings that other values of the chart say."""
OF_ONE_MACHINE = {"data_dir", "members"}
"""Settings of the embedded replica set, of which a cluster has none."""

WHOLE = merged(
    MONGODB,
    EVERYTHING,
    {"mongodb": {"caSecret": {"name": "ca"}}, "trustedDocuments": {"configMap": "documents"}},
    {"dashboards": {"enabled": False}, "prometheusRule": {"enabled": False}},  # they are long
)
"""Values with which nearly every other one matters."""
SINGLE = merged(
    EVERYTHING,
    {"mongodb": {"own": {"enabled": True, "existingSecret": "own"}}},
    {"colours": {"enabled": False}, "autoscaling": {"enabled": False}, "networkPolicy": {"enabled": False}},
)
"""Values with which others do: one colour, as many pods as said, a MongoDB of its own."""
BASES = (WHOLE, SINGLE, merged(WHOLE, {"autoscaling": {"enabled": False}}))

OTHERS: dict[str, Values] = {
    "image.pullSecrets": {"image": {"pullSecrets": ["registry"]}},
    "environment": {"environment": {"OTEL_SERVICE_NAME": "prices"}},
    "mongodb.uri": {"mongodb": {"uri": "mongodb://db", "existingSecret": {"name": ""}}},
    "mongodb.own.enabled": {"mongodb": {"own": {"enabled": True}, "existingSecret": {"name": ""}}},
    "edge.servers": {"edge": {"servers": ["10.0.0.7:8000"]}},
    "edge.trustedProxies": {"edge": {"trustedProxies": ["10.0.0.0/8"]}},
    "httpRoute.parentRefs": {"httpRoute": {"parentRefs": [{"name": "other", "sectionName": "https"}]}},
    "httpRoute.hostnames": {"httpRoute": {"hostnames": ["other.example"]}},
    "tolerations": {"tolerations": [{"key": "prices", "operator": "Exists", "effect": "NoSchedule"}]},
    "networkPolicy.egress": {"networkPolicy": {"egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]}},
}
"""Values that are changed to what the rules of `other` do not make."""
PEERS = [{"ipBlock": {"cidr": "10.0.0.0/8"}}]


def leaves(values: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The place of every value."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*place, name))
        else:
            yield (*place, name)


LEAVES = [".".join(each) for each in leaves(DEFAULTS)]


def at(values: Any, place: str) -> Any:
    for name in place.split("."):
        values = values[name]
    return values


def schema_at(place: str) -> dict[str, Any]:
    """What the schema says of a value."""
    found = SCHEMA
    for name in place.split("."):
        if "properties" not in found:
            return {}
        found = found["properties"][name]
        while "$ref" in found:
            found = SCHEMA["definitions"][found["$ref"].removeprefix("#/definitions/")]
    return found


def other(place: str, value: Any) -> Values:
    """Values that change the one at a place, which is `value`, to another that can be."""
    if place in OTHERS:
        return OTHERS[place]
    changed: Any
    if "enum" in schema_at(place):
        changed = next(each for each in schema_at(place)["enum"] if each != value)
    elif isinstance(value, bool):
        changed = not value
    elif isinstance(value, int | float):
        changed = value + (1 if value != schema_at(place).get("maximum") else -1)
    elif isinstance(value, str):
        changed = f"1{value}"
    elif isinstance(value, dict):
        changed = {"example": "changed"}
    else:
        changed = PEERS
    for name in reversed(place.split(".")):
        changed = {name: changed}
    return dict(changed)


@pytest.fixture(scope="module")
def ignored(helm: Path) -> set[str]:
    """The values that change nothing, whatever else is said."""

    def matters(place: str) -> bool:
        for base in BASES:
            value = at(merged(DEFAULTS, base), place)
            if render(helm, None, merged(base, other(place, value))) != before[id(base)]:
                return True
        return False

    before = {id(base): render(helm, None, base) for base in BASES}
    wanted = [each for each in LEAVES if not each.startswith("settings.")]
    with ThreadPoolExecutor(4) as threads:
        return {each for each, it_does in zip(wanted, threads.map(matters, wanted), strict=True) if not it_does}


def test_no_value_is_silently_ignored(ignored: set[str]) -> None:
    assert not ignored


def test_a_render_is_the_same_twice(helm: Path) -> None:
    for base in BASES:
        assert render(helm, None, base) == render(helm, None, base)


def test_every_setting_reaches_the_server(helm: Path) -> None:
    given = {name: other(f"settings.{name}", value)["settings"] for name, value in DEFAULTS["settings"].items()}
    sizes = {name: "7MiB" for name, value in DEFAULTS["settings"].items() if "MiB" in str(value) or "GiB" in str(value)}
    changed: dict[str, Any] = merged(*given.values(), sizes)  # type: ignore[arg-type]
    told = Release(helm, {"settings": changed}).one("ConfigMap")["data"]
    for name, value in changed.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert told[variable(name)] == text, name


def variable(name: str) -> str:
    """The variable of a setting that is named as values are."""
    return "PRICEBOOK_" + re.sub("([A-Z])", r"_\1", name).upper()


def test_the_settings_of_the_chart_are_those_of_the_server(helm: Path) -> None:
    offered = {variable(name) for name in DEFAULTS["settings"]}
    elsewhere = {f"PRICEBOOK_{name.upper()}" for name in OF_THE_CHART | OF_ONE_MACHINE}
    known = {each.name for each in VARIABLES}
    assert offered | elsewhere == known, "a new setting is a value in `settings`, with its prose and schema"
    assert not offered & elsewhere


@pytest.mark.parametrize("file", [None, *VALUES], ids=lambda file: file.name if file else "values.yaml")
def test_every_variable_in_the_configmap_is_a_setting_that_the_server_takes(helm: Path, file: Path | None) -> None:
    release = Release(helm, file=file)
    environ = release.one("ConfigMap")["data"]
    settings = Settings.from_environment({**environ, "PRICEBOOK_MONGODB_URI": "mongodb://db"})
    assert (settings.host, settings.port, settings.metrics_port) == ("0.0.0.0", 8000, 9000)


def test_settings_are_by_default_what_they_are_to_the_server(helm: Path) -> None:
    told = {each.name: each.default for each in VARIABLES}
    differ = {"PRICEBOOK_BALANCERS", "PRICEBOOK_LOG_FORMAT"}
    for name, value in DEFAULTS["settings"].items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        assert (text == told[variable(name)]) != (variable(name) in differ), name


def test_prose_stands_above_every_value() -> None:
    lines = TEXT.splitlines()
    outlined = {"requests", "limits", "cpu", "memory", "grafana_dashboard"}
    for number, line in enumerate(lines):
        found = re.fullmatch(r"( *)(\w+):(.*)", line)
        if found and found[2] not in outlined and (found[3] or not lines[number + 1].startswith(found[1] + "  ")):
            assert lines[number - 1].lstrip().startswith("# "), f"line {number + 1}: {line}"


def test_the_schema_knows_every_value_and_no_other() -> None:
    for place in LEAVES:
        parent = schema_at(place.rpartition(".")[0]) if "." in place else SCHEMA
        assert "properties" not in parent or place.rpartition(".")[2] in parent["properties"], place
    named = {".".join(each) for each in places(SCHEMA)} - {"global"}
    assert {each for each in named if "resources" not in each and not held(each, LEAVES)} == set()


def held(place: str, known: list[str]) -> bool:
    """Whether a place is that of a value, or within one that is a map or a list."""
    return any(each == place or each.startswith(f"{place}.") or place.startswith(f"{each}.") for each in known)


def places(schema: Manifest, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, each in schema.get("properties", {}).items():
        yield (*place, name)
        found = schema_at(".".join((*place, name)))
        yield from places(found | each, (*place, name))


def test_no_object_of_the_schema_takes_what_it_does_not_know() -> None:
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
        only_texts = {"type": "string"}
        assert each["additionalProperties"] in ((False,) if "properties" in each else (only_texts,)), each


@pytest.mark.parametrize(
    ("values", "told"),
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
        ({"mongodb": {"own": {"members": 2}}}, "at '/mongodb/own/members': value must be one of 1, 3, 5, 7"),
    ],
)
def test_a_bad_value_is_refused_by_the_schema(helm: Path, values: Values, told: str) -> None:
    with pytest.raises(ChartError, match="values don't meet the specifications") as refused:
        Release(helm, values)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mongodb": {"existingSecret": {"name": ""}}}, "No MongoDB is configured: set mongodb.existingSecret.name"),
        (
            {"mongodb": {"own": {"enabled": True}}},
            "More than one MongoDB is configured: mongodb.existingSecret.name and mongodb.own.enabled are set. Keep",
        ),
        ({"mongodb": {"uri": "http://hunter2@db", "existingSecret": {"name": ""}}}, "mongodb.uri must begin with"),
        ({"edge": {"enabled": True}, "drainSeconds": 3}, "edge.keepaliveSeconds is 3 and drainSeconds 3: it must"),
        (
            {"edge": {"enabled": True, "keepaliveSeconds": 60}, "drainSeconds": 90},
            "edge.keepaliveSeconds is 60: servers close connections that are idle",
        ),
        ({"colours": {"enabled": True, "live": "blue"}}, "colours.live is blue, which has no pods"),
        (
            {"colours": {"enabled": True, "green": {"replicas": 11}}, "autoscaling": {"enabled": True}},
            "colours.green.replicas is 11, more than",
        ),
        ({"autoscaling": {"enabled": True, "minReplicas": 11}}, "minReplicas is 11, more than"),
        ({"ingress": {"enabled": True}}, "ingress.enabled needs ingress.host"),
        ({"httpRoute": {"enabled": True}}, "httpRoute.enabled needs httpRoute.parentRefs"),
    ],
)
def test_values_that_contradict_one_another_are_refused(helm: Path, values: Values, told: str) -> None:
    with pytest.raises(ChartError) as refused:
        Release(helm, values)
    assert told in str(refused.value)
    assert "hunter2" not in str(refused.value)
