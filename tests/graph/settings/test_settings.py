"""Settings: the environment of a process, with a clear line for each invalid variable."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.settings import VARIABLES, Settings, SettingsError

MANUAL = Path(__file__).parents[3] / "docs" / "settings.md"


def error_of(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment(environ)
    return str(caught.value)


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = Settings.from_environment({"HOME": "/home/ada"})
    assert settings == Settings(data_dir=Path("/home/ada/.local/share/pricebook"))
    assert (settings.host, settings.port, settings.mongodb_uri) == ("127.0.0.1", 8000, None)
    assert settings.max_body_bytes == 64 * 1024 * 1024


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"PRICEBOOK_PORT": ""}).port == 8000


@pytest.mark.parametrize(
    ("data_home", "expected"),
    [
        ("/srv/data", "/srv/data/pricebook"),
        ("not/absolute", "/home/ada/.local/share/pricebook"),
    ],
)
def test_the_data_folder_follows_an_absolute_xdg_data_home(data_home: str, expected: str) -> None:
    environ = {"HOME": "/home/ada", "XDG_DATA_HOME": data_home}
    assert Settings.from_environment(environ).data_dir == Path(expected)


@pytest.mark.parametrize("text", ["67108864", "65536KiB", "64MiB", "64 mib", "67108864B"])
def test_a_size_may_have_a_unit(text: str) -> None:
    assert Settings.from_environment({"PRICEBOOK_MAX_BODY_BYTES": text}).max_body_bytes == 67_108_864


@pytest.mark.parametrize("name", ["response_cache_bytes", "cache_bytes"])
def test_a_cache_can_be_disabled(name: str) -> None:
    assert getattr(Settings.from_environment({f"PRICEBOOK_{name.upper()}": "0"}), name) == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("YES", True), ("1", True), ("no", False), ("0", False)]
)
def test_a_boolean_can_be_written_in_several_ways(text: str, expected: bool) -> None:
    assert Settings.from_environment({"PRICEBOOK_TRUSTED_DOCUMENTS_ONLY": text}).trusted_documents_only is expected


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("PRICEBOOK_HOST", "two words", "an address or host name"),
        ("PRICEBOOK_PORT", "80o0", "a whole number from 0 to 65535"),
        ("PRICEBOOK_PORT", "65536", "a whole number from 0 to 65535"),
        ("PRICEBOOK_PORT", "-1", "a whole number from 0 to 65535"),
        ("PRICEBOOK_WORKERS", "0", "a whole number from 1 to 64"),
        ("PRICEBOOK_MONGODB_URI", "localhost:27017", "a connection string: mongodb://... or mongodb+srv://..."),
        ("PRICEBOOK_MONGODB_DATABASE", "a.b", "1 to 56 letters, digits, hyphens and underscores"),
        ("PRICEBOOK_MONGODB_DATABASE", "a" * 57, "1 to 56 letters, digits, hyphens and underscores"),
        ("PRICEBOOK_MEMBERS", "8", "a whole number from 1 to 7"),
        ("PRICEBOOK_MAX_BODY_BYTES", "64MB", "a number of bytes, such as 67108864, 65536KiB, 64MiB or 1GiB"),
        ("PRICEBOOK_MAX_BODY_BYTES", "0", "a number of bytes, such as 67108864, 65536KiB, 64MiB or 1GiB"),
        (
            "PRICEBOOK_RESPONSE_CACHE_BYTES",
            "much",
            "a number of bytes, such as 67108864, 65536KiB, 64MiB or 1GiB, or 0",
        ),
        ("PRICEBOOK_CACHE_MAX_AGE", "86401", "a whole number from 0 to 86400"),
        ("PRICEBOOK_TRUSTED_DOCUMENTS_ONLY", "maybe", "true or false"),
        ("PRICEBOOK_CACHE_BYTES", "-1", "a number of bytes, such as 67108864, 65536KiB, 64MiB or 1GiB, or 0"),
        ("PRICEBOOK_READ_FROM", "nearest", "one of primary, secondaries"),
        ("PRICEBOOK_LOG_LEVEL", "loud", "one of critical, error, warning, info, debug"),
        ("PRICEBOOK_LOG_FORMAT", "xml", "one of auto, json, human"),
        ("PRICEBOOK_MAX_PAGE", "1001", "a whole number from 1 to 1000"),
        ("PRICEBOOK_JWT_KEYS", "http://login.example/keys", "an https URL, or the path of a file"),
        ("PRICEBOOK_JWT_KEYS", "/no/such/file", "an https URL, or the path of a file"),
        ("PRICEBOOK_CORS_ORIGINS", "shop.example", "origins such as https://shop.example, separated by spaces"),
    ],
)
def test_an_invalid_value_is_one_line_with_variable_value_and_valid_values(
    variable: str, value: str, allowed: str
) -> None:
    assert error_of(**{variable: value}) == f'{variable} is "{value}"; it must be {allowed}.'


@pytest.mark.parametrize("algorithms", ["none", "HS256", "RS256 HS256", "RS256,ES256"])
def test_symmetric_signature_algorithms_are_rejected(algorithms: str) -> None:
    assert "PRICEBOOK_JWT_ALGORITHMS" in error_of(PRICEBOOK_JWT_ALGORITHMS=algorithms)


def test_keys_of_tokens_require_an_issuer_and_an_audience() -> None:
    keys = {"PRICEBOOK_JWT_KEYS": "https://login.example/keys"}
    for other in ({}, {"PRICEBOOK_JWT_ISSUER": "i"}, {"PRICEBOOK_JWT_AUDIENCE": "a"}):
        assert "Set both" in error_of(**keys, **other)
    Settings.from_environment({**keys, "PRICEBOOK_JWT_ISSUER": "i", "PRICEBOOK_JWT_AUDIENCE": "a"})


def test_anonymous_callers_can_change_things_on_loopback_only() -> None:
    for grants in ("admin", "prices:read batches:write:shop"):
        anonymous = {"PRICEBOOK_ANONYMOUS": grants}
        Settings.from_environment(anonymous)
        assert "on loopback only" in error_of(**anonymous, PRICEBOOK_HOST="0.0.0.0")
    Settings.from_environment({"PRICEBOOK_ANONYMOUS": "prices:read:public-*", "PRICEBOOK_HOST": "0.0.0.0"})


def test_anonymous_access_must_be_valid_grants() -> None:
    assert "is not a grant" in error_of(PRICEBOOK_ANONYMOUS="prices")


def test_all_invalid_values_are_reported_at_once() -> None:
    lines = error_of(PRICEBOOK_PORT="x", PRICEBOOK_MEMBERS="y").splitlines()
    assert [line.split()[0] for line in lines] == ["PRICEBOOK_PORT", "PRICEBOOK_MEMBERS"]


def test_an_unknown_variable_is_rejected_with_a_suggestion() -> None:
    assert error_of(PRICEBOOK_MONGO_URI="mongodb://db") == (
        'PRICEBOOK_MONGO_URI (set to "mongodb://db") is not a setting. Did you mean PRICEBOOK_MONGODB_URI?'
    )


def test_an_unknown_variable_similar_to_none_is_rejected_with_all_settings() -> None:
    line = error_of(PRICEBOOK_ZEBRA="1")
    assert all(variable.name in line for variable in VARIABLES)


def test_variables_of_other_programs_are_ignored() -> None:
    Settings.from_environment(
        {"PATH": "/bin", "PRICEBOOK_TEST_X": "1", "PRICEBOOK_ENDPOINT": "e", "PRICEBOOK_TOKEN": "t"}
    )


SECRET = "hunter2"


@pytest.mark.parametrize(
    "uri",
    [
        f"mongodb://ada:{SECRET}@db1:27017,db2:27017/?replicaSet=rs",
        f"mongodb+srv://ada:{SECRET}@db/",
        f"mongodb://ada:p@{SECRET}@db/",
        f"mongodb://ada:p/{SECRET}@db/",
        f"mongodb://db/?tls=true&tlsCertificateKeyFilePassword={SECRET}",
        f"mongodb://db/?authMechanismProperties=AWS_SESSION_TOKEN:{SECRET}&tls=true",
    ],
)
def test_a_password_is_never_shown(uri: str) -> None:
    shown = repr(Settings(mongodb_uri=uri))
    assert SECRET not in shown
    assert "***" in shown
    assert "db" in shown


def test_a_password_in_an_invalid_value_is_not_shown_either() -> None:
    assert SECRET not in error_of(PRICEBOOK_MONGODB_URI=f"mongo://ada:{SECRET}@db/")
    assert SECRET not in error_of(PRICEBOOK_MONGO_URI=f"mongodb://ada:{SECRET}@db/")


@given(
    st.builds(
        Settings,
        host=st.sampled_from(["0.0.0.0", "::1", "localhost"]),
        port=st.integers(0, 65535),
        workers=st.integers(1, 64),
        mongodb_uri=st.none() | st.just("mongodb://ada:secret@db/?replicaSet=rs"),
        mongodb_database=st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True),
        data_dir=st.sampled_from([Path("/srv/data"), Path("/srv/a folder")]),
        members=st.integers(1, 7),
        max_body_bytes=st.integers(1, 1 << 40),
        response_cache_bytes=st.integers(0, 1 << 40),
        cache_max_age=st.integers(0, 86_400),
        cache_stale_while_revalidate=st.integers(0, 86_400),
        trusted_documents=st.none() | st.just(Path("/srv/a list.json")),
        trusted_documents_only=st.booleans(),
        cache_bytes=st.integers(0, 1 << 40),
        read_from=st.sampled_from(["primary", "secondaries"]),
        log_level=st.sampled_from(["critical", "error", "warning", "info", "debug"]),
    )
)
def test_settings_survive_a_round_trip_through_the_environment(settings: Settings) -> None:
    assert Settings.from_environment(settings.to_environment()) == settings


def test_the_manual_lists_every_setting_with_its_default_and_meaning() -> None:
    row = re.compile(r"^\| `(PRICEBOOK_\w+)` \| `?(.*?)`? \| (.*) \|$", re.MULTILINE)
    assert row.findall(MANUAL.read_text(encoding="utf-8")) == [
        (variable.name, variable.default, variable.meaning) for variable in VARIABLES
    ]
