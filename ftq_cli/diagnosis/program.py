"""What is to be said of clocks, daemons and a daemon's settings: pure functions over values."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ftq.errors import SettingsError
from ftq.settings import read
from ftq_cli.diagnosis.finding import Finding, right, unknown, wrong
from ftq_daemon.settings import DaemonSettings
from ftq_daemon.tracing.start import check

# Signatures, leases and delays bear this much; AWS itself refuses calls at five minutes.
SKEW_SECONDS: Final = 10.0
# As long as a daemon's sweep may be late: by then somebody has looked at what is overdue.
OVERDUE_SECONDS: Final = 300


def settings(environ: Mapping[str, str]) -> list[Finding]:
    """What a daemon would say of these settings, where they are a daemon's."""
    name = "settings"
    if not environ.get("FTQ_HANDLERS"):
        return [unknown(name, "FTQ_HANDLERS is not set here: these are not a daemon's")]
    try:
        found = read(DaemonSettings, environ)
        check(found.tracing, environ)
    except SettingsError as error:
        return [wrong(name, problem) for problem in error.problems]
    return [right(name, "a daemon starts with them")]


def skew(there: datetime | None, here: datetime) -> Finding:
    """Whether this machine's clock and the API's agree; the Date header has whole seconds."""
    name = "clock"
    if there is None:
        return unknown(name, "the API sends no Date header")
    ahead = (here - there).total_seconds()
    if abs(ahead) <= SKEW_SECONDS:
        return right(name, f"within {SKEW_SECONDS:.0f} s of the API's")
    side = "ahead of" if ahead > 0 else "behind"
    return wrong(name, f"{abs(ahead):.0f} s {side} the API's", "sudo timedatectl set-ntp true")


def sweeps(daemons: int | None, overdue: int | None, table: str | None) -> Finding:
    """Whether somebody sends again what the queue lost, and what is due (PROTOCOL R15).

    Args:
        daemons: Daemons that reported a short while ago; None if the API could not say.
        overdue: Open tasks that nobody has looked at for too long; None if nobody counted.
        table: The table's name if it is on AWS: that of the stack's service, too.
    """
    name = "somebody sweeps"
    if daemons:
        return right(name, f"{daemons} live daemon{'s' if daemons > 1 else ''}")
    remedy = "run a daemon, or invoke api_lambda.sweeper.handler on a schedule"
    of_stack = ["--cluster", str(table), "--service", str(table), "--desired-count", "1"]
    mend = shlex.join(["aws", "ecs", "update-service", *of_stack]) if table else "ftq daemon"
    if overdue:
        return wrong(name, f"{overdue} overdue tasks that nobody looked at: {remedy}", mend)
    if daemons is None:
        return unknown(name, "the API could not say")
    if overdue is None:
        return wrong(name, f"no daemon has reported: {remedy}", mend)
    quiet = f"no daemon has reported, and nothing is overdue; if none runs: {remedy}"
    return unknown(name, quiet, mend)
