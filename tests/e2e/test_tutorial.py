"""The tutorial: each command on the page is run, and prints what the page says."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.e2e.stage import Up, environ, up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "tutorial.md"
BLOCK: Final = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UP: Final = "ftq up "
DOOR: Final = "http://127.0.0.1:8700"
# What is never the same twice, by what it looks like.
VARIES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"[a-z2-7]{32}",
        r"\d{4}-\d\d-\d\dT[\d:.]+Z",
        r"\S+-\d+-[0-9a-f]{6}",
        r"\d+[smhd]",
        "[▁▂▃▄▅▆▇█]+",
    )
)
MOMENT: Final = VARIES[1]
ID: Final = VARIES[0]


@dataclass(slots=True)
class Reader:
    """Somebody who follows the page.

    Attributes:
        place: Where they are.
        home: Their home.
        stack: Ends what they left running.
        running: Their other terminal.
        ids: The tasks of the page, as they are called here.
    """

    place: Path
    home: Path
    stack: ExitStack
    running: Up | None = None
    ids: dict[str, str] = field(default_factory=dict)

    def save(self, code: str) -> None:
        (self.place / "shop.py").write_text(code)

    def do(self, block: str) -> None:
        for command, said in commands(block):
            if command.startswith(UP):
                self._up(command, said)
            else:
                self._same(said, self._run(command), command)

    def _up(self, command: str, said: Sequence[str]) -> None:
        if self.running is not None:
            code, _, errors = self.running.end(signal.SIGINT)
            assert code == 0
            self._same(said, errors.splitlines(), command)
        arguments = command.removeprefix(UP).split()
        self.running = self.stack.enter_context(up(self.place, *arguments))

    def _run(self, command: str) -> list[str]:
        for on_page, here in self.ids.items():
            command = command.replace(on_page, here)
        if self.running is not None:
            command = command.replace(DOOR, self.running.api)
        script = f"{command}\nstatus=$?; pwd >&3; exit $status"
        where = self.home / "where"
        done = subprocess.run(
            ["bash", "-c", f"exec 3>{where}\n{script}"],
            cwd=self.place,
            env=environ(HOME=str(self.home), PATH=f"{ROOT}/.venv/bin:{environ()['PATH']}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        self.place = Path(where.read_text().strip())
        return done.stdout.splitlines()

    def _same(self, page: Sequence[str], here: Sequence[str], command: str) -> None:
        """`...` stands for any lines, or at a line's end for the rest of it."""
        if not page:
            return
        printed, left = "\n".join(here), list(here)
        anywhere = False
        for line in page:
            if line == "...":
                anywhere = True
                continue
            while anywhere and left and not self._like(line, left[0]):
                left.pop(0)
            assert left, f"{command}\nprints no {line!r}:\n{printed}"
            assert self._like(line, left[0]), f"{command}\n{line!r} is now\n{left[0]!r}"
            left.pop(0)
            anywhere = False
        assert anywhere or not left, f"{command}\nprints more:\n{left}"

    def _like(self, page: str, here: str) -> bool:
        if page.endswith("..."):
            page, here = page[:-3], here[: len(page) - 3]
        words, found = re.split(r'[\s"]+', page.strip()), re.split(r'[\s"]+', here.strip())
        loose = any(map(MOMENT.fullmatch, words))
        return len(words) == len(found) and all(
            self._word(word, there, loose=loose) for word, there in zip(words, found, strict=True)
        )

    def _word(self, page: str, here: str, *, loose: bool) -> bool:
        if ID.fullmatch(page) and ID.fullmatch(here):
            return self.ids.setdefault(page, here) == here
        both = any(kind.fullmatch(page) and kind.fullmatch(here) for kind in VARIES[1:])
        # In a line of a history stands for how many milliseconds it ran.
        return page == here or both or (loose and page.isdigit() and here.isdigit())


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console, and what it prints."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *said = part.splitlines()
        yield command, said


def test_a_newcomer_who_follows_the_page_sees_what_it_shows(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == PAGE.read_text().count("```") / 2, "each block is run or saved"
    with ExitStack() as stack:
        reader = Reader(ROOT, tmp_path, stack)
        for kind, text in blocks:
            if kind == "python":
                reader.save(text)
            else:
                reader.do(text)
        assert reader.running is not None
        assert reader.running.end(signal.SIGINT)[0] == 0
        assert len(reader.ids) == 5
