r"""``make deploy`` and ``make undeploy``: the stacks of ftq, made, changed and removed.

    python -m deploy.ecs up --image IMAGE --handlers MODULE:REGISTRY \
        --vpc vpc-1 --subnets subnet-1,subnet-2 [--name ftq] [--set Parameter=Value ...]
    python -m deploy.ecs outputs [--name ftq] [Output]
    python -m deploy.ecs remove [--name ftq] [--data]

Each template is a stack of its own, so that each can be changed, or done without, alone. A stack
gets what an earlier one put out by the name of its parameter: `QueueUrl` of data.yaml is
`QueueUrl` of the others. What is not said again stays as it was. Credentials, region and endpoint
are found as the AWS command finds them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from deploy.ecs.errors import DeployError, UsageError
from deploy.ecs.release import Zip, empty
from deploy.ecs.stacks import Stacks
from deploy.ecs.templates import FLAGS, OPTIONAL, ORDER, check, read

ZIPS: Final = Path("dist")


def up(stacks: Stacks, parts: Sequence[str], code: Zip | None) -> None:
    """Make or change stacks, in their order.

    Args:
        stacks: What is known of them.
        parts: Which.
        code: The API's, if the API is among them.

    Raises:
        UsageError: Something was said that cannot be; nothing was touched.
        DeployError: One of them failed; the later ones were not touched.
    """
    if code:
        code.told(stacks)
    check(stacks.known, parts, stacks.templates)
    for part in parts:
        if part == "api" and code:
            code.upload(stacks)
        stacks.up(part)


def remove(stacks: Stacks, data: bool) -> None:
    """Remove the stacks, the last one first; the data only if asked.

    Raises:
        DeployError: One of them could not be deleted.
    """
    standing = stacks.learn()
    for part in reversed(standing):
        if part != "data":
            stacks.remove(part)
    if "data" not in standing:
        return
    if not data:
        stacks.say(f"{stacks.stack('data')}: kept, with queue, dead letters and table; --data")
        return
    if bucket := stacks.known.outputs.get("Artifacts"):  # not of one that was never whole
        empty(stacks, bucket)
    stacks.remove("data")
    stacks.say("The table and the dead-letter queue are kept even so: delete them by hand.")


def outputs(stacks: Stacks, wanted: str | None) -> None:
    """Say what the stacks put out: all of it, or the value of one.

    Raises:
        UsageError: There is no stack, or none puts that out.
    """
    if not stacks.learn():
        raise UsageError(f"--name {stacks.name}: there is no stack {stacks.stack('data')} here")
    found = stacks.known.outputs
    if wanted is None:
        for name, value in found.items():
            stacks.say(f"{name}: {value}")
    elif wanted in found:
        stacks.say(found[wanted])
    else:
        raise UsageError(
            f"{wanted}: no stack of {stacks.name} puts that out, but {', '.join(found)}"
        )


def _setting(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not Parameter=Value")
    return name, value


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy.ecs", description="The stacks of ftq, made, changed and removed."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    make = commands.add_parser("up", help="make or change the stacks")
    make.add_argument("--zip", type=Path, help="what `make zip` built; the newest in dist/")
    make.add_argument("--image", dest="Image", help="the daemon's image, with your handlers in it")
    make.add_argument("--handlers", dest="Handlers", help="module:registry in that image")
    make.add_argument("--vpc", dest="VpcId", help="where the daemons run")
    make.add_argument("--subnets", dest="SubnetIds", help="in which of its subnets: ID,ID")
    make.add_argument("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE")
    make.add_argument(
        "--unset", action="append", default=[], metavar="NAME", help="back to the default"
    )
    make.add_argument("--only", action="append", choices=ORDER, help="these stacks only")
    make.add_argument("--endpoints", action="store_true", help="make VPC endpoints, too")
    gone = commands.add_parser("remove", help="remove the stacks")
    gone.add_argument("--data", action="store_true", help="the stack of queue and table, too")
    told = commands.add_parser("outputs", help="say what the stacks put out")
    told.add_argument("wanted", nargs="?", metavar="NAME", help="only the value of this one")
    for each in (make, gone, told):
        each.add_argument("--name", default="ftq", help="what all names begin with (ftq)")
    return parser.parse_args(arguments)


def _make(stacks: Stacks, asked: argparse.Namespace) -> None:
    flags = {name: vars(asked)[name] for name in FLAGS}
    stacks.known.said |= {name: value for name, value in flags.items() if value is not None}
    for name, value in asked.set:
        # Whichever won, the other one would have been said for nothing.
        if (other := stacks.known.said.setdefault(name, value)) != value:
            raise UsageError(f"{name}={value}: it is {other} by what else was said")
        if name in asked.unset:
            raise UsageError(f"{name}={value}: --unset {name} was said, too")
    stacks.known.unset = frozenset(asked.unset)
    standing = stacks.learn()
    usual = [part for part in ORDER if part not in OPTIONAL or part in standing]
    wanted = {*(asked.only or usual), *(OPTIONAL if asked.endpoints else ())}
    parts = [part for part in ORDER if part in wanted]
    code = None
    if "api" in parts:
        code = Zip.at(asked.zip) if asked.zip else Zip.newest(ZIPS)
    up(stacks, parts, code)
    outputs(stacks, None)


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; 0 if it was done, 1 if AWS would not, 2 for bad usage."""
    asked = _arguments(arguments)
    session = botocore.session.get_session()
    # botocore itself knows AWS_DEFAULT_REGION only.
    if region := os.environ.get("AWS_REGION"):
        session.set_config_variable("region", region)
    try:
        stacks = Stacks(asked.name, session.create_client, read(), print)
        stacks.templates["data"].parameters["Name"].check(asked.name)
        match asked.command:
            case "up":
                _make(stacks, asked)
            case "remove":
                remove(stacks, asked.data)
            case _:
                outputs(stacks, asked.wanted)
    except (DeployError, ClientError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, UsageError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
