"""The API's code: the zip that `make zip` built, and the bucket that Lambda loads it from."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.ecs.errors import UsageError
from deploy.ecs.stacks import Stacks

ZIP_NAME: Final = re.compile(r"ftq-api-(?P<machine>aarch64|x86_64)-(?P<python>python3\.\d+)\.zip")
# As uname says it, and as Lambda does.
MACHINES: Final = {"aarch64": "arm64", "x86_64": "x86_64"}


@dataclass(frozen=True, slots=True)
class Zip:
    """A zip, and for which machine and Python it was built: pydantic's core is compiled for one."""

    path: Path
    architecture: str
    runtime: str

    @classmethod
    def at(cls, path: Path) -> Zip:
        """Read from its name what it is for.

        Raises:
            UsageError: It is not there, or is called otherwise.
        """
        named = ZIP_NAME.fullmatch(path.name)
        if named is None or not path.is_file():
            raise UsageError(
                f"--zip {path} is no file called ftq-api-MACHINE-pythonX.Y.zip, as `make zip` "
                "makes it"
            )
        return cls(path, MACHINES[named["machine"]], named["python"])

    @classmethod
    def newest(cls, directory: Path) -> Zip:
        """The one that was built last.

        Raises:
            UsageError: There is none.
        """
        found = [path for path in directory.glob("*.zip") if ZIP_NAME.fullmatch(path.name)]
        if not found:
            raise UsageError(f"{directory}/ holds no zip of the API: `make zip` builds one")
        return cls.at(max(found, key=lambda path: path.stat().st_mtime))

    @property
    def digest(self) -> str:
        """Of its bytes."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def told(self, stacks: Stacks) -> None:
        """Say what it is built for, and where it will lie: under a name that its bytes give it.

        Raises:
            UsageError: The user said something else.
        """
        said = {
            "ApiArchitecture": self.architecture,
            "ApiRuntime": self.runtime,
            "ZipKey": f"api/{self.digest[:32]}.zip",
            "Release": self.digest[:16],
        }
        for name, value in said.items():
            if (other := stacks.known.said.setdefault(name, value)) != value:
                raise UsageError(f"{name}={other}: {self.path} makes it {value}")

    def upload(self, stacks: Stacks) -> None:
        """Put it into the bucket, and name the release.

        A release is this code with these settings in this template: what differs in one of them is
        another version of the function, and what differs in none is not.
        """
        bucket, key = stacks.known.outputs["Artifacts"], stacks.known.said["ZipKey"]
        stacks.say(f"{self.path}: to s3://{bucket}/{key}")
        request = {"Bucket": bucket, "Key": key, "Body": self.path.read_bytes()}
        stacks.call("put_object", request, "s3")
        template = stacks.templates["api"]
        given = {**template.defaults, **stacks.known.given("api", template).values, "Release": ""}
        about = hashlib.sha256(repr((sorted(given.items()), template.text)).encode()).hexdigest()
        stacks.known.said["Release"] = f"{self.digest[:16]}-{about[:8]}"


def empty(stacks: Stacks, bucket: str) -> None:
    """Delete all zips: a bucket that holds something cannot be deleted."""
    while found := stacks.call("list_objects_v2", {"Bucket": bucket}, "s3").get("Contents"):
        named = [{"Key": each["Key"]} for each in found]
        stacks.call("delete_objects", {"Bucket": bucket, "Delete": {"Objects": named}}, "s3")
