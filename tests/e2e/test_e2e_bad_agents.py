"""Agents that misbehave: each has a clear outcome within its limits, and the neighbours miss nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from tests.harness.history import History, Ticking
from tests.harness.history_file import read_history
from tests.harness.history_rules import breaches
from tests.harness.waiting import eventually, everything, holds

from nightcrew.client import Client

MEMORY = 400 * 1024 * 1024
NO_JSON = ("set", "object", "nan", "deep nan", "bytes")
GOES_ON = timedelta(seconds=1.1)


def ends(state, error="", *says, attempts=1):
    return state, error, says, attempts


INLINE = {
    "raises": ends("STATE_FAILED", "ValueError", "a bad day"),
    "exits": ends("STATE_FAILED", "SystemExit", "7"),
    "interrupts": ends("STATE_FAILED", "KeyboardInterrupt"),
    "base": ends("STATE_FAILED", "Oops", "not an Exception"),
    "recurses": ends("STATE_FAILED", "RecursionError", "recursion"),
    "sleeps": ends("STATE_TIMED_OUT", "timeout", "timeout"),
    "prints": ends("STATE_TIMED_OUT", "timeout", "timeout"),
    "cancels-itself": ends("STATE_FAILED", "CancelledError", "cancelled itself"),
}
WORKER = {
    "worker-raises": ends("STATE_FAILED", "ValueError", "a bad day"),
    "worker-exits": ends("STATE_FAILED", "SystemExit", "7"),
    "worker-base": ends("STATE_FAILED", "Oops", "not an Exception"),
    "worker-recurses": ends("STATE_FAILED", "RecursionError", "recursion"),
    "worker-spins": ends("STATE_TIMED_OUT", "timeout", "timeout"),
    "worker-sleeps": ends("STATE_TIMED_OUT", "timeout", "timeout", "killed"),
    "worker-prints": ends("STATE_TIMED_OUT", "timeout", "timeout"),
    "worker-blocks-its-loop": ends("STATE_TIMED_OUT", "timeout", "timeout", "killed"),
    "worker-leaves": ends("STATE_FAILED", "crash_loop", "5 times", "exited with code 3"),
    "worker-crashes": ends("STATE_FAILED", "crash_loop", "5 times", "SIGSEGV"),
    "worker-hoards": ends("STATE_FAILED", "crash_loop", "5 times", "MiB of memory"),
}


@pytest.fixture
def crew(up, agents):
    return up(agents("bad"), env={"NIGHTCREW_WORKER_MEMORY": str(MEMORY)}).start()


async def neighbours_missed_nothing(crew, client, *, outcomes=frozenset({"OUTCOME_STARTED"})):
    """Pauses them once they have gone on for a while; every second since their start has its own execution."""
    now = datetime.now(UTC)
    await holds(lambda: datetime.now(UTC) > now + GOES_ON, what="them to go on")
    paused = [(await client.agents.pause(name)).state_time for name in ("heart", "pulse")]
    await eventually(
        lambda: everything(
            client.executions.list(filter='state = "STATE_RUNNING" OR state = "STATE_QUEUED"')
        ),
        lambda open_ones: not open_ones,
        what="the end of all executions",
    )
    assert crew.stop() == 0
    history = read_history(crew.data)
    start = {one.agent_id: one.time for one in history.events if one.type == "nightcrew.agent.started"}
    ticking = [
        Ticking(
            agent_id=name, trigger_id="interval", every=1, start=start[name], end=end - timedelta(seconds=0.2)
        )
        for name, end in zip(("heart", "pulse"), paused, strict=True)
    ]
    found = History(
        executions=history.executions, events=history.events, fires=history.fires, ticking=ticking
    )
    assert breaches(found) == []
    assert {one.outcome for one in history.fires} == outcomes
    states = {one.state for one in history.executions if one.agent_id in {"heart", "pulse"}}
    assert states == {"STATE_SUCCEEDED"}


async def outcomes_of(client, expected):
    """Triggers all of them at once and checks how each ends."""
    begun = {name: await client.agents.trigger(name) for name in expected}
    waits = (client.executions.wait(one.id) for one in begun.values())
    ended = await asyncio.wait_for(asyncio.gather(*waits), 40)
    for name, one in zip(begun, ended, strict=True):
        state, error, says, attempts = expected[name]
        assert (one.state, one.error.type) == (state, error), (name, one.error)
        assert one.attempt == attempts, name
        for words in says:
            assert words in one.error.message, (name, one.error.message)
    return dict(zip(begun, ended, strict=True))


async def test_inline(crew):
    async with Client(crew.address) as client:
        ended = await outcomes_of(client, INLINE)
        assert 'raise ValueError("a bad day")' in ended["raises"].error.traceback
        assert "bad.py" in ended["raises"].error.traceback
        for what in NO_JSON:
            one = await client.agents.trigger("returns", {"what": what}, wait=10)
            assert (one.state, one.result) == ("STATE_FAILED", None), what
            assert one.error.type == "result_not_json", (what, one.error)
        big = await client.agents.trigger("returns", {"what": "big"}, wait=10)
        assert (big.state, big.error.type) == ("STATE_FAILED", "result_too_large"), big.error
        printed = await everything(client.executions.logs(ended["prints"].id))
        assert len(printed) == 10_001
        assert "left out" in printed[-1].message
        await neighbours_missed_nothing(crew, client)


async def test_in_workers(crew):
    async with Client(crew.address) as client:
        ended = await outcomes_of(client, WORKER)
        for name in ("worker-spins", "worker-sleeps", "worker-blocks-its-loop"):
            said = await everything(client.executions.logs(ended[name].id))
            assert said[-1].message == "begun", f"{name} has run, it did not only wait"
        for what in (*NO_JSON, "big"):
            one = await client.agents.trigger("worker-returns", {"what": what}, wait=10)
            assert (one.state, one.result) == ("STATE_FAILED", None), what
        await neighbours_missed_nothing(crew, client)


async def test_one_that_blocks_for_ever_is_cancelled_after_its_grace(crew):
    async with Client(crew.address) as client:
        begun = await client.agents.trigger("worker-stays")
        await eventually(lambda: everything(client.executions.logs(begun.id)), what="its first words")
        await client.executions.cancel(begun.id, reason="enough")
        ended = await asyncio.wait_for(client.executions.wait(begun.id), 10)
        assert (ended.state, ended.error, ended.cancel_reason) == ("STATE_CANCELLED", None, "enough")
        await neighbours_missed_nothing(crew, client)


async def test_one_that_swallows_its_cancel_inline_is_unkillable(crew):
    async with Client(crew.address) as client:
        begun = await client.agents.trigger("swallows")
        await eventually(lambda: everything(client.executions.logs(begun.id)), what="its first words")
        await client.executions.cancel(begun.id)
        ended = await asyncio.wait_for(client.executions.wait(begun.id), 10)
        assert ended.state == "STATE_CANCELLED"
        agent = await client.agents.get("swallows")
        assert (agent.state, agent.state_reason) == ("STATE_ERROR", "unkillable")
        await neighbours_missed_nothing(crew, client)


async def test_one_that_blocks_the_loop_is_named_with_its_stack(crew):
    async with Client(crew.address) as client:
        ended = await client.agents.trigger("blocks", wait=20)
        assert (ended.state, ended.result) == ("STATE_SUCCEEDED", "blocked")
        said = await everything(client.executions.logs(ended.id))
        assert any("blocks the event loop" in one.message for one in said), "its author can see it, too"
        # Two seconds came due at once: the first of them starts, the other one is skipped, and none is lost.
        both = frozenset({"OUTCOME_STARTED", "OUTCOME_SKIPPED_OVERLAP"})
        await neighbours_missed_nothing(crew, client, outcomes=both)
    log = crew.stderr()
    assert "an inline program blocks the event loop" in log
    assert "time.sleep(2)" in log
    assert "agent_id=blocks" in log
