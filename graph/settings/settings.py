"""The settings of a Pricebook process; the only reader of its environment.

Every setting is a field of `Settings`. The name of its variable is `PRICEBOOK_` and the name of the field in upper
case. The metadata of the field are its parser, its meaning and how the manual shows its default. A new setting needs
only a new field and a new row in the table of docs/settings.md.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from graph.identity.scopes import Grants, Scope
from graph.identity.tokens import ALGORITHMS
from graph.limits.bodies import DEFAULT_BODY_LIMITS, BodyLimits
from graph.limits.limits import DEFAULT_LIMITS, Limits
from graph.limits.slots import DEFAULT_MAX_SUBSCRIPTIONS
from graph.settings.parsers import (
    grants,
    integer,
    is_loopback,
    key_set,
    matching,
    networks,
    one_of,
    origins,
    path,
    size,
    size_or_zero,
    words,
    yes_no,
)
from graph.settings.variables import SettingsError, describe, masked, metadata, unknown_variables, variable_name
from storage import (
    DEFAULT_CACHE_BYTES,
    DELETE_IDLE_HOURS,
    GRACE_SECONDS,
    MAX_OPEN_BATCHES,
    RELEASE_IDLE_DAYS,
    RESTORE_SECONDS,
)


def _default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for the user's data, by the XDG Base Directory Specification."""
    data_home = Path(environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():
        data_home = Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return data_home / "pricebook"


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of a Pricebook process."""

    host: str = field(
        default="127.0.0.1",
        metadata=metadata(
            matching(r"\S+", "an address or host name"),
            "Address to listen on; `0.0.0.0` for all interfaces.",
        ),
    )
    port: int = field(
        default=8000,
        metadata=metadata(integer(0, 65535), "Port to listen on; `0` for any free port."),
    )
    workers: int = field(
        default=1, metadata=metadata(integer(1, 64), "Number of server processes that share the port.")
    )
    max_connections: int = field(
        default=10_000,
        metadata=metadata(
            integer(1, 1_000_000),
            "Maximum connections of each process; further ones are refused, except for health checks.",
        ),
    )
    drain_seconds: int = field(
        default=5,
        metadata=metadata(
            integer(0, 300),
            "Seconds after SIGTERM during which the server still accepts requests, while `/readyz` returns 503 so that "
            "load balancers stop sending them.",
        ),
    )
    metrics_port: int | None = field(
        default=None,
        metadata=metadata(
            integer(0, 65535), "Port of `/metrics` for Prometheus, at the same address. Unset: no metrics.", shown=""
        ),
    )
    mongodb_uri: str | None = field(
        default=None,
        metadata=metadata(
            matching(r"mongodb(\+srv)?://\S+", "a connection string: mongodb://... or mongodb+srv://..."),
            "Connection string of MongoDB 6.0 or later, a replica set or sharded. Its `timeoutMS`, 15000 unless given, "
            "is the deadline of each operation. Unset: an embedded replica set.",
            shown="",
        ),
    )
    mongodb_database: str = field(
        default="pricebook",
        metadata=metadata(
            matching(r"[\w-]{1,56}", "1 to 56 letters, digits, hyphens and underscores"),
            "Database that holds price lists and batches; layers are in another, with `_layers` after its name.",
        ),
    )
    data_dir: Path = field(
        default_factory=_default_data_dir,
        metadata=metadata(
            path,
            "Folder for the data of the embedded replica set and the log of `pricebook dev`.",
            shown="$XDG_DATA_HOME/pricebook, or ~/.local/share/pricebook",
        ),
    )
    members: int = field(default=3, metadata=metadata(integer(1, 7), "Number of members of the embedded replica set."))
    anonymous: str = field(
        default="",
        metadata=metadata(
            grants,
            "Scopes of callers without credentials, such as `prices:read` or `prices:read:shop`; scopes other than "
            "`prices:read` only on loopback. Unset: none.",
        ),
    )
    jwt_keys: str | None = field(
        default=None,
        metadata=metadata(
            key_set, "URL or file of the JSON Web Key Set that verifies bearer tokens. Unset: no tokens.", shown=""
        ),
    )
    jwt_issuer: str | None = field(
        default=None, metadata=metadata(matching(r"\S+", "a name"), "Required issuer (`iss`) of tokens.", shown="")
    )
    jwt_audience: str | None = field(
        default=None,
        metadata=metadata(matching(r"\S+", "a name"), "Required audience (`aud`) of tokens.", shown=""),
    )
    jwt_algorithms: str = field(
        default="RS256 ES256 EdDSA",
        metadata=metadata(words(ALGORITHMS), "Accepted signature algorithms of tokens."),
    )
    cors_origins: str = field(
        default="",
        metadata=metadata(
            origins, "Origins of web pages that may call the API, such as `https://shop.example`. Unset: none."
        ),
    )
    ide: bool = field(
        default=False, metadata=metadata(yes_no, "Whether `/graphql` serves an editor to browsers.", shown="false")
    )
    introspection: bool = field(
        default=True, metadata=metadata(yes_no, "Whether clients may query the schema.", shown="true")
    )
    max_tokens: int = field(
        default=DEFAULT_LIMITS.tokens,
        metadata=metadata(integer(1, 1_000_000), "Maximum tokens of a document, with fragments expanded."),
    )
    max_depth: int = field(
        default=DEFAULT_LIMITS.depth, metadata=metadata(integer(1, 1000), "Maximum nesting depth of fields.")
    )
    max_aliases: int = field(
        default=DEFAULT_LIMITS.aliases, metadata=metadata(integer(0, 100_000), "Maximum aliases of an operation.")
    )
    max_cost: int = field(
        default=DEFAULT_LIMITS.cost,
        metadata=metadata(integer(1, 999_999_999), "Maximum objects that an operation may return, by its page sizes."),
    )
    max_page: int = field(
        default=DEFAULT_LIMITS.page,
        metadata=metadata(integer(1, 1000), "Maximum records of a page, skus of `pricesBySku` and lines of a quote."),
    )
    max_seconds: int = field(
        default=DEFAULT_LIMITS.seconds, metadata=metadata(integer(1, 3600), "Timeout of a query, in seconds.")
    )
    max_rate: int = field(
        default=2000,
        metadata=metadata(
            integer(0, 1_000_000),
            "Maximum requests per second of each caller, counted by each process; `0` for no limit.",
        ),
    )
    balancers: str = field(
        default="127.0.0.0/8 ::1",
        metadata=metadata(
            networks,
            "Networks of load balancers whose `X-Forwarded-For` is trusted, such as `10.1.2.0/24`; it identifies "
            "callers without credentials.",
        ),
    )
    max_subscriptions: int = field(
        default=DEFAULT_MAX_SUBSCRIPTIONS,
        metadata=metadata(
            integer(0, 100_000),
            "Maximum concurrent subscriptions of a process; each caller may have up to 100 of them.",
        ),
    )
    max_query_bytes: int = field(
        default=DEFAULT_BODY_LIMITS.query,
        metadata=metadata(
            size,
            "Maximum size of a request without prices, and of any by callers who may not write, in bytes or with a "
            "unit, such as `1MiB`.",
            shown="1MiB",
        ),
    )
    max_body_bytes: int = field(
        default=DEFAULT_BODY_LIMITS.body,
        metadata=metadata(size, "Maximum size of a request with prices.", shown="64MiB"),
    )
    max_bodies_bytes: int = field(
        default=DEFAULT_BODY_LIMITS.in_flight,
        metadata=metadata(
            size,
            "Memory of each process for request bodies in progress, at least twice the maximum of one. A caller may "
            "use half of it. Uploads need none.",
            shown="256MiB",
        ),
    )
    max_upload_bytes: int = field(
        default=DEFAULT_BODY_LIMITS.upload,
        metadata=metadata(size, "Maximum size of a request that uploads a file.", shown="4GiB"),
    )
    max_file_bytes: int = field(
        default=8 << 30,
        metadata=metadata(size, "Maximum size of an uploaded file after decompression.", shown="8GiB"),
    )
    cache_bytes: int = field(
        default=DEFAULT_CACHE_BYTES,
        metadata=metadata(
            size_or_zero,
            "Memory of each process for blocks of prices and their directories, which all requests share. Directories "
            "are kept up to 32 MiB even if this is less; with `0`, nothing else is.",
            shown="256MiB",
        ),
    )
    read_from: str = field(
        default="primary",
        metadata=metadata(
            one_of("primary", "secondaries"),
            "Members that queries read prices from: `primary` or `secondaries`. Reads on secondaries are causally "
            "after the publish, and fall back to the primary if a secondary does not respond in time.",
        ),
    )
    max_scan: int = field(
        default=1_000_000,
        metadata=metadata(
            integer(1, 999_999_999),
            "Maximum rows that a filter, an order or the statistics of a diff may read.",
        ),
    )
    max_open_batches: int = field(
        default=MAX_OPEN_BATCHES,
        metadata=metadata(
            integer(1, 10_000), "Maximum batches in progress of each price list, and of each caller on all lists."
        ),
    )
    grace_seconds: int = field(
        default=GRACE_SECONDS,
        metadata=metadata(integer(0, 604_800), "Seconds after its last read during which a version does not expire."),
    )
    restore_seconds: int = field(
        default=RESTORE_SECONDS,
        metadata=metadata(integer(0, 31_536_000), "Seconds during which an expired version can be restored."),
    )
    delete_idle_hours: int = field(
        default=DELETE_IDLE_HOURS,
        metadata=metadata(
            integer(0, 8760), "Hours without a publication before a price list can be deleted without `force`."
        ),
    )
    release_idle_days: int = field(
        default=RELEASE_IDLE_DAYS,
        metadata=metadata(integer(1, 365), "Days without a change after which an open release is discarded."),
    )
    response_cache_bytes: int = field(
        default=64 << 20,
        metadata=metadata(
            size_or_zero, "Memory of each process for cached responses; `0` disables the cache.", shown="64MiB"
        ),
    )
    cache_max_age: int = field(
        default=0,
        metadata=metadata(
            integer(0, 86_400),
            "`max-age` of responses with the current version: seconds for which caches may use them unvalidated; fewer "
            "before a [scheduled change](caching.md#scheduled-changes).",
        ),
    )
    cache_stale_while_revalidate: int = field(
        default=0,
        metadata=metadata(
            integer(0, 86_400),
            "`stale-while-revalidate` of these responses: seconds for which caches may use them while they revalidate; "
            "fewer before a scheduled change.",
        ),
    )
    trusted_documents: Path | None = field(
        default=None,
        metadata=metadata(path, "JSON file of documents by id, which clients may send as `documentId`.", shown=""),
    )
    trusted_documents_only: bool = field(
        default=False,
        metadata=metadata(yes_no, "Whether documents that are not in that file are rejected.", shown="false"),
    )
    log_format: str = field(
        default="auto",
        metadata=metadata(one_of("auto", "json", "human"), "`json`, `human`, or `auto` for `human` on a terminal."),
    )
    log_level: str = field(
        default="info",
        metadata=metadata(
            one_of("critical", "error", "warning", "info", "debug"),
            "Minimum level of logged messages: `critical`, `error`, `warning`, `info` or `debug`.",
        ),
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings from `environ`. An empty variable counts as unset.

        Raises `SettingsError` with every invalid value and every unknown `PRICEBOOK_` variable.
        """
        values: dict[str, Any] = {"data_dir": _default_data_dir(environ)}
        problems = unknown_variables(environ, VARIABLES)
        for setting in fields(cls):
            text = environ.get(variable_name(setting.name), "").strip()
            if not text:
                continue
            try:
                values[setting.name] = setting.metadata["read"](text)
            except ValueError as error:
                problems.append(f'{variable_name(setting.name)} is "{masked(text)}"; it must be {error}.')
        settings = cls(**values)
        problems += settings._contradictions()
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def is_open(self) -> bool:
        """Whether callers without credentials may do more than read."""
        return bool(Grants.parse(self.anonymous.split()).lists_by_scope.keys() - {Scope.PRICES_READ})

    def limits(self) -> Limits:
        """Return the limits of documents and operations."""
        return Limits(
            self.max_tokens,
            self.max_depth,
            self.max_aliases,
            self.max_cost,
            self.max_page,
            self.max_seconds,
            self.introspection,
        )

    def body_limits(self) -> BodyLimits:
        """Return the limits of request bodies."""
        in_flight = max(self.max_bodies_bytes, 2 * self.max_body_bytes)
        return BodyLimits(self.max_query_bytes, self.max_body_bytes, self.max_upload_bytes, in_flight)

    def _contradictions(self) -> list[str]:
        problems = []
        if self.jwt_keys is not None and (self.jwt_issuer is None or self.jwt_audience is None):
            problems.append(
                "PRICEBOOK_JWT_KEYS is set without PRICEBOOK_JWT_ISSUER and PRICEBOOK_JWT_AUDIENCE. Set both; "
                "otherwise tokens for other services would be accepted."
            )
        if self.is_open and not is_loopback(self.host):
            problems.append(
                f'PRICEBOOK_ANONYMOUS is "{self.anonymous}" and PRICEBOOK_HOST is "{self.host}". Without credentials, '
                "scopes other than prices:read are allowed on loopback only."
            )
        return problems

    def to_environment(self) -> dict[str, str]:
        """Return variables that configure another process in the same way: the inverse of `from_environment`."""
        values = {variable_name(setting.name): getattr(self, setting.name) for setting in fields(self)}
        return {name: str(value) for name, value in values.items() if value is not None}

    def __repr__(self) -> str:
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        if self.mongodb_uri is not None:
            values["mongodb_uri"] = masked(self.mongodb_uri)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"


VARIABLES = tuple(map(describe, fields(Settings)))
"""All settings, in the order of the manual."""
