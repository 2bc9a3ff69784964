"""Admission on the real store: every overlap policy, several triggers in one agent, and what is written of it."""

from dataclasses import replace

import pytest

from nightcrew.crew.admission import admit, admit_one
from nightcrew.crew.claims import claim_by_id
from nightcrew.crew.intake import Work
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from nightcrew.domain.execution import ExecutionState, TriggerKind, TriggerRef
from nightcrew.domain.spec.agent import AgentSpec

POLICY = "OVERLAP_POLICY_{}".format
FIRE = {"kind": TriggerKind.SCHEDULE}


def every(trigger_id, **more):
    return {"id": trigger_id, "schedule": {"interval": {"every": "60s"}}, **more}


def ids(executions):
    return [one.id for one in executions]


def told(admission):
    return {
        name: ids(found)
        for name in ("started", "buffered", "skipped", "dropped")
        if (found := getattr(admission, name))
    }


async def running(desk, name, *, trigger="t", **fire):
    """A run of a trigger that is under way."""
    admission = await desk.admit("a", name, trigger=trigger, **(fire or FIRE))
    assert told(admission) == {"started": [name]}
    return admission.started[0]


@pytest.mark.parametrize(
    ("policy", "idle", "busy"),
    [
        # The two columns of semantics.md's table: several due while idle, and while one runs.
        ("SKIP", {"started": ["3"], "skipped": ["5", "7"]}, {"skipped": ["3", "5", "7"]}),
        (
            "BUFFER_ONE",
            {"started": ["3"], "buffered": ["5"], "skipped": ["7"]},
            {"buffered": ["3"], "skipped": ["5", "7"]},
        ),
        ("BUFFER_ALL", {"started": ["3"], "buffered": ["5", "7"]}, {"buffered": ["3", "5", "7"]}),
        (
            "CANCEL_OTHER",
            {"started": ["7"], "skipped": ["3", "5"]},
            {"buffered": ["7"], "skipped": ["3", "5"]},
        ),
        (
            "TERMINATE_OTHER",
            {"started": ["7"], "skipped": ["3", "5"]},
            {"buffered": ["7"], "skipped": ["3", "5"]},
        ),
        ("ALLOW", {"started": ["3", "5", "7"]}, {"started": ["3", "5", "7"]}),
    ],
)
@pytest.mark.parametrize("whose", ["agent", "trigger"])
async def test_every_policy(desk, policy, idle, busy, whose):
    for agent_id, expected in (("idle", idle), ("busy", busy)):
        own = {"overlap": POLICY(policy)}
        if whose == "agent":
            await desk.agent(agent_id, triggers=[every("t")], **own)
        else:
            await desk.agent(agent_id, triggers=[every("t", **own)])
        if agent_id == "busy":
            await desk.admit(agent_id, "1", trigger="t", **FIRE)
        names = {name: f"{agent_id}-{name}" for name in ("3", "5", "7")}
        admission = await desk.admit(agent_id, *names.values(), trigger="t", **FIRE)
        assert told(admission) == {key: [names[one] for one in found] for key, found in expected.items()}
        kept = ids([*admission.started, *admission.buffered])
        assert [one for one in ids(await desk.open(agent_id)) if one != "1"] == kept


async def test_a_free_place_is_taken_in_the_same_commit(desk):
    await desk.agent(total_timeout="60s")
    version = desk.bus.timers.version
    run = (await desk.admit("a", "one")).started[0]
    assert (run.state, run.attempt, run.lease, run.started) == (ExecutionState.RUNNING, 1, 1, True)
    assert run.start_time == desk.now
    assert await desk.execution("one") == run
    assert desk.notebook.take() == [("claimed", "a", "one")]
    assert await desk.kinds("one") == ["queued", "started"]
    waiting = (await desk.admit("a", "two")).buffered[0]
    assert waiting.state is ExecutionState.QUEUED
    assert desk.notebook.take() == [("work", "a")]
    assert await desk.kinds("two") == ["queued"]
    assert desk.bus.timers.version > version  # it has a deadline, which may be the next moment to wake


