"""Which lines of a log are kept when not all are."""

from __future__ import annotations

import zlib


def kept(name: str, share: float) -> bool:
    """Whether what goes by this name is among the share that is kept.

    The same name has the same answer always and everywhere: all lines of a task are kept, or none.

    Args:
        name: A task's id, or what else the lines belong to.
        share: From 0, for none, to 1, for all.
    """
    return zlib.crc32(name.encode("utf-8", "replace")) < share * 2**32
