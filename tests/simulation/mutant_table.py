"""The mutants of `mutants`: which text of the code becomes which other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """One rule left out.

    Attributes:
        rule: Of PROTOCOL.md, or another promise.
        what: What is done instead.
        path: Where.
        edits: The texts to replace, each with what replaces it.
    """

    rule: str
    what: str
    path: str
    edits: tuple[tuple[str, str], ...]


_HELD: Final = '[("claim_no", "=", number(claim_no)), ("state", "=", text(State.RUNNING))]'
_STATEMENTS: Final = "ftq/wire/statements.py"
_REFUSAL: Final = "ftq/refusal.py"

MUTANTS: Final = (
    Mutant(
        "R1",
        "redrive and revive leave expires_at",
        _STATEMENTS,
        (('("expires_at", "cancel_requested")', '("cancel_requested",)'),),
    ),
    Mutant(
        "R1",
        "a retry sets expires_at",
        _STATEMENTS,
        (
            (
                'sets["due_at"] = number(at + grace)\n',
                'sets["due_at"] = number(at + grace)\n'
                '                sets["expires_at"] = number((now + retention) // 1000)\n',
            ),
        ),
    ),
    Mutant(
        "R2",
        "nobody sweeps",
        "ftq_daemon/sweeper.py",
        (("await self.sweep_once()\n", "pass\n"),),
    ),
    Mutant(
        "R2",
        "the sweeper writes whatever the record has become",
        _STATEMENTS,
        (
            ('            ("bucket", "=", text(bucket)),\n', ""),
            ('            ("due_at", "=", number(task.due_at)),\n', ""),
            ('            ("state", "=", text(task.state)),\n', ""),
        ),
    ),
    Mutant(
        "R2",
        "whatever is overdue counts as lost",
        "ftq/sweep.py",
        (("return sent_at + min(OVERTAKEN, grace) < mark", "return True"),),
    ),
    Mutant(
        "R3",
        "a redrive does not name the death that it saw",
        _STATEMENTS,
        (
            (
                'return [("state", "=", text(State.DEAD)), ("claim_no", "=", number(claim_no))]',
                'return [("state", "=", text(State.DEAD))]',
            ),
        ),
    ),
    Mutant(
        "R3",
        "any dead letter revives",
        _REFUSAL,
        (("if carried == record.claim_no:", "if carried is not None:"),),
    ),
    Mutant(
        "R4",
        "suspects run among others",
        "ftq/verdict.py",
        (("return Run(suspect=task.crashes >= crash_limit - 1)", "return Run(suspect=False)"),),
    ),
    Mutant(
        "R4",
        "a suspect is blamed for the death of its daemon",
        "ftq/verdict.py",
        (("orphaned = task.crashes >= crash_limit and spared and not guilty", "orphaned = False"),),
    ),
    Mutant(
        "R4",
        "a death that was told is forgiven once whoever found it dies",
        "ftq/verdict.py",
        (("and spared and not guilty", "and spared"),),
    ),
    Mutant(
        "R4",
        "the death of a suspect's process is a failed attempt",
        "ftq_daemon/runner.py",
        (('if handler.run_in == "process":\n        # It', "if True:\n        # It"),),
    ),
    Mutant(
        "R5",
        "what is disowned is whatever runs there",
        _STATEMENTS,
        (('where = [("claim_token", "=", text(token)), ("state",', 'where = [("state",'),),
    ),
    Mutant(
        "R5",
        "a claim of which nobody knows is left to lapse",
        "ftq_daemon/claims.py",
        (("return await self._disown(received, envelope, who)\n", "raise\n"),),
    ),
    Mutant(
        "R5",
        "a claim does not look whether the task is free",
        _STATEMENTS,
        (
            (
                'where = [("free_at", "<=", number(who.now))]\n',
                'where = [("free_at", "<=", number(10**15))]\n',
            ),
        ),
    ),
    Mutant(
        "R5",
        "a claim whose reply was lost is taken for a loss",
        _REFUSAL,
        (("and record.claim_token == token", "and False"),),
    ),
    Mutant(
        "R6",
        "a release counts nothing",
        _STATEMENTS,
        (
            (
                "if claims == 1:\n                    add = (counter,)\n",
                "if claims == 1:\n                    pass\n",
            ),
        ),
    ),
    Mutant(
        "R6",
        "a release counts as an attempt",
        "ftq/settlement.py",
        (
            (
                "counter: Counter = Counter.RELEASES\n    claims",
                "counter: Counter = Counter.ATTEMPTS\n    claims",
            ),
        ),
    ),
    Mutant(
        "R9",
        "any message without a record makes one",
        _REFUSAL,
        (("if stored or carried is not None:", "if False:"),),
    ),
    Mutant(
        "R12",
        "a message of a dead task is just deleted",
        _REFUSAL,
        (("return DropDead(record.claim_no, record.cause, record.last_error)", "return Drop()"),),
    ),
    Mutant(
        "R12",
        "a dead letter carries no claim_no",
        "ftq_daemon/attempt.py",
        (("cause_line(cause, failed), died_at)", "cause_line(cause, failed))"),),
    ),
    Mutant(
        "R13",
        "no claim is renewed",
        "ftq_daemon/beat.py",
        (("elif since >= self._interval and", "elif False and"),),
    ),
    Mutant(
        "R13",
        "the message is extended before the lease",
        "ftq_daemon/beat.py",
        (
            (
                "        try:\n            await self._renew_table(holding)\n",
                "        try:\n"
                "            await holding.received.queue.extend(holding.received)\n"
                "            await self._renew_table(holding)\n",
            ),
        ),
    ),
    Mutant(
        "R16",
        "a fresh copy does not say since when it was refused",
        "ftq_daemon/queue.py",
        (
            (
                "wire.mark(wire.REFUSED_SINCE, str(received.message.refused_since))",
                "{}",
            ),
        ),
    ),
    Mutant(
        "R14",
        "a daemon that is cut off lets its handler run on",
        "ftq_daemon/beat.py",
        (("if since >= self._zombie_after:", "if False:"),),
    ),
    Mutant(
        "R14",
        "a handler starts whenever the claim's answer comes",
        "ftq_daemon/work.py",
        (("        if self.beat.is_cut_off(holding):\n", "        if False:\n"),),
    ),
    Mutant(
        "R17",
        "a crashed claim is not written down",
        "ftq_daemon/work.py",
        (
            (
                "if claim.lapsed is not None and not await self.beat.write_crash(holding):",
                "if False:",
            ),
        ),
    ),
    Mutant(
        "R19",
        "what is to be cancelled runs once more",
        "ftq/verdict.py",
        (("    if task.cancel_requested:\n        return Settle(CancelAsked())\n", ""),),
    ),
    Mutant(
        "fence",
        "claim_no is not in the condition of settles and beats",
        _STATEMENTS,
        ((_HELD, '[("state", "=", text(State.RUNNING))]'),),
    ),
    Mutant(
        "fence",
        "the state is not in the condition of settles and beats",
        _STATEMENTS,
        ((_HELD, '[("claim_no", "=", number(claim_no))]'),),
    ),
    Mutant(
        "drain",
        "what runs is not released at a stop",
        "ftq_daemon/daemon.py",
        (("        self.work.interrupt()\n", ""),),
    ),
    Mutant(
        "drain",
        "messages that come during a stop are claimed",
        "ftq_daemon/daemon.py",
        (("        self.attempts.stopping = True\n", ""),),
    ),
    Mutant(
        "drain",
        "the receive under way is not awaited",
        "ftq_daemon/daemon.py",
        (
            (
                "await asyncio.wait({polls, *self.intake.attempts}, timeout",
                "await asyncio.wait({stopping, *self.intake.attempts}, timeout",
            ),
            ("        await asyncio.wait({polls}, timeout=left_to_receive)\n", ""),
            (
                "        self.work.stop()\n",
                "        self.work.stop()\n"
                "        stopping = asyncio.create_task(asyncio.sleep(0))\n",
            ),
        ),
    ),
    Mutant(
        "drain",
        "a handler that starts during the drain is not told",
        "ftq_daemon/work.py",
        (("Attempt(Signals(stopping=self._stopping))", "Attempt(Signals())"),),
    ),
    Mutant(
        "cause",
        "a settle does not say who ran it",
        "ftq_daemon/settler.py",
        (("            by=self.daemon,\n", '            by="",\n'),),
    ),
    Mutant(
        "order",
        "the message is deleted before the record is settled",
        "ftq_daemon/settler.py",
        (
            (
                "if await self._written(received, ran, verdict):\n"
                "            self.events.emit(_event(ran, verdict, self.world.now()))\n"
                "            await self._retire(received, ran, verdict)",
                "await self._retire(received, ran, verdict)\n"
                "        if await self._written(received, ran, verdict):\n"
                "            self.events.emit(_event(ran, verdict, self.world.now()))",
            ),
        ),
    ),
    Mutant(
        "order",
        "a message goes to the dead letters after it was deleted",
        "ftq_daemon/queue.py",
        (
            (
                '        if await self._insist("send", batcher, copy) is not None:\n'
                "            return False\n"
                "        await self.delete(received)\n"
                "        return True",
                "        await self.delete(received)\n"
                '        return await self._insist("send", batcher, copy) is None',
            ),
        ),
    ),
    Mutant(
        "order",
        "a claim is still renewed while it is settled",
        "ftq_daemon/work.py",
        (
            (
                "            await self.beat.release(holding)\n",
                "            self.beat.later(holding)\n",
            ),
        ),
    ),
    Mutant(
        "batches",
        "a batch that succeeded is believed to have succeeded whole",
        "ftq/wire/entries.py",
        (("results: list[EntryFault | None] = [unknown] * sent", "return [None] * sent"),),
    ),
    Mutant(
        "batches",
        "a statement that failed for now is believed to be refused",
        "ftq_daemon/store.py",
        (
            (
                "if not isinstance(result, Failed):",
                "if isinstance(result, Failed):\n"
                "                return Refused(None, absent=False)\n"
                "            if not isinstance(result, Failed):",
            ),
        ),
    ),
    Mutant(
        "repeats",
        "a settle whose reply was lost is told, and its message deleted, whoever has it now",
        "ftq_daemon/settler.py",
        (
            (
                "return current.claim_no == task.claim_no and current.state is after",
                "return bool(after)",
            ),
        ),
    ),
)
# Where a line alone does not make the mutant: code that it needs beside.
EXTRA: Final = {
    "self.beat.later(holding)": (
        "ftq_daemon/beat.py",
        "    async def run(self) -> None:\n",
        "    def later(self, holding: Holding) -> None:\n"
        "        asyncio.get_running_loop().call_later(\n"
        "            self._interval * 1.5, lambda: self._held.pop(holding, None)\n"
        "        )\n\n"
        "    async def run(self) -> None:\n",
    ),
}
