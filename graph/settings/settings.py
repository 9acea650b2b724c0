"""The settings of a Pricebook process; the only reader of its environment.

Every setting is one field of `Settings`: its name, upper-cased behind `PRICEBOOK_`, is the variable, and
`_manual` holds how it is read, what the manual says about it and how its default is shown there. A new
setting is a new field and a new row in the table of docs/settings.md, nothing else.
"""

import difflib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from graph.identity.scopes import Grants, Scope
from graph.identity.tokens import ALGORITHMS
from graph.limits.limits import DEFAULT_LIMITS, Limits
from graph.settings.parsers import (
    grants,
    is_loopback,
    key_set,
    matching,
    networks,
    one_of,
    origins,
    path,
    size,
    size_or_none,
    whole,
    words,
    yes_no,
)
from storage import GRACE_SECONDS, RESTORE_SECONDS

PREFIX = "PRICEBOOK_"
"""What every variable begins with."""

_CLIENT_VARIABLES = ("PRICEBOOK_ENDPOINT", "PRICEBOOK_TOKEN")
"""What client programs read; a server passes over them, as over all that begins with PRICEBOOK_TEST_."""


class SettingsError(ValueError):
    """Variables that cannot be used: one line for each, naming variable, value and what is allowed."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Variable:
    """A setting as the manual shows it: variable, default and meaning."""

    name: str
    default: str
    meaning: str


def masked(uri: str) -> str:
    """Replace the secrets of a connection string, so that it may be shown."""
    uri = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", uri)
    return re.sub(r"(?i)([?&][^=&]*(?:password|properties)=)[^&]*", r"\1***", uri)


def _manual(read: Callable[[str], object], meaning: str, shown: str | None = None) -> dict[str, object]:
    """Describe a field: how its variable is read, what it means, how its default is shown if not as it is.

    `read` refuses a text by a `ValueError` that says what is allowed.
    """
    return {"read": read, "meaning": meaning, "shown": shown}


def _default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a user's data stands, by the XDG Base Directory Specification."""
    data_home = Path(environ.get("XDG_DATA_HOME", ""))
    if not data_home.is_absolute():
        data_home = Path(environ.get("HOME") or Path.home()) / ".local" / "share"
    return data_home / "pricebook"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a Pricebook process is told from outside."""

    host: str = field(
        default="127.0.0.1",
        metadata=_manual(
            matching(r"\S+", "an address or host name"),
            "Address the server listens on; `0.0.0.0` for every interface.",
        ),
    )
    port: int = field(
        default=8000,
        metadata=_manual(whole(0, 65535), "Port the server listens on; `0` lets the system choose a free one."),
    )
    workers: int = field(default=1, metadata=_manual(whole(1, 64), "Server processes that share the port."))
    drain_seconds: int = field(
        default=5,
        metadata=_manual(
            whole(0, 300),
            "Seconds that a server which was told to end still takes requests, while `/readyz` answers 503 and "
            "balancers turn elsewhere.",
        ),
    )
    metrics_port: int | None = field(
        default=None,
        metadata=_manual(
            whole(0, 65535), "Port of `/metrics` for Prometheus, at the same address. Unset: none.", shown=""
        ),
    )
    mongodb_uri: str | None = field(
        default=None,
        metadata=_manual(
            matching(r"mongodb(\+srv)?://\S+", "a connection string: mongodb://... or mongodb+srv://..."),
            "MongoDB 6.0 or later, a replica set or sharded. Unset: an embedded replica set is started.",
            shown="",
        ),
    )
    mongodb_database: str = field(
        default="pricebook",
        metadata=_manual(
            matching(r"[\w-]{1,63}", "1 to 63 letters, digits, hyphens and underscores"),
            "Database that holds price lists, batches and layers.",
        ),
    )
    data_dir: Path = field(
        default_factory=_default_data_dir,
        metadata=_manual(
            path,
            "Folder of the embedded replica set and of the log of `pricebook dev`.",
            shown="$XDG_DATA_HOME/pricebook, or ~/.local/share/pricebook",
        ),
    )
    members: int = field(default=3, metadata=_manual(whole(1, 7), "Members of the embedded replica set."))
    anonymous: str = field(
        default="",
        metadata=_manual(
            grants,
            "What callers without credentials may do, as `prices:read` or `prices:read:shop`; more than reading only "
            "on loopback. Unset: nothing.",
        ),
    )
    jwt_keys: str | None = field(
        default=None,
        metadata=_manual(
            key_set, "URL or file of the JSON Web Key Set that bearer tokens are checked against.", shown=""
        ),
    )
    jwt_issuer: str | None = field(
        default=None, metadata=_manual(matching(r"\S+", "a name"), "Issuer (`iss`) that tokens must have.", shown="")
    )
    jwt_audience: str | None = field(
        default=None,
        metadata=_manual(matching(r"\S+", "a name"), "Audience (`aud`) that tokens must have.", shown=""),
    )
    jwt_algorithms: str = field(
        default="RS256 ES256 EdDSA",
        metadata=_manual(words(ALGORITHMS), "What tokens may be signed with."),
    )
    cors_origins: str = field(
        default="",
        metadata=_manual(origins, "Origins whose web pages may call, as `https://shop.example`. Unset: none."),
    )
    ide: bool = field(
        default=False, metadata=_manual(yes_no, "Whether browsers get an editor on `/graphql`.", shown="false")
    )
    introspection: bool = field(
        default=True, metadata=_manual(yes_no, "Whether the schema can be asked for.", shown="true")
    )
    max_tokens: int = field(
        default=DEFAULT_LIMITS.tokens,
        metadata=_manual(whole(1, 1_000_000), "Tokens of a document, its fragments spread."),
    )
    max_depth: int = field(default=DEFAULT_LIMITS.depth, metadata=_manual(whole(1, 1000), "Fields nested in fields."))
    max_aliases: int = field(
        default=DEFAULT_LIMITS.aliases, metadata=_manual(whole(0, 100_000), "Aliases of an operation.")
    )
    max_cost: int = field(
        default=DEFAULT_LIMITS.cost,
        metadata=_manual(whole(1, 999_999_999), "Objects that an operation may answer with, by its page sizes."),
    )
    max_page: int = field(
        default=DEFAULT_LIMITS.page,
        metadata=_manual(whole(1, 1000), "Records of a page, skus of `pricesBySku`, lines of a quote."),
    )
    max_seconds: int = field(
        default=DEFAULT_LIMITS.seconds, metadata=_manual(whole(1, 3600), "Seconds that a query may take.")
    )
    max_rate: int = field(
        default=2000,
        metadata=_manual(
            whole(0, 1_000_000),
            "Requests a second of each caller, counted by each process for itself; `0` for any number.",
        ),
    )
    balancers: str = field(
        default="127.0.0.0/8 ::1",
        metadata=_manual(
            networks,
            "Networks of the load balancers whose `X-Forwarded-For` is believed, as `10.0.0.0/8`; callers without "
            "credentials are counted by it.",
        ),
    )
    max_subscriptions: int = field(
        default=1000,
        metadata=_manual(whole(0, 100_000), "Subscriptions that each process serves at once, to a caller 100 of them."),
    )
    max_body_bytes: int = field(
        default=64 << 20,
        metadata=_manual(size, "Largest request body taken, in bytes or as `64MiB`.", shown="64MiB"),
    )
    max_upload_bytes: int = field(
        default=4 << 30,
        metadata=_manual(size, "Largest request with a file taken, as it arrives.", shown="4GiB"),
    )
    max_file_bytes: int = field(
        default=8 << 30,
        metadata=_manual(size, "Largest file taken, once decompressed.", shown="8GiB"),
    )
    cache_bytes: int = field(
        default=256 << 20,
        metadata=_manual(
            size_or_none,
            "Memory of each process for prices, shared by all requests; `0` keeps none.",
            shown="256MiB",
        ),
    )
    read_from: str = field(
        default="primary",
        metadata=_manual(
            one_of("primary", "secondaries"),
            "Members that queries read prices from; `secondaries` are read causally after the publish, and the primary "
            "is asked for what they do not answer in time.",
        ),
    )
    max_scan: int = field(
        default=1_000_000,
        metadata=_manual(
            whole(1, 999_999_999),
            "Records that a filter or an order of prices may read; more is refused.",
        ),
    )
    grace_seconds: int = field(
        default=GRACE_SECONDS,
        metadata=_manual(whole(0, 604_800), "A version that was read within so many seconds is not retired."),
    )
    restore_seconds: int = field(
        default=RESTORE_SECONDS,
        metadata=_manual(whole(0, 31_536_000), "For so many seconds a version that was retired can be brought back."),
    )
    response_cache_bytes: int = field(
        default=64 << 20,
        metadata=_manual(size_or_none, "Answers that each process keeps, in bytes; `0` keeps none.", shown="64MiB"),
    )
    cache_max_age: int = field(
        default=0,
        metadata=_manual(
            whole(0, 86_400),
            "Seconds for which caches may answer with a current version without asking whether it still is.",
        ),
    )
    cache_stale_while_revalidate: int = field(
        default=0,
        metadata=_manual(whole(0, 86_400), "Seconds for which they may go on doing so while they ask."),
    )
    trusted_documents: Path | None = field(
        default=None,
        metadata=_manual(
            path, "JSON file of documents by their ids, which clients may send as `documentId`.", shown=""
        ),
    )
    trusted_documents_only: bool = field(
        default=False,
        metadata=_manual(yes_no, "Whether documents that are not in that file are refused.", shown="false"),
    )
    log_format: str = field(
        default="auto",
        metadata=_manual(one_of("auto", "json", "human"), "`json`, `human`, or `auto`: human on a terminal."),
    )
    log_level: str = field(
        default="info",
        metadata=_manual(
            one_of("critical", "error", "warning", "info", "debug"),
            "Least severe messages logged: `critical`, `error`, `warning`, `info` or `debug`.",
        ),
    )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings that `environ` holds; a variable that is empty counts as unset.

        Raises `SettingsError` for every value that cannot be used and every unknown `PRICEBOOK_` variable.
        """
        values: dict[str, Any] = {"data_dir": _default_data_dir(environ)}
        problems = _unknown(environ)
        for setting in fields(cls):
            text = environ.get(_variable(setting.name), "").strip()
            if not text:
                continue
            try:
                values[setting.name] = setting.metadata["read"](text)
            except ValueError as error:
                problems.append(f'{_variable(setting.name)} is "{masked(text)}"; allowed is {error}.')
        settings = cls(**values)
        problems += settings._contradictions()
        if problems:
            raise SettingsError(problems)
        return settings

    @property
    def is_open(self) -> bool:
        """Whether callers without credentials may do more than read."""
        return bool(Grants.of(self.anonymous.split()).reaches.keys() - {Scope.PRICES_READ})

    def limits(self) -> Limits:
        """Return what documents and operations may be."""
        return Limits(
            self.max_tokens,
            self.max_depth,
            self.max_aliases,
            self.max_cost,
            self.max_page,
            self.max_seconds,
            self.introspection,
        )

    def _contradictions(self) -> list[str]:
        problems = []
        if self.jwt_keys is not None and (self.jwt_issuer is None or self.jwt_audience is None):
            problems.append(
                "PRICEBOOK_JWT_KEYS is set without PRICEBOOK_JWT_ISSUER and PRICEBOOK_JWT_AUDIENCE: set both, or every "
                "token of that issuer would be taken."
            )
        if self.is_open and not is_loopback(self.host):
            problems.append(
                f'PRICEBOOK_ANONYMOUS is "{self.anonymous}" and PRICEBOOK_HOST is "{self.host}": without credentials '
                "more than prices:read is for loopback only."
            )
        return problems

    def to_environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings: the inverse of `from_environment`."""
        values = {_variable(setting.name): getattr(self, setting.name) for setting in fields(self)}
        return {name: str(value) for name, value in values.items() if value is not None}

    def __repr__(self) -> str:
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        if self.mongodb_uri is not None:
            values["mongodb_uri"] = masked(self.mongodb_uri)
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def _variable(field_name: str) -> str:
    return PREFIX + field_name.upper()


def _unknown(environ: Mapping[str, str]) -> list[str]:
    """One line for each `PRICEBOOK_` variable that no program knows, with the name that was perhaps meant."""
    known = [variable.name for variable in VARIABLES]
    endings = [name.removeprefix(PREFIX) for name in known]
    problems = []
    for name in sorted(environ.keys() - {*known, *_CLIENT_VARIABLES}):
        if not name.startswith(PREFIX) or name.startswith("PRICEBOOK_TEST_"):
            continue
        near = difflib.get_close_matches(name.removeprefix(PREFIX), endings, n=1)
        advice = f"did you mean {PREFIX}{near[0]}?" if near else f"allowed are {', '.join(known)}."
        problems.append(f'{name} (now "{masked(environ[name])}") is not a setting; {advice}')
    return problems


def _described(setting: Field[Any]) -> Variable:
    shown = setting.metadata["shown"]
    default = str(setting.default) if shown is None else shown
    return Variable(_variable(setting.name), default, setting.metadata["meaning"])


VARIABLES = tuple(map(_described, fields(Settings)))
"""Every setting, in the order of the manual."""
