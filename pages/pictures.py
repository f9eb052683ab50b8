"""``python -m pages.pictures``: photograph the console, after ten minutes of a shop's traffic.

Runs an ``ftq up`` of its own with the handlers below, and keeps three browsers open while it is
given work: the plots are what a browser has seen.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ftq import Registry, RetryPolicy

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

PICTURES: Final = Path(__file__).parents[1] / "docs" / "explanation"
WIDE: Final[ViewportSize] = {"width": 1100, "height": 760}
PHONE: Final[ViewportSize] = {"width": 390, "height": 760}

registry = Registry()


class SmtpError(Exception):
    """The mail server did not take it."""


class NoSuchPrice(Exception):
    """What is sold has no price."""


@registry.handler("email.send", retry=RetryPolicy(attempts=3, base=2), breaker=False)
def send(order: int) -> str:
    """Send a mail; one in eight attempts fails."""
    time.sleep(random.uniform(0.02, 0.3))
    if random.random() < 1 / 8:
        raise SmtpError("421 4.7.0 try again later")
    return f"sent for order {order}"


@registry.handler("invoice.render", permanent=(NoSuchPrice,), breaker=False)
def render(order: int) -> str:
    """Render an invoice; one in forty is for ink."""
    time.sleep(random.uniform(0.1, 0.6))
    if order % 40 == 0:
        raise NoSuchPrice(f"order {order}: ink has no price")
    return f"invoices/{order}.pdf"


@registry.handler("webhook.deliver", retry=RetryPolicy(attempts=4, base=5))
def deliver(order: int) -> int:
    """Deliver a webhook to a slow peer."""
    time.sleep(random.uniform(0.05, 0.9))
    if random.random() < 0.03:
        raise TimeoutError("hooks.example.com did not answer in 5 s")
    return 204


def _traffic(url: str, ends: threading.Event) -> None:
    from ftq.client import Client

    began, order = time.monotonic(), 0
    with Client(url) as client:
        while not ends.wait(1):
            # A wave of two minutes, as a shop's day has in a picture.
            pace = 6 + 5 * math.sin((time.monotonic() - began) / 19)
            for _ in range(round(pace)):
                order += 1
                kind = random.choice(
                    ("email.send", "email.send", "invoice.render", "webhook.deliver")
                )
                client.submit(kind, order, delay_seconds=600 if order % 30 == 0 else 0)


def _photograph(url: str, seconds: float) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=arguments)
        light = chromium.new_page(viewport=WIDE, color_scheme="light", device_scale_factor=1.5)
        dark = chromium.new_page(viewport=WIDE, color_scheme="dark", device_scale_factor=1.5)
        for page in (light, dark):
            page.goto(f"{url}#/")
        light.wait_for_timeout(seconds * 1000)
        for page, name in ((light, "light"), (dark, "dark")):
            expect(page.locator("#age")).to_contain_text("s old")
            page.screenshot(path=PICTURES / f"console-{name}.png")
        light.goto(f"{url}#/dead")
        expect(light.locator("article").first).to_be_visible()
        light.screenshot(path=PICTURES / "console-dead.png")
        phone = chromium.new_page(viewport=PHONE, color_scheme="light", device_scale_factor=1.5)
        phone.goto(f"{url}#/dead")
        expect(phone.locator("article").first).to_be_visible()
        phone.screenshot(path=PICTURES / "console-phone.png")
        chromium.close()


def main() -> None:
    """Run, give work, photograph."""
    parser = argparse.ArgumentParser(prog="pages.pictures", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as state:
        command = (sys.executable, "-m", "ftq_cli", "up", "--port", "0", "--state", state)
        handlers = ("--handlers", "pages.pictures:registry")
        up = subprocess.Popen((*command, *handlers), stdout=subprocess.DEVNULL)  # noqa: S603  # ours
        said = Path(state) / "up.json"
        while not (said.exists() and said.read_text()):
            time.sleep(0.2)
        urls = json.loads(said.read_text())
        ends = threading.Event()
        traffic = threading.Thread(target=_traffic, args=(urls["api_url"], ends))
        traffic.start()
        try:
            _photograph(urls["console_url"], asked.minutes * 60)
        finally:
            ends.set()
            traffic.join()
            up.terminate()
            up.wait()


if __name__ == "__main__":
    main()
