"""``python -m examples.payment``: the daemon is killed while the bank is at it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.payment.bank import Bank, open_books
from examples.payment.handlers import Payment, pay
from examples.stage import stage

ORDERS = {"order-1": 1999, "order-2": 250, "order-3": 12_000}
WITHIN_SECONDS = 30.0


def main() -> int:
    """Make some payments; 0 if each was made once."""
    with TemporaryDirectory() as folder:
        shop, books = str(Path(folder, "shop.db")), str(Path(folder, "bank.db"))
        open_books(shop, books)
        bank = Bank(books)
        with stage("examples.payment.handlers:registry", SHOP_DB=shop, BANK_DB=books) as it:
            ids = {
                it.client.submit(pay, Payment(order=order, cents=cents), key=order).id: order
                for order, cents in ORDERS.items()
            }
            until = time.monotonic() + WITHIN_SECONDS
            while len(bank.books) < len(ORDERS) and time.monotonic() < until:
                time.sleep(0.05)
            # The bank has paid, and nobody has heard of it yet.
            os.kill(it.daemon_pid, signal.SIGKILL)
            it.console.print("The daemon was killed with all payments under way.", style="red")
            it.console.print("Another one starts; the tasks come back within 15 s ...")
            tasks = it.follow(ids, "Payments")
            paid = bank.books
            for key, (cents, asked) in paid.items():
                it.console.print(f"{ids[key]}: the bank was asked {asked} times, and paid {cents}")
    once = sorted(cents for cents, _ in paid.values()) == sorted(ORDERS.values())
    return 0 if once and {task.state for task in tasks} == {"succeeded"} else 1


if __name__ == "__main__":
    raise SystemExit(main())
