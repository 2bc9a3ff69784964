"""Looks at schedules on a real store: many in one transaction, each fault its own, and no transaction without end."""

from datetime import timedelta

from nightcrew.crew.firing import ENOUGH, Looked, look

FAST = [{"id": "t", "schedule": {"interval": {"every": "0.1s"}, "catch_up": {"mode": "CATCH_UP_MODE_ALL"}}}]
SLOW = [{"id": "t", "schedule": {"interval": {"every": "60s"}}}]


async def looked(desk, *agent_ids):
    keys = [(one, "t") for one in agent_ids]
    return await desk.commits.run(lambda tx, after: look(tx, after, keys, now=desk.now, known={}))


async def rows(desk, agent_id):
    return await desk.read(
        lambda tx: tx._execute(
            "SELECT outcome, sum(count) FROM fires WHERE agent_id = ? GROUP BY outcome", (agent_id,)
        ).fetchall()
    )


async def test_what_takes_long_leaves_the_rest_for_the_next_transaction(desk):
    for one in ("a", "b", "c"):
        await desk.agent(one, triggers=FAST, max_backlog=0)
    await desk.clock.advance(150)
    first = await looked(desk, "a", "b", "c")
    assert first[1:] == [Looked(desk.now)] * 2
    assert first[0].wake <= desk.now
    assert await rows(desk, "b") == []
    while any(one.wake <= desk.now for one in await looked(desk, "a", "b", "c")):
        pass
    total = [sum(count for _, count in await rows(desk, one)) for one in ("a", "b", "c")]
    assert total == [1500] * 3
    assert ENOUGH < 1500


async def test_two_triggers_of_one_agent_that_are_due_together_are_decided_after_each_other(desk):
    await desk.agent("a", triggers=[*SLOW, {**SLOW[0], "id": "u"}])
    desk.commits.awake_since = desk.now
    await desk.clock.advance(60)
    keys = [("a", "t"), ("a", "u"), ("nobody", "t"), ("a", "nothing")]
    found = await desk.commits.run(lambda tx, after: look(tx, after, keys, now=desk.now, known={}))
    following = Looked(desk.now + timedelta(seconds=60))
    assert found == [following, following, Looked(), Looked()]
    assert sorted(await rows(desk, "a")) == [("OUTCOME_SKIPPED_OVERLAP", 1), ("OUTCOME_STARTED", 1)]
    assert [one[0] for one in desk.notebook.take()] == ["claimed"]