async def test_a_schedules_skip_starts_in_the_same_commit_too(desk):
    await desk.agent(triggers=[every("t")])
    assert (await running(desk, "one")).state is ExecutionState.RUNNING
    assert desk.notebook.take() == [("claimed", "a", "one")]


async def test_nobody_is_overtaken(desk):
    """A free place belongs to those that wait already."""
    await desk.agent(max_concurrency=2)
    await desk.admit("a", "one", "two", "three")
    await desk.read(
        lambda tx: tx.executions.finish("one", lease=1, state=ExecutionState.SUCCEEDED, now=desk.now)
    )
    admission = await desk.admit("a", "four")
    assert told(admission) == {"buffered": ["four"]}
    claim = await desk.do(claim_by_id, "a")
    assert [one.execution.id for one in claim.runs] == ["three"]


@pytest.mark.parametrize("policy", ["SKIP", "BUFFER_ONE"])
async def test_a_free_place_that_somebody_waits_for_is_taken(desk, policy):
    await desk.agent(triggers=[every("t", overlap=POLICY(policy))], overlap=POLICY("BUFFER_ALL"))
    await desk.admit("a", "one", "two")
    await desk.read(
        lambda tx: tx.executions.finish("one", lease=1, state=ExecutionState.SUCCEEDED, now=desk.now)
    )
    expected = {"SKIP": {"skipped": ["three"]}, "BUFFER_ONE": {"buffered": ["three"]}}[policy]
    assert told(await desk.admit("a", "three", trigger="t", **FIRE)) == expected


async def test_runs_that_wait_for_their_next_attempt_keep_their_place(desk):
    await desk.agent(triggers=[every("t")])
    await running(desk, "one")
    why = {"next_attempt_time": desk.now, "error": None}
    await desk.read(lambda tx: tx.executions.retry_later("one", lease=1, **why))
    assert told(await desk.admit("a", "two", trigger="t", **FIRE)) == {"skipped": ["two"]}
    await desk.read(lambda tx: tx.executions.wake_due(desk.now, limit=10))
    assert told(await desk.admit("a", "three", trigger="t", **FIRE)) == {"skipped": ["three"]}


async def test_the_backlog_has_a_bound(desk):
    await desk.agent(max_backlog=2)
    admission = await desk.admit("a", "1", "2", "3", "4")
    assert told(admission) == {"started": ["1"], "buffered": ["2", "3"], "dropped": ["4"]}
    agent = await desk.get()
    work = Work(execution_id="5", trigger=TriggerRef(kind=TriggerKind.MANUAL))
    with pytest.raises(ResourceExhausted, match=r"full \(2\)") as caught:
        await desk.do(admit_one, agent, work)
    assert caught.value.code == "backlog_full"
    assert caught.value.retry_delay.total_seconds() > 0
    assert await desk.execution("5") is None
    await desk.agent("endless", max_backlog=0)
    names = [f"e{n}" for n in range(1500)]
    assert len((await desk.admit("endless", *names)).buffered) == 1499


async def test_work_of_people_that_skip_drops_is_refused_and_leaves_nothing(desk):
    agent = await desk.agent(overlap=POLICY("SKIP"))
    await desk.admit("a", "one")
    events = await desk.events()
    work = Work(execution_id="two", trigger=TriggerRef(kind=TriggerKind.MANUAL))
    with pytest.raises(FailedPrecondition) as caught:
        await desk.do(admit_one, agent, work)
    assert caught.value.code == "overlap_skipped"
    assert await desk.states() == [("one", "RUNNING")]
    assert await desk.events() == events


async def test_allow_with_a_bound_waits_and_without_one_starts_whatever_waits(desk):
    await desk.agent("bound", overlap=POLICY("ALLOW"), max_concurrency=2)
    assert told(await desk.admit("bound", "1", "2", "3")) == {"started": ["1", "2"], "buffered": ["3"]}
    await desk.agent("unbound", triggers=[every("t", overlap=POLICY("ALLOW"))])
    first = await desk.admit("unbound", "4", "5", trigger="t", **FIRE)
    assert told(first) == {"started": ["4", "5"]}
    # Counts are the agent's: what people ask for has no bound then either, and no memory is shared.
    assert told(await desk.admit("unbound", "6")) == {"started": ["6"]}
    assert [one[2] for one in desk.notebook.take()] == ["4", "5", "6"]


