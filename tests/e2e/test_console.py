"""The console in a browser: each of its flows, clicked in Chromium against an `ftq up`.

FTQ_TEST_SCREENSHOTS=docs/explanation writes the pictures of the docs anew.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from ftq.client import Client
from ftq.text import Document
from tests.e2e.stage import Up, document, up

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# One browser and one `ftq up` for all of it.
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NOT TESTED: the console; there is no Chromium (make chromium)"
    ),
]
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
PICTURES = os.environ.get("FTQ_TEST_SCREENSHOTS")
WITHIN = 15_000
AXE = files("axe_playwright_python") / "axe.min.js"
VIOLATIONS = """async () => {
    const found = await axe.run();
    if (!found.passes.length) return ["nothing was looked at"];
    return found.violations.map((each) => [each.id, each.nodes.map((node) => node.html)]);
}"""


@dataclass(slots=True)
class Shown:
    """A page of the console, and what the browser complained of."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def go(self, where: str) -> Page:
        self.page.goto(f"{self.url}#/{where}")
        return self.page

    def accessible(self) -> None:
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        assert self.page.evaluate(VIOLATIONS) == []

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=Path(PICTURES) / f"console-{name}.png")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("console")) as it:
        yield it


@pytest.fixture(scope="module")
def api(running: Up) -> Iterator[Client]:
    with Client(running.api) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, as whom containers run this.
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"] if os.getuid() == 0 else []
        with playwright.chromium.launch(executable_path=CHROMIUM, args=arguments) as chromium:
            yield chromium


@pytest.fixture
def shown(running: Up, browser: Browser) -> Iterator[Shown]:
    context = browser.new_context(viewport={"width": 1100, "height": 760}, color_scheme="light")
    context.set_default_timeout(WITHIN)
    expect.set_options(timeout=WITHIN)
    it = Shown(context.new_page(), str(running.said["console_url"]))
    it.page.on("console", lambda said: it.complaints.append(said.text))
    it.page.on("pageerror", lambda error: it.complaints.append(str(error)))
    yield it
    context.close()
    assert it.complaints == []


def test_the_overview_tells_how_everything_is(shown: Shown, api: Client) -> None:
    done = [api.submit("demo.echo", {"n": n}).id for n in range(5)]
    for each in done:
        api.wait(each)
    page = shown.go("")
    expect(page.locator("figure")).to_have_count(3)
    expect(page.locator("#content")).to_contain_text("live")
    expect(page.get_by_role("region", name="Queues")).to_contain_text("ftq")
    expect(page.get_by_role("region", name="Daemons")).to_contain_text("live")
    expect(page.locator("#age")).to_contain_text(re.compile("just now|s old"))
    shown.accessible()
    # Another look, and the plots go on from the first.
    page.get_by_label("Refresh").select_option("15")
    expect(page.locator("figure path").first).to_have_attribute("d", re.compile(r"^M.+L"))


def test_a_task_is_found_by_its_id_and_tells_its_life(shown: Shown, api: Client) -> None:
    task = api.submit("demo.echo", {"to": "ada", "password": "hunter2"}).id
    api.wait(task)
    page = shown.go("")
    page.get_by_label("Task id").fill(task)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Task {task}")
    expect(page.locator(".timeline")).to_contain_text("claim 1 succeeded")
    payload = page.locator("details").first
    payload.locator("summary").click()
    expect(payload).to_contain_text("ada")
    expect(payload).not_to_contain_text("hunter2")
    shown.accessible()
    payload.get_by_text("Show hidden values").click()
    expect(payload).to_contain_text("hunter2")


def test_hostile_text_stays_text(shown: Shown, api: Client) -> None:
    task = api.submit("demo.fail", {"message": HOSTILE}, tenant="hostile").id
    api.wait(task)
    page = shown.go(f"tasks/{task}")
    expect(page.locator("pre").first).to_have_text(HOSTILE)
    for where in ("tasks?tenant=hostile", "dead"):
        shown.go(where)
        expect(page.locator("#content")).to_contain_text("<img src=x onerror")
    assert page.locator("img, main script").count() == 0


def test_lists_are_filtered_and_paged(shown: Shown, api: Client) -> None:
    for n in range(60):
        api.submit("demo.sleep", {"seconds": 0}, delay_seconds=3000 + n, tenant="lists")
    page = shown.go("tasks")
    page.get_by_label("State").select_option("queued")
    page.get_by_label("Tenant").fill("lists")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#content")).to_contain_text("No such task")
    page.get_by_label("State").select_option("scheduled")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    shown.accessible()
    page.get_by_role("link", name="Older tasks").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(50)


