"""What the templates say, held against the code that relies on it, and against CloudFormation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast, get_args

import pytest

from api_lambda.settings import ApiSettings
from deploy.ecs.templates import ORDER
from ftq.metrics import METRICS, NAMESPACE
from ftq.text import Json
from ftq.wire import create
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.tracing.port import Tracing
from tests.deploy.watched import TEMPLATES, document, listed, template

LINTER: Final = Path(sys.executable).with_name("cfn-lint")


def properties(part: str, resource: str) -> dict[str, Json]:
    """What a resource is made with, references as they stand."""
    return document(document(document(template(part)["Resources"])[resource])["Properties"])


def test_cloudformations_linter_finds_nothing() -> None:
    files = sorted(str(path) for path in TEMPLATES.glob("*.yaml"))

    told = subprocess.run(
        [LINTER, "--regions", "us-east-1", "eu-central-1", "--", *files],
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0, told.stdout
    assert {Path(path).stem for path in files} >= set(ORDER)


def test_no_template_uses_what_cloudformation_does_not_know_of_yaml() -> None:
    # "CloudFormation doesn't support ... aliases ... hash merges" (template formats).
    for path in TEMPLATES.glob("*.yaml"):
        assert not re.search(r":\s[&*][a-z]\w*\s*$|<<:", path.read_text(), re.MULTILINE), path


def test_the_table_is_the_one_that_the_code_makes_for_itself() -> None:
    made = create.table("ftq").request
    written = properties("data", "Table")

    for key in ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"):
        assert written[key] == made[key]
    ttl = create.ttl("ftq").request["TimeToLiveSpecification"]
    assert written["TimeToLiveSpecification"] == ttl


@pytest.mark.parametrize("resource", ["Queue", "DeadLetters"])
def test_the_queues_are_those_that_the_code_makes_for_itself(resource: str) -> None:
    dlq_arn = None if resource == "DeadLetters" else "arn"
    made = create.queue("ftq", dlq_arn).request["Attributes"]
    assert isinstance(made, dict)
    written = properties("data", resource)

    for key in ("MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds"):
        assert str(written[key]) == made[key]
    assert written["SqsManagedSseEnabled"] is True
    if dlq_arn:
        policy = written["RedrivePolicy"]
        assert isinstance(policy, dict)
        assert policy["maxReceiveCount"] == create.MAX_RECEIVE_COUNT


def _metrics(node: Json) -> Iterator[dict[str, Json]]:
    """All metrics that a template names."""
    if isinstance(node, dict):
        if node.get("Namespace") is not None and node.get("MetricName") is not None:
            yield node
        for each in node.values():
            yield from _metrics(each)
    elif isinstance(node, list):
        for each in node:
            yield from _metrics(each)


def test_scaling_follows_only_metrics_that_daemons_say_for_the_whole_service() -> None:
    followed = [each for each in _metrics(template("scaling")) if each["Namespace"] == NAMESPACE]

    said = {each.name for each in METRICS if "daemon" in each.said_by}
    assert {each["MetricName"] for each in followed} == {"HandlerSeconds", "InFlight"} <= said
    for each in followed:
        assert each["Dimensions"] == [{"Name": "service", "Value": {"Ref": "MetricsService"}}]


def test_each_setting_is_given_once_and_known_to_the_daemon() -> None:
    (daemon, *_) = cast(
        "list[dict[str, Json]]", properties("daemon", "Task")["ContainerDefinitions"]
    )
    given = cast("list[dict[str, str]]", daemon["Environment"])
    names = [each["Name"] for each in given]

    assert len(names) == len(set(names))
    assert {name.removeprefix("FTQ_").lower() for name in names} <= set(DaemonSettings.model_fields)


@pytest.mark.parametrize("function", ["Function", "Sweeper"])
def test_each_setting_of_a_function_is_known_to_it(function: str) -> None:
    environment = cast("dict[str, dict[str, Json]]", properties("api", function)["Environment"])
    names = {name.removeprefix("FTQ_").lower() for name in environment["Variables"]}

    assert names - {"release"} <= set(ApiSettings.model_fields)


def test_what_is_told_is_a_parameter_of_both_stacks_with_the_programs_own_defaults() -> None:
    told = {"LogLevel": "log_level", "LogSample": "log_sample", "Redact": "redact"}
    told["Audit"] = "audit"
    for part, model, more in (
        ("daemon", DaemonSettings, {"TraceSample": "trace_sample"}),
        ("api", ApiSettings, {}),
    ):
        found = template(part)
        parameters = cast("dict[str, dict[str, Json]]", found["Parameters"])
        text = json.dumps(found["Resources"])
        for name, setting in {**told, **more}.items():
            field = model.model_fields[setting]
            default = str(field.default) if setting == "redact" else field.default
            assert parameters[name]["Default"] == default
            assert f"FTQ_{setting.upper()}" in text
            assert f'{{"Ref": "{name}"}}' in text


def test_all_ways_to_trace_can_be_deployed() -> None:
    for part in ("daemon", "endpoints"):
        allowed = document(document(template(part)["Parameters"])["Tracing"])["AllowedValues"]
        assert allowed == ["off", "xray", "otlp"] == [*get_args(Tracing)]


@pytest.mark.parametrize("tracing", get_args(Tracing))
def test_the_longest_drain_that_can_be_asked_for_ends_before_fargate_kills(
    tracing: Tracing,
) -> None:
    drain = document(document(template("daemon")["Parameters"])["DrainSeconds"])
    (daemon, *_) = listed(properties("daemon", "Task")["ContainerDefinitions"])
    stop = document(daemon)["StopTimeout"]

    # It checks the sum itself.
    settings = DaemonSettings.model_validate(
        {
            "queue_url": "https://sqs/1/q",
            "dlq_url": "https://sqs/1/d",
            "table": "tasks",
            "handlers": "a:b",
            "tracing": tracing,
            "drain_seconds": drain["MaxValue"],
            "stop_timeout_seconds": stop,
        }
    )
    assert settings.drain_seconds == drain["MaxValue"]


@pytest.mark.parametrize(("tracing", "name"), [("XRay", "xray"), ("Otlp", "collector")])
def test_what_traces_beside_the_daemon_is_locked_down_and_may_die(tracing: str, name: str) -> None:
    containers = [
        document(each) for each in listed(properties("daemon", "Task")["ContainerDefinitions"])
    ]
    (chosen,) = [
        document(listed(each["Fn::If"])[1])
        for each in containers
        if "Fn::If" in each and listed(each["Fn::If"])[0] == tracing
    ]

    assert chosen["Name"] == name
    assert chosen["Essential"] is False
    assert chosen["ReadonlyRootFilesystem"] is True
    assert chosen["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert not str(chosen["User"]).startswith("0")


def test_dead_letters_come_from_the_queue_alone() -> None:
    allowed = document(properties("data", "DeadLetters")["RedriveAllowPolicy"])

    assert allowed["redrivePermission"] == "byQueue"
    (source,) = listed(allowed["sourceQueueArns"])
    assert str(document(source)["Fn::Sub"]).endswith(":${Name}")
    assert properties("data", "Queue")["QueueName"] == {"Ref": "Name"}


@pytest.mark.parametrize(
    ("policy", "queue"), [("TlsOnly", "Queue"), ("DeadLettersTlsOnly", "DeadLetters")]
)
def test_each_queue_has_a_policy_of_its_own(policy: str, queue: str) -> None:
    # "Policy statement must apply to a single resource", says SQS, and the stand-ins do not.
    found = properties("data", policy)

    assert found["Queues"] == [{"Ref": queue}]
    (statement,) = listed(document(found["PolicyDocument"])["Statement"])
    assert document(statement)["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}


def test_the_protected_table_is_made_when_nothing_else_of_its_stack_can_fail() -> None:
    resources = document(template("data")["Resources"])
    policies = {name for name in resources if name.endswith("TlsOnly")}

    assert {*listed(document(resources["Table"])["DependsOn"])} == policies
    # Whatever else there is, a policy is made after it.
    assert {*resources} - policies - {"Table"} == {"Queue", "DeadLetters", "Artifacts"}


def test_preflights_need_no_signature_and_only_where_pages_may_ask() -> None:
    # Not seen on the stand-in, which answers preflights by itself; the function's answer is.
    found = document(document(template("api")["Resources"])["Preflight"])
    default = properties("api", "Everything")

    assert found["Condition"] == "Cors"
    assert properties("api", "Preflight") == {
        "ApiId": default["ApiId"],
        "RouteKey": "OPTIONS /{proxy+}",
        "Target": default["Target"],
        "AuthorizationType": "NONE",
    }


def test_traces_of_a_drain_still_find_who_takes_them() -> None:
    # "When a dependency is defined for container startup, for container shutdown it is reversed."
    (daemon, *others) = map(document, listed(properties("daemon", "Task")["ContainerDefinitions"]))
    names = {document(listed(each["Fn::If"])[1])["Name"] for each in others}

    def started(name: str) -> list[Json]:
        return [{"ContainerName": name, "Condition": "START"}]

    assert names == {"xray", "collector"}
    otlp = {"Fn::If": ["Otlp", started("collector"), {"Ref": "AWS::NoValue"}]}
    assert daemon["DependsOn"] == {"Fn::If": ["XRay", started("xray"), otlp]}


def test_a_new_account_can_have_the_functions() -> None:
    # It may run ten at once, and Lambda keeps that many for functions that reserve none.
    for function in ("Function", "Sweeper"):
        assert "ReservedConcurrentExecutions" not in properties("api", function)


def test_how_daemons_work_is_a_parameter_with_the_programs_own_default_and_bounds() -> None:
    parameters = document(template("daemon")["Parameters"])
    (daemon, *_) = listed(properties("daemon", "Task")["ContainerDefinitions"])
    environment = map(document, listed(document(daemon)["Environment"]))
    given = {each["Name"]: each["Value"] for each in environment}
    for name, setting in (
        ("Concurrency", "concurrency"),
        ("LeastConcurrency", "concurrency_min"),
        ("Processes", "processes"),
        ("AwsClient", "aws_client"),
    ):
        field, parameter = DaemonSettings.model_fields[setting], document(parameters[name])
        assert parameter["Default"] == ("" if field.default is None else field.default)
        assert given[f"FTQ_{setting.upper()}"] == {"Ref": name}
        for kind, bound in (("ge", "MinValue"), ("le", "MaxValue")):
            limits = [getattr(each, kind) for each in field.metadata if hasattr(each, kind)]
            assert limits == [parameter.get(bound)] * len(limits)
    assert document(parameters["AwsClient"])["AllowedValues"] == ["hot", "aiobotocore"]
    assert re.fullmatch(str(document(parameters["LeastConcurrency"])["AllowedPattern"]), "")