@pytest.mark.parametrize("policy", ["CANCEL_OTHER", "TERMINATE_OTHER"])
async def test_the_newest_takes_the_place_of_its_own_trigger_only(desk, policy):
    triggers = [every("t", overlap=POLICY(policy)), every("other", overlap=POLICY("BUFFER_ALL"))]
    await desk.agent(triggers=triggers, max_concurrency=2)
    await running(desk, "mine")
    await running(desk, "theirs", trigger="other")
    await desk.admit("a", "theirs-waits", trigger="other", **FIRE)
    desk.notebook.take()
    admission = await desk.admit("a", "new", trigger="t", **FIRE)
    assert told(admission) == {"buffered": ["new"]}
    marks = {one.id: one.cancel_requested for one in await desk.open()}
    assert marks == {"mine": True, "theirs": False, "theirs-waits": False, "new": False}
    verb = "cancelled" if policy == "CANCEL_OTHER" else "terminated"
    assert (await desk.execution("mine")).cancel_reason == f"{verb} by its trigger's next fire"
    # CANCEL gives the run its grace, TERMINATE none.
    asked = ("cancel", "a") if policy == "CANCEL_OTHER" else ("kill", "mine")
    assert desk.notebook.take() == [("work", "a"), asked]
    # The next one replaces what waits as well; the others are still waited for.
    assert told(await desk.admit("a", "newer", trigger="t", **FIRE)) == {"buffered": ["newer"]}
    assert (await desk.execution("new")).state is ExecutionState.CANCELLED
    assert await desk.states() == [
        ("mine", "RUNNING"),
        ("theirs", "RUNNING"),
        ("theirs-waits", "QUEUED"),
        ("newer", "QUEUED"),
    ]


async def test_a_place_that_another_trigger_waits_for_is_not_taken_by_a_replacement(desk):
    triggers = [every("t", overlap=POLICY("CANCEL_OTHER")), every("other", overlap=POLICY("BUFFER_ALL"))]
    await desk.agent(triggers=triggers)
    await running(desk, "theirs", trigger="other")
    assert told(await desk.admit("a", "first", trigger="t", **FIRE)) == {"buffered": ["first"]}
    assert not (await desk.execution("theirs")).cancel_requested
    await desk.admit("a", "theirs-waits", trigger="other", **FIRE)
    await desk.read(
        lambda tx: tx.executions.finish("theirs", lease=1, state=ExecutionState.SUCCEEDED, now=desk.now)
    )
    assert told(await desk.admit("a", "mine", trigger="t", **FIRE)) == {"buffered": ["mine"]}
    claim = await desk.do(claim_by_id, "a")
    assert [one.execution.id for one in claim.runs] == ["theirs-waits"]
    assert not (await desk.execution("theirs-waits")).cancel_requested


async def test_a_replaced_run_that_waits_for_its_next_attempt_frees_its_place_at_once(desk):
    await desk.agent(triggers=[every("t", overlap=POLICY("CANCEL_OTHER"))])
    await running(desk, "one")
    why = {"next_attempt_time": desk.now, "error": None}
    await desk.read(lambda tx: tx.executions.retry_later("one", lease=1, **why))
    assert told(await desk.admit("a", "two", trigger="t", **FIRE)) == {"buffered": ["two"]}
    assert (await desk.execution("one")).state is ExecutionState.CANCELLED
    claim = await desk.do(claim_by_id, "a")
    assert [one.execution.id for one in claim.runs] == ["two"]


async def test_a_replaced_fire_is_dropped_in_the_ledger(desk):
    await desk.agent(triggers=[every("t", overlap=POLICY("CANCEL_OTHER"))])
    await running(desk, "one")
    await desk.admit("a", "two", trigger="t", **FIRE)
    await desk.admit("a", "three", trigger="t", **FIRE)
    assert await desk.kinds("two") == ["queued", "cancelled"]
    assert (await desk.execution("two")).cancel_reason == "replaced by its trigger's next fire"


