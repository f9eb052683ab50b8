"""``python -m ftq_daemon.healthcheck``: asks the daemon beside it whether it is alive.

What a container's health check runs: the image has no curl. Exits with 0 or 1, and says why.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final

TIMEOUT_SECONDS: Final = 4.0
# Addresses that mean "all of them" to who listens, and nothing to who calls.
ANY: Final = ("", "0.0.0.0", "::")  # noqa: S104  # compared with, not listened on


def ask(environ: Mapping[str, str]) -> str:
    """Why the daemon should be replaced; '' if it should not.

    Args:
        environ: The daemon's environment: `FTQ_HEALTH_HOST` and `FTQ_HEALTH_PORT` as it reads them.
    """
    host, port = environ.get("FTQ_HEALTH_HOST", ""), environ.get("FTQ_HEALTH_PORT", "8081")
    try:
        connection = HTTPConnection(
            "127.0.0.1" if host in ANY else host, int(port), timeout=TIMEOUT_SECONDS
        )
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        text = answer.read(1000).decode(errors="replace")
    except (OSError, ValueError, HTTPException) as error:
        return f"port {port}: {type(error).__name__}: {error}"
    return "" if answer.status == 200 else f"{answer.status} {text}"


def main() -> int:
    """Ask, say what is wrong, and return the exit code."""
    problem = ask(os.environ)
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())
