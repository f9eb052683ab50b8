"""Stacks on CloudFormation: made, changed, removed, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Final, TypeAlias, TypedDict

from botocore.exceptions import ClientError

from deploy.ecs.errors import DeployError
from deploy.ecs.templates import ORDER, Known, Template

# Between two looks at a stack that changes: longer and longer, up to the last.
PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
# It was never whole: such a stack can only be deleted ("Stack status codes").
NEVER_WHOLE: Final = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS")
PROTECTED: Final = "data"
PROTECTION: Final = "EnableTerminationProtection"
STUCK: Final = {
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback --stack-name {}",
    "DELETE_FAILED": "aws cloudformation delete-stack --stack-name {}",
}
"""What nothing is made of until somebody has mended it, and what goes on from there."""
BEGINNINGS: Final = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


class Described(TypedDict, total=False):
    """What is read of a stack, an event and an object, as AWS describes them."""

    StackStatus: str
    Outputs: Sequence[Mapping[str, str]]
    Parameters: Sequence[Mapping[str, str]]
    LogicalResourceId: str
    ResourceStatus: str
    ResourceStatusReason: str
    Key: str


Reply: TypeAlias = Mapping[str, Sequence[Described]]


@dataclass(slots=True)
class Stacks:
    """The stacks of one ftq.

    Attributes:
        name: What their names begin with.
        client: Makes botocore's client of a service.
        templates: By name.
        say: Told what happens, a line each.
        known: Values for parameters.
    """

    name: str
    client: Callable[[str], object]
    templates: Mapping[str, Template]
    say: Callable[[str], None]
    known: Known = field(default_factory=Known)

    def __post_init__(self) -> None:
        self.known.said.setdefault("Name", self.name)

    def call(
        self, operation: str, request: Mapping[str, object], service: str = "cloudformation"
    ) -> Reply:
        """Make one call, as botocore names it; raises its errors."""
        reply: Reply = getattr(self.client(service), operation)(**request)
        return reply

    def stack(self, part: str) -> str:
        """What the stack of a template is called."""
        return f"{self.name}-{part}"

    def learn(self) -> Sequence[str]:
        """Look at all stacks; returns the templates of those that stand."""
        return [part for part in ORDER if self._learn(part) is not None]

    def up(self, part: str) -> None:
        """Make or change one stack, and learn what it puts out.

        Raises:
            DeployError: It failed; the reasons are in it.
        """
        status = self._ended(part)  # what an earlier run began, say, that was interrupted
        if status in NEVER_WHOLE:
            self.say(f"{self.stack(part)}: removing what an earlier failure left")
            self.remove(part)
            status = None
        if status in STUCK:
            raise DeployError(
                f"{self.stack(part)}: {status}. Mend what its events name, then: "
                + STUCK[status].format(self.stack(part))
            )
        request: dict[str, object] = {
            "StackName": self.stack(part),
            "TemplateBody": self.templates[part].text,
            "Parameters": self.known.given(part, self.templates[part]).request,
            "Capabilities": ["CAPABILITY_IAM"],
            "Tags": [{"Key": "ftq", "Value": self.name}],
        }
        if status is None:
            self.say(f"{self.stack(part)}: making")
            self.call("create_stack", request | {PROTECTION: part == PROTECTED})
            self._wait(part, "CREATE_COMPLETE")
        elif self._changing(request):
            self.say(f"{self.stack(part)}: changing")
            self._wait(part, "UPDATE_COMPLETE")
        else:
            # Whatever became of the change before this one: the stack is as it is wanted.
            self.say(f"{self.stack(part)}: nothing to change")
        self._learn(part)

    def remove(self, part: str) -> None:
        """Delete one stack, if it is there.

        Raises:
            DeployError: It could not be deleted.
        """
        # What is changing cannot be deleted: an earlier run may have begun it.
        if self._ended(part) is None:
            return
        self.say(f"{self.stack(part)}: removing")
        named: dict[str, object] = {"StackName": self.stack(part)}
        if part == PROTECTED:
            self.call("update_termination_protection", named | {PROTECTION: False})
        self.call("delete_stack", named)
        self._wait(part, None)

    def _changing(self, request: Mapping[str, object]) -> bool:
        try:
            self.call("update_stack", request)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                return False
            raise
        return True

    def _learn(self, part: str) -> str | None:
        """Look at one stack: its status, or None if it is not there."""
        self.known.standing.pop(part, None)
        found = self._find(part)
        if found is None:
            return None
        self.known.standing[part] = {
            each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())
        }
        self.known.outputs |= {
            each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())
        }
        return found["StackStatus"]

    def _find(self, part: str) -> Described | None:
        try:
            found = self.call("describe_stacks", {"StackName": self.stack(part)})["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def _wait(self, part: str, wanted: str | None) -> None:
        """Wait until what was begun has ended, and see how."""
        status = self._ended(part)
        self.say(f"{self.stack(part)}: {status or 'gone'}")
        if status != wanted:
            raise DeployError(
                f"{self.stack(part)}: {status or 'gone'}\n" + "\n".join(self._reasons(part))
            )

    def _ended(self, part: str) -> str | None:
        """Wait until nothing goes on; the status then."""
        pauses = chain(PAUSES, repeat(PAUSES[-1]))
        while (status := self._learn(part)) and status not in NEVER_WHOLE:
            if not status.endswith("_IN_PROGRESS"):
                break
            time.sleep(next(pauses))
        return status

    def _reasons(self, part: str) -> Iterator[str]:
        """What failed since the last thing that was asked of the stack, the cause first."""
        named = {"StackName": self.stack(part)}
        failed = []
        for each in self.call("describe_stack_events", named)["StackEvents"]:  # newest first
            status = each["ResourceStatus"]
            reason = each.get("ResourceStatusReason", "")
            if status.endswith("_FAILED"):
                failed.append(f"  {each['LogicalResourceId']}: {reason}")
            if (each["LogicalResourceId"] == self.stack(part) and status in BEGINNINGS) and (
                reason == "User Initiated"
            ):
                break
        yield from reversed(failed)
