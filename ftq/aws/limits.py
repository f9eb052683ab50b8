"""How long such a program waits for AWS, whichever client makes its calls."""

from __future__ import annotations

from typing import Final

CONNECT_SECONDS: Final = 1.0
READ_SECONDS: Final = 3.0
TRIES: Final = 3
# The longest that one call can take: each try at its limit, with the longest pauses of the
# standard mode between them (1 s, then 2 s).
CALL_SECONDS: Final = TRIES * (CONNECT_SECONDS + READ_SECONDS) + 3.0
