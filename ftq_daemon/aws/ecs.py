"""The ECS agent's task protection endpoint.

"Amazon ECS task scale-in protection endpoint": PUT ``$ECS_AGENT_URI/task-protection/v1/state``.
"""

from __future__ import annotations

import aiohttp

TIMEOUT_SECONDS = 5.0


class EcsAgent:
    """The agent of the container that this process runs in.

    Args:
        uri: ``ECS_AGENT_URI``, which ECS sets.
    """

    def __init__(self, uri: str) -> None:
        """Keep the address; nothing is asked yet."""
        self._url = f"{uri.rstrip('/')}/task-protection/v1/state"

    async def protect(self, on: bool, minutes: int) -> None:
        """Switch scale-in protection of this ECS task on, for so many minutes, or off.

        Raises:
            OSError: The agent did not do it.
        """
        body: dict[str, bool | int] = {"ProtectionEnabled": on}
        if on:
            body["ExpiresInMinutes"] = minutes
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.put(self._url, json=body) as response,
            ):
                text = (await response.text())[:300]
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise OSError(f"the ECS agent does not answer: {type(error).__name__}") from error
        # A refusal comes as an object with `failure` or `error`, the status may be 200 or 4xx.
        if response.status >= 400 or '"failure"' in text or '"error"' in text:
            raise OSError(f"the ECS agent refused: {response.status} {text}")
