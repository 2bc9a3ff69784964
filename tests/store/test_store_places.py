"""Places of large agents in any store: the figures that are remembered are those that a count would give."""

import random
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from nightcrew.domain.errors import NotFound
from nightcrew.domain.execution import ExecutionError, ExecutionState, Occupancy
from nightcrew.domain.step import Wait, WaitKind

S = ExecutionState
ERROR = ExecutionError(type="Oops", message="")
MANY = 600


def counted(tx, agent_id="digest"):
    """What the rows say."""
    rows = tx.executions.open(agent_id)
    queued = [one for one in rows if one.state is S.QUEUED]
    requeued = sum(one.started for one in queued)
    return Occupancy(len(rows) - len(queued), requeued, len(queued) - requeued)


def move(tx, make, dice, execution):
    """Something that can happen to an execution in its state."""
    now, table = make.at(dice.randrange(100, 500)), tx.executions
    match execution.state:
        case S.QUEUED:
            dice.choice(
                [
                    lambda: table.claim(execution.agent_id, limit=3, people_only=False, now=now),
                    lambda: table.end_idle(execution.id, state=S.CANCELLED, now=now),
                    lambda: table.resume_cancelled(execution.id, reason=""),
                ]
            )()
        case S.RUNNING:
            later = now + timedelta(seconds=5)
            dice.choice(
                [
                    lambda: table.finish(execution.id, lease=execution.lease, state=S.SUCCEEDED, now=now),
                    lambda: table.finish(execution.id, lease=99, state=S.SUCCEEDED, now=now),
                    lambda: table.wait(execution.id, lease=execution.lease, wait=Wait(kind=WaitKind.SLEEP)),
                    lambda: table.requeue(execution.id, lease=execution.lease, unclean=True, error=ERROR),
                    lambda: table.retry_later(
                        execution.id, lease=execution.lease, next_attempt_time=later, error=ERROR
                    ),
                ]
            )()
        case S.WAITING:
            dice.choice(
                [
                    lambda: table.wake(execution.id),
                    lambda: table.end_idle(execution.id, state=S.TIMED_OUT, now=now),
                    lambda: table.resume_cancelled(execution.id, reason=""),
                ]
            )()
        case _:
            table.wake_due(now, limit=dice.randrange(3))


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_the_figures_are_those_of_the_rows(store, make, seed):
    dice = random.Random(seed)
    rows = [make.execution(dice.choice(["digest", "digest", "other"])) for _ in range(MANY)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows])

    def life(tx):
        for agent_id in ("digest", "other"):
            tx.executions.claim(agent_id, limit=MANY, people_only=False, now=make.at(1))
        assert tx.executions.occupancy("digest") == counted(tx)
        for one in dice.choices(rows, k=MANY):
            now = tx.executions.get(one.id)
            if not now.state.final:
                move(tx, make, dice, now)
            if dice.random() < 0.1:
                tx.executions.insert(make.execution())
        assert tx.executions.occupancy("digest") == counted(tx)
        assert tx.executions.occupancy("other") == counted(tx, "other")

    await store.write(life)
    assert await store.write(lambda tx: tx.executions.occupancy("digest")) == await store.write(counted)


async def test_what_is_undone_is_not_remembered(store, make):
    rows = [make.execution(state=S.RUNNING, started=True, lease=1) for _ in range(MANY)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in rows])

    def fails(tx):
        assert tx.executions.occupancy("digest").running == MANY
        for one in rows[:10]:
            assert tx.executions.finish(one.id, lease=1, state=S.SUCCEEDED, now=make.at(99))
        assert tx.executions.occupancy("digest").running == MANY - 10
        raise NotFound("agent", "digest")

    with pytest.raises(NotFound):
        await store.write(fails)
    assert await store.write(lambda tx: tx.executions.occupancy("digest")) == Occupancy(MANY, 0, 0)


async def test_an_agent_that_is_made_again_begins_empty(store, make):
    rows = [make.execution(state=S.RUNNING, started=True, lease=1) for _ in range(MANY)]
    await store.write(lambda tx: (tx.agents.insert(make.agent()), [tx.executions.insert(r) for r in rows]))
    assert (await store.write(lambda tx: tx.executions.occupancy("digest"))).running == MANY
    await store.write(lambda tx: (tx.agents.delete("digest"), tx.agents.insert(make.agent())))
    assert await store.write(lambda tx: tx.executions.occupancy("digest")) == Occupancy(0, 0, 0)


async def test_many_that_wait_cost_no_more_at_a_claim(store, make):
    """With the waiting ones counted each time this takes a hundred times as long."""
    template = make.execution(state=S.WAITING, started=True)
    many = [replace(template, id=f"{n:08}") for n in range(20_000)]
    few = [replace(template, id=f"few{n}", agent_id="few") for n in range(50)]
    await store.write(lambda tx: [tx.executions.insert(one) for one in many + few])

    def claims(tx, agent_id):
        began = time.perf_counter()
        for number in range(200):
            tx.executions.wake(f"{number:08}" if agent_id == "digest" else f"few{number}")
            tx.executions.occupancy(agent_id, cap=1)
            tx.executions.claim(agent_id, limit=1, people_only=False, now=make.at())
        return time.perf_counter() - began

    short = min([await store.write(lambda tx: claims(tx, "few")) for _ in range(3)])
    long = min([await store.write(lambda tx: claims(tx, "digest")) for _ in range(3)])
    assert long < short * 10 + 0.05
