"""The embedded AWS: SQS, DynamoDB and the rest on this machine, as a child process."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from ftq_cli.environment import PYTHON
from ftq_cli.processes import ending, stop

HOST: Final = "127.0.0.1"
# Run by its path, since the Python of a stand-in need not have ftq.
LEASHED: Final = str(Path(__file__).with_name("leashed.py"))
START_SECONDS: Final = 30.0
# It saves its state when it stops, after up to 3 s for long polls that are still open.
STOP_SECONDS: Final = 10.0
PROBE_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.05
PORT_TRIES: Final = 5
PORT: Final = "port"
TAIL_LINES: Final = 20

# Whatever the user's shell says. Neither more ports are wanted, nor that it clears the machine
# of containers that it takes for its own.
PINNED: Final = {"BIND_HOST": HOST, "SERVICES": "", "LOG_LEVEL": "INFO"}
NO_DOCKER: Final = {"DOCKER_HOST": "unix:///nonexistent/docker.sock"}
OFF: Final = ("AUTH", "USE_SSL", "LOCALSTACK_PERSISTENCE", "IOT_MTLS_ENABLED", "SFTP_ENABLED")


class StandInFailedError(RuntimeError):
    """A stand-in for AWS did not start."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A program that stands in for AWS.

    Attributes:
        module: What `python -m` runs.
        health: The path that answers as soon as the program is ready.
        environment: Its settings, given the port and a mark.
        python: The Python that has it installed.
        marked: Its answer shows the mark. If not, any answer with status 200 will do.
    """

    module: str
    health: str
    environment: Callable[[int, str], Mapping[str, str]]
    python: str = sys.executable
    marked: bool = False


def _unheard(_: str) -> None:
    pass


@asynccontextmanager
async def embedded_aws(
    state: Path | None = None, log: Path | None = None, died: Callable[[str], None] = _unheard
) -> AsyncIterator[str]:
    """Run the embedded AWS for as long as the context lasts.

    Args:
        state: The directory that keeps queues and tables from one run to the next. They are
            written when the context ends, and when this process is killed, but not when the
            embedded AWS itself is.
        log: Where its log goes; overwritten.
        died: Told how it ended, should it end before the context does.

    Yields:
        The endpoint's URL.

    Raises:
        StandInFailedError: It did not start; names the port and how its log ends.
    """

    def environment(port: int, mark: str) -> Mapping[str, str]:
        # Its health page shows the edition: that is how our child is told from another's.
        own = {"GATEWAY_PORT": str(port), "MINISTACK_EDITION": mark, "PERSIST_STATE": "0"}
        if state is not None:
            own |= {"PERSIST_STATE": "1", "STATE_DIR": str(state.resolve())}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("MINISTACK_")}
        inherited |= PYTHON
        return inherited | PINNED | NO_DOCKER | dict.fromkeys(OFF, "0") | own

    program = StandIn("ministack", "/_ministack/health", environment, marked=True)
    async with running(program, log, _last_port(state), died) as url:
        _note_port(state, url)
        yield url


def _note_port(state: Path | None, url: str) -> None:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        (state / PORT).write_text(url.rpartition(":")[2])


def _last_port(state: Path | None) -> int:
    """The port of the last run: the queues that the state's records name are at its URLs."""
    with suppress(OSError, ValueError):
        return int((state / PORT).read_text()) if state is not None else 0
    return 0


@asynccontextmanager
async def running(
    program: StandIn,
    log: Path | None = None,
    port: int = 0,
    died: Callable[[str], None] = _unheard,
) -> AsyncIterator[str]:
    """Run any stand-in for as long as the context lasts; else as `embedded_aws`.

    Args:
        program: The stand-in.
        log: Where its log goes; overwritten.
        port: Its port, unless that is taken; 0 for any that is free.
        died: Told how it ended, should it end before the context does.
    """
    with tempfile.TemporaryFile() if log is None else log.open("w+b") as output:
        process, port = await _start(program, output, port)
        watching = asyncio.create_task(_watch(process, program.module, died))
        try:
            yield f"http://{HOST}:{port}"
        finally:
            watching.cancel()
            await stop(process, STOP_SECONDS)


async def _watch(
    process: asyncio.subprocess.Process, name: str, died: Callable[[str], None]
) -> None:
    died(f"{name} (pid {process.pid}) ended with {ending(await process.wait())}")


async def _start(
    program: StandIn, output: IO[bytes], wanted: int
) -> tuple[asyncio.subprocess.Process, int]:
    port, tail = 0, ""
    for _ in range(PORT_TRIES):
        port, mark = _free_port(wanted), f"ftq-{secrets.token_hex(8)}"
        output.seek(0)
        output.truncate()
        process = await asyncio.create_subprocess_exec(
            *(program.python, "-P", LEASHED, program.module),
            env=program.environment(port, mark),
            stdin=asyncio.subprocess.PIPE,  # its leash: see `leashed`
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in the terminal is for the programs that use it: it has to outlive them.
            start_new_session=True,
        )
        proof = mark.encode() if program.marked else b" 200 "
        ready = False
        try:
            ready = await _ready(process, port, program.health, proof)
        finally:
            if not ready:
                await stop(process, STOP_SECONDS)
        if ready:
            return process, port
        tail = _tail(output)
        if "already in use" not in tail.lower():
            break  # nobody took the port in between: another one would not help
        wanted = 0
    raise StandInFailedError(
        f"{program.module} did not start on port {port}. Its log ends:\n{tail}"
    )


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except OSError:
            probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _ready(process: asyncio.subprocess.Process, port: int, path: str, proof: bytes) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            while process.returncode is None:
                if proof in await _answer(port, path):
                    return True
                await asyncio.sleep(PAUSE_SECONDS)
    return False


async def _answer(port: int, path: str) -> bytes:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n".encode())
                return await reader.read()
            finally:
                writer.close()
    return b""


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-TAIL_LINES:])
