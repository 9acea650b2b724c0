"""`make chart`: lint the chart, render it in all its shapes with the real helm, and validate every manifest.

The manifests are validated strictly by Kubernetes' own schemas, in the oldest version that the chart is for and in the
newest known. There are none of what operators bring (ServiceMonitor, HTTPRoute): of those the outline is looked at.
"""

import functools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from kubernetes_validate import utils

from helm import tools

CHART = Path(__file__).parent / "pricebook"
VALUES = tuple(sorted(CHART.glob("values-*.yaml")))
OLDEST = "1.30"
"""As kubeVersion in Chart.yaml has it."""

Manifest = dict[str, Any]
Values = Mapping[str, object]

TWO_COLOURS: Values = {"colours": {"enabled": True, "live": "blue", "blue": {"tag": "next", "replicas": 2}}}
EVERYTHING: Values = {
    **TWO_COLOURS,
    "autoscaling": {"enabled": True, "requestsInFlight": 32},
    "edge": {"enabled": True},
    "ingress": {"enabled": True, "host": "prices.example", "tlsSecret": "tls"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["prices.example"]},
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
    "collector": {"enabled": True},
}
SHAPES: dict[str, Values] = {
    "as it is": {},
    "two colours": TWO_COLOURS,
    "with the edge": {"edge": {"enabled": True}},
    "without the edge": {"edge": {"enabled": False}},
    "everything": EVERYTHING,
}
"""What each file of values is rendered with besides."""

# Each is a file of some megabytes, which the library would read and parse anew for every manifest.
utils.schema_contents = functools.cache(utils.schema_contents)


class ChartError(RuntimeError):
    """helm refused the values, or what was rendered is no valid manifest; says what it said."""


def lint(helm: Path, file: Path) -> None:
    """Lint the chart with a file of values. Raises `ChartError`."""
    _run([helm, "lint", "--strict", "--quiet", CHART, "--values", file])


def render(helm: Path, file: Path | None = None, values: Values | None = None, *more: str) -> list[Manifest]:
    """Return the manifests of the chart with a file of values, and values upon them. Raises `ChartError`."""
    command = [helm, "template", "prices", CHART, "--namespace", "shop", *more]
    if file is not None:
        command += ["--values", file]
    text = _run([*command, "--values", "-"], json.dumps(values or {}))
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def validate(manifest: Manifest) -> bool:
    """Return whether Kubernetes has a schema for a manifest, which it is valid by. Raises `ChartError`."""
    kind, name = manifest.get("kind"), (manifest.get("metadata") or {}).get("name")
    if not (kind and name and manifest.get("apiVersion")):
        raise ChartError(f"A manifest needs apiVersion, kind and metadata.name: {str(manifest)[:200]}")
    for version in (OLDEST, kubernetes_validate.latest_version()):
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            return False
        except kubernetes_validate.ValidationError as error:
            where = ".".join(map(str, error.path))
            raise ChartError(f"{kind} {name}, by Kubernetes {version}, {where}: {error.message}") from error
    return True


def shapes() -> Iterator[tuple[Path, str, Values]]:
    """Yield all that is rendered: the file of values, the name of the shape, the values for it."""
    for file in VALUES:
        for name, values in SHAPES.items():
            yield file, name, values


def main() -> int:
    """Check all of it and tell; return the exit code."""
    try:
        helm = tools.helm(print)
        print(f"helm {tools.version(helm)}, kubernetes-validate {kubernetes_validate.__version__}")
        for file in VALUES:
            lint(helm, file)
            print(f"{file.name}: no complaint of helm lint --strict")
        outlined: set[str] = set()
        for file, shape, values in shapes():
            manifests = render(helm, file, values)
            unknown = [each["kind"] for each in manifests if not validate(each)]
            outlined.update(unknown)
            print(f"{file.name}, {shape}: {len(manifests)} manifests, {len(manifests) - len(unknown)} by schema")
    except (ChartError, tools.ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Kubernetes has no schema for {', '.join(sorted(outlined))}: only that each has what every manifest has.")
    print(f"The chart is valid for Kubernetes {OLDEST} and {kubernetes_validate.latest_version()}.")
    return 0


def _run(command: list[Any], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChartError(f"{done.stdout}{done.stderr}".strip())  # lint says why in the first
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
