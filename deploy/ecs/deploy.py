r"""``make deploy`` and ``make undeploy``: the stacks of ftq, made, changed and removed.

    python deploy/ecs/deploy.py up --image IMAGE --handlers MODULE:REGISTRY \
        --vpc vpc-1 --subnets subnet-1,subnet-2 [--name ftq] [--set Parameter=Value ...]
    python deploy/ecs/deploy.py outputs [--name ftq]
    python deploy/ecs/deploy.py remove [--name ftq] [--data]

Each template is a stack of its own, so that each can be changed, or done without, alone. A stack
gets what an earlier one put out by the name of its parameter: `QueueUrl` of data.yaml is
`QueueUrl` of the others. Credentials, region and endpoint are found as the AWS command finds them.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias, TypedDict

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

HERE: Final = Path(__file__).parent
ORDER: Final = ("data", "api", "daemon", "endpoints", "scaling", "alarms", "dashboard")
# Made only when asked for.
OPTIONAL: Final = ("endpoints",)
PAUSE_SECONDS: Final = 2.0
ZIP_NAME: Final = re.compile(r"ftq-api-(?P<machine>aarch64|x86_64)-(?P<python>python3\.\d+)\.zip")
# As uname says it, and as Lambda does.
MACHINES: Final = {"aarch64": "arm64", "x86_64": "x86_64"}


class Described(TypedDict, total=False):
    """What is read of a stack, a parameter, an event and an object, as AWS describes them."""

    StackStatus: str
    Outputs: Sequence[Mapping[str, str]]
    ParameterKey: str
    DefaultValue: str
    LogicalResourceId: str
    ResourceStatus: str
    ResourceStatusReason: str
    Key: str


Reply: TypeAlias = Mapping[str, Sequence[Described]]


class DeployError(Exception):
    """A stack could not be made, changed or removed."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as CloudFormation describes it."""

    status: str
    outputs: Mapping[str, str]


