"""The arithmetic of leases: a claim's lease and its message's visibility are one (PROTOCOL R13).

Milliseconds throughout, unless a name says seconds.
"""

from __future__ import annotations

import math
from typing import Final

from ftq.limits import SQS_VISIBILITY_SECONDS, VISIBILITY_MARGIN_SECONDS

# The lease ends this long before the message comes back, so that whoever receives it then
# finds the record free.
LEASE_MARGIN: Final = 1_000
# A holder that could not renew stops its handler this long before its lease ends (R14).
ZOMBIE_MARGIN: Final = 5_000
# With short leases that would leave no time to renew: a quarter of the visibility, then.
ZOMBIE_SHARE: Final = 4
# What beats need beyond three intervals: visibility >= 3 beats + this (R13).
BEAT_SLACK_SECONDS: Final = 5
# A yield because of an open breaker hides a message for at most this long (R13).
BREAKER_YIELD: Final = 300_000


def lease_end(seen_at: int, visibility: int) -> int:
    """When a claim lapses, for a message whose visibility was last set at `seen_at`."""
    return seen_at + visibility - LEASE_MARGIN


def beat_interval(visibility: int) -> int:
    """How often a claim is renewed: three times within one visibility, with slack."""
    return max(1_000, (visibility - BEAT_SLACK_SECONDS * 1_000) // 3)


def needs_extension(age: int, visibility: int) -> bool:
    """Whether a received message is too old to be claimed on its present visibility."""
    return age > visibility // 2


def is_stale(age: int, visibility: int) -> bool:
    """Whether a received message is not ours any more: its visibility is over."""
    return age >= visibility


def zombie_after(visibility: int) -> int:
    """How long after its last renewal a holder must take its claim for lost."""
    margin = min(ZOMBIE_MARGIN, visibility // ZOMBIE_SHARE)
    return max(1_000, visibility - LEASE_MARGIN - margin)


def hide_seconds(until: int, now: int, received_at: int) -> int:
    """Seconds of visibility that hide a message until a moment, within what SQS allows.

    Rounded up, at least 1, and never past 12 h after receipt less a margin: a longer wait
    comes back early, is refused by the record's ``free_at``, and is hidden again.
    """
    wanted = max(1, math.ceil((until - now) / 1000))
    age = math.ceil(max(0, now - received_at) / 1000)
    return max(1, min(wanted, SQS_VISIBILITY_SECONDS - VISIBILITY_MARGIN_SECONDS - age))
