"""Skips, backfills, counted rows taken apart, and a fire's one execution, in any store."""

from dataclasses import replace

import pytest

from nightcrew.domain.backfill import Backfill, BackfillState
from nightcrew.domain.errors import AlreadyExists
from nightcrew.domain.execution import ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.fire import FireOutcome, ScheduleCursor, Skip
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.policy import OverlapPolicy


def skip(make, seconds, **fields):
    values = {"agent_id": "digest", "trigger_id": "cron", "create_time": make.at(0)}
    return Skip(nominal_time=make.at(seconds), **(values | fields))


async def test_skips(store, make):
    ours, later, other = skip(make, 60, reason="why"), skip(make, 120), skip(make, 60, trigger_id="cron-2")
    await store.write(lambda tx: [tx.skips.put(one) for one in (other, later, ours)])
    assert await store.write(lambda tx: tx.skips.get("digest", "cron", make.at(60))) == ours
    assert await store.write(lambda tx: tx.skips.get("digest", "cron", make.at(61))) is None
    assert await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(60))) == {make.at(60): ours}
    assert list(await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(999)))) == [
        make.at(60),
        make.at(120),
    ]
    assert await store.reads.skips(["digest", "nobody"]) == [ours, later, other]
    await store.write(lambda tx: tx.skips.drop("digest", "cron", until=make.at(60)))
    assert await store.reads.skips(["digest"]) == [later, other]
    assert await store.write(lambda tx: tx.skips.remove("digest", "cron", make.at(120)))
    assert not await store.write(lambda tx: tx.skips.remove("digest", "cron", make.at(120)))
    await store.write(lambda tx: tx.skips.drop("digest", "cron-2"))
    assert await store.reads.skips(["digest"]) == []
    assert await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(999))) == {}


async def test_that_there_are_no_skips_is_not_believed_after_an_undo(store, make):
    assert await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(999))) == {}
    ours = skip(make, 60)

    def undone(tx):
        tx.skips.put(ours)
        assert tx.skips.until("digest", "cron", make.at(999))
        raise ValueError("undo it")

    with pytest.raises(ValueError, match="undo it"):
        await store.write(undone)
    assert await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(999))) == {}
    await store.write(lambda tx: tx.skips.put(ours))
    assert await store.write(lambda tx: tx.skips.until("digest", "cron", make.at(999))) == {make.at(60): ours}


def backfill(make, backfill_id="b", **fields):
    values = {
        "agent_id": "digest",
        "trigger_id": "cron",
        "from_time": make.at(0),
        "to_time": make.at(100),
        "overlap": OverlapPolicy.BUFFER_ALL,
        "cursor": make.at(-1),
        "total": 7,
        "create_time": make.at(0),
        "generation": 3,
        "spec": make.spec(),
    }
    return Backfill(id=backfill_id, **(values | fields))


async def test_backfills(store, make):
    first, second = backfill(make), backfill(make, "c", agent_id="other", create_time=make.at(1))
    await store.write(lambda tx: [tx.backfills.insert(one) for one in (first, second)])
    assert await store.write(lambda tx: tx.backfills.get("b")) == first
    assert await store.reads.backfill("c") == second
    assert await store.reads.backfill("d") is None
    assert await store.write(lambda tx: tx.backfills.running()) == [first, second]
    assert await store.write(lambda tx: tx.backfills.running("other")) == [second]
    assert await store.write(
        lambda tx: tx.backfills.advance("b", cursor=make.at(50), started=2, deduplicated=1)
    )
    moved = replace(first, cursor=make.at(50), started=2, deduplicated=1)
    assert (await store.reads.backfills(ListQuery())).items == [second, moved]

    def end(tx):
        return tx.backfills.end("b", state=BackfillState.CANCELLED, reason="no more", now=make.at(9))

    assert await store.write(end)
    ended = replace(moved, state=BackfillState.CANCELLED, reason="no more", end_time=make.at(9))
    assert await store.reads.backfill("b") == ended
    assert not await store.write(end)
    assert not await store.write(
        lambda tx: tx.backfills.advance("b", cursor=make.at(99), started=9, deduplicated=9)
    )
    assert await store.reads.backfill("b") == ended
    assert await store.write(lambda tx: tx.backfills.running()) == [second]


async def test_an_agent_takes_its_skips_and_backfills_along(store, make):
    def unit(tx):
        tx.agents.insert(make.agent())
        tx.skips.put(skip(make, 60))
        tx.backfills.insert(backfill(make))
        tx.agents.delete("digest")

    await store.write(unit)
    assert await store.reads.skips(["digest"]) == []
    assert await store.reads.backfill("b") is None