@dataclass(slots=True)
class Stacks:
    """The stacks of one ftq.

    Attributes:
        name: What their names begin with.
        client: Makes botocore's client of a service.
        say: Told what happens, a line each.
        pause: Seconds between two looks at a stack.
        known: Values for parameters: what the user said, and what stacks put out.
    """

    name: str
    client: Callable[[str], object]
    say: Callable[[str], None]
    pause: float = PAUSE_SECONDS
    known: dict[str, str] = field(default_factory=dict)

    def call(
        self, operation: str, request: Mapping[str, object], service: str = "cloudformation"
    ) -> Reply:
        """Make one call, as botocore names it; raises its errors."""
        reply: Reply = getattr(self.client(service), operation)(**request)
        return reply

    def stack(self, part: str) -> str:
        """What the stack of a template is called."""
        return f"{self.name}-{part}"

    def up(self, part: str) -> None:
        """Make or change one stack, and learn what it puts out.

        Raises:
            DeployError: It failed; the reasons are in it.
        """
        status = self._status(part)
        if status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "REVIEW_IN_PROGRESS"):
            # It was never whole: such a stack can only be deleted.
            self.say(f"{self.stack(part)}: removing what an earlier failure left")
            self.remove(part)
            status = None
        request: dict[str, object] = {
            "StackName": self.stack(part),
            "TemplateBody": _template(part),
            "Parameters": self._given(part),
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": "ftq", "Value": self.name}],
        }
        self.say(f"{self.stack(part)}: {'changing' if status else 'making'}")
        try:
            if status:
                self.call("update_stack", request)
            else:
                self.call("create_stack", request | {"EnableTerminationProtection": part == "data"})
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
        self._settled(part)
        self.learn(part)

    def learn(self, part: str) -> Mapping[str, str]:
        """What a stack puts out; nothing if it is not there."""
        stack = self._find(part)
        found = stack.outputs if stack else {}
        self.known |= found
        return found

    def remove(self, part: str) -> None:
        """Delete one stack, if it is there.

        Raises:
            DeployError: It could not be deleted.
        """
        if self._status(part) is None:
            return
        self.say(f"{self.stack(part)}: removing")
        named: dict[str, object] = {"StackName": self.stack(part)}
        self.call("update_termination_protection", named | {"EnableTerminationProtection": False})
        self.call("delete_stack", named)
        self._settled(part)

    def parameters(self, part: str) -> Mapping[str, Described]:
        """The parameters of a template by name, as CloudFormation reads them."""
        summary = self.call("get_template_summary", {"TemplateBody": _template(part)})
        return {str(each["ParameterKey"]): each for each in summary.get("Parameters", ())}

    def _given(self, part: str) -> list[dict[str, str]]:
        wanted = self.parameters(part)
        missing = sorted(
            name
            for name, each in wanted.items()
            if name not in self.known and "DefaultValue" not in each
        )
        if missing:
            named = ", ".join(f"--set {name}=..." for name in missing)
            raise DeployError(f"{part}.yaml needs more than it was given: {named}")
        return [
            {"ParameterKey": name, "ParameterValue": self.known[name]}
            for name in wanted
            if name in self.known
        ]

    def _find(self, part: str) -> Stack | None:
        try:
            reply = self.call("describe_stacks", {"StackName": self.stack(part)})
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        found = reply["Stacks"][0]
        if found["StackStatus"] == "DELETE_COMPLETE":
            return None
        return Stack(
            found["StackStatus"],
            {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
        )

    def _status(self, part: str) -> str | None:
        stack = self._find(part)
        return stack.status if stack else None

    def _settled(self, part: str) -> None:
        """Wait until a stack is whole or gone."""
        while (status := self._status(part) or "gone").endswith("_IN_PROGRESS"):
            time.sleep(self.pause)
        self.say(f"{self.stack(part)}: {status}")
        if "ROLLBACK" in status or "FAILED" in status:
            raise DeployError(f"{self.stack(part)}: {status}\n" + "\n".join(self._reasons(part)))

    def _reasons(self, part: str) -> list[str]:
        events = self.call("describe_stack_events", {"StackName": self.stack(part)})["StackEvents"]
        return [
            f"  {each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}"
            for each in events
            if str(each["ResourceStatus"]).endswith("_FAILED")
        ]


def _template(part: str) -> str:
    return (HERE / f"{part}.yaml").read_text()


def up(stacks: Stacks, zip_file: Path, parts: Sequence[str]) -> None:
    """Make or change all stacks that are asked for, in their order.

    Raises:
        DeployError: One of them failed; the later ones were not touched.
    """
    if "api" in parts:
        stacks.known |= _of_zip(zip_file)
    for part in ORDER:
        if part not in parts:
            continue
        if part == "api":
            _upload(stacks, zip_file)
        stacks.up(part)


def _of_zip(zip_file: Path) -> dict[str, str]:
    """For which machine and Python a zip was built: pydantic's core is compiled for one."""
    named = ZIP_NAME.fullmatch(zip_file.name)
    if not zip_file.is_file() or named is None:
        raise DeployError(
            f"{zip_file} is no file called ftq-api-MACHINE-pythonX.Y.zip, as `make zip` makes it"
        )
    return {"ApiArchitecture": MACHINES[named["machine"]], "ApiRuntime": named["python"]}


def _upload(stacks: Stacks, zip_file: Path) -> None:
    """Put the zip where Lambda loads it from, under a name that its bytes give it."""
    whole = zip_file.read_bytes()
    digest = hashlib.sha256(whole).hexdigest()
    key = f"api/{digest[:32]}.zip"
    stacks.say(f"{zip_file}: to s3://{stacks.known['Artifacts']}/{key}")
    bucket = stacks.known["Artifacts"]
    stacks.call("put_object", {"Bucket": bucket, "Key": key, "Body": whole}, "s3")
    settings = repr(sorted(stacks.known.items())).encode()
    release = f"{digest[:16]}-{hashlib.sha256(settings).hexdigest()[:8]}"
    stacks.known |= {"ZipKey": key, "Release": release}


def remove(stacks: Stacks, data: bool) -> None:
    """Remove the stacks, the last one first; the data only if asked.

    Raises:
        DeployError: One of them could not be deleted.
    """
    for part in reversed(ORDER):
        if part != "data":
            stacks.remove(part)
    if not data:
        stacks.say(f"{stacks.stack('data')}: kept, with queue, dead letters and table; --data")
        return
    bucket = stacks.learn("data").get("Artifacts")
    if bucket:
        _empty(stacks, bucket)
    stacks.remove("data")
    stacks.say("The table and the dead-letter queue are kept even so: delete them by hand.")


def _empty(stacks: Stacks, bucket: str) -> None:
    while found := stacks.call("list_objects_v2", {"Bucket": bucket}, "s3").get("Contents"):
        for each in found:
            stacks.call("delete_object", {"Bucket": bucket, "Key": each["Key"]}, "s3")


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not Parameter=Value")
    return name, value


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy.py", description="The stacks of ftq, made, changed and removed."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("up", help="make or change the stacks")
    make.add_argument("--zip", type=Path, help="what `make zip` built; found in dist/ if left out")
    make.add_argument("--image", help="the daemon's image, with your handlers in it")
    make.add_argument("--handlers", help="module:registry in that image")
    make.add_argument("--vpc", help="where the daemons run")
    make.add_argument("--subnets", help="in which of its subnets, separated by commas")
    make.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE")
    make.add_argument("--only", action="append", choices=ORDER, help="these stacks only")
    make.add_argument("--endpoints", action="store_true", help="make VPC endpoints, too")
    gone = commands.add_parser("remove", help="remove the stacks")
    gone.add_argument("--data", action="store_true", help="the stack of queue and table, too")
    told = commands.add_parser("outputs", help="say what the stacks put out")
    for each in (make, gone, told):
        each.add_argument("--name", default="ftq", help="what all names begin with (ftq)")
        each.add_argument("--pause", type=float, default=PAUSE_SECONDS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _make(stacks: Stacks, asked: argparse.Namespace) -> None:
    given = {
        "Name": asked.name,
        "Image": asked.image,
        "Handlers": asked.handlers,
        "VpcId": asked.vpc,
        "SubnetIds": asked.subnets,
        **dict(asked.set),
    }
    usual = [part for part in ORDER if part not in OPTIONAL or asked.endpoints]
    parts: Sequence[str] = asked.only or usual
    known = {name for part in parts for name in stacks.parameters(part)}
    if strange := sorted(name for name, _ in asked.set if name not in known):
        raise DeployError(f"no template has a parameter {', '.join(strange)}")
    for part in ORDER:  # what stands already is known to what is made alone
        stacks.learn(part)
    stacks.known |= {name: value for name, value in given.items() if value}
    up(stacks, asked.zip or _zip(), parts)


def _zip() -> Path:
    found = sorted(Path("dist").glob("ftq-api-*.zip"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else Path("dist/ftq-api.zip")


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; 0 if it was done, 1 if AWS would not, 2 for bad usage."""
    asked = _arguments(arguments)
    stacks = Stacks(asked.name, botocore.session.get_session().create_client, print, asked.pause)
    try:
        match asked.command:
            case "up":
                _make(stacks, asked)
            case "remove":
                remove(stacks, asked.data)
            case _:
                pass
        if asked.command != "remove":
            for part in ORDER:
                for name, value in stacks.learn(part).items():
                    stacks.say(f"{name}: {value}")
    except (DeployError, ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
