"""Every setting comes from its variable, and one that cannot be used is named."""

import os
from pathlib import Path

import pydantic
import pytest

from clv.errors import UsageError
from clv.settings import Settings, load_settings, unknown_variables

GIVEN = {
    "CLV_HOME": ("home", "/srv/clv", Path("/srv/clv")),
    "CLV_DATABASE_URL": ("database_url", "postgresql://h/db", "postgresql://h/db"),
    "MLFLOW_TRACKING_URI": ("mlflow_tracking_uri", "http://mlflow:5000", "http://mlflow:5000"),
    "CLV_MODEL_NAME": ("model_name", "rides", "rides"),
    "CLV_HOST": ("host", "0.0.0.0", "0.0.0.0"),
    "CLV_PORT": ("port", "9000", 9000),
    "CLV_ALLOW_ANONYMOUS": ("allow_anonymous", "true", True),
    "CLV_ALLOWED_HOSTS": (
        "allowed_hosts",
        "Clv.example.com, *.internal,",
        ("clv.example.com", "*.internal"),
    ),
    "CLV_TRUSTED_PROXIES": (
        "trusted_proxies",
        "10.0.0.0/8,192.168.1.7",
        ("10.0.0.0/8", "192.168.1.7"),
    ),
    "CLV_SESSION_HOURS": ("session_hours", "0.5", 0.5),
    "CLV_WORKERS": ("workers", "4", 4),
    "CLV_POLL_INTERVAL_S": ("poll_interval_s", "0.5", 0.5),
    "CLV_TRACKING_QUEUE_ROWS": ("tracking_queue_rows", "10000", 10_000),
    "CLV_MAX_BODY_BYTES": ("max_body_bytes", "2048", 2048),
    "CLV_MAX_UPLOAD_BYTES": ("max_upload_bytes", "4096", 4096),
    "CLV_READ_TIMEOUT_S": ("read_timeout_s", "5", 5.0),
    "CLV_MAX_CONNECTIONS": ("max_connections", "50", 50),
    "CLV_REQUESTS_PER_S": ("requests_per_s", "2.5", 2.5),
    "CLV_DRAIN_S": ("drain_s", "7", 7.0),
    "CLV_LOG_FORMAT": ("log_format", "json", "json"),
    "CLV_ACCESS_LOG": ("access_log", "true", True),
    "CLV_LOG_LEVEL": ("log_level", "DEBUG", "DEBUG"),
    "CLV_CURRENCY": ("currency", "EUR", "EUR"),
    "CLV_KEEP_DAYS": ("keep_days", "400", 400),
}


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CLV_") or name == "MLFLOW_TRACKING_URI":
            monkeypatch.delenv(name)


@pytest.mark.parametrize("variable", GIVEN)
def test_each_variable_is_read(variable, monkeypatch):
    field, text, value = GIVEN[variable]
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), field) == value


def test_every_setting_has_a_variable_and_says_what_it_is():
    assert {field for field, _, _ in GIVEN.values()} == set(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_without_variables_everything_has_a_default():
    settings = load_settings()
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8080, 1)
    assert settings.root == Path.cwd() / "var"
    assert settings.log_level == "INFO"


@pytest.mark.parametrize("variable", GIVEN)
def test_an_empty_variable_is_as_good_as_none(variable, monkeypatch):
    usual = load_settings()
    monkeypatch.setenv(variable, "")
    assert load_settings() == usual


