"""Agents in any store: they come back as they went in, a stale revision writes nothing, deletion takes all."""

import pytest

from nightcrew.domain.agent import AgentSource, AgentState
from nightcrew.domain.errors import AlreadyExists
from nightcrew.domain.execution import ExecutionState
from nightcrew.domain.fire import ScheduleCursor
from nightcrew.domain.page import ListQuery


def full(make):
    return make.agent(
        "full",
        spec=make.spec(
            input={"none": None, "list": [1, 2.5, "ü"], "deep": {"a": {}}},
            triggers=[
                {"id": "cron", "schedule": {"cron": {"expression": "0 9 * * *"}, "time_zone": "Asia/Tokyo"}}
            ],
            execution={
                "timeout": "1.5s",
                "max_concurrency": 0,
                "retry": {"max_attempts": 3, "jitter": False},
            },
            isolation="ISOLATION_POOL",
        ),
        create_time=make.at(0.000001),
        update_time=make.at(2),
        state_time=make.at(3),
        display_name='The "full" one',
        description="every field\nset",
        labels={"team": "ops", 'we"ird\\ key': "ü", "": "empty key"},
        state=AgentState.ERROR,
        state_reason="program_load",
        generation=7,
        revision=9,
        consecutive_failures=4,
        delete_requested=True,
    )


async def test_an_agent_comes_back_as_it_went_in(store, make):
    for agent in (make.agent("plain"), full(make)):
        await store.write(lambda tx, agent=agent: tx.agents.insert(agent))
        assert await store.write(lambda tx, agent=agent: tx.agents.get(agent.id)) == agent
        assert await store.reads.agent(agent.id) == agent


async def test_what_is_not_there(store):
    assert await store.write(lambda tx: tx.agents.get("nobody")) is None
    assert await store.reads.agent("nobody") is None
    assert await store.reads.agents_by_id(["nobody"]) == {}
    assert not await store.write(lambda tx: tx.agents.delete("nobody"))
    assert await store.write(lambda tx: tx.agents.memory("nobody")) is None
    assert await store.write(lambda tx: tx.agents.source("nobody")) is None


async def test_an_id_is_taken_once(store, make):
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    with pytest.raises(AlreadyExists, match="agent 'digest' already exists"):
        await store.write(lambda tx: tx.agents.insert(make.agent(description="another")))
    assert await store.reads.agent("digest") == make.agent()


async def test_save_is_guarded_by_the_revision(store, make):
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    changed = make.agent(state=AgentState.ACTIVE, revision=2, spec=make.spec("jobs:other"), generation=2)
    assert await store.write(lambda tx: tx.agents.save(changed, revision=1))
    stale = make.agent(state=AgentState.PAUSED, revision=2)
    assert not await store.write(lambda tx: tx.agents.save(stale, revision=1))
    assert await store.reads.agent("digest") == changed
    assert await store.write(lambda tx: tx.agents.get("digest")) == changed


async def test_one_unit_sees_what_it_wrote(store, make):
    def unit(tx):
        tx.agents.insert(make.agent())
        before = tx.agents.get("digest")
        tx.agents.save(make.agent(revision=2, state_reason="why"), revision=1)
        tx.agents.set_failures("digest", 3)
        after = tx.agents.get("digest")
        tx.agents.delete("digest")
        return before, after, tx.agents.get("digest")

    assert await store.write(unit) == (
        make.agent(),
        make.agent(revision=2, state_reason="why", consecutive_failures=3),
        None,
    )


async def test_failures_change_no_revision(store, make):
    await store.write(lambda tx: tx.agents.insert(make.agent()))
    await store.write(lambda tx: tx.agents.set_failures("digest", 5))
    assert await store.reads.agent("digest") == make.agent(consecutive_failures=5)


async def test_an_agent_made_again_has_its_own_spec(store, make):
    first, second = make.agent(), make.agent(spec=make.spec("jobs:other"))
    for agent in (first, second):
        await store.write(lambda tx, agent=agent: tx.agents.insert(agent))
        assert await store.write(lambda tx: tx.agents.get("digest")) == agent
        await store.write(lambda tx: tx.agents.delete("digest"))


