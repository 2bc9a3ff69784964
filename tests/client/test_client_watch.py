"""Watches over connections that break, servers that restart, snapshots, gaps and slow readers."""
# ruff: noqa: S105, S106 - resume tokens are no secrets

import asyncio
import contextlib

import pytest
from peer_server import Peer

from nightcrew.client import Client, InvalidArgument, NotFound, NotReachable, RetryPolicy
from nightcrew.client.errors import Closed
from nightcrew.client.models.agent import AgentSnapshot
from nightcrew.client.models.event import Event, Gap
from nightcrew.client.models.execution import ExecutionSnapshot, ExecutionState
from nightcrew.client.models.log import LogEntry, LogStream
from nightcrew.v1 import execution_pb2

FAST = RetryPolicy(attempts=4, initial=0.01, maximum=0.05)


async def collected(watch, count):
    found = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found.append(await anext(watch))
    return found


async def test_events_arrive_as_they_happen_and_heartbeats_do_not(crew, peer):
    async with crew.events.watch() as watch:
        await watch.opened()
        for number in range(7):
            await peer.log.add(f"t{number}")
            if number == 3:
                await asyncio.sleep(0.2)  # a few heartbeats
        assert [one.type for one in await collected(watch, 7)] == [f"t{number}" for number in range(7)]


async def test_nothing_is_lost_or_doubled_over_broken_connections(crew, peer):
    """Cut after 1, 2, 3, 1… responses, in the midst of what is being published."""
    peer.log.cut_after = [1 + number % 3 for number in range(40)]
    async with crew.events.watch() as watch:
        await watch.opened()

        async def publish():
            for number in range(200):
                await peer.log.add("t", subject=str(number))
                if number % 5 == 0:
                    await asyncio.sleep(0.005)

        publishing = asyncio.ensure_future(publish())
        found = await collected(watch, 200)
        await publishing
    assert [one.subject for one in found] == [str(number) for number in range(200)]
    calls = peer.script.calls["WatchEvents"]
    assert len(calls) > 20
    tokens = [int(one.resume_token[1:]) for one in calls[1:]]
    assert tokens == sorted(tokens)


async def test_it_resumes_over_restarts_of_the_server():
    async with Peer() as peer:
        async with Client(peer.address, retry=FAST) as crew, crew.events.watch() as watch:
            await watch.opened()
            found = []
            for round_ in range(3):
                await peer.log.add(f"up{round_}")
                found += await collected(watch, 1)
                waiting = asyncio.ensure_future(collected(watch, 1))
                await asyncio.sleep(0.02)
                await peer.stop()
                await peer.log.add(f"down{round_}")
                # Longer than all tries of a call: a watch that was open once does not give up.
                await asyncio.sleep(0.4)
                await peer.start()
                found += await waiting
        assert [one.type for one in found] == ["up0", "down0", "up1", "down1", "up2", "down2"]


async def test_a_later_watch_goes_on_from_the_token(crew, peer):
    for number in range(8):
        await peer.log.add(f"t{number}")
    async with crew.events.watch(include_snapshot=True) as watch:
        assert watch.resume_token == ""
        await collected(watch, 2)
        assert watch.resume_token == "s0"  # in the midst of the first three
        await collected(watch, 1)
        token = watch.resume_token
        await collected(watch, 2)
        assert watch.resume_token == token
    async with crew.events.watch(resume_token=token) as watch:
        assert [one.type for one in await collected(watch, 5)] == [f"t{number}" for number in range(3, 8)]


async def test_a_gap_is_given_out_in_its_place(crew, peer):
    for number in range(9):
        await peer.log.add(f"t{number}")
    peer.log.events = peer.log.events[5:]
    peer.log.kept_from = 6
    async with crew.events.watch(resume_token="s2") as watch:
        first, second = await collected(watch, 2)
    assert first == Gap(from_sequence=3, to_sequence=5)
    assert second.sequence == 6


async def test_a_snapshot_comes_first_and_whole_though_the_connection_breaks_in_it(crew, peer):
    for number in range(8):
        peer.world.add_agent(f"a{number}")
    peer.log.cut_after = [1, 2]  # of 3 responses
    async with crew.agents.watch(include_snapshot=True) as watch:
        waiting = asyncio.ensure_future(collected(watch, 9))
        async with asyncio.timeout(10):
            while len(peer.script.calls["WatchAgents"]) < 2:
                await asyncio.sleep(0.001)
        # Gone between two tries: what is given out must be of one moment.
        peer.world.agents.pop("a0", None)
        async with asyncio.timeout(10):
            while len(peer.script.calls["WatchAgents"]) < 3:
                await asyncio.sleep(0.001)
        await peer.log.add("nightcrew.agent.started", agent_id="a1")
        await peer.log.add("nightcrew.agent.started", agent_id="a2")
        found = await waiting
    snapshots = [one for one in found if isinstance(one, AgentSnapshot)]
    assert [one.agent.id for one in snapshots] == [f"a{number}" for number in range(1, 8)]
    assert [one.last for one in snapshots] == [False] * 6 + [True]
    assert [one.agent_id for one in found if isinstance(one, Event)] == ["a1", "a2"]
    assert {one.resume_token for one in peer.script.calls["WatchAgents"]} == {""}


