"""The examples' handlers, on the virtual clock: each does what its page says."""

from __future__ import annotations

import csv
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from examples.email.handlers import Email, send
from examples.email.handlers import registry as mailing
from examples.email.server import MailServer
from examples.nightly.handlers import BERLIN, report
from examples.nightly.handlers import registry as nightly
from examples.nightly.shop import open_shop
from examples.payment import bank
from examples.payment import handlers as paying
from examples.payment.bank import Bank, open_books
from examples.payment.handlers import Payment, pay
from examples.thumbnails.handlers import Picture, shrink
from examples.thumbnails.handlers import registry as shrinking
from examples.thumbnails.pictures import draw
from examples.webhooks.handlers import Hook, deliver, seconds_of
from examples.webhooks.handlers import registry as delivering
from examples.webhooks.subscribers import Subscribers
from ftq import Registry, Tick
from ftq.events import BreakerClosed, BreakerOpened
from ftq.schedule import next_after
from ftq.testing import Harness, assert_idempotent, run

Start = Callable[[Registry], Harness]


@pytest.fixture
def mail_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer(lambda: False) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("SMTP_PORT", str(server.port))
        yield server
        server.shutdown()
        thread.join()


def test_mail_waits_behind_a_breaker_until_the_server_is_back(
    mail_server: MailServer, ftq_harness: Start
) -> None:
    mail_server.down = lambda: True
    harness = ftq_harness(mailing)
    names = ["ada", "grace", "edsger", "barbara", "nobody"]
    ids = {
        name: harness.submit(send, Email(to=f"{name}@example.com", subject="Hi")) for name in names
    }
    harness.advance(30)
    assert any(isinstance(each, BreakerOpened) for each in harness.events)
    asked = mail_server.refused
    # Within a minute a probe now and then, and no attempt besides.
    harness.advance(60)
    assert 5 <= mail_server.refused - asked <= 30
    mail_server.down = lambda: False
    harness.drain()
    assert any(isinstance(each, BreakerClosed) for each in harness.events)
    (dead,) = harness.dead_letters()
    assert dead.id == ids.pop("nobody")
    assert dead.last_error is not None
    assert dead.last_error.class_name == "smtplib.SMTPRecipientsRefused"
    assert set(mail_server.mails) == {f"<{each}@shop.example>" for each in ids.values()}


def test_pictures_become_small_and_what_is_none_is_dead(tmp_path: Path, ftq_harness: Start) -> None:
    harness = ftq_harness(shrinking)
    *pictures, broken = draw(tmp_path, 2, side=400)
    target = tmp_path / "small.jpg"
    small = harness.submit(shrink, Picture(source=pictures[0], target=target, side=64))
    none = harness.submit(shrink, Picture(source=broken, target=tmp_path / "none.jpg"))
    harness.drain()
    assert '"width":64,"height":48' in harness.task(small).result
    with Image.open(target) as image:
        assert (image.format, image.size) == ("JPEG", (64, 48))
    assert [task.id for task in harness.dead_letters()] == [none]
    assert not (tmp_path / "none.jpg").exists()


def test_a_picture_may_be_made_small_twice(tmp_path: Path) -> None:
    source, target = draw(tmp_path, 1, side=64)[0], tmp_path / "small.jpg"
    assert_idempotent(
        shrink,
        Picture(source=source, target=target, side=16),
        registry=shrinking,
        effects=lambda: target.read_bytes(),
        reset=lambda: target.unlink(missing_ok=True),
        overtaken=True,
    )


def test_each_subscriber_is_told_at_its_own_pace(ftq_harness: Start) -> None:
    harness = ftq_harness(delivering)
    with Subscribers(retry_after="600") as them:
        began = harness.now
        ids = {
            path: harness.submit(deliver, Hook(url=them.url(path), event="paid", body="{}"))
            for path in ("/quick", "/busy", "/flaky", "/gone")
        }
        harness.drain()
    assert (harness.now - began).total_seconds() >= 1200
    ended = {path: harness.task(each) for path, each in ids.items()}
    assert {path: (task.state.value, task.attempts) for path, task in ended.items()} == {
        "/quick": ("succeeded", 0),
        "/busy": ("succeeded", 0),
        "/flaky": ("succeeded", 2),
        "/gone": ("dead", 1),
    }
    del ids["/gone"]
    assert sorted(them.got) == sorted(ids.items())


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("Fri, 01 Jan 2027 00:02:00 GMT", 120),
        ("Thu, 31 Dec 2026 00:00:00 GMT", 0),
        ("Fri, 01 Jan 2037 00:00:00 GMT", 86_400),
        ("soon", None),
    ],
)
def test_retry_after_is_read_in_both_its_forms(header: str, seconds: float | None) -> None:
    assert seconds_of(header, datetime(2027, 1, 1, tzinfo=UTC)) == seconds


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.setenv("SHOP_DB", str(tmp_path / "shop.db"))
    monkeypatch.setenv("REPORTS", str(folder))
    return folder


def test_the_report_is_due_at_three_by_the_clock_of_berlin_summer_and_winter() -> None:
    (schedule,) = nightly.schedules
    now = datetime(2026, 10, 24, tzinfo=UTC)
    due = []
    for _ in range(3):
        now = datetime.fromtimestamp(
            next_after(schedule, round(now.timestamp() * 1000)) / 1000, UTC
        )
        due.append(f"{now:%d %H:%M}")
    assert due == ["24 01:00", "25 02:00", "26 02:00"]


def test_the_day_on_which_clocks_are_put_back_has_25_hours(tmp_path: Path, reports: Path) -> None:
    open_shop(tmp_path / "shop.db", datetime(2026, 10, 23, tzinfo=UTC), 5)
    tick = Tick(scheduled_for=datetime(2026, 10, 26, 3, tzinfo=BERLIN).astimezone(UTC))
    made = run(report, tick, registry=nightly).result
    assert isinstance(made, dict)
    assert (made["day"], made["hours"], made["orders"]) == ("2026-10-25", 25, 50)
    (path,) = reports.iterdir()
    with path.open(newline="") as file:
        assert len(list(csv.reader(file))) == 1 + 50


def test_a_payment_is_made_once_whatever_dies_in_the_middle_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, books = str(tmp_path / "shop.db"), str(tmp_path / "bank.db")
    monkeypatch.setenv("SHOP_DB", shop)
    monkeypatch.setenv("BANK_DB", books)
    monkeypatch.setattr(bank, "SECONDS", 0)

    def reset() -> None:
        for path in (shop, books):
            Path(path).unlink(missing_ok=True)
        open_books(shop, books)

    def effects() -> object:
        with closing(sqlite3.connect(shop)) as made:
            receipts = made.execute("SELECT id, receipt FROM payments").fetchall()
            turnover = made.execute("SELECT cents FROM turnover").fetchone()
        return receipts, turnover, [cents for cents, _ in Bank(books).books.values()]

    assert_idempotent(
        pay,
        Payment(order="order-1", cents=500),
        registry=paying.registry,
        effects=effects,
        reset=reset,
        overtaken=True,
    )
    assert effects() == ([("order-1", "receipt-redelive")], (500,), [500])
