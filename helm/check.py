"""`make chart`: lint the chart, render it in all variants with the real helm, and validate every manifest.

Manifests are validated strictly against the schemas of the oldest Kubernetes that the chart supports and of the newest
known. Resources of operators (ServiceMonitor, HTTPRoute) have no schema there: only their outline is checked.
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
"""The same as kubeVersion in Chart.yaml."""

Manifest = dict[str, Any]
Values = Mapping[str, object]

PROXIES: Values = {"trustedProxies": {"balancers": ["10.1.0.0/24"], "edge": ["10.2.0.0/16"]}}
TWO_COLOURS: Values = {"colours": {"enabled": True, "live": "blue", "blue": {"tag": "next", "replicas": 2}}}
EVERYTHING: Values = {
    **TWO_COLOURS,
    "autoscaling": {"enabled": True, "requestsInFlight": 32},
    **PROXIES,
    "edge": {"enabled": True},
    "ingress": {"enabled": True, "host": "prices.example", "tlsSecret": "tls"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["prices.example"]},
    "console": {
        "enabled": True,
        "ingress": {
            "enabled": True,
            "host": "console.example",
            "tlsSecret": "console-tls",
            "authentication": {"nginx.ingress.kubernetes.io/auth-url": "https://$host/oauth2/auth"},
        },
    },
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
    "dashboards": {"enabled": True},
    "collector": {"enabled": True},
}
VARIANTS: dict[str, Values] = {
    "unchanged": {},
    "two colours": TWO_COLOURS,
    "with the edge": {**PROXIES, "edge": {"enabled": True}},
    "without the edge": {"edge": {"enabled": False}},
    "everything": EVERYTHING,
}
"""Values that each values file is rendered with in addition."""

# The library would read and parse several megabytes for every manifest.
utils.schema_contents = functools.cache(utils.schema_contents)


class ChartError(RuntimeError):
    """Helm refused the values, or rendered an invalid manifest; the message is helm's or the validator's."""


def lint(helm: Path, file: Path) -> None:
    """Lint the chart with a values file. Raises `ChartError`."""
    _run([helm, "lint", "--strict", "--quiet", CHART, "--values", file])


def render(helm: Path, file: Path | None = None, values: Values | None = None, *more: str) -> list[Manifest]:
    """Return the manifests of the chart, rendered with a values file and further values. Raises `ChartError`."""
    command = [helm, "template", "prices", CHART, "--namespace", "shop", *more]
    if file is not None:
        command += ["--values", file]
    text = _run([*command, "--values", "-"], json.dumps(values or {}))
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def validate(manifest: Manifest) -> bool:
    """Validate a manifest, and return whether Kubernetes has a schema for it. Raises `ChartError`."""
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


def variants() -> Iterator[tuple[Path, str, Values]]:
    """Yield every combination to render: the values file, the name of the variant and its values."""
    for file in VALUES:
        for name, values in VARIANTS.items():
            yield file, name, values


def main() -> int:
    """Check everything, print the results, and return the exit code."""
    try:
        helm = tools.helm(print)
        print(f"helm {tools.version(helm)}, kubernetes-validate {kubernetes_validate.__version__}")
        for file in VALUES:
            lint(helm, file)
            print(f"{file.name}: helm lint --strict passed")
        outlined: set[str] = set()
        for file, variant, values in variants():
            manifests = render(helm, file, values)
            unknown = [each["kind"] for each in manifests if not validate(each)]
            outlined.update(unknown)
            print(f"{file.name}, {variant}: {len(manifests)} manifests, {len(manifests) - len(unknown)} by schema")
    except (ChartError, tools.ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Kubernetes has no schema for {', '.join(sorted(outlined))}: only their outline was checked.")
    print(f"The chart is valid for Kubernetes {OLDEST} and {kubernetes_validate.latest_version()}.")
    return 0


def _run(command: list[Any], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ChartError(f"{done.stdout}{done.stderr}".strip())  # lint writes its findings to stdout
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
