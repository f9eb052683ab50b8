"""What every table does with the mark of a schedule."""

from __future__ import annotations

from ftq.wire import schedules, table
from ftq.wire.statements import Statement
from tests.contract.stages import TableStage, on_tables

KEY = "every#hourly#0123456789ab"


async def write(stage: TableStage, statement: Statement) -> table.Result:
    reply = await stage.port.call(table.execute([statement]))
    return table.read_execute(reply, 1)[0]


@on_tables
async def test_a_schedules_mark_begins_once_and_never_goes_back(stage: TableStage) -> None:
    name = stage.table
    assert schedules.read_mark(await stage.port.call(schedules.read(name, KEY))) is None
    assert isinstance(await write(stage, schedules.begin(name, KEY, 1000)), table.Written)
    assert isinstance(await write(stage, schedules.begin(name, KEY, 9000)), table.Duplicate)
    assert isinstance(await write(stage, schedules.advance(name, KEY, 3000)), table.Written)
    for tick in (2000, 3000):
        assert isinstance(await write(stage, schedules.advance(name, KEY, tick)), table.Refused)
    assert schedules.read_mark(await stage.port.call(schedules.read(name, KEY))) == 3000
