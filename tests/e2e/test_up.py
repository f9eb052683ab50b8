from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.stage import QUICK, await_that, document, environ, ftq, marked, processes, up

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks into /proc"),
]

NOWHERE = "http://127.0.0.1:1"


def fetch(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310  # our own
        return int(response.status)


def test_up_says_where_everything_is_and_ends_in_order_on_ctrl_c(tmp_path: Path) -> None:
    with up(tmp_path, "--daemons", "2") as running:
        said = running.said
        names = "api_url console_url aws_endpoint_url queue_url dlq_url table daemons"
        assert list(said) == names.split()
        assert said["console_url"] == f"{running.api}/console"
        assert fetch(f"{running.api}/console") == 200
        assert fetch(f"{running.api}/health") == 200
        daemons = said["daemons"]
        assert isinstance(daemons, list)
        assert len(daemons) == len(set(running.pids)) == 2
        for each in daemons:
            assert isinstance(each, dict)
            assert fetch(f"{each['health_url']}/readyz") == 200
        code, output, errors = running.end(signal.SIGINT)
        assert (code, errors.splitlines()[-1]) == (0, "ftq is going down ...")
        assert not marked(running.mark)
    assert not (tmp_path / ".ftq" / "up.json").exists()
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events.count("daemon.started") == events.count("daemon.stopped") == 2


def test_tasks_are_submitted_shown_and_kept_from_one_up_to_the_next(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        # Without --api, the ftq of this directory is asked.
        done = ftq("submit", "demo.echo", '{"n": 1}', "--wait", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        task = document(done.stdout)
        assert (task["state"], task["result"]) == ("succeeded", {"n": 1})

        failed = ftq("submit", "demo.fail", '{"message": "no"}', "--wait", cwd=tmp_path)
        assert failed.returncode == 1
        assert "PermanentDemoError" in failed.stdout

        keyed = [
            ftq("submit", "demo.echo", "{}", "--key", "k", "--delay", "600", "--json",
                cwd=tmp_path, FTQ_API_URL=running.api)
            for _ in range(2)
        ]  # fmt: skip
        first, second = (document(each.stdout)["id"] for each in keyed)
        assert first == second
        queue_url = running.said["queue_url"]
        assert running.end(signal.SIGTERM)[0] == 0
    with up(tmp_path) as running:
        got = ftq("get", str(first), "--json", "--api", running.api, cwd=tmp_path)
        assert document(got.stdout)["state"] == "queued"
        assert running.said["queue_url"] == queue_url, "that is where records say they belong"


def test_a_daemon_that_dies_is_replaced(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        [before] = running.pids
        task = ftq("submit", "demo.crash", "{}", "--json", cwd=tmp_path)
        assert task.returncode == 0, task.stderr
        await_that(lambda: running.pids not in ([before], []))
        _, output, errors = running.end(signal.SIGINT)
    assert f"daemon 1 (pid {before}) ended with SIGKILL" in errors
    assert output.count('"daemon.started"') == 2


def test_nothing_outlives_an_up_that_is_killed(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        lines = marked(running.mark)
        assert len(lines) == 4, "the command, the embedded AWS, the API, a daemon"
        running.process.kill()
        running.process.communicate()
        await_that(lambda: not marked(running.mark), within=20)
    # What it left in its directory does not stand in the way of the next one.
    with up(tmp_path) as another:
        assert fetch(f"{another.api}/health") == 200


def test_the_console_of_an_api_is_shown_to_who_has_its_address(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftq_cli", "console"]
    with (
        up(tmp_path) as running,
        subprocess.Popen(
            command, cwd=tmp_path, env=environ(), stdout=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        try:
            jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            with jar.open(address, timeout=30) as page:
                assert page.url == f"{address.partition('/?')[0]}/console"
                assert b"<title>" in page.read()
            with jar.open(page.url.replace("/console", "/stats"), timeout=30) as stats:
                assert json.load(stats)["queues"]
            with pytest.raises(urllib.error.HTTPError, match="403"):
                fetch(page.url)
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert running.process.poll() is None


def test_nobody_reads_the_log_lines_any_more(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        assert running.process.stdout is not None
        running.process.stdout.readline()
        running.process.stdout.close()
        ftq("submit", "demo.echo", "{}", cwd=tmp_path)  # which makes some more
        _, errors = running.process.communicate(timeout=30)
        assert running.process.returncode == 0
        assert errors.splitlines()[-1] == "ftq is going down ..."
        assert not marked(running.mark)


def test_the_command_runs_without_standard_output(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{sys.executable}' -m ftq_cli demo --tasks 1 --failure-rate 0 >&-"],
        cwd=tmp_path,
        env=environ(**QUICK),
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_demo_goes_on_when_nobody_reads_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftq_cli", "demo", "--tasks", "3", "--failure-rate", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environ(**QUICK), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


def test_a_reader_of_log_lines_that_does_not_read_holds_up_nobody(tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(
        "from ftq import Registry\n"
        "registry = Registry()\n"
        "@registry.handler('loud')\n"
        "def loud(text: str) -> None:\n"
        "    print(text * 1_000_000)\n"
        "    print('\\n'.join([text * 100] * 5_000))\n"
    )
    with up(tmp_path, "--handlers", "loud:registry") as running:
        for _ in range(5):
            done = ftq("submit", "loud", '"x"', "--wait", cwd=tmp_path)
            assert done.returncode == 0, done.stderr
        assert running.end(signal.SIGINT)[0] == 0


def test_the_embedded_aws_ends_by_itself(tmp_path: Path) -> None:
    with up(tmp_path) as running:
        [pid] = [pid for pid, line in processes(running.mark).items() if " ministack" in line]
        os.kill(pid, signal.SIGKILL)
        _, errors = running.process.communicate(timeout=60)
    assert running.process.returncode == 1
    assert f"The embedded AWS is gone: ministack (pid {pid}) ended with SIGKILL" in errors
    assert errors.splitlines()[-1] == "ftq is going down ..."
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = ftq("up", "--port", port, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"--port {port}: cannot listen on 127.0.0.1:{port}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a project with handlers of its own, for which an `ftq up` runs."""
    project = tmp_path_factory.mktemp("shop")
    (project / "shop.py").write_text(
        "from ftq import Registry\n"
        "registry = Registry()\n"
        "@registry.handler('shop.greet')\n"
        "def greet(name: str) -> str:\n"
        "    return f'hello {name}'\n"
    )
    open_to_others = ("--host", "0.0.0.0", "--allowed-host", "Shop.example")  # noqa: S104  # tested
    with up(project, "--handlers", "shop:registry", *open_to_others):
        yield project


def test_handlers_are_found_in_the_directory_of_the_command(shop: Path) -> None:
    done = ftq("submit", "shop.greet", '"you"', "--wait", "--json", cwd=shop)
    assert document(done.stdout)["result"] == "hello you"


@pytest.mark.parametrize(("host", "status"), [("shop.example:80", 200), ("evil.example", 403)])
def test_an_api_that_is_open_to_others_answers_to_the_names_that_it_was_given(
    host: str, status: int, shop: Path
) -> None:
    api = urlsplit(str(document((shop / ".ftq" / "up.json").read_text())["api_url"]))
    asking = HTTPConnection("127.0.0.1", api.port or 0, timeout=10)
    asking.request("GET", "/health", headers={"Host": host})
    assert asking.getresponse().status == status
    asking.close()


def test_a_type_without_a_handler_is_refused(shop: Path) -> None:
    refused = ftq("submit", "demo.echo", "{}", cwd=shop)
    assert refused.returncode == 2
    assert "no handler is registered" in refused.stderr


def test_a_task_that_is_not_there_exits_with_1(shop: Path) -> None:
    missing = ftq("get", "nothing", cwd=shop)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("404 ")


def test_a_directory_has_one_up_at_a_time(shop: Path) -> None:
    second = ftq("up", "--port", "0", cwd=shop)
    assert second.returncode == 2
    assert second.stderr.startswith("--state .ftq: an ftq runs with it already")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["submit", "demo.echo", "{"], "is not JSON"),
        (["submit", "demo.echo"], "Missing argument 'JSON'"),
        (["submit", "demo.echo", "{}", "--delay", "-1"], "--delay"),
        (["get"], "Missing argument 'ID'"),
        (["get", "a", "--api", "ftp://there"], "is not an HTTP URL"),
        (["demo", "--tasks", "0"], "--tasks"),
        (["up", "--daemons", "-1"], "--daemons"),
        (["up", "--prefix", "a.b"], "3 to 64 letters"),
        (["up", "--host", "api"], "--host 'api': no IP address"),
        (["up", "--allowed-host", "api:80"], "--allowed-host 'api:80': no host name"),
        (["up", "--aws"], "finds no credentials"),
        (["demo", "--aws"], "finds no credentials"),
        (["fly"], "No such command 'fly'"),
    ],
)
def test_bad_usage_exits_with_2(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = ftq(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["get", "a"], ["submit", "demo.echo", "{}"]])
def test_an_api_that_is_not_there_exits_with_3(arguments: list[str], tmp_path: Path) -> None:
    done = ftq(*arguments, cwd=tmp_path, FTQ_API_URL=NOWHERE)
    assert done.returncode == 3
    assert done.stderr.startswith(f"{NOWHERE}: cannot be reached")


def test_an_aws_that_is_not_there_exits_with_3(tmp_path: Path) -> None:
    done = ftq("up", "--port", "0", cwd=tmp_path, AWS_ENDPOINT_URL=NOWHERE)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith(f"{NOWHERE}: ")


def test_the_command_is_also_a_module() -> None:
    assert ftq("--help", cwd=Path(sys.prefix)).returncode == 0
