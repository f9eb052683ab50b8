"""What the templates ask for, how to see whether it was made, and what the stand-ins leave out.

A stand-in makes a stack and says that it is complete, whatever it has skipped. So what is asked for
is looked at in the account itself, and each gap is listed with the test that looks there instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jmespath  # type: ignore[import-untyped]  # it carries no types
from botocore.exceptions import ClientError

from deploy.ecs.stacks import Stacks


@dataclass(frozen=True, slots=True)
class Look:
    """A call whose answer says whether something was made.

    Attributes:
        part: The template that asks for it.
        service: Whom to ask.
        operation: What, as botocore names it.
        request: With `{Output}` for what stacks put out.
        holds: True of the answer if it was made, in JMESPath.
    """

    part: str
    service: str
    operation: str
    request: Mapping[str, str]
    holds: str

    def made(self, stacks: Stacks) -> bool:
        """Ask."""
        known = {"Name": stacks.name, **stacks.known.outputs}
        request: dict[str, object] = {
            key: value.format_map(known) for key, value in self.request.items()
        }
        if self.operation == "get_queue_attributes":
            request["AttributeNames"] = ["All"]
        if self.operation == "describe_services":
            request["services"] = [stacks.name]
        try:
            answer = stacks.call(self.operation, request, self.service)
        except ClientError:  # "there is none"
            return False
        return jmespath.search(self.holds, answer) is True


QUEUE: Final = {"QueueUrl": "{QueueUrl}"}
DLQ: Final = {"QueueUrl": "{DlqUrl}"}
TABLE: Final = {"TableName": "{TableName}"}
BUCKET: Final = {"Bucket": "{Artifacts}"}
API: Final = {"ApiId": "{ApiId}"}
FUNCTION: Final = {"FunctionName": "{FunctionName}"}
TASK: Final = {"taskDefinition": "{Name}"}

LOOKS: Final[Mapping[str, Look]] = {
    "encrypted queue": Look(
        "data", "sqs", "get_queue_attributes", QUEUE, "Attributes.SqsManagedSseEnabled == 'true'"
    ),
    "redrive policy": Look(
        "data", "sqs", "get_queue_attributes", QUEUE,
        "contains(not_null(Attributes.RedrivePolicy, ''), '1000')"
    ),
    "redrive allow policy": Look(
        "data", "sqs", "get_queue_attributes", DLQ,
        "contains(not_null(Attributes.RedriveAllowPolicy, ''), 'by')"
    ),
    "queue policy": Look(
        "data", "sqs", "get_queue_attributes", QUEUE,
        "contains(not_null(Attributes.Policy, ''), 'Secure')"
    ),
    "time to live": Look(
        "data", "dynamodb", "describe_time_to_live", TABLE,
        "TimeToLiveDescription.TimeToLiveStatus == 'ENABLED'",
    ),
    "point-in-time recovery": Look(
        "data", "dynamodb", "describe_continuous_backups", TABLE,
        "ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus"
        " == 'ENABLED'",
    ),
    "encrypted table": Look(
        "data", "dynamodb", "describe_table", TABLE, "Table.SSEDescription.Status == 'ENABLED'"
    ),
    "deletion protection": Look(
        "data", "dynamodb", "describe_table", TABLE, "Table.DeletionProtectionEnabled == `true`"
    ),
    "index": Look(
        "data", "dynamodb", "describe_table", TABLE,
        "length(not_null(Table.GlobalSecondaryIndexes[0].Projection.NonKeyAttributes, `[]`))"
        " == `6`",
    ),
    "bucket policy": Look(
        "data", "s3", "get_bucket_policy", BUCKET, "contains(not_null(Policy, ''), 'Secure')"
    ),
    "no public access": Look(
        "data", "s3", "get_public_access_block", BUCKET,
        "PublicAccessBlockConfiguration.BlockPublicPolicy == `true`",
    ),
    "torn uploads end": Look(
        "data", "s3", "get_bucket_lifecycle_configuration", BUCKET,
        "length(not_null(Rules, `[]`)) == `1`"
    ),
    "termination protection": Look(
        "data", "cloudformation", "describe_stacks", {"StackName": "{Name}-data"},
        "Stacks[0].EnableTerminationProtection == `true`",
    ),
    "function's own log group": Look(
        "api", "lambda", "get_function_configuration", FUNCTION,
        "starts_with(not_null(LoggingConfig.LogGroup, ''), '/aws/lambda/')",
    ),
    "alias": Look(
        "api", "lambda", "get_alias", {**FUNCTION, "Name": "live"}, "FunctionVersion == '1'"
    ),
    "logs kept for so long": Look(
        "api", "logs", "describe_log_groups", {"logGroupNamePrefix": "/aws/lambda/{FunctionName}"},
        "logGroups[0].retentionInDays == `30`",
    ),
    "signed requests": Look(
        "api", "apigatewayv2", "get_routes", API, "Items[0].AuthorizationType == 'AWS_IAM'"
    ),
    "throttled API": Look(
        "api", "apigatewayv2", "get_stages", API,
        "Items[0].DefaultRouteSettings.ThrottlingBurstLimit == `1000`",
    ),
    "access log": Look(
        "api", "apigatewayv2", "get_stages", API,
        "contains(not_null(Items[0].AccessLogSettings.Format, ''), 'requestId')",
    ),
    "sweep once a minute": Look(
        "api", "events", "list_targets_by_rule", {"Rule": "{Name}-sweep"},
        "Targets[0].RetryPolicy.MaximumRetryAttempts == `0`",
    ),
    "rolled back by itself": Look(
        "daemon", "ecs", "describe_services", {"cluster": "{ClusterName}"},
        "services[0].deploymentConfiguration.deploymentCircuitBreaker.rollback == `true`",
    ),
    "Spot beside on demand": Look(
        "daemon", "ecs", "describe_services", {"cluster": "{ClusterName}"},
        "length(not_null(services[0].capacityProviderStrategy, `[]`)) == `2`",
    ),
    "read-only root": Look(
        "daemon", "ecs", "describe_task_definition", TASK,
        "taskDefinition.containerDefinitions[0].readonlyRootFilesystem == `true`",
    ),
    "time to stop": Look(
        "daemon", "ecs", "describe_task_definition", TASK,
        "taskDefinition.containerDefinitions[0].stopTimeout == `120`",
    ),
    "health check": Look(
        "daemon", "ecs", "describe_task_definition", TASK,
        "taskDefinition.containerDefinitions[0].healthCheck.retries == `3`",
    ),
    "no capabilities": Look(
        "daemon", "ecs", "describe_task_definition", TASK,
        "taskDefinition.containerDefinitions[0].linuxParameters.capabilities.drop[0] == 'ALL'",
    ),
    "open files": Look(
        "daemon", "ecs", "describe_task_definition", TASK,
        "taskDefinition.containerDefinitions[0].ulimits[0].softLimit == `65536`",
    ),
    "dashboard": Look(
        "dashboard", "cloudwatch", "get_dashboard", {"DashboardName": "{Name}"},
        "contains(not_null(DashboardBody, ''), 'What waits')",
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a stand-in leaves out without a word.

    Attributes:
        by: The stand-ins.
        written: True of the template, in JMESPath, which cfn-lint holds against AWS's schemas.
    """

    by: frozenset[str]
    written: str


