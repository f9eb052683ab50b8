"""Payments that are made once, though their tasks may be delivered twice."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from pydantic import BaseModel, Field

from examples.payment.bank import Bank
from ftq import Context, Registry, Retry

registry = Registry()


class Payment(BaseModel):
    """What is to be paid."""

    order: str
    cents: int = Field(gt=0)


@registry.handler("payment.make", timeout=60, breaker="bank")
def pay(payment: Payment, context: Context) -> str:
    """Have the bank pay, and write the receipt down.

    Two writes are conditional, and so they tell a claim that was overtaken: one before the bank is
    asked, one after it. What is between them, only the bank can make safe: it takes each key once.
    """
    with closing(sqlite3.connect(os.environ["SHOP_DB"])) as shop:
        if receipt := _receipt(shop, payment.order):
            return receipt
        _begin(shop, payment.order, context.claim_no)
        receipt = Bank(os.environ["BANK_DB"]).charge(context.task_id, payment.cents)
        _finish(shop, payment, context.claim_no, receipt)
        return receipt


def _receipt(shop: sqlite3.Connection, order: str) -> str | None:
    paid = shop.execute("SELECT receipt FROM payments WHERE id = ?", [order]).fetchone()
    return paid[0] if paid else None


def _begin(shop: sqlite3.Connection, order: str, claim_no: int) -> None:
    """Note that this claim is at it, unless a later one is, or it was paid meanwhile."""
    with shop:
        noted = shop.execute(
            "INSERT INTO payments (id, claim_no) VALUES (?, ?)"
            " ON CONFLICT (id) DO UPDATE SET claim_no = excluded.claim_no"
            " WHERE claim_no <= excluded.claim_no AND receipt IS NULL",
            [order, claim_no],
        )
    _see_that_it_counted(noted)


def _finish(shop: sqlite3.Connection, payment: Payment, claim_no: int, receipt: str) -> None:
    """Write the receipt and book the turnover, if this claim is still the one that is at it."""
    with shop:  # both or neither
        noted = shop.execute(
            "UPDATE payments SET receipt = ? WHERE id = ? AND claim_no = ? AND receipt IS NULL",
            [receipt, payment.order, claim_no],
        )
        _see_that_it_counted(noted)
        shop.execute("UPDATE turnover SET cents = cents + ?", [payment.cents])


def _see_that_it_counted(noted: sqlite3.Cursor) -> None:
    if noted.rowcount != 1:
        # Whoever overtook this claim has the say. ftq would not take our outcome anyway.
        raise Retry(counts=False, reason="another claim is at it")