async def test_rows_that_touch_a_span(store, make):
    rows = [
        make.fire(0, 50, count=6, outcome=FireOutcome.NOT_ACTIVE),
        make.fire(60),
        make.fire(70, 90, count=3, outcome=FireOutcome.MISSED_CATCH_UP),
    ]
    await store.write(lambda tx: [tx.fires.record(one) for one in (*rows, make.fire(75, trigger_id="x"))])

    async def spans(first, last):
        found = await store.write(lambda tx: tx.fires.spans("digest", "cron", make.at(first), make.at(last)))
        return [round((begin - make.at(0)).total_seconds()) for begin, _ in found]

    assert [await spans(*one) for one in ((-9, -1), (-9, 0), (20, 30), (50, 60), (51, 59), (0, 99))] == [
        [],
        [0],
        [0],
        [0, 60],
        [],
        [0, 60, 70],
    ]

    async def covering(at):
        return await store.write(lambda tx: tx.fires.covering("digest", "cron", make.at(at)))

    assert [await covering(at) for at in (-1, 0, 25, 50, 55, 60, 80, 90, 91)] == [
        None,
        rows[0],
        rows[0],
        rows[0],
        None,
        rows[1],
        rows[2],
        rows[2],
        None,
    ]
    pieces = [replace(rows[2], last_nominal_time=make.at(70), count=1), make.fire(90)]
    await store.write(lambda tx: tx.fires.replace(rows[2], pieces))
    assert [await covering(at) for at in (70, 80, 90)] == [pieces[0], None, pieces[1]]

    def wrong(tx):
        tx.fires.replace(pieces[1], [make.fire(60, 90, count=4)])

    with pytest.raises(ValueError, match="stands in the way"):
        await store.write(wrong)
    assert await covering(90) == pieces[1]


async def test_a_cursor_keeps_the_offset_of_its_zone(store, make):
    cursor = ScheduleCursor(agent_id="digest", trigger_id="a", cursor=make.at(0), utc_offset=-3600)
    await store.write(lambda tx: tx.fires.set_cursor(cursor))
    assert await store.write(lambda tx: tx.fires.cursor("digest", "a")) == cursor


def at_noon(make, kind, **fields):
    trigger = TriggerRef(kind=kind, trigger_id="cron", nominal_time=make.at(0))
    return make.execution(trigger=trigger, **fields)


@pytest.mark.parametrize("second", [TriggerKind.SCHEDULE, TriggerKind.BACKFILL])
@pytest.mark.parametrize("first", [TriggerKind.SCHEDULE, TriggerKind.BACKFILL])
@pytest.mark.parametrize("state", [ExecutionState.QUEUED, ExecutionState.SUCCEEDED])
async def test_a_nominal_time_has_one_execution(store, make, first, second, state):
    one = at_noon(make, first, state=state, started=state.final)
    await store.write(lambda tx: tx.executions.insert(one))
    with pytest.raises(AlreadyExists):
        await store.write(lambda tx: tx.executions.insert(at_noon(make, second)))


async def test_what_was_dropped_before_it_started_does_not_stand_in_the_way(store, make):
    dropped = at_noon(make, TriggerKind.SCHEDULE)
    await store.write(lambda tx: tx.executions.insert(dropped))
    await store.write(
        lambda tx: tx.executions.end_idle(dropped.id, state=ExecutionState.CANCELLED, now=make.at(1))
    )
    again, retry = at_noon(make, TriggerKind.BACKFILL), at_noon(make, TriggerKind.RETRY)
    await store.write(lambda tx: [tx.executions.insert(one) for one in (again, retry)])
    assert len((await store.reads.executions(ListQuery())).items) == 3


async def test_a_clock_that_is_set_back(store, make):
    ahead = ScheduleCursor(
        agent_id="digest", trigger_id="b", cursor=make.at(90), next_time=make.at(99), exhausted=True, fires=3
    )
    behind = ScheduleCursor(agent_id="digest", trigger_id="a", cursor=make.at(40), next_time=make.at(50))
    passed = {"outcome": FireOutcome.NOT_ACTIVE}
    rows = [
        make.fire(10, 20, count=2, **passed),
        make.fire(30, 70, count=5, **passed),
        make.fire(80, outcome=FireOutcome.MISSED_CATCH_UP),
        make.fire(90),
        make.fire(95, outcome=FireOutcome.SKIPPED_OVERLAP),
    ]

    def unit(tx):
        tx.agents.insert(make.agent(state_time=make.at(60)))
        tx.agents.insert(make.agent("calm", state_time=make.at(30)))
        tx.fires.set_cursor(ahead)
        tx.fires.set_cursor(behind)
        assert all(map(tx.fires.record, rows))

    await store.write(unit)

    def back(tx):
        tx.agents.get("digest")
        tx.agents.rewind(make.at(50))
        return tx.fires.drop_passed_ahead(make.at(50)), tx.fires.rewind(make.at(50))

    assert await store.write(back) == ([rows[1]], 1)
    left = (await store.reads.fires(ListQuery())).items
    assert left == [rows[4], rows[3], rows[1], rows[0]]
    begun = replace(ahead, cursor=make.at(50), next_time=None, exhausted=False)
    assert await store.write(lambda tx: tx.fires.cursors_after("", "", limit=9)) == [behind, begun]
    assert await store.write(lambda tx: tx.fires.cursors_after("digest", "a", limit=9)) == [begun]
    assert await store.write(lambda tx: tx.fires.cursors_after("", "", limit=1)) == [behind]
    states = await store.write(lambda tx: [tx.agents.get(one).state_time for one in ("digest", "calm")])
    assert states == [make.at(50), make.at(30)]
