"""An event that many wait for: some are told in its own transaction, the rest in batches, nobody twice and nobody never."""

import json
from datetime import timedelta

import pytest

from nightcrew.crew.event_waits import AT_ONCE, BATCH, tell_on
from nightcrew.crew.journaling import settle_step, write_step
from nightcrew.crew.waits import begin_wait
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.step import Step, StepKind, StepState

MANY = AT_ONCE + 3 * BATCH + 7
S = ExecutionState


def wait_for(kind, desk, *, until=None, filter=""):  # noqa: A002 - the contract's word
    return Step(
        key="/it#0",
        branch="",
        name=kind,
        ordinal=0,
        kind=StepKind.EVENT,
        state=StepState.WAITING,
        awaited=kind,
        detail=filter,
        until=until,
        start_time=desk.now,
    )


class Herd:
    """Executions of one agent that wait for an event, without a program."""

    def __init__(self, desk, press):
        self.desk, self.press = desk, press
        self.ids = []

    async def wait(self, number, kind="shop.order", **how):
        names = [f"x{len(self.ids) + n:05}" for n in range(number)]
        self.ids += names
        await self.desk.admit("a", *names)
        step = wait_for(kind, self.desk, **how)

        def unit(tx, after, now):
            for name in names:
                execution = tx.executions.get(name)
                write_step(tx, after, execution, step, now=now)
                begin_wait(tx, after, execution, [step.key], parked="", now=now)

        await self.desk.do(unit)
        self.desk.notebook.take()

    async def states(self):
        return [(await self.desk.execution(one)).state for one in self.ids]

    async def tell_all(self):
        """As the waker does; gives how many transactions it took."""
        turns = 0
        while await self.desk.do(tell_on):
            turns += 1
        return turns

    async def got(self, name):
        """Which event a wait was given."""
        step = await self.desk.read(lambda tx: tx.steps.get(name, "/it#0"))
        if step.state is StepState.FAILED:
            return step.error.type
        return None if step.result is None else json.loads(step.result)["id"]


@pytest.fixture
async def herd(desk, press):
    await desk.agent("a", max_concurrency=0)
    return Herd(desk, press)


async def test_few_are_told_in_the_events_own_transaction(desk, press, herd):
    await herd.wait(AT_ONCE - 1)
    await press.publish("shop.order")
    assert set(await herd.states()) == {S.QUEUED}
    assert await herd.tell_all() == 0


async def test_a_herd_is_told_in_batches_in_the_order_of_its_waits(desk, press, herd):
    await herd.wait(MANY)
    timers = desk.bus.timers.version
    await press.publish("shop.order")
    assert desk.bus.timers.version > timers  # the waker is told
    assert await herd.states() == [S.QUEUED] * AT_ONCE + [S.WAITING] * (MANY - AT_ONCE)
    assert await desk.do(tell_on)
    assert await herd.states() == [S.QUEUED] * (AT_ONCE + BATCH) + [S.WAITING] * (MANY - AT_ONCE - BATCH)
    assert await herd.tell_all() == 3
    assert {await herd.got(one) for one in herd.ids} == {"e1"}
    woken = [one.execution_id for one in await desk.events() if "event shop.order" in one.data]
    assert woken == herd.ids


async def test_a_restart_in_between_forgets_nobody(desk, press, herd):
    await herd.wait(MANY)
    await press.publish("shop.order")
    await desk.do(tell_on)
    await desk.store.close()
    await desk.store.open()
    await herd.tell_all()
    assert set(await herd.states()) == {S.QUEUED}


async def test_whoever_begins_to_wait_after_the_event_is_not_given_it(desk, press, herd):
    await herd.wait(MANY)
    await press.publish("shop.order")
    await desk.clock.advance(1)
    await herd.wait(3)
    await herd.tell_all()
    assert (await herd.states())[MANY:] == [S.WAITING] * 3
    await press.publish("shop.order")
    assert [await herd.got(one) for one in herd.ids[MANY:]] == ["e2"] * 3


async def test_events_that_follow_stand_in_line(desk, press, herd):
    await herd.wait(MANY)
    await press.publish("shop.order", "shop.order", "shop.order")
    await herd.tell_all()
    assert {await herd.got(one) for one in herd.ids} == {"e1"}


async def test_an_event_that_came_in_time_counts_though_its_turn_comes_late(desk, press, herd):
    await herd.wait(MANY, until=desk.now + timedelta(seconds=10))
    await press.publish("shop.order")
    await desk.clock.advance(11)
    last = herd.ids[-1]

    def looks(tx, after, now):
        (resumed,) = [one for one in tx.executions.waits_over(now, limit=MANY) if one.id == last]
        return settle_step(tx, resumed, "/it#0", now=now)

    assert (await desk.do(looks)).state is StepState.SUCCEEDED
    await herd.tell_all()
    assert {await herd.got(one) for one in herd.ids} == {"e1"}


async def test_an_event_that_came_too_late_does_not(desk, press, herd):
    await herd.wait(MANY, until=desk.now + timedelta(seconds=10))
    await desk.clock.advance(11)
    await press.publish("shop.order")
    last = await desk.execution(herd.ids[-1])
    assert (
        await desk.do(lambda tx, _, now: settle_step(tx, last, "/it#0", now=now))
    ).state is StepState.FAILED
    await herd.tell_all()
    assert S.QUEUED not in await herd.states()


async def test_those_that_the_filter_does_not_match_go_on_waiting(desk, press, herd):
    await herd.wait(MANY, filter="event.data.total > 10")
    await herd.wait(2, kind="shop.*")
    await press.publish("shop.order", data='{"total": 5}')
    await herd.tell_all()
    assert await herd.states() == [S.WAITING] * MANY + [S.QUEUED] * 2
    await press.publish("shop.order", data='{"total": 50}')
    await herd.tell_all()
    assert set(await herd.states()) == {S.QUEUED}


async def test_types_that_are_remembered_are_those_that_are_waited_for(desk, press, herd):
    async def awaited(kind):
        return await desk.read(lambda tx: tx.steps.awaited_by(kind))

    assert await awaited("shop.order") == []
    for kind in ("shop.order", "shop.*", "*", "mill.*"):
        await herd.wait(1, kind=kind)
    assert await awaited("shop.order") == ["shop.order", "*", "shop.*"]
    assert await awaited("mill") == ["*"]
    await press.publish("shop.order")
    await press.publish("shop.order")  # it finds nobody, and that is remembered
    assert await awaited("shop.order") == []
    assert await awaited("mill.stone") == ["mill.*"]
    await desk.store.close()
    await desk.store.open()
    assert await awaited("mill.stone") == ["mill.*"]


async def test_very_many_types_are_found_all_the_same(desk, press, herd):
    for number in range(1030):
        await herd.wait(1, kind=f"order.{number}.paid")
    await desk.store.close()
    await desk.store.open()
    await press.publish("order.7.paid")
    assert [n for n, state in enumerate(await herd.states()) if state is S.QUEUED] == [7]
