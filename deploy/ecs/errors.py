"""Why a deployment ends early."""

from __future__ import annotations


class DeployError(Exception):
    """A stack could not be made, changed or removed."""


class UsageError(DeployError):
    """What was asked for cannot be; nothing was touched."""
