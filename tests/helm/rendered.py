"""The chart rendered with given values, and access to its manifests."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from helm.check import Manifest, Values, render

MONGODB: Values = {"mongodb": {"existingSecret": {"name": "production-uri"}}}
"""Values that configure a MongoDB: every release needs one."""


def merge(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values merged as helm merges them: maps recursively, otherwise the last value wins."""
    merged: dict[str, Any] = {}
    for each in values:
        for name, value in each.items():
            are_maps = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
            merged[name] = merge(merged[name], value) if are_maps else value
    return merged


class Release:
    """The manifests of a release named `prices`."""

    def __init__(self, helm: Path, *values: Mapping[str, Any], file: Path | None = None) -> None:
        overrides = merge(*values) if file is not None else merge(MONGODB, *values)
        self.manifests = render(helm, file, overrides)

    def all(self, kind: str) -> dict[str, Manifest]:
        """Return the manifests of a kind by name."""
        return {each["metadata"]["name"]: each for each in self.manifests if each["kind"] == kind}

    def one(self, kind: str, name: str = "prices-pricebook") -> Manifest:
        """Return the manifest with this kind and name."""
        return self.all(kind)[name]

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """Yield the kind and name of every workload with its pod template."""
        for each in self.manifests:
            spec: Manifest = each.get("spec", {})
            workload = f"{each['kind']} {each['metadata']['name']}"
            if each["kind"] == "Pod":
                yield workload, each
            elif each["kind"] == "CronJob":
                yield workload, spec["jobTemplate"]["spec"]["template"]
            elif "template" in spec:
                yield workload, spec["template"]


def container(workload: Manifest) -> Manifest:
    """Return the only container of a workload."""
    [single] = workload["spec"]["template"]["spec"]["containers"]
    return dict(single)


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector matches these labels."""
    return bool(selector) and selector.items() <= labels.items()