@pytest.mark.parametrize("state", [AgentState.PAUSED, AgentState.ERROR])
@pytest.mark.parametrize("policy", ["SKIP", "BUFFER_ONE", "BUFFER_ALL", "CANCEL_OTHER"])
async def test_what_is_held_does_not_stand_in_the_way_of_what_people_ask_for(desk, policy, state):
    """A paused agent with a fire in its backlog is not busy: a trigger by hand runs."""
    await desk.agent(overlap=POLICY("BUFFER_ALL"), triggers=[every("t")])
    await desk.admit("a", "run", "held", trigger="t", **FIRE)
    await desk.read(
        lambda tx: tx.executions.finish("run", lease=1, state=ExecutionState.SUCCEEDED, now=desk.now)
    )

    def hold(tx):
        agent = tx.agents.get("a")
        spec = AgentSpec.parse({**agent.spec.to_json(), "execution": {"overlap": POLICY(policy)}})
        held = replace(agent, spec=spec, state=state)
        assert tx.agents.save(held, revision=agent.revision)

    await desk.read(hold)
    admission = await desk.admit("a", "by hand")
    # BUFFER_ALL only counts: it is let in as one that waits, and is claimed all the same.
    assert told(admission) == {"buffered" if policy == "BUFFER_ALL" else "started": ["by hand"]}
    claim = await desk.do(claim_by_id, "a")
    assert [one.execution.id for one in claim.runs] == ["by hand"]
    assert dict(await desk.states())["held"] == "QUEUED"


async def test_in_a_drain_work_is_queued_and_nothing_starts(desk):
    await desk.agent()
    desk.commits.claiming = False
    admission = await desk.admit("a", "one")
    assert admission.started[0].state is ExecutionState.QUEUED
    assert (await desk.do(claim_by_id, "a")).runs == ()
    desk.commits.claiming = True
    assert [one.execution.id for one in (await desk.do(claim_by_id, "a")).runs] == ["one"]


async def test_inputs_are_merged_in_order_and_fixed_at_creation(desk):
    await desk.agent(triggers=[every("t", input={"b": 2, "c": 2})])

    def unit(tx, after, now):
        agent = tx.agents.get("a")
        agent = replace(agent, spec=AgentSpec.parse({**agent.spec.to_json(), "input": {"a": 1, "b": 1}}))
        works = [
            Work(execution_id="1", trigger=TriggerRef(kind=TriggerKind.MANUAL), input={"a": 9}),
            Work(execution_id="3", trigger=TriggerRef(kind=TriggerKind.RETRY), whole_input='{"z":0}'),
        ]
        fire = Work(
            execution_id="2", trigger=TriggerRef(kind=TriggerKind.BACKFILL, trigger_id="t"), input={"c": 3}
        )
        for one in (works, [fire]):
            admit(tx, after, agent, one, now=now)

    await desk.do(unit)
    assert {one.id: one.input for one in await desk.open()} == {
        "1": '{"a":9,"b":1}',
        "2": '{"a":1,"b":2,"c":3}',
        "3": '{"z":0}',
    }


async def test_an_input_that_is_too_large_changes_nothing_not_even_what_it_would_replace(desk):
    await desk.agent(overlap=POLICY("TERMINATE_OTHER"))
    await desk.admit("a", "one")
    events = await desk.events()
    agent = await desk.get()
    big = Work(execution_id="two", trigger=TriggerRef(kind=TriggerKind.MANUAL), input={"a": "x" * 2**20})
    caught = []

    def unit(tx, after, now):
        # As a batch does: the fault of one is caught inside the transaction.
        with pytest.raises(InvalidArgument) as fault:
            admit_one(tx, after, agent, big, now=now)
        caught.append(fault.value)

    await desk.do(unit)
    assert caught[0].violations[0].field == "input"
    assert not (await desk.execution("one")).cancel_requested
    assert await desk.events() == events
