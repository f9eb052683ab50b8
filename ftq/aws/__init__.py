"""AWS for programs that wait for its answers: the API, and whoever submits past it.

An SDK is loaded only where the environment asks for what the SDK alone understands.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Literal, TypeAlias

from ftq.aws.plain import direct
from ftq.ports import SyncPort

ApiClient: TypeAlias = Literal["direct", "botocore"]


def connect(region: str | None, client: ApiClient = "direct") -> SyncPort:
    """A port to AWS, once for each process.

    Args:
        region: The region; None leaves it to the SDK's own settings.
        client: `direct` where the environment is plain enough for it, else botocore all the same.
    """
    port = direct(os.environ, region) if client == "direct" else None
    if port is not None:
        return port
    # Half of a cold start, so only for those who need it.
    found: SyncPort = import_module("ftq.aws.boto").connect(region)
    return found
