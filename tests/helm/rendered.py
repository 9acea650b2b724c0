"""The chart rendered with some values, and what is found in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helm.check import Manifest, Values, render

MONGODB: Values = {"mongodb": {"existingSecret": {"name": "production-uri"}}}
"""Some MongoDB, as every release needs one."""


def merged(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Values laid upon one another, as helm does it."""
    found: dict[str, Any] = {}
    for each in values:
        for name, value in each.items():
            both = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
            found[name] = merged(found[name], value) if both else value
    return found


class Release:
    """The manifests of a release named `prices`."""

    def __init__(self, helm: Path, *values: Mapping[str, Any], file: Path | None = None) -> None:
        given = merged(*values) if file is not None else merged(MONGODB, *values)
        self.manifests = render(helm, file, given)

    def all(self, kind: str) -> dict[str, Manifest]:
        """Those of a kind, by their names."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] == kind}

    def one(self, kind: str, name: str = "prices-pricebook") -> Manifest:
        """The one of that kind and name."""
        return self.all(kind)[name]

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """Each kind and name of what makes pods, with what the pod is made from."""
        for each in self.manifests:
            spec: Manifest = each.get("spec", {})
            place = f"{each['kind']} {each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield place, each
            elif each["kind"] == "CronJob":
                yield place, spec["jobTemplate"]["spec"]["template"]
            elif "template" in spec:
                yield place, spec["template"]


def container(workload: Manifest) -> Manifest:
    """The one container of what makes pods."""
    [found] = workload["spec"]["template"]["spec"]["containers"]
    return dict(found)


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels selects what has these."""
    return bool(selector) and selector.items() <= labels.items()
