"""The use cases of work: triggers, batches, retries, waits, applying, statuses, previews."""

import asyncio
import uuid
from dataclasses import replace

import pytest

from nightcrew.agent import agent, every
from nightcrew.crew.commits import After
from nightcrew.crew.faults import fail_agent
from nightcrew.domain.agent import AgentState
from nightcrew.domain.errors import (
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from nightcrew.domain.execution import ExecutionState, TriggerKind
from nightcrew.domain.lifecycle.agent import AgentEvent
from nightcrew.domain.page import ListQuery
from nightcrew.domain.spec.agent import Manifest
from nightcrew.domain.spec.trigger import Schedule
from nightcrew.services.apply import Action
from nightcrew.services.executions import Triggering
from nightcrew.services.once import Request
from nightcrew.testing.box import Box

BY_TEST = Request(method="test")


def asked(method="m", digest="d"):
    return Request(method=method, request_id=str(uuid.uuid4()), digest=digest)


@agent(start=False)
async def echo(input: dict):  # noqa: A002 - the contract's word
    return input


@agent(start=False)
async def stays(ctx):
    await ctx.state.get("gate", asyncio.Event()).wait()


@pytest.fixture
async def box(tmp_path):
    async with Box(echo, stays, folder=tmp_path) as box:
        yield box


def manifest(box, agent_id="", *, program="echo", **more):
    spec = {"program": {"python": {"entrypoint": box.engine.registry.names("python")[program != "echo"]}}}
    labels = more.pop("labels", {})
    return Manifest.parse({"id": agent_id, "labels": labels, "spec": {**spec, **more}}, field="agent")


async def make(box, agent_id="a", *, state=AgentState.ACTIVE, **more):
    await box.services.agents.create(manifest(box, agent_id, **more), request=BY_TEST)
    if state is AgentState.ERROR:
        await command(box, AgentEvent.START, agent_id)
        await box.engine.store.write(lambda tx: fail(tx, box, agent_id))
    elif state is AgentState.STOPPING:
        # As a crash would leave it, or a run that takes its time to end.
        await box.engine.store.write(lambda tx: stopping(tx, agent_id))
    elif state is not AgentState.STOPPED:
        await command(box, AgentEvent.START, agent_id)
        if state is AgentState.PAUSED:
            await command(box, AgentEvent.PAUSE, agent_id)
    return await box.agent(agent_id)


def stopping(tx, agent_id):
    found = tx.agents.get(agent_id)
    following = replace(found, state=AgentState.STOPPING, revision=found.revision + 1)
    assert tx.agents.save(following, revision=found.revision)


def fail(tx, box, agent_id):
    fail_agent(tx, After(str), agent_id, reason="too_many_failures", now=box.clock.now())


async def command(box, event, agent_id="a"):
    return await box.services.agents.command(event, agent_id, reason="", request=BY_TEST)


async def newest(box):
    return (await box.engine.store.reads.event_bounds())[1]


# ---- agents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(AgentState))
async def test_triggering_by_hand_in_every_state(box, state):
    await make(box, program="stays", state=state)
    before = await newest(box)
    if state in {AgentState.ACTIVE, AgentState.PAUSED}:
        execution = await box.trigger("a")
        assert (await box.execution(execution.id)).state is ExecutionState.RUNNING
        return
    with pytest.raises(FailedPrecondition) as caught:
        await box.trigger("a")
    assert (caught.value.code, caught.value.state) == ("agent_state", state)
    assert caught.value.allowed_states == ("STATE_ACTIVE", "STATE_PAUSED")
    assert await newest(box) == before


async def test_a_batch_answers_each_wish_on_its_own_in_one_commit(box):
    await make(box, "a", execution={"max_backlog": 1})
    await make(box, "stopped", state=AgentState.STOPPED)
    wishes = [
        Triggering(agent_id=name, request=request, input=data, labels=labels)
        for name, request, data, labels in [
            ("a", BY_TEST, {"n": 1}, {}),
            ("a", BY_TEST, {"n": 2}, {}),
            ("a", BY_TEST, {"n": 3}, {}),
            ("stopped", BY_TEST, {}, {}),
            ("nobody", BY_TEST, {}, {}),
            ("a", Request(method="m", request_id="no uuid"), {}, {}),
            ("a", BY_TEST, {"n": "x" * 2**20}, {}),
            ("a", BY_TEST, {}, {"x" * 300: ""}),
        ]
    ]
    commits = box.engine.store.commits
    found = await box.services.executions.trigger_many(wishes)
    assert [getattr(one, "code", one.__class__.__name__) for one in found] == [
        "Execution",
        "Execution",
        "backlog_full",
        "agent_state",
        "not_found",
        "invalid_argument",
        "invalid_argument",
        "invalid_argument",
    ]
    assert isinstance(found[2], ResourceExhausted)
    assert box.engine.store.commits == commits + 1
    await box.settle()
    assert [one.result for one in await box.executions("a")] == ['{"n":1}', '{"n":2}']


async def test_a_repeated_trigger_gets_its_first_execution(box):
    await make(box)
    request = asked()
    wishes = [Triggering(agent_id="a", request=request) for _ in range(3)]
    one = await box.services.executions.trigger(wishes[0])
    two, three = await box.services.executions.trigger_many(wishes[1:])
    assert {one.id, two.id, three.id} == {one.id}
    assert len(await box.executions("a")) == 1


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT"])
async def test_retrying_by_hand_needs_an_end_and_runs_with_the_first_input(box, state):
    await make(box, input={"agent": 1})
    box.engine.commits.claiming = False
    first = await box.trigger("a", {"call": 1}, labels={"who": "me"}, priority=5)
    box.engine.commits.claiming = True
    final = ExecutionState(f"STATE_{state}").final
    if state == "RUNNING":
        await box.engine.store.write(
            lambda tx: tx.executions.claim("a", limit=1, people_only=False, now=box.clock.now())
        )
    elif final:
        await box.engine.store.write(
            lambda tx: tx.executions.end_idle(
                first.id, state=ExecutionState(f"STATE_{state}"), now=box.clock.now()
            )
        )
    await box.services.agents.update(
        "a", {"spec": {"input": {"agent": 2, "new": 2}}}, paths=["spec.input"], etag="", request=BY_TEST
    )
    if not final:
        with pytest.raises(FailedPrecondition) as caught:
            await box.services.executions.retry(first.id, request=BY_TEST)
        assert caught.value.code == "execution_state"
        return
    again = await box.services.executions.retry(first.id, request=BY_TEST)
    await box.settle()
    again = await box.execution(again.id)
    assert again.trigger.kind is TriggerKind.RETRY
    assert again.trigger.cause_execution_id == first.id
    assert again.input == first.input == '{"agent":1,"call":1}'
    assert (again.labels, again.priority, again.state) == ({"who": "me"}, 5, ExecutionState.SUCCEEDED)
    assert (await box.execution(first.id)).state == f"STATE_{state}"


async def test_waiting_ends_with_the_execution_or_with_its_time(box):
    await make(box, program="stays")
    execution = await box.trigger("a")
    waiting = asyncio.create_task(box.services.executions.wait(execution.id, 10))
    await box.advance(9.9)
    assert not waiting.done()
    await box.advance(0.2)
    assert (await waiting).state is ExecutionState.RUNNING
    waiting = asyncio.create_task(box.services.executions.wait(execution.id, 10))
    await box.settle()
    await box.services.executions.cancel(execution.id, reason="", request=BY_TEST)
    assert (await asyncio.wait_for(waiting, 5)).state is ExecutionState.CANCELLED
    assert (await box.services.executions.wait(execution.id, 10)).state is ExecutionState.CANCELLED
    assert not box.engine.services.executions._bus.endings._waiters
    with pytest.raises(NotFound):
        await box.services.executions.wait("nobody", 10)


async def test_while_it_drains_no_work_is_taken(box):
    await make(box)
    box.engine.guard.close("the runtime is draining")
    for call in (
        box.services.executions.trigger(Triggering(agent_id="a", request=BY_TEST)),
        box.services.executions.trigger_many([Triggering(agent_id="a", request=BY_TEST)]),
        box.services.executions.retry("x", request=BY_TEST),
    ):
        with pytest.raises(Unavailable) as caught:
            await call
        assert caught.value.code == "draining"


# ---- apply ----------------------------------------------------------------------------------------------------


async def apply(box, *manifests, prune=None, validate=False, request=BY_TEST):
    changes = await box.services.apply.apply(
        manifests, prune_selector=prune or {}, validate_only=validate, request=request
    )
    return {one.agent_id: one for one in changes}


async def test_applying_makes_a_set_of_manifests_the_truth(box):
    await make(box, "same", labels={"set": "x"})
    await make(box, "changed", labels={"set": "x"})
    await make(box, "gone", labels={"set": "x"})
    await make(box, "others")
    manifests = [
        manifest(box, "same", labels={"set": "x"}),
        manifest(box, "changed", labels={"set": "x"}, input={"a": 1}),
        manifest(box, "new", labels={"set": "x"}),
    ]
    before = await newest(box)
    planned = await apply(box, *manifests, prune={"set": "x"}, validate=True)
    assert await newest(box) == before
    assert {name: one.action for name, one in planned.items()} == {
        "same": Action.UNCHANGED,
        "changed": Action.UPDATED,
        "new": Action.CREATED,
        "gone": Action.DELETED,
    }
    assert "+    a: 1" in planned["changed"].diff
    assert planned["same"].diff == ""
    request = asked()
    done = await apply(box, *manifests, prune={"set": "x"}, request=request)
    assert done == planned
    assert await apply(box, *manifests, prune={"set": "x"}, request=request) == planned  # the first answer
    page = await box.services.agents.page(ListQuery())
    assert {one.id: one.state.removeprefix("STATE_") for one in page.items if one.id in planned} == {
        "same": "ACTIVE",
        "changed": "ACTIVE",
        "new": "STOPPED",
    }
    assert (await box.agent("others")).state is AgentState.ACTIVE
    again = await apply(box, *manifests, prune={"set": "x"})
    assert {one.action for one in again.values()} == {Action.UNCHANGED}


async def test_one_fault_keeps_all_of_it_from_being_applied(box):
    good = manifest(box, "good")
    bad = manifest(box, "bad", triggers=[{"schedule": {"cron": {"expression": "nope"}}}])
    with pytest.raises(InvalidArgument) as caught:
        await apply(box, good, bad, manifest(box, "No Slug"), good)
    fields = [one.field for one in caught.value.violations]
    assert fields == ["agents[1].spec.triggers[0].schedule.cron.expression", "agents[2].id", "agents[3].id"]
    with pytest.raises(NotFound):
        await box.agent("good")


# ---- statuses and schedules -----------------------------------------------------------------------------------


async def test_a_status_counts_what_an_agent_does(tmp_path):
    gate = asyncio.Event()

    @agent(triggers=[every(minutes=5), every(minutes=7)], max_concurrency=2)
    async def work(fail: bool = False):
        if fail:
            raise OSError
        await gate.wait()

    async with Box(work, folder=tmp_path) as box:
        failed = await box.run("work", {"fail": True})
        for _ in range(3):
            await box.trigger("work")
        found, status = await box.services.status.of("work")
        assert found.id == "work"
        assert (status.running_count, status.queued_count, status.consecutive_failures) == (2, 1, 1)
        assert (status.last_execution.id, status.last_execution.state) == (failed.id, ExecutionState.FAILED)
        assert [(one.trigger_id, (one.time - box.clock.now()).seconds) for one in status.next_fires] == [
            ("interval", 300),
            ("interval-2", 420),
        ]
        await command(box, AgentEvent.PAUSE, "work")
        assert (await box.services.status.of("work"))[1].next_fires == []
        with pytest.raises(NotFound):
            await box.services.status.of("nobody")
        gate.set()


async def test_previews_name_what_is_wrong_and_keep_to_their_bounds(box):
    good = Schedule.parse({"interval": {"every": "60s"}})
    preview = box.services.schedules.preview
    assert len(preview(good, after=None, count=0)) == 10
    assert len(preview(good, after=None, count=5000)) == 1000
    for schedule, count, field in (
        (good, -1, "count"),
        (Schedule.parse({"cron": {"expression": "0 0 31 2 *"}}), 1, "schedule.cron.expression"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            preview(schedule, after=None, count=count)
        assert caught.value.violations[0].field == field
    with pytest.raises(NotFound):
        await box.services.schedules.saved("nobody", "cron")
    await make(box)
    with pytest.raises(NotFound):
        await box.services.schedules.saved("a", "cron")
