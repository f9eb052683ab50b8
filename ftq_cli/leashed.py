"""``python leashed.py MODULE``: run a module until it ends, or until its parent does.

The parent holds the child's standard input open. It needs the standard library only, for it is
also run, by path, under Pythons that have no ftq.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

# How long a child has to end in order once its parent is gone.
STOP_SECONDS: Final = 10.0


def main() -> None:
    """Run the module named by the first argument, with the arguments after it."""
    threading.Thread(target=_end_with_parent, name="leash", daemon=True).start()
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


def _end_with_parent() -> None:
    # Nothing is ever written. The read ends when the system closes the other end for a parent
    # that is gone, however it went: unlike PR_SET_PDEATHSIG, on every Unix, and from any thread.
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_SECONDS)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
