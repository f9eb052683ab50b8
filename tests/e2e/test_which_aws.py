"""Whatever AWS the user's environment leads to: command, API and daemons use the same."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ftq.aws import boto
from ftq.ports import Call
from ftq_cli.embedded import embedded_aws
from tests.e2e.stage import QUICK, document, ftq, stage, up

pytestmark = pytest.mark.e2e

NOWHERE = "http://127.0.0.1:1"


def queues(endpoint: str) -> list[str]:
    urls = boto.connect("us-east-1", endpoint).call(Call("sqs", "ListQueues", {})).get("QueueUrls")
    return sorted(str(url).rpartition("/")[2] for url in urls) if isinstance(urls, list) else []


def tables(endpoint: str) -> list[str]:
    names = boto.connect("us-east-1", endpoint).call(Call("dynamodb", "ListTables", {}))
    found = names["TableNames"]
    return [str(name) for name in found] if isinstance(found, list) else []


async def test_each_service_has_an_endpoint_of_its_own() -> None:
    async with embedded_aws() as one, embedded_aws() as other:
        endpoints = {"AWS_ENDPOINT_URL_SQS": one, "AWS_ENDPOINT_URL_DYNAMODB": other}
        async with stage(daemons=1, **endpoints) as on:
            task = await on.final(await on.submit("demo.echo", {"n": 1}))
            assert task["state"] == "succeeded"
            assert on.it.aws_endpoint_url is None
        assert (queues(one), tables(one)) == (["ftq", "ftq-dlq"], [])
        assert (queues(other), tables(other)) == ([], ["ftq"])


def profile(directory: Path, endpoint: str) -> dict[str, str]:
    """An account as the SDK's files describe it, at an endpoint that no variable names."""
    config = directory / "config"
    config.write_text(
        "[profile of-mine]\nregion = eu-west-3\naws_access_key_id = a\n"
        f"aws_secret_access_key = b\nendpoint_url = {endpoint}\n"
    )
    return {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "of-mine"}


def test_up_on_the_account_of_ones_credentials(ministack_url: str, tmp_path: Path) -> None:
    account = profile(tmp_path, ministack_url)
    with up(tmp_path, "--aws", "--prefix", "try-it", **account) as running:
        said = running.said
        assert said["aws_endpoint_url"] is None
        assert said["table"] == "try-it"
        done = ftq("submit", "demo.echo", "{}", "--wait", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        running.process.terminate()
        _, errors = running.process.communicate(timeout=60)
    assert errors.splitlines()[0] == (
        "In the AWS account of your credentials, region eu-west-3: the queues try-it and "
        "try-it-dlq and the table try-it are created unless they are there, and stay there after "
        "the end."
    )


def test_the_demo_leaves_nothing_in_the_account(ministack_url: str, tmp_path: Path) -> None:
    account = profile(tmp_path, ministack_url)
    done = ftq("demo", "--aws", "--tasks", "3", cwd=tmp_path, **account, **QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "removed at the end" in done.stdout
    assert not [name for name in queues(ministack_url) + tables(ministack_url) if "demo" in name]


def test_nothing_in_the_shell_keeps_the_embedded_mode_from_working(tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_text("[profile\nno config\n")
    shell = {
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), NOWHERE),
        "AWS_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": str(broken),
        "AWS_SHARED_CREDENTIALS_FILE": str(broken),
        "PYTHONIOENCODING": "ascii",
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
    }
    payload = {"word": "ü😀"}
    with up(tmp_path, **shell) as running:
        done = ftq(
            "submit", "demo.echo", json.dumps(payload), "--wait", "--json", cwd=tmp_path, **shell
        )
        assert done.returncode == 0, done.stderr
        assert document(done.stdout)["result"] == payload
        shown = ftq("get", str(document(done.stdout)["id"]), cwd=tmp_path, **shell)
        assert shown.returncode == 0, shown.stderr
        message = json.dumps({"message": "ü😀"})
        ftq("submit", "demo.fail", message, "--wait", cwd=tmp_path, **shell)
        assert running.process.poll() is None
    done = ftq("demo", "--tasks", "3", "--failure-rate", "0", cwd=tmp_path, **shell, **QUICK)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "? every task ended" in done.stdout


def test_a_profile_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = ftq("up", "--aws", cwd=tmp_path, AWS_PROFILE="gone", AWS_CONFIG_FILE=os.devnull)
    assert done.returncode == 2
    assert "the AWS SDK's settings: The config profile (gone) could not be found" in done.stderr
