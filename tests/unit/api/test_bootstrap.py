"""Wiring: settings, the handlers' registry, and what an import must not do."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from api_lambda import bootstrap
from api_lambda.handler import handler
from api_lambda.log import LOGGER, JsonLines, configure
from api_lambda.routes import Api
from api_lambda.settings import ApiSettings
from ftq import Registry, RegistryError, SettingsError
from ftq.redaction import read_names
from ftq.registry import load
from ftq.settings import read as read_settings
from ftq.testing import MemoryAws, MemorySyncPort
from tests.unit.api.door import event, read

MINIMAL = {"FTQ_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/q", "FTQ_TABLE": "tasks"}


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without settings, no API made yet or left behind, and a log as at a start."""
    for name in ApiSettings.model_fields:
        monkeypatch.delenv(f"FTQ_{name.upper()}", raising=False)
    monkeypatch.setattr(LOGGER, "handlers", [])
    bootstrap.api.cache_clear()
    yield monkeypatch
    bootstrap.api.cache_clear()
    configure("INFO")


# --- settings ---------------------------------------------------------------------------------


def test_what_is_not_set_has_its_default() -> None:
    settings = read_settings(ApiSettings, MINIMAL)
    assert (settings.retention_days, settings.sweep_grace_seconds) == (30, 900)
    assert (settings.handlers, settings.log_level) == (None, "INFO")


@pytest.mark.parametrize(
    ("key", "value", "limit"),
    [
        ("FTQ_QUEUE_URL", "sqs", "https://"),
        ("FTQ_QUEUE_URL", "", "not set"),
        ("FTQ_TABLE", "t", "pattern"),
        ("FTQ_RETENTION_DAYS", "0", "1"),
        ("FTQ_RETENTION_DAYS", "3651", "3650"),
        ("FTQ_RETENTION_DAYS", "x", "integer"),
        ("FTQ_SWEEP_GRACE_SECONDS", "0", "1"),
        ("FTQ_SWEEP_GRACE_SECONDS", "86401", "86400"),
        ("FTQ_HANDLERS", "shop", "pattern"),
        ("FTQ_LOG_LEVEL", "LOUD", "INFO"),
    ],
)
def test_a_bad_setting_names_key_value_and_limit(key: str, value: str, limit: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(ApiSettings, {**MINIMAL, key: value})
    (problem,) = caught.value.problems
    assert problem.startswith(key)
    assert value in problem
    assert limit in problem


def test_settings_reach_the_terms() -> None:
    environ = {**MINIMAL, "FTQ_RETENTION_DAYS": "2", "FTQ_SWEEP_GRACE_SECONDS": "5"}
    settings = read_settings(ApiSettings, {**environ, "FTQ_LOG_LEVEL": "debug"})
    trace = {"_X_AMZN_TRACE_ID": "Root=1-x"}
    service = bootstrap.build(settings, MemorySyncPort(MemoryAws()), trace).service
    assert (service.terms.grace, service.terms.retention) == (5000, 2 * 86_400_000)
    assert (service.table, service.registry, service.trace()) == ("tasks", None, "Root=1-x")
    assert service.fresh() != service.fresh()
    assert service.now() > 1_700_000_000_000
    assert settings.log_level == "DEBUG"


# --- the handler ------------------------------------------------------------------------------


def test_a_lambda_that_is_set_up_wrongly_answers_and_logs_why(
    clean: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.setenv("FTQ_TABLE", "tasks")
    got = read(handler(event("GET", "/health"), None))
    assert (got.status, got.doc["type"]) == (500, "urn:ftq:problem:internal")
    assert "FTQ" not in got.body
    assert got.headers["x-correlation-id"]
    assert "FTQ_QUEUE_URL is not set" in capsys.readouterr().out


def test_handlers_that_cannot_be_loaded_are_logged(
    clean: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key, value in {**MINIMAL, "FTQ_HANDLERS": "no_such_shop:registry"}.items():
        clean.setenv(key, value)
    clean.setenv("AWS_REGION", "eu-west-1")
    assert read(handler(event("GET", "/health"), None)).status == 500
    assert "there is no module 'no_such_shop'" in capsys.readouterr().out


def test_an_api_is_made_once(clean: pytest.MonkeyPatch) -> None:
    for key, value in {**MINIMAL, "AWS_REGION": "eu-west-1"}.items():
        clean.setenv(key, value)
    assert bootstrap.api() is bootstrap.api()
    assert read(handler(event("GET", "/"), None)).status == 404


# --- imports ----------------------------------------------------------------------------------

FORBIDDEN = {
    "aiobotocore", "aiohttp", "uvloop", "structlog", "prometheus_client", "aws_xray_sdk", "boto3",
    "opentelemetry", "ftq_daemon", "ftq_cli",
}  # fmt: skip


def test_the_lambda_imports_nothing_of_the_daemon() -> None:
    command = [sys.executable, "-X", "importtime", "-c", "import api_lambda.handler"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "api_lambda.handler" in imported
    assert "ftq.aws.plain" in imported
    assert not {name for name in imported if name.partition(".")[0] in FORBIDDEN}
    assert not {name for name in imported if name.startswith("ftq.testing")}


def test_an_import_reads_no_settings_and_makes_no_client() -> None:
    script = """
        import api_lambda.handler, api_lambda.bootstrap, logging
        assert api_lambda.bootstrap.api.cache_info().currsize == 0
        assert not logging.getLogger("ftq.api").handlers
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    subprocess.run(command, check=True, env={})


# --- the registry by its path -----------------------------------------------------------------


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_a_registry_is_found_by_its_path(modules: Path) -> None:
    (modules / "api_shop.py").write_text("import ftq\nregistry = ftq.Registry()\n")
    assert isinstance(load("api_shop:registry"), Registry)


@pytest.mark.parametrize(
    ("source", "path", "why"),
    [
        (None, "api_none:registry", "there is no module 'api_none'"),
        (None, "api_none.shop:registry", "there is no module 'api_none'"),
        ("", "api_a:registry", "api_a has no 'registry'"),
        ("registry = {}", "api_b:registry", "registry is a dict, not an ftq.Registry"),
        ("import api_gone", "api_c:registry", "api_c needs 'api_gone', not found"),
        ("1 / 0", "api_d:registry", "cannot be imported: ZeroDivisionError"),
        ("registry = ", "api_e:registry", "cannot be imported: SyntaxError"),
        ("import ftq; ftq.Registry().handler('#')(print)", "api_f:registry", "type '#'"),
    ],
)
def test_a_registry_that_cannot_be_loaded_says_why(
    modules: Path, source: str | None, path: str, why: str
) -> None:
    if source is not None:
        (modules / f"{path.partition(':')[0]}.py").write_text(source)
    with pytest.raises(RegistryError, match=why):
        load(path)


def test_a_bug_leaves_the_log_as_the_settings_made_it(clean: pytest.MonkeyPatch) -> None:
    names = read_names("shoe")
    configure("WARNING", names)

    def broken() -> Api:
        raise RuntimeError("a bug")

    clean.setattr("api_lambda.handler.api", broken)
    assert handler({}, None)["statusCode"] == 500
    (lines,) = LOGGER.handlers
    assert isinstance(lines, JsonLines)
    assert (LOGGER.level, lines.names) == (logging.WARNING, names)
