"""``python -m examples.email``: the server is down for the first seconds."""

from __future__ import annotations

import threading
import time

from examples.email.handlers import Email, send
from examples.email.server import MailServer
from examples.stage import stage

DOWN_SECONDS = 5.0


def main() -> int:
    """Send some mail; 0 if all of it came to its end."""
    back_at = float("inf")
    server = MailServer(lambda: time.monotonic() < back_at)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with server, stage("examples.email.handlers:registry", SMTP_PORT=str(server.port)) as it:
        names = ["ada", "grace", "nobody", "edsger", "barbara", "donald", "tony", "leslie"]
        mails = mails_to(names)
        ids = {it.client.submit(send, mail, key=mail.to).id: mail.to for mail in mails}
        back_at = time.monotonic() + DOWN_SECONDS
        tasks = it.follow(ids, f"Mail; the server is down for {DOWN_SECONDS:g} s")
        server.shutdown()
        it.console.print(
            f"The server sent {server.refused} connections away, then took {len(server.mails)} "
            "mails. While the breaker was open, tasks waited and spent no attempt."
        )
    ended = [task.state for task in tasks]
    return 0 if (ended.count("succeeded"), ended.count("dead")) == (len(names) - 1, 1) else 1


def mails_to(names: list[str]) -> list[Email]:
    """What is to be sent."""
    return [Email(to=f"{name}@example.com", subject=f"Hello {name}") for name in names]


if __name__ == "__main__":
    raise SystemExit(main())
