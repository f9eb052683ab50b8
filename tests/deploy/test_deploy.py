"""`make deploy`: which values parameters get, what is refused before anything is touched, and what
becomes of a stack. CloudFormation is the embedded AWS's; small templates stand for the real ones.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import botocore.session
import pytest
from botocore.stub import Stubber

from deploy.ecs.__main__ import main, outputs, remove, up
from deploy.ecs.errors import DeployError, UsageError
from deploy.ecs.release import Zip
from deploy.ecs.stacks import Stacks
from deploy.ecs.templates import ORDER, Given, Known, Parameter, Template, check, read

TEMPLATES: Final = read()
QUEUE: Final = """
Parameters:
  Name: { Type: String }
  Delay: { Type: Number, Default: 0, MaxValue: 900 }
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties: { QueueName: !Ref Name, DelaySeconds: !Ref Delay }
Outputs:
  QueueUrl: { Value: !Ref Queue }
"""
# CloudFormation makes no secret parameters.
BROKEN: Final = """
  Broken:
    Type: AWS::SSM::Parameter
    DependsOn: Queue
    Properties: { Type: SecureString, Value: x }
"""
# It waits for a second for somebody to say that something is done, and nobody does.
SLOW: Final = """
Resources:
  Handle: { Type: "AWS::CloudFormation::WaitConditionHandle" }
  Wait:
    Type: AWS::CloudFormation::WaitCondition
    Properties: { Handle: !Ref Handle, Timeout: "1" }