def test_a_task_is_cancelled_once_that_is_confirmed(shown: Shown, api: Client) -> None:
    task = api.submit("demo.echo", {}, delay_seconds=600).id
    page = shown.go(f"tasks/{task}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel this task?")
    page.keyboard.press("Escape")
    assert api.get(task).state != "cancelled"
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("dl")).to_contain_text("cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_it_is_worked_by_keyboard_alone(shown: Shown, api: Client) -> None:
    task = api.submit("demo.echo", {}, delay_seconds=600).id
    page = shown.go(f"tasks/{task}")
    cancel = page.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(cancel).to_be_focused()
    # A look at what is new takes nobody from where they are.
    with page.expect_response(re.compile(f"/tasks/{task}$")) as looked:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    looked.value.finished()
    expect(page.locator("#age")).to_contain_text("just now")
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("button", name="Leave it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("dl")).to_contain_text("cancelled")


def test_the_dead_of_one_cause_are_counted_then_redriven(shown: Shown, api: Client) -> None:
    dead = [api.submit("demo.fail", {"message": f"no mx for {n}"}).id for n in range(5)]
    for each in dead:
        api.wait(each)
    page = shown.go("dead?window=1h")
    group = page.locator("article").filter(has_text="no mx for")
    expect(group.locator("svg rect")).not_to_have_count(0)
    expect(group).to_contain_text("5 (")
    shown.accessible()
    group.get_by_role("button", name="Redrive").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("#redrive-go")).to_be_disabled()
    dialog.get_by_role("button", name="Count").click()
    expect(dialog.get_by_role("status")).to_have_text("5 dead tasks fit.")
    shown.accessible()
    dialog.get_by_role("button", name="Redrive 5").click()
    expect(dialog.get_by_role("status")).to_have_text("Done: 5 redriven.")
    assert all(len(api.get(each).document["history"]) > 1 for each in dead)  # type: ignore[arg-type]  # a list
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_a_redrive_keeps_its_limit_and_its_pace_and_stops_when_told(
    shown: Shown, api: Client
) -> None:
    dead = [api.submit("demo.fail", {"message": f"gone away {n}"}).id for n in range(7)]
    for each in dead:
        api.wait(each)
    asked: list[Document] = []  # the count, then two pages

    held: list[Route] = []
    told = False

    def asks(route: Route) -> None:
        asked.append(document(route.request.post_data or ""))
        if len(asked) == 3 and not told:
            held.append(route)  # until the stop was asked for
        else:
            route.continue_()

    page = shown.go("dead?window=1h")
    page.route("**/redrives", asks)
    page.locator("article").filter(has_text="gone away").get_by_role(
        "button", name="Redrive"
    ).click()
    dialog = page.get_by_role("dialog")
    said = dialog.get_by_role("status")
    dialog.get_by_label("At most").fill("6")
    dialog.get_by_label("Tasks a second").fill("1")
    dialog.get_by_role("button", name="Count").click()
    expect(said).to_have_text("6 dead tasks fit.")
    assert [each["dry_run"] for each in asked] == [True]
    dialog.get_by_role("button", name="Redrive 6").click()
    expect(said).to_have_text("2 of 6 redriven …")
    expect(dialog.get_by_role("progressbar")).to_have_js_property("value", 2)
    dialog.get_by_role("button", name="Stop").click()
    told = True
    for route in held:
        route.continue_()
    # What is under way is awaited, and nothing is asked for after it.
    expect(said).to_have_text("Stopped: 4 redriven.")
    done = asked[1:]
    assert [(each["dry_run"], each["rate"], each["limit"]) for each in done] == [(False, 1, 2)] * 2
    assert len({str(each["before"]) for each in done}) == 1
    lives = [len(api.get(each).document["history"]) > 1 for each in dead]  # type: ignore[arg-type]  # a list
    assert sum(lives) == 4
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_who_has_to_say_who_they_are_is_asked_for_a_token(shown: Shown) -> None:
    def guarded(route: Route) -> None:
        if route.request.headers.get("authorization") == "Bearer let-me-in":
            route.continue_()
        else:
            # As API Gateway's authorizer says it.
            route.fulfill(status=401, json={"message": "Unauthorized"})

    page = shown.page
    page.route(re.compile(r"/(stats|tasks)"), guarded)
    shown.go("")
    token = page.get_by_label("Bearer token")
    expect(page.get_by_role("alert")).to_contain_text("401 Unauthorized")
    shown.accessible()
    token.fill("guess")
    token.press("Enter")
    expect(token).to_have_value("")
    expect(token).to_be_visible()
    token.fill("let-me-in")
    token.press("Enter")
    expect(page.locator("figure")).to_have_count(3)
    expect(token).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_hidden()
    kept = "[localStorage.length, sessionStorage.length, document.cookie, location.href]"
    assert page.evaluate(kept) == [0, 0, "", f"{shown.url}#/"]
    page.reload()
    expect(token).to_be_visible()
    # The browser's own lines about the answers.
    assert all("401" in each for each in shown.complaints)
    shown.complaints.clear()


def test_what_is_stale_says_so_until_the_api_answers_again(shown: Shown) -> None:
    page = shown.go("")
    expect(page.locator("figure")).to_have_count(3)
    page.route("**/stats", lambda route: route.abort())
    expect(page.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    expect(page.locator("#age")).to_contain_text("Stale")
    expect(page.locator("figure")).to_have_count(3)
    shown.complaints.clear()  # the browser's own line about the request
    page.unroute("**/stats")
    page.get_by_label("Refresh").select_option("15")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_nothing_is_offered_that_changes_anything_where_it_only_reads(
    shown: Shown, api: Client
) -> None:
    def only_reads(route: Route) -> None:
        got = route.fetch()
        route.fulfill(
            response=got, body=got.text().replace('data-mode="write"', 'data-mode="read"')
        )

    task = api.submit("demo.echo", {}, delay_seconds=600).id
    shown.page.route("**/console", only_reads)
    page = shown.go(f"tasks/{task}")
    expect(page.locator(".timeline")).to_contain_text("submitted")
    assert page.locator("main button").all_inner_texts() == []


@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("light", 1100, "light"), ("dark", 1100, "dark"), ("phone", 390, "dark")],
)
def test_it_fits_and_can_be_read_on_any_screen(
    running: Up, browser: Browser, api: Client, name: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 760},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    context.set_default_timeout(WITHIN)
    shown = Shown(context.new_page(), str(running.said["console_url"]))
    page = shown.go("")
    expect(page.locator("figure")).to_have_count(3)
    for where in ("", "dead", "tasks"):
        shown.go(where)
        expect(page.locator("#age")).to_contain_text(re.compile("just now|s old"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where
        shown.accessible()
        shown.picture(f"{where or 'overview'}-{name}")
    context.close()