async def test_an_empty_snapshot_is_one_item_without_an_agent(crew):
    async with crew.agents.watch(include_snapshot=True, ids=["nobody"]) as watch:
        assert await collected(watch, 1) == [AgentSnapshot(agent=None, last=True)]


async def test_a_watched_execution_ends_with_it(crew, peer):
    peer.world.add_agent("a")
    run = peer.world.new_execution("a", None, None)
    peer.log.cut_after = [1, 1, 2, 1]
    for word in ("alpha ", "beta ", "gamma"):
        peer.world.say(run.id, word, stream="STREAM_TOKEN")

    async def end():
        await peer.log.add("nightcrew.execution.started", agent_id="a", execution_id=run.id)
        for number in range(20):
            peer.world.say(run.id, f"line {number}")
            await asyncio.sleep(0.003)
        run.state = execution_pb2.Execution.STATE_SUCCEEDED
        await peer.log.add("nightcrew.execution.succeeded", agent_id="a", execution_id=run.id)

    ending = asyncio.ensure_future(end())
    found = []
    async with asyncio.timeout(20), crew.executions.watch(run.id, include_snapshot=True) as watch:
        found = [item async for item in watch]
        assert [item async for item in watch] == []
    await ending
    assert isinstance(found[0], ExecutionSnapshot)
    said = [one for one in found if isinstance(one, LogEntry)]
    assert [one.message for one in said] == ["alpha ", "beta ", "gamma", *(f"line {n}" for n in range(20))]
    assert [one.stream for one in said[:4]] == [LogStream.TOKEN] * 3 + [LogStream.STDOUT]
    assert [one.type for one in found if isinstance(one, Event)] == [
        "nightcrew.execution.started",
        "nightcrew.execution.succeeded",
    ]
    assert len(peer.script.calls["WatchExecution"]) >= 5


async def test_wait_gives_the_execution_as_it_ended(crew, peer):
    run = peer.world.new_execution("a", None, None)
    waiting = asyncio.ensure_future(crew.executions.wait(run.id))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    run.state = execution_pb2.Execution.STATE_FAILED
    await peer.log.add("nightcrew.execution.failed", agent_id="a", execution_id=run.id)
    assert (await waiting).state is ExecutionState.FAILED


async def test_errors_other_than_a_lost_server_raise(crew, peer):
    async with crew.executions.watch("nothing") as watch:
        with pytest.raises(NotFound):
            await anext(watch)
    async with crew.events.watch(resume_token="nonsense") as watch:
        with pytest.raises(InvalidArgument) as caught:
            await watch.opened()
    assert caught.value.field_violations[0].field == "resume_token"
    assert len(peer.script.calls["WatchExecution"]) == len(peer.script.calls["WatchEvents"]) == 1


async def test_a_server_that_was_never_reached_is_an_error(peer):
    await peer.stop()
    async with Client(peer.address, retry=FAST) as crew, crew.events.watch() as watch:
        with pytest.raises(NotReachable):
            await anext(watch)


async def test_a_cancelled_wait_loses_nothing_and_keeps_the_connection(crew, peer):
    async with crew.events.watch() as watch:
        await watch.opened()
        for number in range(6):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await anext(watch)
                    raise AssertionError("nothing has happened yet")
            await peer.log.add(f"t{number}")
            assert [one.type for one in await collected(watch, 1)] == [f"t{number}"]
    assert len(peer.script.calls["WatchEvents"]) == 1


async def test_silence_is_taken_for_a_lost_connection(crew, peer):
    peer.log.heartbeat = 30
    async with crew.events.watch() as watch:
        watch._silence = 0.2
        await watch.opened()
        waiting = asyncio.ensure_future(collected(watch, 1))
        async with asyncio.timeout(10):
            while len(peer.script.calls["WatchEvents"]) < 3:
                await asyncio.sleep(0.01)
        await peer.log.add("at last")
        assert [one.type for one in await waiting] == ["at last"]


async def test_a_slow_reader_misses_nothing(crew, peer):
    async with crew.events.watch() as watch:
        await watch.opened()
        for number in range(3000):
            await peer.log.add("t", subject=str(number))
        found = []
        for _ in range(3000):
            found.append((await anext(watch)).subject)
            if len(found) % 500 == 0:
                await asyncio.sleep(0.02)
    assert found == [str(number) for number in range(3000)]


async def test_closing_ends_an_iteration_under_way(crew, peer):
    watch = crew.events.watch()
    await watch.opened()
    iterating = asyncio.ensure_future(_all(watch))
    await asyncio.sleep(0.05)
    await watch.aclose()
    async with asyncio.timeout(5):
        assert await iterating == []


async def test_closing_the_client_ends_its_watches(peer):
    crew = Client(peer.address, retry=FAST)
    watch = crew.events.watch()
    await watch.opened()
    iterating = asyncio.ensure_future(_all(watch))
    await asyncio.sleep(0.05)
    await crew.close()
    async with asyncio.timeout(5):
        assert await iterating == []
    with pytest.raises(Closed):
        await crew.events.watch().opened()


async def _all(watch):
    return [item async for item in watch]
