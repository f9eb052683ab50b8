"""What every table does when its index is read, and with the reports of daemons."""

from __future__ import annotations

from typing import Final

from ftq.lifecycle import State
from ftq.ports import Call
from ftq.report import Report
from ftq.task import bucket_of
from ftq.wire import index, reports
from ftq.wire.index import Row
from ftq.wire.item import Item
from ftq.wire.table import read_page
from tests.contract.stages import TableStage, on_tables
from tests.contract.test_table_port import NOW, queued

BUCKET: Final = bucket_of("t1", State.QUEUED)


def same_shard(count: int) -> list[str]:
    """Ids of one shard of the index."""
    names = (f"t{n}" for n in range(1, 10_000))
    found = [name for name in names if bucket_of(name, State.QUEUED) == BUCKET]
    return found[:count]


async def filled(stage: TableStage, count: int) -> list[str]:
    ids = same_shard(count)
    for n, each in enumerate(ids):
        await stage.put(queued(each, due_at=NOW + n, tenant="acme", sweeps=n))
    return ids


async def read(stage: TableStage, call: Call) -> tuple[list[Row], Item | None]:
    items, last = read_page(await stage.port.call(call))
    return [row for row in map(index.read_row, items) if row is not None], last


@on_tables
async def test_a_shard_is_read_page_by_page_newest_first(stage: TableStage) -> None:
    ids = await filled(stage, 5)
    seen: list[str] = []
    start: Item | None = None
    while True:
        call = index.page(stage.table, BUCKET, 2, start=start, newest_first=True)
        rows, start = await read(stage, call)
        seen += [row.id for row in rows]
        if start is None:
            break
    assert seen == ids[::-1]


@on_tables
async def test_a_row_has_what_the_index_projects(stage: TableStage) -> None:
    await filled(stage, 2)
    rows, _ = await read(stage, index.page(stage.table, BUCKET, 10))
    wanted = Row(rows[1].id, BUCKET, NOW + 1, "email.send", "acme", NOW - 1_000, NOW - 1_000, 1)
    assert rows[1] == wanted


@on_tables
async def test_a_page_keeps_to_its_bounds(stage: TableStage) -> None:
    ids = await filled(stage, 5)
    until, _ = await read(stage, index.page(stage.table, BUCKET, 10, until=NOW + 1))
    since, _ = await read(
        stage, index.page(stage.table, BUCKET, 10, since=NOW + 3, newest_first=True)
    )
    assert [row.id for row in until] == ids[:2]
    assert [row.id for row in since] == [ids[4], ids[3]]


@on_tables
async def test_a_count_has_no_items_and_says_whether_it_is_all(stage: TableStage) -> None:
    await filled(stage, 5)
    some = await stage.port.call(index.count(stage.table, BUCKET, 3))
    assert (index.read_count(some), read_page(some)[0]) == (3, [])
    last = read_page(some)[1]
    assert last is not None
    rest = await stage.port.call(index.count(stage.table, BUCKET, 10, start=last))
    assert (index.read_count(rest), read_page(rest)[1]) == (2, None)


@on_tables
async def test_states_are_read_by_themselves(stage: TableStage) -> None:
    await stage.put(queued("t1"))
    await stage.put(queued("t2", state=State.SCHEDULED))
    reply = await stage.port.call(index.states(stage.table, ["t1", "t2", "t3"]))
    assert sorted(index.read_states(reply, stage.table)) == [State.QUEUED, State.SCHEDULED]


@on_tables
async def test_a_report_replaces_the_last_and_can_be_taken_away(stage: TableStage) -> None:
    first = Report("d1", "1.0", "https://q", NOW, NOW, 64, 0)
    second = Report("d1", "1.0", "https://q", NOW + 1, NOW, 64, 3)
    for report in (first, second):
        await stage.port.call(reports.write(stage.table, report))
    rows, _ = await read(stage, index.page(stage.table, reports.BUCKET, 10, newest_first=True))
    assert [row.id for row in rows] == [reports.key_of("d1")]
    call = reports.get_many(stage.table, [row.id for row in rows])
    assert reports.read_get_many(await stage.port.call(call), stage.table) == [second]
    for _ in range(2):
        await stage.port.call(reports.remove(stage.table, "d1"))
    rows, _ = await read(stage, index.page(stage.table, reports.BUCKET, 10))
    assert rows == []


@on_tables
async def test_a_page_goes_on_behind_an_item_that_is_no_longer_there(stage: TableStage) -> None:
    ids = await filled(stage, 5)
    rows, _ = await read(stage, index.page(stage.table, BUCKET, 10))
    moved = await stage.record(ids[2])
    await stage.written(stage.statements.cancel(moved, "api", NOW, 1_000))
    for newest_first, rest in ((False, ids[3:]), (True, ids[1::-1])):
        start = index.after(rows[2])
        call = index.page(stage.table, BUCKET, 10, start=start, newest_first=newest_first)
        found, _ = await read(stage, call)
        assert [row.id for row in found] == rest
