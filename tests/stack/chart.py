"""The nginx configuration of the chart, rendered by helm."""

from collections.abc import Mapping, Sequence
from typing import Any

from helm import tools
from helm.check import render


def nginx_conf(edge: Mapping[str, Any], settings: Mapping[str, Any], balancers: Sequence[str] = ()) -> str:
    """Return the configuration for values of `edge` and `settings`, and the networks of load balancers."""
    values = {
        "edge": {"enabled": True, **edge},
        "settings": {**settings},
        "mongodb": {"uri": "mongodb://127.0.0.1"},
        "trustedProxies": {"balancers": list(balancers), "edge": ["127.0.0.1"]},
    }
    [manifest] = render(tools.helm(), None, values, "--show-only", "templates/edge/configmap.yaml")
    conf: str = manifest["data"]["nginx.conf"]
    return conf
