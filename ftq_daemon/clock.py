"""What the daemon takes from the world as arguments, so that a simulation can give its own.

Monotonic time and sleeping are the event loop's: a virtual loop makes them virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class World:
    """Wall clock, dice and tokens.

    Attributes:
        now: Milliseconds since the epoch.
        dice: A draw from [0, 1).
        token: A fresh random text for a claim.
    """

    now: Callable[[], int]
    dice: Callable[[], float]
    token: Callable[[], str]


FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 5.0


class Backoff:
    """Pauses between tries of a call, growing with full jitter, until a deadline.

    Args:
        world: For the dice.
        until: Loop time after which no further try is worth it.
    """

    def __init__(self, world: World, until: float) -> None:
        """Start with the shortest pause."""
        self._world = world
        self._until = until
        self._ceiling = FIRST_PAUSE

    async def pause(self) -> bool:
        """Wait before the next try; False at once if the deadline would be over by then."""
        wait = self._world.dice() * self._ceiling
        self._ceiling = min(LONGEST_PAUSE, self._ceiling * 2)
        if asyncio.get_running_loop().time() + wait >= self._until:
            return False
        await asyncio.sleep(wait)
        return True