"""


def template(directory: Path, text: str) -> Template:
    path = directory / "data.yaml"
    path.write_text(text)
    return Template.read(path)


# ---------------------------------------------------------------- which value a parameter gets


def given(known: Known, part: str = "scaling") -> Given:
    return known.given(part, TEMPLATES[part])


def test_a_first_deployment_sends_what_was_said_and_leaves_the_rest_to_the_defaults() -> None:
    known = Known(said={"Name": "x", "Concurrency": "8"}, outputs={"QueueName": "q"})

    assert given(known) == Given({"Name": "x", "QueueName": "q", "Concurrency": "8"})


def test_what_is_not_said_again_is_asked_for_as_it_was() -> None:
    known = Known(said={"Name": "x"}, standing={"scaling": {"Concurrency": "8", "Name": "x"}})

    assert {"ParameterKey": "Concurrency", "UsePreviousValue": True} in given(known).request


def test_what_is_said_and_what_stacks_put_out_counts_more_than_what_was() -> None:
    was = {"Concurrency": "8", "QueueName": "old"}
    known = Known({"Concurrency": "9"}, {"QueueName": "new"}, {"scaling": was})

    found = given(known)

    assert found == Given({"QueueName": "new", "Concurrency": "9"})


def test_a_new_stack_has_what_others_have_under_the_same_name() -> None:
    known = Known(standing={"daemon": {"Tracing": "xray", "VpcId": "vpc-7"}})

    found = given(known, "endpoints")

    assert (found.values["Tracing"], found.values["VpcId"], found.kept) == ("xray", "vpc-7", set())


def test_what_is_unset_has_the_templates_default_again() -> None:
    was = {"Concurrency": "8"}
    known = Known(standing={"scaling": was, "daemon": was}, unset={"Concurrency"})

    assert "Concurrency" not in given(known).values


def test_a_parameter_that_a_stack_never_had_is_not_asked_for_as_it_was() -> None:
    known = Known(standing={"scaling": {"Name": "x"}})  # "must exist in the stack"

    assert given(known).kept == {"Name"}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SpotWeight", "2000", "SpotWeight=2000: daemon.yaml takes at most 1000"),
        ("Concurrency", "0", "Concurrency=0: daemon.yaml takes at least 1"),
        ("Concurrency", "many", "Concurrency=many: daemon.yaml takes a number"),
        ("Concurrency", "nan", "Concurrency=nan: daemon.yaml takes a number"),
        ("Concurrency", "1e1", "Concurrency=1e1: daemon.yaml takes a number"),
        ("Concurrency", "8.5", "Concurrency=8.5: daemon.yaml takes a whole number"),
        ("VpcId", "None", "VpcId=None: daemon.yaml takes what matches vpc-[0-9a-z]+"),
        ("SubnetIds", "subnet-1,vpc-1", "SubnetIds=subnet-1,vpc-1: daemon.yaml takes what matches"),
        ("Tracing", "on", "Tracing=on: daemon.yaml takes one of off, xray, otlp"),
        ("Handlers", "mailer", r"Handlers=mailer: daemon.yaml takes what matches [A-Za-z_]"),
        ("Name", "Mailer", r"Name=Mailer: data.yaml takes what matches [a-z]"),
        ("Colour", "red", "Colour=red: no template has a parameter Colour"),
    ],
)
def test_what_is_unknown_or_out_of_bounds_is_named_with_its_limit(
    name: str, value: str, told: str
) -> None:
    parts = ["daemon"] if name != "Name" else ["data"]
    needed = dict.fromkeys(
        ("DlqArn", "DlqUrl", "QueueArn", "QueueUrl", "TableArn", "TableName"), "x"
    )
    flags = {"Image": "i", "Handlers": "a:b", "VpcId": "vpc-1", "SubnetIds": "subnet-1"}
    complete = {"Name": "ftq", **needed, **flags}

    with pytest.raises(UsageError) as caught:
        check(Known(said=complete | {name: value}), parts, TEMPLATES)

    assert str(caught.value).startswith(told)


def test_what_is_unset_has_to_be_a_parameter_too() -> None:
    with pytest.raises(UsageError, match=r"Colour: no template has a parameter Colour"):
        check(Known(unset={"Colour"}), [], TEMPLATES)


def test_all_that_is_missing_is_said_at_once_by_what_gives_it() -> None:
    known = Known(said={"Name": "ftq", "ZipKey": "x", "Release": "1", "Image": "i"})

    with pytest.raises(UsageError) as caught:
        check(known, ["data", "api", "daemon"], TEMPLATES)

    # Not what the stacks before it will put out.
    wanted = "daemon.yaml needs more than it was given: --handlers, --vpc, --subnets"
    assert str(caught.value) == wanted


def test_a_parameter_without_a_flag_is_asked_for_by_its_name() -> None:
    known = Known(said={"VpcId": "v", "SubnetIds": "s"})

    with pytest.raises(UsageError, match=r"--set RouteTableIds=\.\.\."):
        check(known, ["endpoints"], TEMPLATES)


def test_all_defaults_are_within_their_own_bounds() -> None:
    for each in TEMPLATES.values():
        for parameter in each.parameters.values():
            if parameter.default is not None:
                parameter.check(parameter.default)


def test_a_parameter_is_read_as_it_is_written() -> None:
    assert TEMPLATES["daemon"].parameters["TraceSample"] == Parameter(
        "daemon", "TraceSample", "0.05", number=True, least="0", most="1"
    )


def test_each_stack_is_given_what_earlier_ones_put_out() -> None:
    coming: set[str] = set()
    flags = {"Image", "Handlers", "VpcId", "SubnetIds", "RouteTableIds", "ZipKey", "Release"}
    for part in ORDER:
        needed = {name for name, each in TEMPLATES[part].parameters.items() if each.default is None}
        assert needed - flags <= coming, part
        coming |= TEMPLATES[part].outputs


# ---------------------------------------------------------------- the zip


@pytest.mark.parametrize(
    ("name", "architecture", "runtime"),
    [
        ("ftq-api-aarch64-python3.13.zip", "arm64", "python3.13"),
        ("ftq-api-x86_64-python3.11.zip", "x86_64", "python3.11"),
    ],
)
def test_a_zip_says_by_its_name_what_it_runs_on(
    tmp_path: Path, name: str, architecture: str, runtime: str
) -> None:
    (tmp_path / name).write_bytes(b"zip")

    found = Zip.newest(tmp_path)

    assert (found.architecture, found.runtime) == (architecture, runtime)


def test_the_zip_that_was_built_last_is_used(tmp_path: Path) -> None:
    for age, name in enumerate(("aarch64-python3.13", "x86_64-python3.12")):
        path = tmp_path / f"ftq-api-{name}.zip"
        path.write_bytes(b"zip")
        os.utime(path, (1_000 - age, 1_000 - age))

    assert Zip.newest(tmp_path).architecture == "arm64"


def test_a_zip_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`make zip` builds one"):
        Zip.newest(tmp_path)
    with pytest.raises(UsageError, match=r"--zip .*other.zip is no file called ftq-api-MACHINE"):
        Zip.at(tmp_path / "other.zip")


def test_a_machine_that_the_zip_is_not_for_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ftq-api-aarch64-python3.13.zip"
    path.write_bytes(b"zip")
    stacks = Stacks("ftq", lambda _: None, TEMPLATES, print)
    stacks.known.said["ApiArchitecture"] = "x86_64"

    with pytest.raises(UsageError, match=r"ApiArchitecture=x86_64: .*aarch64.* makes it arm64"):
        Zip.at(path).told(stacks)


# ---------------------------------------------------------------- the command


def test_bad_usage_exits_with_two_and_asks_aws_for_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ministack_url: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    name = f"u{uuid.uuid4().hex[:8]}"

    code = main(["up", "--name", name, "--only", "daemon", "--set", "Colour=red"])

    assert code == 2
    told = "Colour=red: no template has a parameter Colour\n"
    assert capsys.readouterr().err == told
    assert main(["outputs", "--name", name]) == 2
    assert capsys.readouterr().err == f"--name {name}: there is no stack {name}-data here\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--name", "Mailer"], r"Name=Mailer: data.yaml takes what matches"),
        (["--set", "Name=other"], r"Name=other: it is ftq by what else was said"),
        (["--image", "a", "--set", "Image=b"], r"Image=b: it is a by what else was said"),
        (["--set", "Cpu=256", "--unset", "Cpu"], r"Cpu=256: --unset Cpu was said, too"),
        (
            ["--only", "daemon", "--endpoints"],
            r"endpoints.yaml needs more than it was given: --vpc",
        ),
    ],
)
def test_what_contradicts_itself_is_refused_rather_than_half_done(
    words: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ministack_url: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)

    assert main(["up", "--only", "scaling", *words]) == 2

    assert capsys.readouterr().err.startswith(told)


def test_the_region_is_the_one_that_the_aws_command_takes(
    monkeypatch: pytest.MonkeyPatch, ministack_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", ministack_url)
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    assert main(["outputs", "--name", "nobody"]) == 2
    monkeypatch.delenv("AWS_REGION")
    assert main(["outputs", "--name", "nobody"]) == 1
    assert capsys.readouterr().err.endswith("You must specify a region.\n")


# ---------------------------------------------------------------- what becomes of a stack


Account: TypeAlias = Callable[[str], object]


@pytest.fixture
def account(ministack_url: str) -> Account:
    make = botocore.session.get_session().create_client
    return partial(make, region_name="us-east-1", endpoint_url=ministack_url)


def stacks_of(account: Account, directory: Path, text: str, name: str) -> tuple[Stacks, list[str]]:
    told: list[str] = []
    stacks = Stacks(name, account, {"data": template(directory, text)}, told.append)
    stacks.learn()
    return stacks, told


def test_a_change_that_fails_says_why_and_what_went_back_is_no_failure_the_next_time(
    account: Account, tmp_path: Path
) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    stacks, told = stacks_of(account, tmp_path, QUEUE, name)
    stacks.known.said["Delay"] = "5"
    up(stacks, ["data"], None)
    assert told == [f"{name}-data: making", f"{name}-data: CREATE_COMPLETE"]

    # What is broken is added.
    broken, _ = stacks_of(account, tmp_path, QUEUE.replace("Outputs:", f"{BROKEN}Outputs:"), name)
    with pytest.raises(DeployError) as caught:
        up(broken, ["data"], None)
    assert str(caught.value).splitlines()[0] == f"{name}-data: UPDATE_ROLLBACK_COMPLETE"
    assert "  Broken: AWS::SSM::Parameter Type 'SecureString'" in str(caught.value)

    # It is taken out again: nothing is left to do.
    again, told = stacks_of(account, tmp_path, QUEUE, name)
    up(again, ["data"], None)
    assert told == [f"{name}-data: nothing to change"]
    assert again.known.standing["data"]["Delay"] == "5"

    # Another failure has its own reasons only.
    another = QUEUE.replace("Outputs:", f"{BROKEN.replace('Broken', 'Other')}Outputs:")
    other, _ = stacks_of(account, tmp_path, another, name)
    with pytest.raises(DeployError) as caught:
        up(other, ["data"], None)
    assert "Broken" not in str(caught.value)
    assert "  Other: " in str(caught.value)


def test_what_was_set_once_stays_until_it_is_unset(account: Account, tmp_path: Path) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    first, _ = stacks_of(account, tmp_path, QUEUE, name)
    first.known.said["Delay"] = "5"
    up(first, ["data"], None)

    # A new template, of a later release, say.
    later = QUEUE.replace("Default: 0", "Default: 1") + "  Waits: { Value: !Ref Delay }\n"
    second, told = stacks_of(account, tmp_path, later, name)
    up(second, ["data"], None)
    assert told[0] == f"{name}-data: changing"
    assert second.known.outputs["Waits"] == "5"

    third, _ = stacks_of(account, tmp_path, later, name)
    third.known.unset = {"Delay"}
    up(third, ["data"], None)
    assert third.known.outputs["Waits"] == "1"


def test_what_an_earlier_failure_left_is_removed_and_made_anew(
    account: Account, tmp_path: Path
) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    broken, _ = stacks_of(account, tmp_path, QUEUE.replace("Outputs:", f"{BROKEN}Outputs:"), name)
    with pytest.raises(DeployError, match="ROLLBACK_COMPLETE"):
        up(broken, ["data"], None)

    mended, told = stacks_of(account, tmp_path, QUEUE, name)
    up(mended, ["data"], None)

    assert told[0] == f"{name}-data: removing what an earlier failure left"
    assert told[-1] == f"{name}-data: CREATE_COMPLETE"


def test_a_data_stack_that_fails_at_first_leaves_nothing_in_the_way_of_the_next_try(
    account: Account, tmp_path: Path
) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    last = BROKEN.replace("DependsOn: Queue", "DependsOn: [ArtifactsTlsOnly, DeadLettersTlsOnly]")
    text = TEMPLATES["data"].text.replace("Outputs:", f"{last}Outputs:")
    stacks, _ = stacks_of(account, tmp_path, text, name)

    with pytest.raises(DeployError, match="ROLLBACK_COMPLETE"):
        up(stacks, ["data"], None)

    tables = stacks.call("list_tables", {}, "dynamodb")["TableNames"]
    assert name not in map(str, tables)
    assert not stacks.call("list_queues", {"QueueNamePrefix": name}, "sqs").get("QueueUrls")
    remove(stacks, data=True)  # it puts out no bucket to empty
    assert not stacks.learn()


@pytest.mark.parametrize(
    ("status", "command"),
    [("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"), ("DELETE_FAILED", "delete-stack")],
)
def test_what_is_stuck_is_left_to_who_mends_it(
    account: Account, tmp_path: Path, status: str, command: str
) -> None:
    stacks, _ = stacks_of(account, tmp_path, QUEUE, "stuck")
    # No stand-in gets stuck.
    aws = botocore.session.get_session().create_client("cloudformation", "us-east-1")
    found = {"StackName": "stuck-data", "StackStatus": status, "CreationTime": "2026-01-01"}
    with Stubber(aws) as stubbed:
        stubbed.add_response("describe_stacks", {"Stacks": [found]})
        stacks.client = lambda _: aws

        with pytest.raises(DeployError, match=f"{status}.* {command} --stack-name stuck-data"):
            up(stacks, ["data"], None)


def test_what_still_goes_on_is_waited_for_before_it_is_removed(
    account: Account, tmp_path: Path
) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    stacks, _ = stacks_of(account, tmp_path, QUEUE, name)
    begun = stacks.call("create_stack", {"StackName": f"{name}-data", "TemplateBody": SLOW})

    stacks.remove("data")

    events = stacks.call("describe_stack_events", {"StackName": begun["StackId"]})["StackEvents"]
    of_stack = [e["ResourceStatus"] for e in events if e["LogicalResourceId"] == f"{name}-data"]
    assert "ROLLBACK_COMPLETE" in of_stack  # nobody said that it was done


def test_what_still_goes_on_is_waited_for(account: Account, tmp_path: Path) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    stacks, told = stacks_of(account, tmp_path, QUEUE, name)
    begun = {"StackName": f"{name}-data", "TemplateBody": SLOW}
    stacks.call("create_stack", begun)  # and the run that did so is interrupted

    up(stacks, ["data"], None)

    assert told[-1] == f"{name}-data: CREATE_COMPLETE"


def test_one_output_is_told_by_itself(account: Account, tmp_path: Path) -> None:
    name = f"s{uuid.uuid4().hex[:8]}"
    stacks, told = stacks_of(account, tmp_path, QUEUE, name)
    up(stacks, ["data"], None)
    told.clear()

    outputs(stacks, "QueueUrl")

    assert told == [stacks.known.outputs["QueueUrl"]]
    with pytest.raises(
        UsageError, match=f"Nothing: no stack of {name} puts that out, but QueueUrl"
    ):
        outputs(stacks, "Nothing")