async def test_ids_by_state_and_labels(store, make):
    kinds = [
        ("a", AgentState.ACTIVE, {"team": "ops", "tier": "1"}),
        ("b", AgentState.PAUSED, {"team": "ops"}),
    ]
    kinds += [("c", AgentState.ACTIVE, {"team": "web"}), ("d", AgentState.STOPPED, {})]
    for agent_id, state, labels in reversed(kinds):
        await store.write(
            lambda tx, i=agent_id, s=state, m=labels: tx.agents.insert(make.agent(i, state=s, labels=m))
        )

    async def ids(**wanted):
        return await store.write(lambda tx: tx.agents.ids(**wanted))

    assert await ids() == ["a", "b", "c", "d"]
    assert await ids(states=[AgentState.ACTIVE]) == ["a", "c"]
    assert await ids(states=[AgentState.PAUSED, AgentState.STOPPED]) == ["b", "d"]
    assert await ids(selector={"team": "ops"}) == ["a", "b"]
    assert await ids(selector={"team": "ops", "tier": "1"}) == ["a"]
    assert await ids(states=[AgentState.ACTIVE], selector={"team": "web"}) == ["c"]
    assert await ids(selector={"team": "nobody's"}) == []


async def test_memory_and_source(store, make):
    def unit(tx):
        tx.agents.set_memory("digest", '{"n":1}')
        tx.agents.set_memory("digest", '{"n":2}')
        for agent_id in ("digest", "another"):
            tx.agents.set_source(AgentSource(agent_id=agent_id, path="jobs.py", digest="1"))
        tx.agents.set_source(AgentSource(agent_id="digest", path="jobs.py", digest="2", deleted=True))

    await store.write(unit)
    assert await store.write(lambda tx: tx.agents.memory("digest")) == '{"n":2}'
    kept = AgentSource(agent_id="digest", path="jobs.py", digest="2", deleted=True)
    assert await store.write(lambda tx: tx.agents.source("digest")) == kept
    await store.write(lambda tx: tx.agents.drop_source("another"))
    assert await store.write(lambda tx: tx.agents.sources()) == [kept]


async def test_deletion_takes_all_but_the_events_and_the_source(store, make):
    def fill(tx):
        for agent_id in ("digest", "neighbour"):
            tx.agents.insert(make.agent(agent_id, state=AgentState.ACTIVE))
            tx.agents.set_memory(agent_id, "{}")
            tx.agents.set_source(AgentSource(agent_id=agent_id, path="jobs.py", digest="1"))
            tx.executions.insert(make.execution(agent_id, state=ExecutionState.SUCCEEDED))
            tx.executions.insert(make.execution(agent_id))
            (run,) = tx.executions.claim(agent_id, limit=1, people_only=False, now=make.at())
            assert tx.logs.append(run.id, [make.log(), make.log()], lease=1)
            tx.fires.record(make.fire(agent_id=agent_id))
            tx.fires.set_cursor(ScheduleCursor(agent_id=agent_id, trigger_id="cron", cursor=make.at()))
            tx.events.append(make.event(agent_id=agent_id))
            run_ids.append(run.id)

    run_ids: list[str] = []
    await store.write(fill)
    assert await store.write(lambda tx: tx.agents.delete("digest"))

    everything = ListQuery()
    assert [one.id for one in (await store.reads.agents(everything)).items] == ["neighbour"]
    assert {one.agent_id for one in (await store.reads.executions(everything)).items} == {"neighbour"}
    assert [one.agent_id for one in (await store.reads.fires(everything)).items] == ["neighbour"]
    assert await store.reads.cursors(["digest"]) == {"digest": []}
    assert await store.reads.logs_after(run_ids[0], 0, limit=10) == []
    assert len(await store.reads.logs_after(run_ids[1], 0, limit=10)) == 2
    assert await store.write(lambda tx: tx.agents.memory("digest")) is None
    assert len(await store.reads.events_after(0, limit=10)) == 2
    assert [one.agent_id for one in await store.write(lambda tx: tx.agents.sources())] == [
        "digest",
        "neighbour",
    ]
    assert (await store.reads.figures(["neighbour"]))["neighbour"].running == 1