def _gap(by: str, written: str) -> Gap:
    return Gap(frozenset(by.split()), f"Resources.{written}")


DAEMON: Final = "Task.Properties.ContainerDefinitions[0]"
GAPS: Final[Mapping[str, Gap]] = {
    "time to live": _gap("ministack moto", "Table.Properties.TimeToLiveSpecification.Enabled"),
    "point-in-time recovery": _gap(
        "ministack moto",
        "Table.Properties.PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled",
    ),
    "encrypted table": _gap("ministack moto", "Table.Properties.SSESpecification.SSEEnabled"),
    "torn uploads end": _gap(
        "ministack moto",
        "Artifacts.Properties.LifecycleConfiguration.Rules[0].AbortIncompleteMultipartUpload"
        ".DaysAfterInitiation == `1`",
    ),
    "throttled API": _gap(
        "ministack",
        "Stage.Properties.DefaultRouteSettings.ThrottlingBurstLimit.Ref == 'Burst'",
    ),
    "health check": _gap("ministack", f"{DAEMON}.HealthCheck.Retries == `3`"),
    "no capabilities": _gap("ministack", f"{DAEMON}.LinuxParameters.Capabilities.Drop[0] == 'ALL'"),
    "open files": _gap("ministack", f"{DAEMON}.Ulimits[0].SoftLimit == `65536`"),
    "queue policy": _gap("moto", "TlsOnly.Properties.PolicyDocument.Statement[0].Effect == 'Deny'"),
    "redrive allow policy": _gap(
        "moto", "DeadLetters.Properties.RedriveAllowPolicy.redrivePermission == 'byQueue'"
    ),
    "no public access": _gap(
        "moto", "Artifacts.Properties.PublicAccessBlockConfiguration.BlockPublicPolicy"
    ),
    "bucket policy": _gap(
        "moto", "ArtifactsTlsOnly.Properties.PolicyDocument.Statement[0].Effect == 'Deny'"
    ),
}

REFUSED: Final[Mapping[str, Mapping[str, str]]] = {
    "ministack": {
        "scaling": r"Unrecognized resource types: \[AWS::ApplicationAutoScaling::ScalableTarget",
        "alarms": r"Properties.Metrics \(metric math\) is not supported",
    },
    "moto": {
        "api": "has_cfn_attr",  # no API of API Gateway's, which outputs refer to
        "daemon": "NoneType",  # it keeps AWS::NoValue in a list
    },
}
"""Templates that a stand-in does not take as a whole, and what it says."""

UNKNOWN_TO_MOTO: Final = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SQS::QueuePolicy",
}
"""Types of resources that moto skips, saying so, in templates that it takes."""
