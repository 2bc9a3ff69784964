"""Chains of agents in a whole runtime: three in a row, and a cycle of two that ends at its depth."""

from tests.keepers.support.posting import Post, ping, pong, quick, second, third

from nightcrew.crew.delivery import MAX_DEPTH
from nightcrew.domain.agent import AgentState
from nightcrew.testing.box import Box


async def test_three_agents_in_a_row():
    async with Box(quick, second, third) as box:
        post = Post(box)
        (sequence,) = await post.publish(40)
        assert [await post.results(name) for name in ("quick", "second", "third")] == [[40], [41], [42]]
        one, two, three = await box.executions()
        assert [run.trigger.cause_execution_id for run in (one, two, three)] == ["", one.id, two.id]
        # The log alone tells the chain: each event of an execution names the event that led to it.
        by_sequence = {event.sequence: event for event in await post.events()}
        last = next(event for event in by_sequence.values() if event.execution_id == three.id)
        path = []
        while last.cause_sequence:
            last = by_sequence[last.cause_sequence]
            path.append((last.sequence, last.execution_id))
        assert [execution_id for _, execution_id in path] == [two.id, one.id, ""]
        assert path[-1][0] == sequence


async def test_a_cycle_of_two_ends():
    async with Box(ping, pong) as box:
        post = Post(box)
        await post.publish(None, kind="ping")
        runs = await box.executions()
        assert [one.agent_id for one in runs] == ["ping", "pong"] * (MAX_DEPTH // 2)
        assert await post.fires("ping") == [("DEPTH_LIMIT", 1, f"the chain is {MAX_DEPTH} executions deep")]
        assert {(await box.agent(name)).state for name in ("ping", "pong")} == {AgentState.ACTIVE}
        await box.trigger("ping")
        assert len(await box.executions()) == 2 * MAX_DEPTH