def test_databases_lie_in_the_home_unless_told_otherwise(monkeypatch, tmp_path):
    monkeypatch.setenv("CLV_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.tracking_url == f"sqlite:///{tmp_path}/tracking.sqlite"
    assert settings.registry_uri == f"sqlite:///{tmp_path}/mlflow.sqlite"
    monkeypatch.setenv("CLV_DATABASE_URL", "postgresql://h/db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    settings = load_settings()
    assert settings.tracking_url == "postgresql://h/db"
    assert settings.registry_uri == "http://mlflow:5000"


def test_a_home_may_be_relative_or_of_a_user_and_stays_when_the_folder_changes(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLV_HOME", "here")
    settings = load_settings()
    assert settings.root == tmp_path / "here"
    monkeypatch.chdir("/")
    assert settings.root == tmp_path / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLV_HOME", "~/mine")
    assert load_settings().root == tmp_path / "mine"


def test_reading_the_settings_creates_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("CLV_HOME", str(tmp_path / "home"))
    settings = load_settings()
    assert settings.tracking_url
    assert settings.registry_uri
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("CLV_PORT", "http", "input should be a valid integer"),
        ("CLV_PORT", "65536", "input should be less than or equal to 65535"),
        ("CLV_PORT", "-1", "input should be greater than or equal to 0"),
        ("CLV_KEEP_DAYS", "29", "input should be greater than or equal to 30"),
        ("CLV_WORKERS", "0", "input should be greater than or equal to 1"),
        ("CLV_WORKERS", "65", "input should be less than or equal to 64"),
        ("CLV_POLL_INTERVAL_S", "0", "input should be greater than 0"),
        ("CLV_POLL_INTERVAL_S", "inf", "input should be a finite number"),
        ("CLV_POLL_INTERVAL_S", "soon", "input should be a valid number"),
        ("CLV_TRACKING_QUEUE_ROWS", "0", "input should be greater than or equal to 1"),
        ("CLV_ALLOWED_HOSTS", "https://clv.example", "expected names without scheme and port"),
        ("CLV_ALLOWED_HOSTS", "clv.example:8080", "expected names without scheme and port"),
        ("CLV_TRUSTED_PROXIES", "proxy.example", "expected IP addresses or networks"),
        ("CLV_SESSION_HOURS", "0", "input should be greater than 0"),
        ("CLV_LOG_LEVEL", "verbose", "DEBUG|INFO|WARNING|ERROR"),
        ("CLV_MODEL_NAME", "rides/2026", "string should match pattern"),
        ("CLV_HOME", "~nobody-of-this-name/x", "expected a folder"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named_with_what_was_expected(
    variable, value, expected, monkeypatch
):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as refused:
        load_settings()
    says = str(refused.value)
    assert says.startswith(f"{variable} is '{value}': ")
    assert expected in says
    assert says.endswith("Correct the variable or unset it.")
    assert "\n" not in says


@pytest.mark.parametrize("below", ["", "/home"])
def test_a_home_that_is_a_file_or_lies_below_one_is_refused(below, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLV_HOME", f"{tmp_path}/file{below}")
    with pytest.raises(UsageError, match=rf"^CLV_HOME is '{tmp_path}/file{below}': expected a fo"):
        load_settings()


def test_settings_cannot_be_changed():
    settings = load_settings()
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_other_variables_are_no_concern_of_ours(monkeypatch):
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("XCLV_PORT", "1")
    assert load_settings().port == 8080
    assert unknown_variables() == []


def test_a_misspelt_variable_is_ignored_with_a_warning_that_names_the_nearest(monkeypatch):
    for variable, (_, text, _) in GIVEN.items():
        monkeypatch.setenv(variable, text)
    assert unknown_variables() == []
    monkeypatch.setenv("CLV_PROT", "1")
    monkeypatch.setenv("CLV_ALLOWED_HOST", "x")
    monkeypatch.setenv("CLV_MLFLOW_TRACKING_URI", "1")
    monkeypatch.setenv("CLV_", "1")
    assert unknown_variables() == [
        "CLV_ is not a setting and is ignored. Settings: docs/reference.md.",
        "CLV_ALLOWED_HOST is not a setting and is ignored. Did you mean CLV_ALLOWED_HOSTS?",
        (
            "CLV_MLFLOW_TRACKING_URI is not a setting and is ignored. "
            "Did you mean MLFLOW_TRACKING_URI?"
        ),
        "CLV_PROT is not a setting and is ignored. Did you mean CLV_PORT?",
    ]
